//! What the end-to-end tests stand on: rings of real processes that are taken down again whatever happens, and ways
//! to look at them from outside.
//!
//! Nothing here is mocked. A test starts the `rings` program as a user does, and reads what a user or a program can
//! read: standard output, exit status, files, JSON-RPC, the chain. It fails by panicking, as tests do.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "this crate is test code: it fails by panicking, and shows logs when it does"
)]

mod anvil;
mod call;
mod footprint;
mod foreign;
mod kubo;
mod logs;
mod processes;
mod proxy;
mod receipt;
mod ring;
mod serial;
mod tools;
mod wait;

pub use anvil::Anvil;
pub use call::{Call, Done, Running};
pub use footprint::Footprint;
pub use foreign::{foreign, Foreign};
pub use kubo::Kubo;
pub use logs::{check_log, CheckedLog};
pub use processes::{alive, children, peak_memory, resident_memory, signal, start_time};
pub use proxy::Proxy;
pub use receipt::Receipt;
pub use ring::{Ring, RingFile};
pub use rustix::process::Signal;
pub use serial::{serial, Serial};
pub use tools::{program, Program};
pub use wait::{block_on, free_port, until, LONG};
