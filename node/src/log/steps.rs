//! The nodes of a proof, from the members that hold them.
//!
//! A [`Step`] is a node with what opens its block, if that is sealed. Nodes that are not sealed come by their digests from
//! whoever has the block. Sealed ones come by their positions from a member that unseals them for whoever has its token.

use super::reading::{open_entry, page, Nodes};
use crate::exit::ExitError;
use rings_api::{Client, GatewaySource};
use rings_protocol::{
    cids::node_cid,
    eip712::Domain,
    log::{LogNode, Opening, ProofNode},
    private::Unsealed,
    Address, Digest,
};
use rings_store::BlockSource;

/// Nodes that are looked through for the one of a digest, from the newest on.
const SEARCHED: u64 = 100_000;

/// A node on the way.
pub struct Step {
    /// The node.
    pub node: LogNode,
    /// What opens its block, if that is sealed.
    opening: Option<Opening>,
}

impl Step {
    /// As it stands in a proof.
    pub fn to_proof(&self) -> ProofNode {
        ProofNode {
            block: self.node.bytes().to_vec(),
            opening: self.opening,
        }
    }
}

/// The newest node of a log; `None` while the log is empty.
///
/// # Errors
/// When no member gives it, or what comes is no node of that log.
pub async fn newest(
    members: &[&Client],
    domain: &Domain,
    author: Address,
) -> Result<Option<Step>, ExitError> {
    at(members, domain, (author, None)).await
}

/// The node of this author, position and digest.
///
/// # Errors
/// Status 5 when nobody has it, or nobody unseals it.
pub async fn step(
    members: &[&Client],
    domain: &Domain,
    (author, seq): (Address, u64),
    digest: Digest,
) -> Result<Step, ExitError> {
    if let Some(open) = plain(members, domain, author, digest).await {
        return Ok(open);
    }
    let found = at(members, domain, (author, Some(seq))).await?;
    let found = found.filter(|step| step.node.digest() == digest);
    found.ok_or_else(|| {
        ExitError::unavailable(format!(
            "a member gives another node {seq} of the log of {author} than the one that later nodes link to; ask another member"
        ))
    })
}

/// The node of this author and digest, wherever it stands.
///
/// # Errors
/// As [`step`].
pub async fn find(
    members: &[&Client],
    domain: &Domain,
    author: Address,
    digest: Digest,
) -> Result<Step, ExitError> {
    if let Some(open) = plain(members, domain, author, digest).await {
        return Ok(open);
    }
    let missing = || ExitError::unavailable(format!("no member has node {}", node_cid(digest)));
    let newest = newest(members, domain, author).await?.ok_or_else(missing)?;
    let last = newest.node.seq();
    let range = (last, last.saturating_sub(SEARCHED));
    let mut nodes = Nodes::new(members, *domain, author, range, Some(newest.node.digest()));
    loop {
        let page = nodes.page().await?;
        if page.is_empty() {
            return Err(missing());
        }
        let found = page.iter().find(|node| node.digest() == digest);
        if let Some(node) = found {
            return step(members, domain, (author, node.seq()), digest).await;
        }
    }
}

/// A node that is not sealed, from whoever has the block; nothing if it is sealed, or nobody has it.
async fn plain(
    members: &[&Client],
    domain: &Domain,
    author: Address,
    digest: Digest,
) -> Option<Step> {
    let source = GatewaySource::of(members).ok()?;
    let blocks = source.blocks(&[node_cid(digest)]).await.ok()?;
    let node = Unsealed::open_plain(blocks.first()?.data(), domain).ok()?;
    (node.author() == author).then_some(Step {
        node,
        opening: None,
    })
}

/// The node at a position, or the newest, as a member shows it.
async fn at(
    members: &[&Client],
    domain: &Domain,
    (author, seq): (Address, Option<u64>),
) -> Result<Option<Step>, ExitError> {
    let page = page(members, domain.ring, author, seq, 1).await?;
    let Some(entry) = page.nodes.into_iter().next() else {
        return Ok(None);
    };
    let (node, opening) = (open_entry(&entry, domain, author)?, entry.opening());
    if entry.unsealed.is_some() && opening.is_none() {
        return Err(ExitError::unavailable(
            "the member runs an earlier version, which gives nothing that opens a node without a key; update it",
        ));
    }
    Ok(Some(Step { node, opening }))
}
