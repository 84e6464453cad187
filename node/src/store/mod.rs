//! `rings store gc|check|repair|export|import`, `rings backup` and `rings restore`.
//!
//! `target` finds the store that a command means: that of a running member, which is asked through its HTTP address, or the
//! files of one that is down, whose data directory is locked meanwhile. `commands` does the work of `store` on either and
//! `files` reads and writes the archives (CAR), so that none of them knows which of the two it works on. `backup` copies a
//! member's directory while the member runs, and `restore` puts one in place; what a restored member may sign is decided in
//! `rings-member`, not here.

mod backup;
mod commands;
mod files;
mod restore;
mod target;

pub use backup::backup;
pub use commands::store;
pub use restore::restore;
