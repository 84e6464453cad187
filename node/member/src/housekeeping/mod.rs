//! Work on a member's store: what is needed stays, the rest may go, and what is damaged is found and healed.
//!
//! A [`Housekeeper`] knows the store, and the state that says what its blocks are for. `roots.rs` says what must be kept
//! and what may be; `collect.rs` removes the rest; `inspect.rs` checks and repairs; `archive.rs` reads and writes CAR
//! archives; `hold.rs` keeps the store below `[store] max_bytes` while the member runs. The HTTP side reaches it as a
//! [`StoreKeeper`](rings_api::StoreKeeper). It also works without a running member, on the files of one that is down
//! ([`Offline`]).

mod archive;
mod backup;
mod collect;
mod hold;
mod inspect;
mod keeper;
mod node_pages;
mod offline;
mod old_logs;
mod restore;
mod roots;
mod tar;
#[cfg(test)]
mod tests;

pub use backup::{BackupEnd, BackupOf};
pub use hold::Holder;
pub use keeper::{Housekeeper, Policy};
pub use offline::{policy, Offline, OfflineError};
pub use restore::{restore, RestoreError, Restored};
pub use tar::{TarEntry, TarError, TarReader, TarWriter};
