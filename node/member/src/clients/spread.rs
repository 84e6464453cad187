//! An avatar's new log nodes go to the other members, each of which signs that it holds them.
//!
//! All connected members are offered the nodes at once. The answer to the avatar waits for as many signatures as it asked for;
//! the others are offered them all the same, and what fails is fetched when the logs are followed (`follow.rs`).

use super::{keeper::Clients, others};
use rings_api::{client_rings::HeldBy, with_causes, HexBytes};
use rings_network::{Network, PeerId};
use rings_protocol::{crypto::Signature, log::LogNode, Address, Digest};
use serde_bytes::ByteBuf;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, OwnedSemaphorePermit},
    time::{timeout_at, Instant},
};

/// Most bytes of nodes that are sent with an offer. If there are more, they are fetched by whoever is offered them.
const MOST_BYTES: usize = 192 << 10;

/// What the other members are to hold.
#[derive(Debug, Clone)]
pub(super) struct NodeOffer {
    /// The avatar's ring.
    pub(super) ring: Address,
    /// The avatar.
    pub(super) avatar: Address,
    /// The newest node of its log.
    pub(super) head: Digest,
    /// The nodes that are new here.
    pub(super) nodes: Vec<ByteBuf>,
}

impl NodeOffer {
    /// With nodes in any order, as far as they fit.
    pub(super) fn new(place: (Address, Address), head: Digest, nodes: &[LogNode]) -> Self {
        let bytes: usize = nodes.iter().map(|node| node.bytes().len()).sum();
        let nodes = match bytes <= MOST_BYTES {
            true => nodes,
            false => &[],
        };
        let nodes = nodes.iter().rev();
        Self {
            ring: place.0,
            avatar: place.1,
            head,
            nodes: nodes
                .map(|node| ByteBuf::from(node.bytes().to_vec()))
                .collect(),
        }
    }
}

impl Clients {
    /// Offers nodes to all connected members, and collects up to `wanted` of their signatures for at most `wait`.
    pub(super) async fn spread(
        &self,
        offer: NodeOffer,
        (wanted, wait): (usize, Duration),
    ) -> Vec<HeldBy> {
        let until = Instant::now() + wait;
        let others = self.others();
        let (done, mut signed) = mpsc::channel(others.len().max(1));
        for (member, peer) in others {
            // Who is not offered them now fetches them later.
            let Ok(place) = Arc::clone(&self.offers).try_acquire_owned() else {
                break;
            };
            let (network, offer) = (self.parts.network.clone(), offer.clone());
            drop(tokio::spawn(bring(
                network,
                (member, peer),
                offer,
                (done.clone(), place),
            )));
        }
        drop(done);
        let mut held = BTreeMap::new();
        while held.len() < wanted {
            let Ok(Some((member, signature))) = timeout_at(until, signed.recv()).await else {
                break;
            };
            match self.is_word_of(member, &offer, &signature) {
                true => drop(held.insert(member, signature)),
                false => {
                    tracing::warn!(%member, "a member's word that it holds log nodes is not signed by it")
                }
            }
        }
        let held = held.into_iter();
        let held = held.map(|(replica, signature)| HeldBy {
            replica,
            signature: HexBytes(signature),
        });
        held.collect()
    }

    fn is_word_of(&self, member: Address, offer: &NodeOffer, signature: &[u8]) -> bool {
        let domain = &self.parts.domain;
        let held = domain.held(offer.ring, offer.avatar, offer.head);
        let signer = Signature::from_slice(signature).and_then(|by| by.recover(&held.digest()));
        signer.is_ok_and(|signer| signer.address() == member)
    }
}

/// Offers nodes to one member.
async fn bring(
    network: Network,
    (member, peer): (Address, PeerId),
    offer: NodeOffer,
    (done, place): (mpsc::Sender<(Address, Vec<u8>)>, OwnedSemaphorePermit),
) {
    let what = (offer.ring, offer.avatar, offer.head);
    match others::hold(&network, peer, what, offer.nodes).await {
        // Nobody waits any more when enough have signed.
        Ok(signature) => drop(done.send((member, signature)).await),
        Err(error) => {
            let cause = with_causes(&error);
            tracing::debug!(%member, cause, "a member does not hold new log nodes yet");
        }
    }
    drop(place);
}
