//! The chain, real (anvil) and scripted.
#![allow(clippy::unwrap_used)] // a test fails by panicking, in its helpers too

mod contracts;
mod fake;
mod scripted;
mod submitting;
mod support;
mod watching;
