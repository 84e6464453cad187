//! Other members' logs: nodes that come by gossip, and ranges that are requested where nodes are missing.
//!
//! A member that was away compares heads with each peer that connects, and requests the ranges that it lacks. Each node
//! goes through [`Core::receive`], whether it came by gossip or in a range: it is opened, checked against the log that
//! is held, and queued for the round's transaction.
//!
//! What `receive` finds is a [`Reception`]. It decides the verdict for gossip (pass on, ignore, reject), and where a
//! node contradicts one that is held, or does not link to it, the way to a proof of a fork (`forks.rs`). A node counts
//! only after the round has written it (`write.rs`); until then its digest is in `fresh`, so that the node after it
//! finds it. While the store cannot be written, at most [`MAX_WAITING_BYTES`] wait.

use super::{
    ask::ask,
    input::{report, Input},
    Core, CoreError,
};
use crate::state::ReceivedNode;
use rings_network::{PeerId, Verdict};
use rings_protocol::{
    log::{LogNode, Offer},
    message::Vote,
    private::FormError,
    wire::{Response, WireRequest},
    Address, Digest,
};

/// Most bytes of nodes that wait while the store cannot be written. Further nodes are dropped, and requested again when
/// there is room.
pub(super) const MAX_WAITING_BYTES: usize = 32 << 20;

/// What to do with a received node.
#[derive(Debug)]
enum Reception {
    /// It is new, or nodes before it are missing here: pass it on.
    Pass,
    /// Already held, or its author is not a member: dropped.
    Ignore,
    /// It is invalid, and the peer that passed it on could have noticed that.
    Reject,
    /// Its author signed another one for the same position.
    Contradicts(Box<LogNode>, Digest),
    /// The node before it, by the same author, is another one than the one that is held.
    Unlinked {
        /// The author.
        author: Address,
        /// Its position.
        seq: u64,
    },
}

impl Core {
    /// A node came by gossip. The verdict says whether it is passed on, and whether its sender is to blame: only bytes
    /// that are no node of this ring count against it.
    pub(super) fn on_gossip(
        &mut self,
        from: PeerId,
        data: &[u8],
        verdict: Verdict,
    ) -> Result<(), CoreError> {
        match self.receive(from, data)? {
            Reception::Pass => verdict.accept(),
            Reception::Ignore => verdict.ignore(),
            Reception::Reject => {
                tracing::debug!(%from, "received bytes by gossip that are not a log node");
                verdict.reject();
            }
            Reception::Contradicts(node, held) => self.suspect(*node, held, Some(verdict)),
            Reception::Unlinked { author, seq } => {
                verdict.ignore();
                self.doubt(from, author, seq.saturating_sub(1));
            }
        }
        Ok(())
    }

    /// Takes in nodes of a range that `peer` was asked for.
    pub(super) fn receive_range(
        &mut self,
        peer: PeerId,
        nodes: Vec<LogNode>,
    ) -> Result<(), CoreError> {
        for node in nodes {
            match self.receive_opened(node)? {
                Reception::Pass | Reception::Ignore | Reception::Reject => {}
                Reception::Contradicts(node, held) => self.suspect(*node, held, None),
                Reception::Unlinked { author, seq } => {
                    self.doubt(peer, author, seq.saturating_sub(1));
                }
            }
        }
        Ok(())
    }

    /// Takes in the node for which [`Core::doubt`] asked, which may prove a fork.
    pub(super) fn receive_other(&mut self, node: LogNode) -> Result<(), CoreError> {
        if let Reception::Contradicts(node, held) = self.receive_opened(node)? {
            self.suspect(*node, held, None);
        }
        Ok(())
    }

    pub(super) fn on_connected(&mut self, peer: PeerId) {
        self.parts.shared.connected(peer);
        self.parts
            .member
            .connected(self.parts.shared.connected_members());
        self.ask_heads(peer);
    }

    pub(super) fn on_disconnected(&mut self, peer: PeerId) {
        self.parts.shared.disconnected(&peer);
        self.claims.gone(&peer);
        self.parts
            .member
            .connected(self.parts.shared.connected_members());
    }

    /// A longer log is asked for. Another node at a position that is held may prove a fork.
    pub(super) fn on_heads(
        &mut self,
        peer: PeerId,
        heads: &[(Address, u64, Digest)],
    ) -> Result<(), CoreError> {
        self.hear_of_own_log(&peer, heads);
        for (author, seq, digest) in heads {
            if !self.parts.member.is_member(*author) {
                continue;
            }
            if *seq >= self.next_seq(*author) {
                self.claims.claimed(*author, peer, *seq);
                self.ask_nodes(*author);
            } else if *seq >= self.held_from(*author)
                && self.digest_at(*author, *seq)? != Some(*digest)
            {
                self.doubt(peer, *author, *seq);
            }
        }
        self.recover()
    }

    /// Asks all connected members for their log heads.
    pub(super) fn compare_heads(&mut self) {
        if self.is_full() {
            return;
        }
        self.claims.begin_again();
        for peer in self.parts.shared.connected_peers() {
            self.ask_heads(peer);
        }
    }

