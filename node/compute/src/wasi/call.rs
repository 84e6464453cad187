//! One call of a host function, by either engine: every call costs fuel first, then runs, and its answer becomes an
//! errno for the program or the end of the run.

use super::{
    errno::{Answer, Halt},
    memory::{Engine, Guest},
    stop::Stop,
};
use crate::costs::CALL_FUEL;

/// A host function: the guest, and the arguments in the order and width of its signature.
pub(super) type Function = fn(&mut Guest<'_>, &Arguments) -> Answer;

/// Most parameters that a function has.
const MAX_PARAMS: usize = 9;

/// The arguments of one call. A position that the signature lacks reads as 0, and so does one of 64 bits: no
/// function here uses those.
pub(super) struct Arguments([u32; MAX_PARAMS]);

impl Arguments {
    /// The arguments, of which those that are not of 32 bits are `None`.
    pub(super) fn new(values: impl Iterator<Item = Option<i32>>) -> Self {
        let mut arguments = [0; MAX_PARAMS];
        for (argument, value) in arguments.iter_mut().zip(values) {
            *argument = value.unwrap_or(0) as u32;
        }
        Self(arguments)
    }

    /// A pointer, length, descriptor or flags.
    pub(super) fn u32(&self, index: usize) -> u32 {
        self.0.get(index).copied().unwrap_or(0)
    }
}

/// Makes a call: the errno for the program, or the end of the run.
pub(super) fn call(
    function: Function,
    engine: &mut dyn Engine,
    args: &Arguments,
) -> Result<i32, Stop> {
    let mut guest = Guest::new(engine);
    let answer = guest
        .charge(CALL_FUEL)
        .and_then(|()| function(&mut guest, args));
    match answer {
        Ok(()) => Ok(0),
        Err(Halt::Errno(errno)) => Ok(errno.code()),
        Err(Halt::Stop(stop)) => Err(stop),
    }
}
