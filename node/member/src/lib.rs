//! A running member of a ring: it joins chain, store, compute, network and HTTP, and stops them in order.
//!
//! [`run`] opens everything that a member needs (`opened.rs`: key or signer, state database, block store, submitter), starts the
//! parts that run side by side (`run.rs`) and waits for the end (`running.rs`). Everything that happens reaches one task
//! through one inbox: events of the chain (`follow.rs`), peers (`peers.rs`), finished computations. That task, `core/`,
//! owns the protocol's state machine, does what it asks for, and writes the results of a round to disk (`state/`) before
//! anything is sent. The HTTP side reads from there through `api.rs`; other members' requests are answered by `serve.rs`.
//! What people without a node ask for is the work of `clients/`.
//!
//! [`execute`] and [`task`] are also used without a running member, by `rings verify`; [`config`] and [`keystore`] are
//! shared with the command line.
//!
//! # The life of a member
//!
//! 1. The data directory is locked and its version is looked at; key, token, addresses and port are checked; the block
//!    store is opened. The HTTP side starts, so that `rings status` can say from the first moment what the member waits
//!    for.
//! 2. As soon as the signer, where there is one, and the chain answer, the rest is opened: the state database (which refuses one of another member, ring or
//!    chain), and the submitter with its unfinished transactions.
//! 3. The parts start: workers, network, core, watcher of the chain, announcement, housekeeping. Each is a task that ends
//!    only when it is told to, or with an error.
//! 4. The core takes up what was open. If a backup was put back, it first asks the others where its own log ends, because
//!    they may hold nodes that this disk does not, and signs nothing before it knows.
//! 5. At the end, whether asked for or because a part failed, all parts are told to stop, and each is waited for. The
//!    error of the first part that failed is the member's error. What was not finished is on disk and goes on at the next
//!    start.
//!
//! # Rules that hold in this room
//!
//! * One task, the core, changes the state machine and writes the logs, so there is one order of events, and no step has
//!   to lock out another.
//! * A task that takes long (a computation, a transaction, a request to a peer) is started beside it, and its result
//!   comes back through the inbox, exactly once.
//! * A disk that is full is waited for; a disk that is damaged ends the member, because it can no longer know what it has
//!   signed.

mod announce;
mod api;
mod approach;
mod blocks;
mod bounded_body;
mod clients;
pub mod clock;
pub mod config;
pub mod connectors;
mod core;
mod counters;
mod dag_json;
mod entrance;
mod error;
pub mod execute;
mod faults;
mod follow;
mod housekeeping;
pub mod keystore;
mod late_store;
mod layout;
mod lock;
pub mod measure;
mod metrics;
mod opened;
mod outputs;
mod peers;
mod processes;
mod ring_keys;
mod ring_status;
mod run;
mod running;
mod serve;
mod signer;
mod sizes;
mod state;
pub mod task;
mod turn;
mod waiting;
mod watched_store;
mod workers;

pub use self::core::CoreError;
pub use error::MemberError;
pub use faults::Faults;
pub use housekeeping::{
    restore, BackupEnd, BackupOf, Housekeeper, Offline, OfflineError, Policy, RestoreError,
    Restored, TarEntry, TarError, TarReader, TarWriter,
};
pub use lock::LockError;
pub use run::run;
pub use signer::SignerError;
pub use state::StateError;
