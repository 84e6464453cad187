//! Nodes of a log from the members that hold it, each opened and checked here.
//!
//! [`holders`] gives the members that answer, the author first. [`page`] asks them, one after the other.
//! [`Nodes`] reads a log backwards, page by page, and each node must be the one that the node before it links to, so
//! only the first digest has to be trusted. The size of a page follows the size of the nodes that came.

use crate::{exit::ExitError, place::Place};
use rings_api::{
    code, shown_url,
    views::{LogEntry, LogPage},
    Client, ClientError,
};
use rings_protocol::{eip712::Domain, log::LogNode, private::UnsealedError, Address, Digest};

/// Bytes of nodes that are asked for at once, about.
const PAGE_BYTES: usize = 1024 * 1024;
/// Most nodes that are asked for at once.
const MOST_NODES: u32 = 500;
/// Nodes that are asked for at first, while nobody knows how long they are.
const FIRST_NODES: u32 = 8;

/// The members that answer, the author of the log first if it is one of them: it has its newest nodes before all others.
///
/// # Errors
/// When nobody answers.
pub async fn holders(place: &Place, author: Address) -> Result<Vec<&Client>, ExitError> {
    let mut members = place.members().await?;
    let entry = place
        .file
        .members
        .iter()
        .find(|entry| entry.address == author);
    let own = entry.map(|entry| shown_url(&entry.rpc_url));
    members.sort_by_key(|client| Some(client.url()) != own);
    Ok(members)
}

/// What nodes of this ring are signed for.
pub fn domain(place: &Place) -> Domain {
    Domain::new(place.file.chain_id, place.file.ring)
}

/// A page of a log from the first of the members that has it: at most `limit` nodes, newest first, from `from` on or from
/// the head.
///
/// # Errors
/// Status 2 when the account is not a member, 5 when no member gives the page.
pub async fn page(
    members: &[&Client],
    ring: Address,
    author: Address,
    from: Option<u64>,
    limit: u32,
) -> Result<LogPage, ExitError> {
    let mut last = None;
    for member in members {
        match member.log(ring, author, from, limit).await {
            Ok(page) => return Ok(page),
            Err(ClientError::Rpc { code, .. }) if code == i64::from(code::NOT_A_MEMBER) => {
                return Err(ExitError::usage(format!(
                    "{author} is not a member of ring {ring}; see `rings ring show`"
                )));
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(
        || ExitError::unavailable("no member is known to ask for its log"),
        ExitError::from,
    ))
}

/// The newest node of a log, opened; `None` while the log is empty.
///
/// # Errors
/// As [`page`], and when a member gives what is no node of that log.
pub async fn newest(
    members: &[&Client],
    domain: &Domain,
    author: Address,
) -> Result<Option<LogNode>, ExitError> {
    let page = page(members, domain.ring, author, None, 1).await?;
    let Some(entry) = page.nodes.into_iter().next() else {
        return Ok(None);
    };
    open_entry(&entry, domain, author).map(Some)
}

/// A node of this author's log, as a member shows it: readable in a private ring, if the member's token is at hand.
///
/// # Errors
/// Status 5 when it is no node of that log, and for a node that is sealed.
pub fn open_entry(
    entry: &LogEntry,
    domain: &Domain,
    author: Address,
) -> Result<LogNode, ExitError> {
    by(author, entry.open(domain))
}

fn by(author: Address, node: Result<LogNode, UnsealedError>) -> Result<LogNode, ExitError> {
    let foreign = || {
        ExitError::unavailable(format!(
            "a member gives something else than a node of the log of {author}; ask another member"
        ))
    };
    match node {
        Ok(node) if node.author() == author => Ok(node),
        Ok(_) => Err(foreign()),
        Err(sealed @ UnsealedError::Sealed { .. }) => Err(ExitError::unavailable(format!(
            "the log of {author} is private, and no member unseals it here; name the ring's directory, which has the token"
        ))
        .because(sealed)),
        Err(error) => Err(foreign().because(error)),
    }
}

/// The nodes of a log from one position down to another, newest first, read in pages whose size follows that of the nodes.
/// Each must be the one that the node before it links to.
pub struct Nodes<'a> {
    members: &'a [&'a Client],
    domain: Domain,
    author: Address,
    /// The next position; `None` at the end.
    next: Option<u64>,
    last: u64,
    /// What the next node must hash to, if it is known.
    digest: Option<Digest>,
    limit: u32,
}

impl<'a> Nodes<'a> {
    /// The nodes from `from` down to `last`, both included. `digest` is that of the first, if it is known.
    pub fn new(
        members: &'a [&'a Client],
        domain: Domain,
        author: Address,
        (from, last): (u64, u64),
        digest: Option<Digest>,
    ) -> Self {
        Self {
            members,
            domain,
            author,
            next: (from >= last).then_some(from),
            last,
            digest,
            limit: FIRST_NODES,
        }
    }

    /// The next page of them; empty at the end.
    ///
    /// # Errors
    /// As [`page`], and when what comes is not this log.
    pub async fn page(&mut self) -> Result<Vec<LogNode>, ExitError> {
        let Some(from) = self.next else {
            return Ok(Vec::new());
        };
        let left = u32::try_from(from - self.last + 1).unwrap_or(u32::MAX);
        let (ring, limit) = (self.domain.ring, self.limit.min(left));
        let page = page(self.members, ring, self.author, Some(from), limit).await?;
        let mut nodes = Vec::with_capacity(page.nodes.len());
        for entry in page.nodes.into_iter().take(limit as usize) {
            nodes.push(self.take(&entry)?);
        }
        let longest = nodes.iter().map(|node| node.bytes().len()).max();
        let longest = longest.ok_or_else(|| self.other(from))?.max(1);
        let fits = u32::try_from(PAGE_BYTES / longest).unwrap_or(MOST_NODES);
        self.limit = fits.clamp(1, MOST_NODES.min(2 * self.limit));
        Ok(nodes)
    }

    /// Takes the next node on the way back: at the expected position, and with the digest to which the node after it
    /// links.
    fn take(&mut self, entry: &LogEntry) -> Result<LogNode, ExitError> {
        let node = open_entry(entry, &self.domain, self.author)?;
        let fits = self.digest.is_none_or(|digest| digest == node.digest());
        if self.next != Some(node.seq()) || !fits {
            return Err(self.other(node.seq()));
        }
        self.next = node.seq().checked_sub(1).filter(|next| *next >= self.last);
        self.digest = rings_protocol::log::Links::of(&node).prev;
        Ok(node)
    }

    fn other(&self, seq: u64) -> ExitError {
        ExitError::unavailable(format!(
            "the nodes that a member gives for the log of {} do not link to each other at position {seq}; ask another member",
            self.author
        ))
    }
}
