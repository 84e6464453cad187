//! Commands for avatars: people who act without a node and without ether, through the members of a ring that keeps their
//! logs.
//!
//! `place.rs` opens what they work with: the key, the ring of the avatar on chain, the avatar's log (`log_file.rs`) and the
//! members that keep it, from a directory or from a recovery line (`line.rs`). `show.rs` looks, `create.rs` makes a client ring,
//! `act.rs` appends, flushes, replicates and leaves, with `deliver.rs` for log nodes on their way and `words.rs` for what replicas have
//! signed. `rotate.rs` changes the keys of a private ring when somebody has left. `devices.rs` changes who is in the ring. `restore.rs` gets logs back (`fetch.rs`). `chat/` is an application over all of it, with `contacts.rs` for names.

mod act;
mod chat;
mod contacts;
mod create;
mod deliver;
mod devices;
mod fetch;
mod line;
mod log_file;
mod place;
mod restore;
mod rotate;
mod show;
mod words;

pub use act::{append, flush, replicate};
pub use chat::chat;
pub use create::create;
pub use line::secrecy;
pub use rotate::{rotate, show_line};
pub use show::avatar;
