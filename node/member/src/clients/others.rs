//! The other members of the ring, asked about client rings.

use super::keeper::Clients;
use crate::core::{ask, AskError};
use rings_network::{Network, PeerId};
use rings_protocol::{
    wire::{ClientHead, Response, WireError, WireRequest},
    Address, Digest,
};
use serde_bytes::ByteBuf;
use std::time::Duration;
use tokio::time::timeout;

/// How long an answer may take.
const DEADLINE: Duration = Duration::from_secs(8);

/// Why another member gave nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum OtherError {
    /// It cannot be asked, or sent something else.
    #[error("the member gave no answer")]
    Ask(#[from] AskError),
    /// It took too long.
    #[error("the member did not answer within {} s", DEADLINE.as_secs())]
    Late,
}

impl Clients {
    /// The members that are connected, except this one.
    pub(super) fn others(&self) -> Vec<(Address, PeerId)> {
        let ring = &self.parts.ring;
        let members = ring.connected_members().into_iter();
        let others = members.filter(|member| *member != self.me);
        others
            .filter_map(|member| Some((member, ring.peer_of(member)?)))
            .collect()
    }
}

async fn answer(
    network: &Network,
    peer: PeerId,
    request: WireRequest,
) -> Result<Response, OtherError> {
    let answer = timeout(DEADLINE, ask(network, &peer, &request)).await;
    Ok(answer.map_err(|_| OtherError::Late)??)
}

fn unexpected() -> OtherError {
    OtherError::Ask(WireError::Unexpected.into())
}

/// The heads that a member holds, behind a ring and an author.
pub(super) async fn heads(
    network: &Network,
    peer: PeerId,
    (ring, author): (Address, Address),
) -> Result<Vec<ClientHead>, OtherError> {
    match answer(network, peer, WireRequest::ClientHeads { ring, author }).await? {
        Response::ClientHeads(heads) => Ok(heads),
        _ => Err(unexpected()),
    }
}

/// Nodes of an avatar's log that a member holds, ascending from a sequence number.
pub(super) async fn nodes(
    network: &Network,
    peer: PeerId,
    (ring, author): (Address, Address),
    from: u64,
) -> Result<Vec<ByteBuf>, OtherError> {
    let request = WireRequest::ClientNodes { ring, author, from };
    match answer(network, peer, request).await? {
        Response::Nodes(nodes) => Ok(nodes),
        _ => Err(unexpected()),
    }
}

/// A member's signature that it holds an avatar's log up to a node.
pub(super) async fn hold(
    network: &Network,
    peer: PeerId,
    (ring, avatar, head): (Address, Address, Digest),
    nodes: Vec<ByteBuf>,
) -> Result<Vec<u8>, OtherError> {
    let request = WireRequest::Hold {
        ring,
        avatar,
        head,
        nodes,
    };
    match answer(network, peer, request).await? {
        Response::Held(signature) => Ok(signature.into_vec()),
        _ => Err(unexpected()),
    }
}
