//! The streams of a running program, as the host functions see them.

use crate::fault::Fault;
use bytes::Bytes;

/// One of the two streams that a program has in each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// Standard input and standard output.
    Standard = 0,
    /// The state, and the next state.
    State = 1,
}

/// Where a program's input comes from and its output goes. Both calls may block.
pub(crate) trait Stdio: Send + 'static {
    /// The next piece of input, `None` at its end.
    fn read(&mut self, channel: Channel) -> Result<Option<Bytes>, Fault>;
    /// Passes output on.
    fn write(&mut self, channel: Channel, bytes: &[u8]) -> Result<(), Fault>;
}
