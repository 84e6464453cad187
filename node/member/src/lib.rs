//! A running member of a ring: it joins chain, store, compute, network and HTTP, and stops them in order.
//!
//! [`run`] opens everything that a member needs (`opened.rs`: key, state database, block store, submitter), starts the parts
//! that run side by side (`run.rs`) and waits for the end (`running.rs`). Everything that happens reaches one task through
//! one inbox: events of the chain (`follow.rs`), peers (`peers.rs`), finished computations. That task, `core/`, owns the
//! protocol's state machine, does what it asks for, and writes the results of a round to disk (`state/`) before anything is
//! sent. The HTTP side reads from there through `api.rs`; other members' requests are answered by `serve.rs`. What people without a
//! node ask for is the work of `clients/`.
//!
//! [`execute`] and [`task`] are also used without a running member, by `rings verify`; [`config`] and [`keystore`] are
//! shared with the command line.

mod announce;
mod api;
mod blocks;
mod clients;
mod clock;
pub mod config;
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
mod layout;
mod lock;
mod metrics;
mod opened;
mod outputs;
mod peers;
mod ring_status;
mod run;
mod running;
mod serve;
mod state;
pub mod task;
mod turn;
mod waiting;
mod wire;
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
pub use state::StateError;
