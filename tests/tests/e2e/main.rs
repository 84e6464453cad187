//! Rings end to end: real processes, a real chain, a real Kubo.
//!
//! Tests of rings take turns, for each uses the whole machine; `cargo test -p rings-tests --release NAME` runs some.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests may panic and print as the tests do"
)]

mod attacks;
mod bounds;
mod chains;
mod commands;
mod crashes;
mod dry;
mod files;
mod foreign;
mod hostile;
mod kubo;
mod large;
mod liars;
mod programs;
mod quick;
mod refusals;
mod service;
mod structure;
