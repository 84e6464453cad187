//! Answers to requests of other members. A request is answered from what this member holds; it is never passed on.
//!
//! A [`Shelf`] is the block store and the state database, which are all that an answer needs. So one request cannot
//! start others, and two members that lack the same block do not ask each other in a circle. Each answer is bounded
//! (`rings_protocol::wire`). How many are made at one time is bounded in `peers.rs`.

use super::{
    clients::Clients,
    ring_keys::RingKeys,
    ring_status::RingStatus,
    state::{MemberState, StateError},
};
use bytes::Bytes;
use cid::Cid;
use rings_api::ApiError;
use rings_network::PeerId;
use rings_protocol::{
    cids::node_cid,
    wire::{encode, Response, WireError, WireRequest, MAX_ANSWER_BYTES, MAX_NODES},
    Address, Digest,
};
use rings_store::{BlockStore, StoreError};
use serde_bytes::ByteBuf;
use std::sync::Arc;

/// An answer with so many bytes of blocks takes no further one. It is little, because all members may ask for large blocks at the
/// same time.
const BLOCK_BYTES: usize = 1 << 20;
/// Log nodes that are read from the store at once.
const READ_AT_ONCE: usize = 256;

/// What a member answers from.
#[derive(Clone)]
pub struct Shelf {
    /// Its blocks, and the logs of its ring.
    pub logs: LogShelf,
    /// Its client rings.
    pub clients: Arc<Clients>,
    /// The keys of its own ring.
    pub keys: Arc<RingKeys>,
    /// Who is in it.
    pub ring: Arc<RingStatus>,
}

/// Blocks, and the logs of the member's own ring.
#[derive(Clone)]
pub struct LogShelf {
    /// The blocks.
    pub store: Arc<dyn BlockStore>,
    /// The indexes.
    pub state: Arc<MemberState>,
}

/// Why a request is not answered. The peer only sees that there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The request is malformed.
    #[error("a request cannot be read")]
    Wire(#[from] WireError),
    /// The store failed.
    #[error("the store cannot be read")]
    Store(#[from] StoreError),
    /// The nodes that are asked for were collected here, or the copy of that log begins behind them.
    #[error("the nodes of {author} from {from} on are not kept here")]
    NotKept {
        /// Whose log.
        author: Address,
        /// The first position that is wanted.
        from: u64,
    },
    /// The indexes failed.
    #[error("the state cannot be read")]
    State(#[from] StateError),
    /// What was asked about a client ring is refused, or failed.
    #[error("a request about a client ring is not answered")]
    Client(#[from] ApiError),
}

/// Whether the answer to a request may be long: it has blocks or log nodes.
pub fn is_answered_at_length(request: &WireRequest) -> bool {
    matches!(
        request,
        WireRequest::Blocks(_) | WireRequest::Nodes { .. } | WireRequest::ClientNodes { .. }
    )
}

impl Shelf {
    /// The serialised answer to a request of a peer.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn answer(&self, from: PeerId, request: WireRequest) -> Result<Bytes, ServeError> {
        let response = match request {
            WireRequest::Blocks(cids) => Response::Blocks(self.logs.blocks(&cids).await?),
            WireRequest::Heads => Response::heads(self.logs.state.tips()?),
            WireRequest::Nodes { author, from } => {
                Response::Nodes(self.logs.nodes(author, from).await?)
            }
            WireRequest::Key { name } => Response::Key(self.key(from, name).map(ByteBuf::from)),
            WireRequest::ClientHeads { ring, author } => {
                Response::ClientHeads(self.clients.client_heads((ring, author))?)
            }
            WireRequest::ClientNodes { ring, author, from } => {
                Response::Nodes(self.clients.client_nodes((ring, author), from).await?)
            }
            WireRequest::Hold {
                ring,
                avatar,
                head,
                nodes,
            } => {
                let held = self.clients.hold(from, (ring, avatar, head), nodes).await?;
                Response::Held(ByteBuf::from(held))
            }
        };
        Ok(encode(&response)?.into())
    }

    /// A key of the ring, wrapped for a peer that is a member now and was approved here.
    fn key(&self, from: PeerId, name: Digest) -> Option<Vec<u8>> {
        self.keys.give(&self.ring.key_of(&from)?, name)
    }
}

impl LogShelf {
    /// The blocks that are held here, as many as fit into one answer. Whoever asks for the rest asks again.
    async fn blocks(&self, cids: &[Cid]) -> Result<Vec<Option<ByteBuf>>, ServeError> {
        let mut room = BLOCK_BYTES;
        let mut blocks = Vec::with_capacity(cids.len());
        for cid in cids {
            let data = match room {
                0 => None,
                _ => self.get(cid).await?,
            };
            room = room.saturating_sub(data.as_ref().map_or(0, Bytes::len));
            blocks.push(data.map(|data| ByteBuf::from(Vec::from(data))));
        }
        Ok(blocks)
    }

    /// Nodes of a log, in order and without a gap, as many as fit into one answer.
    pub async fn nodes(&self, author: Address, from: u64) -> Result<Vec<ByteBuf>, ServeError> {
        if from < self.state.held_from(author)? {
            return Err(ServeError::NotKept { author, from });
        }
        let mut room = MAX_ANSWER_BYTES;
        let mut nodes = Vec::new();
        let digests = self.state.nodes(author, from, MAX_NODES)?;
        for some in digests.chunks(READ_AT_ONCE) {
            let cids: Vec<_> = some.iter().copied().map(node_cid).collect();
            for data in self.get_all(&cids).await? {
                let Some(data) = data else {
                    // Another member has them; nobody is to blame this one for it.
                    if nodes.is_empty() && from < self.state.kept_from(author)? {
                        return Err(ServeError::NotKept { author, from });
                    }
                    return Ok(nodes);
                };
                room = room.saturating_sub(data.len());
                nodes.push(ByteBuf::from(data.to_vec()));
                if room == 0 {
                    return Ok(nodes);
                }
            }
        }
        Ok(nodes)
    }

    /// The blocks, read together: thousands of single reads would take longer than whoever asks waits.
    async fn get_all(&self, cids: &[Cid]) -> Result<Vec<Option<Bytes>>, StoreError> {
        match self.store.get_many(cids).await {
            Err(StoreError::Corrupt { .. }) => {
                let mut found = Vec::with_capacity(cids.len());
                for cid in cids {
                    found.push(self.get(cid).await?);
                }
                Ok(found)
            }
            found => {
                let found = found?.into_iter();
                Ok(found
                    .map(|block| block.map(|block| block.data().clone()))
                    .collect())
            }
        }
    }

    /// The block, if it is held. A damaged block counts as missing.
    async fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        match self.store.get(cid).await {
            Err(StoreError::Corrupt { .. }) => Ok(None),
            other => other,
        }
    }
}
