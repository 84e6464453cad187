//! The rules of Rings, without I/O: what a log node is, when a vote counts, when two thirds are reached,
//! who submits, and what must be on disk before a signature may leave.
//!
//! Nothing here reads a clock, a file or a socket. State goes in, messages and effects come out, so
//! that a whole ring, with its crashes, its liars and a chain that reorganises, runs in one thread of a test.
//!
//! Data passes through it in this order. Events of the chain go into a [`circuit`], which says which gates are ready
//! and what their inputs are. A [`member::Member`] takes a ready [`gate::Computation`] and asks the caller to compute
//! it; what came of it becomes a [`journal::Draft`]. [`journal::prepare`] refuses a draft that contradicts an earlier
//! signature, and puts the others as [`message::Vote`]s into a [`log::LogNode`]. Votes of other members come in nodes
//! that fit a [`log::Replica`]; the `Member` counts them, and at two thirds ([`quorum`]) says whose turn it is to
//! register the result. What is signed is encoded in [`eip712`]; names and keys are in [`cids`] and [`crypto`].
//!
//! Without a gate, a [`request::Request`] stands in a member's log, and a [`request::Book`] counts the votes. What two
//! thirds agree on becomes an entry of the [`ringlog`], by an [`assembly::Assembler`]: ring nodes are proposed, endorsed
//! and registered, and prove their entries to anybody. In a ring whose logs are [`private`], nodes are sealed. What
//! people sign without ether, their logs and their calls, is taken in and brought to the chain by the rules of [`flush`].
//! All bytes that others may send are read by [`cbor`], and an [`accusation`] shows that a member voted for another
//! result. What members ask each other, and the answers, are in [`wire`].
//!
//! # Rules that every file here keeps
//!
//! * **Nothing is read from outside.** Time is an argument, and random bytes come from the caller. What is on disk is
//!   read through a trait that the caller implements: [`journal::Journal`], [`circuit::GateTable`] and others. What is to
//!   be done comes back as a value, and is done by the caller.
//! * **The same input gives the same result on every machine.** Collections are ordered, and no rule uses floating-point
//!   numbers (only the pauses of [`backoff`] do).
//! * **What is hashed or signed has one encoding.** A reader accepts only the bytes that the writer would have made,
//!   because names are hashes of bytes. docs/log-format.md describes them.
//! * **Whatever others can send has a bound,** a constant with a name beside the type. A reader refuses what is longer
//!   before it takes memory for it.
//! * **Disk first.** A signature can only be taken out of [`journal::Prepared`] when the caller has said that node and
//!   results are on disk. Where a state machine keeps nothing on disk, the caller gives it again after a restart what it
//!   needs.
//! * **A branch of the chain is never certain.** What follows from events can be taken back ([`circuit::rewind`]); what
//!   members sign says nothing of a block, so it is right on every branch.

pub mod accusation;
pub mod assembly;
pub mod backoff;
pub mod cbor;
pub mod cids;
pub mod circuit;
pub mod crypto;
pub mod eip712;
pub mod flush;
pub mod gate;
mod id;
pub mod journal;
pub mod log;
pub mod member;
pub mod message;
pub mod operation;
pub mod private;
pub mod quorum;
pub mod request;
pub mod ringlog;
pub mod wire;

pub use id::{Address, Digest, ParseIdError};

/// Version of what members say to each other: log nodes, messages and requests. It rises with each change that members of
/// the version before could not read; two members of different versions do not work together, and say so.
pub const PROTOCOL_VERSION: u32 = 2;
