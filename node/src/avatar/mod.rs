//! Commands for avatars: people who act without a node and without ether, through the members of a ring that keeps their
//! logs.
//!
//! `place.rs` opens what they work with: the key, the ring of the avatar on chain, the avatar's log (`log_file.rs`) and the
//! members. `show.rs` looks, `create.rs` makes a client ring, `act.rs` appends, flushes and replicates.

mod act;
mod create;
mod log_file;
mod place;
mod show;

pub use act::{append, flush, replicate};
pub use create::create;
pub use show::avatar;
