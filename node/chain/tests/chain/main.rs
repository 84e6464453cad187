//! The chain, real (anvil) and scripted.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, in its helpers too, and prints its figures"
)]

mod contracts;
mod endpoints;
mod fake;
mod foreign_gates;
mod raw;
mod registry;
mod scripted_sending;
mod scripted_watching;
mod several;
mod submitting;
mod support;
mod watching;
