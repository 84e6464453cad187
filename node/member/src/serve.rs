//! Answers to requests of other members. A request is answered from what this member holds; it is never passed on.

use super::{
    state::{MemberState, StateError},
    wire::{encode, Request, Response, WireError, MAX_ANSWER_BYTES, MAX_NODES},
};
use bytes::Bytes;
use cid::Cid;
use rings_protocol::{cids::node_cid, Address};
use rings_store::{BlockStore, StoreError};
use serde_bytes::ByteBuf;
use std::sync::Arc;

/// Log nodes that are read from the store at once.
const READ_AT_ONCE: usize = 256;

/// What a member answers from.
#[derive(Clone)]
pub struct Shelf {
    /// Its blocks.
    pub store: Arc<dyn BlockStore>,
    /// Its indexes.
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
    /// The nodes that are asked for were collected here.
    #[error("the nodes of {author} from {from} on were collected here")]
    Collected {
        /// Whose log.
        author: Address,
        /// The first position that is wanted.
        from: u64,
    },
    /// The indexes failed.
    #[error("the state cannot be read")]
    State(#[from] StateError),
}

impl Shelf {
    /// The serialised answer to a serialised request.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn answer(&self, request: &[u8]) -> Result<Bytes, ServeError> {
        let response = match Request::decode(request)? {
            Request::Blocks(cids) => Response::Blocks(self.blocks(&cids).await?),
            Request::Heads => Response::heads(self.state.tips()?),
            Request::Nodes { author, from } => Response::Nodes(self.nodes(author, from).await?),
        };
        Ok(encode(&response)?.into())
    }

    async fn blocks(&self, cids: &[Cid]) -> Result<Vec<Option<ByteBuf>>, ServeError> {
        let mut room = MAX_ANSWER_BYTES;
        let mut blocks = Vec::with_capacity(cids.len());
        for cid in cids {
            let data = match room {
                0 => None,
                _ => self.get(cid).await?,
            };
            room = room.saturating_sub(data.as_ref().map_or(0, Bytes::len));
            blocks.push(data.map(|data| ByteBuf::from(data.to_vec())));
        }
        Ok(blocks)
    }

    async fn nodes(&self, author: Address, from: u64) -> Result<Vec<ByteBuf>, ServeError> {
        let mut room = MAX_ANSWER_BYTES;
        let mut nodes = Vec::new();
        let digests = self.state.nodes(author, from, MAX_NODES)?;
        for some in digests.chunks(READ_AT_ONCE) {
            let cids: Vec<_> = some.iter().copied().map(node_cid).collect();
            for data in self.get_all(&cids).await? {
                let Some(data) = data else {
                    // Another member has them; nobody is to blame this one for it.
                    if nodes.is_empty() && from < self.state.kept_from(author)? {
                        return Err(ServeError::Collected { author, from });
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
