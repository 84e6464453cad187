//! Helpers for the end-to-end tests: rings of real processes, which are stopped when a test ends or fails, and ways to
//! look at them from outside.
//!
//! Nothing here is mocked. A test starts the `rings` program as a user does, and reads what a user or a program can
//! read: standard output, exit status, files, JSON-RPC, the chain. It fails by panicking, as tests do.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "this crate is test code: it fails by panicking, and shows logs when it does"
)]

mod anvil;
pub mod avatars;
mod browser;
mod call;
mod eth;
mod footprint;
mod foreign;
mod geth;
mod kubo;
mod logs;
mod machines;
mod malformed;
mod newcomer;
pub mod perturb;
mod processes;
mod raised;
mod receipt;
mod ring;
mod script;
mod serial;
mod signer;
mod solidity;
mod terminal;
mod tools;
mod wait;

pub use anvil::Anvil;
pub use browser::{browse, build_page, Page};
pub use call::{Call, Done, Running};
pub use eth::{quantity, Eth};
pub use footprint::Footprint;
pub use foreign::{foreign, Foreign};
pub use geth::Geth;
pub use kubo::Kubo;
pub use logs::{check_log, CheckedLog};
pub use machines::{until_said, Machines, Process, GATEWAY};
pub use malformed::Malformed;
pub use newcomer::Newcomer;
pub use processes::{alive, children, peak_memory, resident_memory, signal, start_time};
pub use raised::RaiseOnDrop;
pub use receipt::Receipt;
pub use ring::{Ring, RingFile};
pub use rustix::process::Signal;
pub use script::script;
pub use serial::{serial, Serial};
pub use signer::{Signer, SignerTls};
pub use solidity::compile;
pub use terminal::Terminal;
pub use tools::{forwarder, program, repository, Program};
pub use wait::{block_on, free_port, until, LONG};
