//! The rules of Rings, without I/O: what a log node is, when a vote counts, when two thirds are reached,
//! who submits, and what must be on disk before a signature may leave.
//!
//! Nothing here reads a clock, a file or a socket. State goes in, messages and effects come out, so
//! that a whole ring, with its crashes and its liars, runs in one thread of a test.

pub mod cids;
pub mod circuit;
pub mod crypto;
pub mod eip712;
pub mod gate;
mod id;
pub mod journal;
pub mod log;
pub mod member;
pub mod message;
pub mod operation;
pub mod quorum;

pub use id::{Address, Digest, ParseIdError};
