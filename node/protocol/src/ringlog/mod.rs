//! The ring log: what the ring as a whole agreed on, in ring nodes whose headers are registered on chain.
//!
//! An [`Entry`] is a result, a failure or a decision; a [`Head`] says where a member's log is. A [`RingNode`] lists
//! both in pages, below the two Merkle roots of its [`Header`], whose digest the members sign. An [`EntryProof`] shows
//! an entry to anybody who knows a later ring node's digest from the chain.
//!
//! So one transaction of fixed size makes any number of results final, and each of them can be shown without the
//! others. This directory has only the bytes and what they prove. How a ring agrees on the next ring node is in
//! [`crate::assembly`]; `docs/log-format.md` describes the bytes for other languages.

mod entry;
mod header;
pub mod merkle;
mod node;
mod proof;

pub use entry::{
    gate_of_subject, gate_subject, Entry, Head, Outcome, Subject, HEAD_BYTES, MIN_ENTRY_BYTES,
};
pub use header::{
    Header, HeaderError, MAX_ENTRY_PAGES, MAX_HEADER_BYTES, MAX_HEAD_PAGES, MAX_PAGES,
};
pub use node::{Position, RingNode, RingNodeError, MAX_ENTRIES_BYTES, MAX_PAGE_BYTES};
pub use proof::{
    checkpoint, is_checkpoint, EntryProof, ProofError, CHECKPOINT_FREQUENCY, MAX_PROOF_BYTES,
    MAX_PROOF_HEADERS,
};
