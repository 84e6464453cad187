//! How a command ends when it does not end well: one line for a person, one status for a script.

use crate::{
    config::ConfigError,
    http::{ClientError, TokenError},
    keystore::KeystoreError,
    node::NodeError,
};
use rings_chain::ChainError;
use rings_compute::ComputeError;
use rings_store::StoreError;
use std::{error::Error, fmt, io, iter};

/// Exit status of the program; the numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done; of `run`: the ring agreed, and the result is on chain.
    Done = 0,
    /// A fault of this program or machine that has no status of its own; of `verify`: the result on chain is wrong.
    Internal = 1,
    /// Wrong option, no such file, not a WASM module.
    Usage = 2,
    /// The ring agreed that the program failed.
    Failed = 3,
    /// No quorum in time.
    NoQuorum = 4,
    /// Chain, store or member cannot be reached, or refuse.
    Unavailable = 5,
}

/// A boxed cause.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why a command did not succeed.
#[derive(Debug)]
pub struct Failure {
    status: Status,
    what: String,
    cause: Option<Cause>,
    silent: bool,
}

impl Failure {
    /// A failure in words: what failed, why, and after a semicolon what to do.
    pub fn new(status: Status, what: impl Into<String>) -> Self {
        Self {
            status,
            what: what.into(),
            cause: None,
            silent: false,
        }
    }

    /// Wrong option or input: status 2.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Status::Usage, what)
    }

    /// Chain, store or member do not do their part: status 5.
    pub fn unavailable(what: impl Into<String>) -> Self {
        Self::new(Status::Unavailable, what)
    }

    /// A fault of this program or machine: status 1.
    pub fn internal(what: impl Into<String>) -> Self {
        Self::new(Status::Internal, what)
    }

    /// The command has said all there is to say, and ends with this status.
    pub fn said(status: Status) -> Self {
        Self {
            silent: true,
            ..Self::new(status, "")
        }
    }

    /// The same, with its cause.
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// An error of another room: its words and its causes.
    fn of(status: Status, error: impl Error + Send + Sync + 'static) -> Self {
        Self::new(status, error.to_string()).because(Told(Box::new(error)))
    }

    /// Its status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The causes, outermost first.
    pub fn causes(&self) -> Vec<String> {
        let first = self
            .cause
            .as_deref()
            .map(|cause| cause as &(dyn Error + 'static));
        let causes = iter::successors(first, |cause: &&'_ (dyn Error + 'static)| (*cause).source());
        let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
        texts.retain(|text| *text != self.what);
        texts.dedup();
        texts
    }

    /// The one line, unless everything has been said already.
    pub fn line(&self) -> Option<String> {
        (!self.silent).then(|| format!("error: {self}"))
    }
}

/// An error whose words are those of the failure already: only its causes are news.
#[derive(Debug)]
struct Told(Cause);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for Told {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl fmt::Display for Failure {
    /// What, then the innermost cause, then what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = one_line(&self.what);
        let root = self.causes().pop().map(|cause| one_line(&cause));
        let Some(root) = root.filter(|root| !what.contains(root.as_str())) else {
            return f.write_str(&what);
        };
        match what.rsplit_once("; ") {
            Some((what, advice)) => write!(f, "{what}: {root}; {advice}"),
            None => write!(f, "{what}: {root}"),
        }
    }
}

/// Line ends become spaces, and the number of the system's error goes.
fn one_line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.find(" (os error") {
        Some(end) if text.ends_with(')') => text[..end].to_owned(),
        _ => text,
    }
}

macro_rules! failure_of {
    ($($error:ty => $status:expr),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::of($status, error)
            }
        })*
    };
}

failure_of! {
    ConfigError => Status::Usage,
    KeystoreError => Status::Usage,
    TokenError => Status::Usage,
    ChainError => Status::Unavailable,
    StoreError => Status::Unavailable,
    ClientError => Status::Unavailable,
    ComputeError => Status::Internal,
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        let status = match &error {
            NodeError::Key(_) | NodeError::Token(_) | NodeError::NotAMember { .. } => Status::Usage,
            NodeError::Core(_) | NodeError::Ended { .. } => Status::Internal,
            _ => Status::Unavailable,
        };
        Self::of(status, error)
    }
}

/// Words for what was done to a file that failed.
pub trait Context<T> {
    /// Names what failed, with status `status`.
    fn context(self, status: Status, what: impl Into<String>) -> Result<T, Failure>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, status: Status, what: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(status, what).because(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_what_why_and_what_to_do() {
        let missing = io::Error::from_raw_os_error(2);
        let failure = Failure::usage("cannot read x.wasm; check the path").because(missing);
        assert_eq!(
            failure.line().unwrap(),
            "error: cannot read x.wasm: No such file or directory; check the path"
        );
        assert_eq!(failure.status() as u8, 2);
    }

    #[test]
    fn an_error_of_another_room_is_not_told_twice() {
        let error = KeystoreError::Read {
            path: "k".into(),
            source: io::Error::from_raw_os_error(13),
        };
        let failure = Failure::from(error);
        assert_eq!(
            failure.to_string(),
            "cannot read k: Permission denied; check the path and who owns it"
        );
        assert_eq!(failure.causes(), ["Permission denied (os error 13)"]);
    }

    #[test]
    fn the_line_is_one_line() {
        let failure = Failure::internal("a\nb").because(io::Error::other("c\n  d"));
        assert_eq!(failure.to_string(), "a b: c d");
    }

    #[test]
    fn the_numbers_are_those_of_the_interface() {
        let all = [
            Status::Done,
            Status::Internal,
            Status::Usage,
            Status::Failed,
            Status::NoQuorum,
            Status::Unavailable,
        ];
        for (number, status) in all.into_iter().enumerate() {
            assert_eq!(status as usize, number);
        }
        assert!(Failure::said(Status::Failed).line().is_none());
    }
}
