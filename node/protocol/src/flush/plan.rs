//! Which of the nodes that an avatar offers are new, and whether something is missing between them and what is held.
//!
//! The nodes come from somebody who may leave out, mix in or make up what it likes. They were opened already, so their
//! signatures are good; here it is checked who signed them, that they link without a gap to the logs that are held, and
//! that the heads of other logs that they refer to are held or among them. [`plan`] changes nothing: its [`Plan`] says
//! what to store.
//!
//! All or nothing: one node that does not fit refuses the whole offer ([`Refused`]), and then nothing is stored. Where
//! nodes are missing, the answer names some of them ([`Refused::Incomplete`]), so that the client can send them.
//! [`Plan::reaches`] then says whether an action may be relayed: it has to begin at the head that the contract has, and
//! its log has to lead from there to the new head.

use super::action::CompoundAction;
use crate::{
    cids::digest_of,
    log::{LogNode, Offer, Replica, Tip},
    Address, Digest,
};
use std::collections::{BTreeMap, BTreeSet};

/// Most nodes that come with one request.
pub const MAX_OFFERED_NODES: usize = 1024;
/// Most missing nodes that are named to the author.
const MAX_NAMED: usize = 64;

/// The logs of a client ring that are held here.
pub trait HeldLogs {
    /// What the storage fails with.
    type Error;
    /// Where the log of `author` ends here.
    fn tip(&self, author: Address) -> Result<Option<Tip>, Self::Error>;
    /// The digest of a node.
    fn digest_at(&self, author: Address, seq: u64) -> Result<Option<Digest>, Self::Error>;
    /// Whose log a node is in, and where.
    fn place_of(&self, digest: Digest) -> Result<Option<(Address, u64)>, Self::Error>;
}

/// What to store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    nodes: Vec<LogNode>,
    places: BTreeMap<Digest, (Address, u64)>,
}

/// Why nothing is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// More than [`MAX_OFFERED_NODES`].
    #[error("{count} log nodes at once; at most {MAX_OFFERED_NODES} are accepted: send the older ones first")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// A node is neither by the avatar nor by another member of its ring.
    #[error("node {seq} is by {author}, who is no member of the ring")]
    Author {
        /// Who signed it.
        author: Address,
        /// Its position.
        seq: u64,
    },
    /// Nodes between what is held and what was sent, or nodes that are referred to, are not here.
    #[error("{} log nodes are missing", .missing.len())]
    Incomplete {
        /// Their digests.
        missing: Vec<Digest>,
    },
    /// Another node is held for this position.
    #[error("another node is held here for position {seq} of the log of {author}: its author signed two, which is a fork, or sealed one under two keys; send the node that was sent before")]
    Taken {
        /// The author.
        author: Address,
        /// The position.
        seq: u64,
        /// The one that is held.
        held: Digest,
    },
    /// A node does not link to the ones that are held.
    #[error("node {seq} of {author} does not link to the nodes of its log that are held here")]
    Unlinked {
        /// The author.
        author: Address,
        /// Its position.
        seq: u64,
    },
    /// The action does not begin at the head on chain, or does not lead forward from it.
    #[error("the head of the log on chain is {head}; begin there")]
    StaleHead {
        /// The head on chain.
        head: Digest,
    },
}

/// Why there is no plan.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError<E> {
    /// The nodes do not fit.
    #[error(transparent)]
    Refused(Refused),
    /// The storage failed.
    #[error("the logs that are held cannot be read")]
    Held(#[source] E),
}

impl<E> From<Refused> for PlanError<E> {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// Finds which of the `offered` nodes are new. They are in any order; `avatar` is who sends them.
///
/// # Errors
/// [`PlanError`]; then nothing is to be stored.
pub fn plan<H: HeldLogs>(
    held: &H,
    avatar: Address,
    is_member: impl Fn(Address) -> bool,
    offered: Vec<LogNode>,
) -> Result<Plan, PlanError<H::Error>> {
    let count = offered.len();
    if count > MAX_OFFERED_NODES {
        return Err(Refused::TooMany { count }.into());
    }
    let mut logs: BTreeMap<Address, Vec<LogNode>> = BTreeMap::new();
    for node in offered {
        let (author, seq) = (node.author(), node.seq());
        if author != avatar && !is_member(author) {
            return Err(Refused::Author { author, seq }.into());
        }
        logs.entry(author).or_default().push(node);
    }
    // What is missing is collected over all logs, so the sender learns all of it at once.
    let (mut plan, mut missing) = (Plan::default(), BTreeSet::new());
    for (author, mut nodes) in logs {
        nodes.sort_by_key(LogNode::seq);
        plan.extend(held, author, nodes, &mut missing)?;
    }
    plan.look_for_refs(held, &mut missing)?;
    incomplete(missing)?;
    Ok(plan)
}

/// Finds which of the `offered` nodes of one author come next in its log, in ascending order. What they refer to in other logs
/// need not be held: it comes when those logs are followed.
///
/// # Errors
/// [`PlanError`]; then nothing is to be stored.
pub fn continuation<H: HeldLogs>(
    held: &H,
    author: Address,
    mut offered: Vec<LogNode>,
) -> Result<Plan, PlanError<H::Error>> {
    let foreign = offered.iter().find(|node| node.author() != author);
    if let Some((author, seq)) = foreign.map(|node| (node.author(), node.seq())) {
        return Err(Refused::Author { author, seq }.into());
    }
    offered.sort_by_key(LogNode::seq);
    let (mut plan, mut missing) = (Plan::default(), BTreeSet::new());
    plan.extend(held, author, offered, &mut missing)?;
    incomplete(missing)?;
    Ok(plan)
}

fn incomplete(missing: BTreeSet<Digest>) -> Result<(), Refused> {
    match missing.is_empty() {
        true => Ok(()),
        false => Err(Refused::Incomplete {
            missing: missing.into_iter().take(MAX_NAMED).collect(),
        }),
    }
}

impl Plan {
    /// The new nodes: of each author ascending.
    pub fn nodes(&self) -> &[LogNode] {
        &self.nodes
    }