    /// Whether too many nodes wait to be written, so that no more are accepted.
    pub(super) fn is_full(&self) -> bool {
        self.waiting_bytes >= MAX_WAITING_BYTES
    }

    pub(super) fn next_seq(&self, author: Address) -> u64 {
        self.replicas
            .get(&author)
            .map_or(0, |replica| replica.next_seq())
    }

    /// The first position that is held of a log.
    fn held_from(&self, author: Address) -> u64 {
        let from = self.beginnings.held_from.get(&author);
        from.copied().unwrap_or(0)
    }

    fn digest_at(&self, author: Address, seq: u64) -> Result<Option<Digest>, CoreError> {
        match self.fresh.get(&(author, seq)) {
            Some(digest) => Ok(Some(*digest)),
            None => Ok(self.parts.state.node_at(author, seq)?),
        }
    }

    /// Takes in a node from a peer: reads it, checks form and signature, and that its author is a member, before anything
    /// is kept for it.
    fn receive(&mut self, from: PeerId, bytes: &[u8]) -> Result<Reception, CoreError> {
        // It is requested again when there is room.
        if self.is_full() {
            return Ok(Reception::Ignore);
        }
        match self.parts.keys.form().open(bytes) {
            Ok(node) => self.receive_opened(node),
            Err(FormError::Locked { name }) => {
                self.ask_key(from, name);
                Ok(Reception::Ignore)
            }
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "received bytes that are not a log node"
                );
                Ok(Reception::Reject)
            }
        }
    }

    fn receive_opened(&mut self, node: LogNode) -> Result<Reception, CoreError> {
        if self.is_full() {
            return Ok(Reception::Ignore);
        }
        // The sender may have seen a change of the membership that has not arrived here yet, so it is not penalised.
        if !self.parts.member.is_member(node.author()) {
            return Ok(Reception::Ignore);
        }
        self.parts.shared.heard(node.author());
        self.place(node)
    }

    /// Compares a node with the log that is held. If it comes next, it is taken in; if nodes before it are missing, they
    /// are requested, and this one comes again with them.
    fn place(&mut self, node: LogNode) -> Result<Reception, CoreError> {
        match self.offer(&node)? {
            Offer::Next => {
                let Some((usage, duties)) = self.admit(&node)? else {
                    return Ok(Reception::Ignore);
                };
                self.accept(ReceivedNode {
                    votes: votes_of(&node),
                    node,
                    usage,
                    duties,
                });
                Ok(Reception::Pass)
            }
            Offer::Held => Ok(Reception::Ignore),
            Offer::Gap { .. } => {
                self.claims.proved(node.author(), node.seq());
                self.ask_nodes(node.author());
                Ok(Reception::Pass)
            }
            Offer::Taken { held } => Ok(Reception::Contradicts(Box::new(node), held)),
            Offer::Unlinked => {
                // The peer may hold too little of this log to have noticed, so it is not penalised.
                let (author, seq) = (node.author(), node.seq());
                tracing::warn!(member = %author, seq, "a node does not link to the log held here");
                Ok(Reception::Unlinked { author, seq })
            }
        }
    }

    /// Where a node stands in its author's log, with the nodes of this round counted as held.
    fn offer(&mut self, node: &LogNode) -> Result<Offer, CoreError> {
        let replica = self.replicas.entry(node.author()).or_default().clone();
        let mut failed = None;
        let offer = replica.offer(node, |seq| match self.digest_at(node.author(), seq) {
            Ok(digest) => digest,
            Err(error) => {
                failed = Some(error);
                None
            }
        });
        failed.map_or(Ok(offer), Err)
    }

    fn accept(&mut self, entry: ReceivedNode) {
        let node = &entry.node;
        let author = node.author();
        self.replicas.entry(author).or_default().advance(node);
        self.fresh.insert((author, node.seq()), node.digest());
        self.waiting_bytes += node.bytes().len();
        self.entries.push(entry);
    }

    /// Asks a peer how far it holds each log. The answer comes as an input; a peer that does not answer is asked again
    /// with the next comparison.
    pub(super) fn ask_heads(&self, peer: PeerId) {
        let (network, outbox) = (self.parts.network.clone(), self.parts.outbox.clone());
        tokio::spawn(async move {
            match ask(&network, &peer, &WireRequest::Heads).await {
                Ok(Response::Heads(heads)) => report(&outbox, Input::Heads { peer, heads }).await,
                Ok(_) => {
                    tracing::debug!(%peer, "a member's answer does not fit the request")
                }
                Err(error) => {
                    tracing::debug!(%peer, error = &error as &dyn std::error::Error, "a member did not send its heads")
                }
            }
        });
    }
}

/// The votes in a node. A malformed vote does not count.
fn votes_of(node: &LogNode) -> Vec<Vote> {
    let messages = node.content().body.iter();
    let votes = messages.filter_map(|message| match Vote::from_message(message) {
        Ok(vote) => vote,
        Err(error) => {
            tracing::warn!(member = %node.author(), error = &error as &dyn std::error::Error, "a vote is malformed");
            None
        }
    });
    votes.collect()
}
