//! Several real networks in one process, on the loopback interface.

// Helpers of tests may unwrap as tests may; clippy only knows the functions marked `#[test]`.
#![allow(clippy::unwrap_used)]

mod addresses;
mod gossip;
mod membership;
mod pressure;
mod proxy;
mod requests;
mod support;
