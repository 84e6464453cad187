//! Requests without a gate: computations that a ring is asked for in a member's log, and that a ring node makes final.
//!
//! A [`Request`] is a block of its own; its digest is its name. It stands in a member's log, whose node is what signs it.
//! Members run it and write a [`RequestVote`] into their logs. The vote needs no signature beside its node's, and carries
//! no epoch: the votes of those count who are members when a ring node is endorsed. Its key is a [`RequestKey`], the
//! request with the hash of what its inputs resolved to. The [`Book`] holds the open requests and counts the votes.
//!
//! A request may be listed by ring node [`Request::until`] at the latest. After that it has expired: nobody votes for it
//! any more, and when that ring node is final, journals may forget it.

mod book;
mod form;
mod rules;
mod tally;
mod vote;

pub use book::Book;
pub use form::{Request, RequestError, RequestInput, MAX_REQUEST_BYTES, MAX_REQUEST_INPUTS};
pub use rules::{Agreed, BookEffect, Limits, Objection, RequestRefusal, Standing, UpstreamOutcome};
pub use vote::{RequestKey, RequestVote};
