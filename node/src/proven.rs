//! Proofs of entries in ring nodes, compared with the chain: the one thing that they rest on.
//!
//! [`ask`] compares one, and [`fetch`] gets one from the members.
//!
//! A proof leads from a ring node that the chain names (the anchor) back to the one that lists the entry. The chain
//! names the newest hundred and each hundredth for good. So the [`Answer`] has three cases: proven; the chain does not
//! name the anchor any more, and the proof has to be made anew; or it does not have that ring node yet. A [`Proven`]
//! exists only after the chain was asked, so nothing that a member says alone is ever shown as agreed.

use super::exit::{ExitError, ExitStatus};
use cid::Cid;
use rings_api::{code, Client, ClientError};
use rings_chain::Chain;
use rings_protocol::{
    cids::{node_cid, sha256},
    ringlog::{is_checkpoint, Entry, EntryProof, Header},
    Address, Digest,
};
use serde::Serialize;

/// A proof that the chain confirms: two thirds of the members have agreed on its entry.
#[derive(Debug, Clone)]
pub struct Proven {
    /// The proof.
    pub proof: EntryProof,
    /// The header of the ring node that lists the entry.
    pub listing: Header,
    /// That ring node.
    pub ring_node: RingNode,
    /// The ring node that the chain names, from which the proof leads to the listing one.
    pub anchor: RingNode,
}

/// A ring node by number and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RingNode {
    /// Its number, from 0.
    pub number: u64,
    /// Its name.
    #[serde(serialize_with = "text")]
    pub cid: Cid,
}

/// What the chain says to a proof.
#[derive(Debug)]
pub enum Answer {
    /// It confirms it.
    Proven(Box<Proven>),
    /// It does not name that ring node any more: the proof must be anchored at a later one.
    Forgotten {
        /// The ring node.
        anchor: u64,
    },
    /// It has no such ring node yet, or not any more after a reorganisation.
    Unknown {
        /// The ring node.
        anchor: u64,
    },
}

impl Proven {
    /// Whether the chain names the anchor for good.
    pub fn is_lasting(&self) -> bool {
        is_checkpoint(self.anchor.number)
    }
}

/// Compares a proof with the chain.
///
/// # Errors
/// Status 1 when the proof proves nothing, 2 when it is about another ring, 5 when the chain cannot be asked.
pub async fn ask(chain: &Chain, ring: Address, proof: EntryProof) -> Result<Answer, ExitError> {
    let wrong = |error| ExitError::internal("the proof proves nothing").because(error);
    if (proof.ring, proof.chain) != (ring, chain.id()) {
        return Err(ExitError::usage(format!(
            "the proof is about ring {} on chain {}, not about {ring} on chain {}; name that ring",
            proof.ring,
            proof.chain,
            chain.id()
        )));
    }
    let anchor = proof.anchor().map_err(wrong)?;
    let Some(digest) = chain.ring_node_at(ring, anchor).await? else {
        return Ok(match anchor < chain.ring_node_count(ring).await? {
            true => Answer::Forgotten { anchor },
            false => Answer::Unknown { anchor },
        });
    };
    let listing = proof.verify(digest).map_err(wrong)?;
    let last = proof.headers.last().map(Vec::as_slice).unwrap_or_default();
    Ok(Answer::Proven(Box::new(Proven {
        ring_node: RingNode {
            number: listing.number,
            cid: node_cid(sha256(last)),
        },
        anchor: RingNode {
            number: anchor,
            cid: node_cid(digest),
        },
        listing,
        proof,
    })))
}

impl Answer {
    /// The proof, if the chain confirms it.
    ///
    /// # Errors
    /// Status 1 for a ring node that the chain does not have, 5 for one that it does not name any more.
    pub fn confirmed(self) -> Result<Proven, ExitError> {
        match self {
            Self::Proven(proven) => Ok(*proven),
            Self::Forgotten { anchor } => Err(ExitError::unavailable(format!(
                "the chain does not name ring node {anchor} any more: it names the newest hundred, and each hundredth for good; get the proof anew with `rings request proof`"
            ))),
            Self::Unknown { anchor } => Err(ExitError::new(
                ExitStatus::Internal,
                format!("the proof proves nothing: the chain has no ring node {anchor}"),
            )),
        }
    }
}

fn text<S: serde::Serializer>(cid: &Cid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(cid)
}

/// The proof of a request's result, or of what was decided for a slot, from the first of the members whose proof the chain confirms.
///
/// # Errors
/// Status 2 when no ring node lists the request, 5 when nobody has a proof that the chain confirms.
pub async fn fetch(
    chain: &Chain,
    ring: Address,
    members: &[&Client],
    request: Digest,
) -> Result<Proven, ExitError> {
    let mut last = None;
    for member in members {
        match fetch_from(chain, ring, member, request).await {
            Ok(proven) => return Ok(proven),
            Err(failure) => last = Some(failure),
        }
    }
    Err(last.unwrap_or_else(|| ExitError::unavailable("no member is known to ask for the proof")))
}

async fn fetch_from(
    chain: &Chain,
    ring: Address,
    member: &Client,
    request: Digest,
) -> Result<Proven, ExitError> {
    let view = member.proof(request).await.map_err(|error| match error {
        // That is all that can be wrong with the parameters.
        ClientError::Rpc { code, .. } if code == i64::from(code::INVALID_PARAMS) => {
            ExitError::usage(format!(
                "no ring node lists request {request}; see `rings request show {request}`"
            ))
        }
        error => error.into(),
    })?;
    let foreign = || {
        ExitError::unavailable(format!(
            "the member at {} gives no proof of request {request}; ask another member",
            member.url()
        ))
    };
    let proof = EntryProof::from_bytes(&view.proof.0).map_err(|error| foreign().because(error))?;
    match &proof.entry {
        Entry::Result { request: of, .. } | Entry::Decision { slot: of, .. } if *of == request => {}
        _ => return Err(foreign()),
    }
    let answer = ask(chain, ring, proof)
        .await
        .map_err(|failure| foreign().because(failure.to_string()))?;
    match answer {
        Answer::Proven(proven) => Ok(*proven),
        _ => Err(foreign()),
    }
}
