//! `rings store gc|check|repair|export|import`, `rings backup` and `rings restore`.
//!
//! A target is a member's store, behind a running member or in the files of one that is down.

mod backup;
mod commands;
mod files;
mod restore;
mod target;

pub use backup::backup;
pub use commands::store;
pub use restore::restore;
