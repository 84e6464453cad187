//! Rings end to end: real processes, a real chain, a real Kubo.
//!
//! Tests of rings take turns, for each uses the whole machine; `cargo test -p rings-tests --release NAME` runs some.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may panic and print as the tests do"
)]

mod abuse;
mod accusations;
mod attacks;
mod avatar_forks;
mod bounds;
mod chains;
mod chat;
mod client_rings;
mod commands;
mod crashes;
mod dry;
mod elsewhere;
mod elsewhere_held;
mod files;
mod foreign;
mod funds;
mod gas;
mod gate_lines;
mod hostile;
mod images;
mod imports;
mod interrupts;
mod keeper;
mod kept;
mod kubo;
mod large;
mod liars;
mod logs;
mod machines;
mod memory;
mod mistakes;
mod newcomers;
mod no_gate;
mod operate;
mod pages;
mod partial_logs;
mod perturb;
mod private_ring;
mod process_chain;
mod process_emits;
mod process_external;
mod process_gates;
mod process_logs;
mod process_members;
mod process_page;
mod process_ring;
mod process_waits;
mod processes;
mod programs;
mod proofs;
mod quick;
mod quotas;
mod refusals;
mod registry;
mod replaced_keys;
mod requests;
mod rotation;
mod service;
mod several;
mod shares;
mod signer;
mod store;
mod structure;
mod terminal;
mod tls;
mod transfer;
mod upgrades;
mod wallet;
