//! What a member keeps of processes: which are installed, which events have happened, how far each run of a process is, and
//! what its executions gave.
//!
//! [`ProcessState`] is a redb database of its own beside the member's (`processes.redb`). All of it can be read again out of the
//! members' logs and the chain, so it is in no backup. `hear.rs` takes in what members have written, and with it how far each
//! log was read, in one transaction. `runs.rs` has the runs: which are open, and how they end. `external.rs` has what members have said about
//! external tasks, `waits.rs` the executions that wait for an event, `gates.rs` those that
//! wait for a gate. `listened.rs` says how far logs
//! and other rings were read for events. `look.rs` reads for the HTTP side.

mod base;
mod external;
mod gates;
mod hear;
mod listened;
#[cfg(test)]
mod listened_tests;
mod look;
mod records;
mod runs;
#[cfg(test)]
mod tests;
mod waits;
#[cfg(test)]
mod waits_tests;

pub use base::ProcessState;
pub use hear::{Heard, News};
pub use records::{Ended, Installed, LogPlace, RunEnd, RunKey, RunRecord, Waiting, NEVER};
pub use runs::{Finished, Found, Opening, ReadTo};
pub use waits::Begun;
