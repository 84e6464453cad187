//! What a [`Book`](super::Book) allows, asks for and refuses: the types at its edge, with the bounds and the texts of
//! errors.
//!
//! [`Limits`] bound what one author may ask. A [`RequestRefusal`] says why a request is not taken up, and an
//! [`Objection`] why an entry of a proposed ring node is not endorsed. [`BookEffect`] is what the caller has to do.
//! [`Standing`] and [`Agreed`] show how far a request is.
//!
//! The limits are part of what members agree on: where they differ, some members vote for a request and others refuse
//! it.

use super::{form::Request, vote::RequestKey};
use crate::{
    ringlog::{Entry, Outcome},
    Address, Digest,
};
use std::collections::BTreeMap;

/// How much one author may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most open requests of one author. Beyond it nobody votes.
    pub open_per_author: usize,
    /// Most ring nodes from the next one to a request's `until`.
    pub lifetime: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            open_per_author: 1024,
            lifetime: 10_000,
        }
    }
}

/// The outcomes of upstream requests that a final ring node lists, by request.
pub type UpstreamOutcome = BTreeMap<Digest, Outcome>;

/// Why a request is not taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestRefusal {
    /// It is for another ring or another chain.
    #[error("the request is for ring {ring} on chain {chain}")]
    Elsewhere {
        /// Its ring.
        ring: Address,
        /// Its chain.
        chain: u64,
    },
    /// The next ring node is after its `until`, or so far before it that it would stay open for ever.
    #[error("the request may be listed until ring node {until}, which must be between {next} and {latest}")]
    Until {
        /// Its last ring node.
        until: u64,
        /// The next ring node.
        next: u64,
        /// The latest `until` that is accepted.
        latest: u64,
    },
    /// Its author has as many open requests as one may have.
    #[error("{author} has {open} open requests, as many as one may have; ask again when some are listed or expired")]
    Quota {
        /// Who asked.
        author: Address,
        /// How many are open.
        open: usize,
    },
    /// It is out of bounds, so it has no digest.
    #[error("the request is malformed")]
    Malformed,
}

/// What the caller has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BookEffect {
    /// Fetch the data and run the operation, which is the first of them; then journal and write a
    /// [`RequestVote`](super::RequestVote).
    Compute {
        /// The request with its resolved inputs.
        key: RequestKey,
        /// The data on its inputs, the operation first.
        data: Vec<Digest>,
    },
    /// This member voted for a second outcome; the first counts.
    Equivocated {
        /// What was computed.
        key: RequestKey,
        /// The member.
        member: Address,
    },
    /// This member voted for another outcome than the one that is listed.
    Diverged {
        /// What was computed.
        key: RequestKey,
        /// The member.
        member: Address,
    },
}

/// Why a member does not endorse an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// This member does not know the request, or it is listed already.
    #[error("request {request} is not open here")]
    NotOpen {
        /// The request.
        request: Digest,
    },
    /// Its `until` has passed.
    #[error("request {request} has expired")]
    Expired {
        /// The request.
        request: Digest,
    },
    /// This member has not seen two thirds vote for it.
    #[error("two thirds have not voted so for request {request}, as far as is known here")]
    NotAgreed {
        /// The request.
        request: Digest,
    },
    /// It rests on a request that is listed neither before nor beside it.
    #[error("request {request} rests on request {upstream}, which is not listed")]
    Upstream {
        /// The request.
        request: Digest,
        /// The one it rests on.
        upstream: Digest,
    },
}

/// How far a request is.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// In whose log it stands.
    pub author: Address,
    /// The request.
    pub request: &'a Request,
    /// What is to be computed; nothing while an input is not known.
    pub computing: Option<RequestKey>,
    /// What two thirds have voted for.
    pub agreed: Option<&'a Agreed>,
    /// Whether a ring node lists it.
    pub is_listed: bool,
    /// Whether no ring node may list it any more.
    pub has_expired: bool,
}

/// An entry that two thirds have voted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// The entry.
    pub entry: Entry,
    /// The number of the next ring node when this was seen.
    pub since: u64,
    /// When it was seen, in milliseconds of the caller's clock.
    pub at: u64,
}