    /// Adds the nodes of one author, which are in ascending order, as far as they are new.
    fn extend<H: HeldLogs>(
        &mut self,
        held: &H,
        author: Address,
        nodes: Vec<LogNode>,
        missing: &mut BTreeSet<Digest>,
    ) -> Result<(), PlanError<H::Error>> {
        let mut replica = Replica::new(held.tip(author).map_err(PlanError::Held)?);
        let mut fresh: BTreeMap<u64, Digest> = BTreeMap::new();
        for node in nodes {
            let seq = node.seq();
            let mut failed = None;
            let offer = replica.offer(&node, |seq| match fresh.get(&seq) {
                Some(digest) => Some(*digest),
                None => held.digest_at(author, seq).unwrap_or_else(|error| {
                    failed = Some(error);
                    None
                }),
            });
            if let Some(error) = failed {
                return Err(PlanError::Held(error));
            }
            match offer {
                Offer::Next => {
                    replica.advance(&node);
                    fresh.insert(seq, node.digest());
                    self.places.insert(node.digest(), (author, seq));
                    self.nodes.push(node);
                }
                Offer::Held => {}
                Offer::Gap { .. } => {
                    // Without a predecessor there is no gap before it.
                    missing.extend(node.content().prev.and_then(|prev| digest_of(&prev).ok()));
                    return Ok(());
                }
                Offer::Taken { held } => return Err(Refused::Taken { author, seq, held }.into()),
                Offer::Unlinked => return Err(Refused::Unlinked { author, seq }.into()),
            }
        }
        Ok(())
    }

    fn look_for_refs<H: HeldLogs>(
        &self,
        held: &H,
        missing: &mut BTreeSet<Digest>,
    ) -> Result<(), PlanError<H::Error>> {
        for link in self.nodes.iter().flat_map(|node| &node.content().refs) {
            // Opening the node has checked that its links have digests.
            if let Ok(digest) = digest_of(link) {
                if self.place_of(held, digest)?.is_none() {
                    missing.insert(digest);
                }
            }
        }
        Ok(())
    }

    /// Whose log a node is in, and where: among what is held, or what is to be stored.
    fn place_of<H: HeldLogs>(
        &self,
        held: &H,
        digest: Digest,
    ) -> Result<Option<(Address, u64)>, PlanError<H::Error>> {
        match self.places.get(&digest) {
            Some(place) => Ok(Some(*place)),
            None => held.place_of(digest).map_err(PlanError::Held),
        }
    }

    /// Checks that an action begins at the head on chain, and that the log leads from there to its new head.
    ///
    /// # Errors
    /// [`Refused::StaleHead`] or [`Refused::Incomplete`].
    pub fn reaches<H: HeldLogs>(
        &self,
        held: &H,
        on_chain: Digest,
        action: &CompoundAction,
    ) -> Result<(), PlanError<H::Error>> {
        let stale = Refused::StaleHead { head: on_chain };
        if action.prev_head != on_chain {
            return Err(stale.into());
        }
        let mut missing = BTreeSet::new();
        let mut position = |digest: Digest| -> Result<Option<u64>, PlanError<H::Error>> {
            match self.place_of(held, digest)? {
                Some((author, seq)) if author == action.avatar => Ok(Some(seq)),
                Some((author, seq)) => Err(Refused::Author { author, seq }.into()),
                None => {
                    missing.insert(digest);
                    Ok(None)
                }
            }
        };
        let from = match on_chain.is_zero() {
            true => None,
            false => position(on_chain)?,
        };
        let to = position(action.new_head)?;
        incomplete(missing)?;
        match to >= from {
            true => Ok(()),
            false => Err(stale.into()),
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
