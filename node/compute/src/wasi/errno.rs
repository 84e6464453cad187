//! Error numbers of WASI preview 1, and how a host function ends.
//!
//! A host function that does not succeed either gives the program an [`Errno`], and the program goes on, or ends the
//! run ([`Stop`]): out of fuel, an exit, too much output. Both are the same on every machine.

use super::stop::Stop;

/// The answer of a host function: success, an errno, or the end of the run.
pub(super) type Answer = Result<(), Halt>;

/// An error number, as the program sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(u16);

impl Errno {
    /// No such descriptor.
    pub(crate) const BADF: Self = Self(8);
    /// A pointer leads out of linear memory.
    pub(crate) const FAULT: Self = Self(21);
    /// An argument has no meaning.
    pub(crate) const INVAL: Self = Self(28);
    /// This host does not have that function: the fixed answer for files, sockets and processes.
    pub(crate) const NOSYS: Self = Self(52);
    /// Streams have no position.
    pub(crate) const SPIPE: Self = Self(70);

    /// As the function returns it.
    pub(crate) fn code(self) -> i32 {
        self.0.into()
    }

    /// As an event of `poll_oneoff` holds it.
    pub(crate) fn number(self) -> u16 {
        self.0
    }
}

/// Why a host function did not succeed.
pub(crate) enum Halt {
    /// The program gets the number, and goes on.
    Errno(Errno),
    /// The run is over.
    Stop(Stop),
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<Errno> for Halt {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}
