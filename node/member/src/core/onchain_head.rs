//! Finding the head of a log that the chain names, and the few nodes on the way back from it to which later ones may link.

use rings_chain::{Chain, ChainError};
use rings_protocol::{
    cids::node_cid,
    log::{Beginning, BeginningError, LogNode, MAX_PROOF_NODES},
    private::{FormError, LogForm},
    Address, Digest,
};
use rings_store::{BlockSource, StoreError};
use std::sync::Arc;

/// Why a log is not begun now. It is tried again with the next comparison of heads.
#[derive(Debug, thiserror::Error)]
pub enum NotBegun {
    /// The chain.
    #[error("the head on chain cannot be read")]
    Chain(#[from] ChainError),
    /// Nobody gave a node.
    #[error("no member gives a node that the head on chain leads to")]
    Store(#[from] StoreError),
    /// What is named is no node of this ring, or its key is not held.
    #[error("a node that the head on chain leads to cannot be opened")]
    Node(#[from] FormError),
    /// The nodes are not a beginning.
    #[error("the head on chain does not lead back as it must")]
    Beginning(#[from] BeginningError),
    /// There are too many of them.
    #[error("the way back from the head on chain has more than {MAX_PROOF_NODES} nodes")]
    TooLong,
}

/// The head that the chain names, with what later nodes may link to; nothing if it names none.
pub(super) async fn find(
    chain: &Chain,
    blocks: &Arc<dyn BlockSource>,
    form: &LogForm,
    author: Address,
) -> Result<Option<Beginning>, NotBegun> {
    let named = chain.log_head(form.domain().ring, author).await?;
    if named.is_zero() {
        return Ok(None);
    }
    let head = node(blocks, form, named).await?;
    let mut beginning = Beginning::at(head, named, author)?;
    for _ in 0..MAX_PROOF_NODES {
        let Some(wanted) = beginning.wanted() else {
            return Ok(Some(beginning));
        };
        beginning.add(&node(blocks, form, wanted).await?)?;
    }
    Err(NotBegun::TooLong)
}

async fn node(
    blocks: &Arc<dyn BlockSource>,
    form: &LogForm,
    digest: Digest,
) -> Result<LogNode, NotBegun> {
    let cid = node_cid(digest);
    let found = blocks.blocks(&[cid]).await?;
    let block = found.first().ok_or(StoreError::NotFound { cid })?;
    Ok(form.open(block.data())?)
}
