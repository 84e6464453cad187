//! Other members' logs: nodes that come by gossip, and ranges that are asked for where some are missing.

use super::{Core, CoreError, Input};
use crate::node::{
    state::Entry,
    wire::{encode, Request, Response, WireError},
};
use bytes::Bytes;
use rings_network::{Network, NetworkError, PeerId, Verdict};
use rings_protocol::{
    log::{LogNode, Offer},
    message::Vote,
    Address, Digest,
};

/// What became of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reception {
    /// It is new, or the place of it is not known yet: others may want it.
    Pass,
    /// It is known, or nobody's business here.
    Ignore,
    /// It is bad: whoever passed it on should have seen that.
    Reject,
}

#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("the member cannot be asked")]
    Network(#[from] NetworkError),
    #[error("the member answered badly")]
    Wire(#[from] WireError),
}

impl Core {
    pub(super) fn on_gossip(
        &mut self,
        from: PeerId,
        data: &[u8],
        verdict: Verdict,
    ) -> Result<(), CoreError> {
        match self.receive(Some(from), data)? {
            Reception::Pass => verdict.accept(),
            Reception::Ignore => verdict.ignore(),
            Reception::Reject => verdict.reject(),
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
        self.parts
            .member
            .connected(self.parts.shared.connected_members());
    }

    pub(super) fn on_heads(&mut self, peer: PeerId, heads: &[(Address, u64, Digest)]) {
        for (author, seq, _) in heads {
            if self.parts.member.is_member(*author) && *seq >= self.next_seq(*author) {
                self.ask_nodes(peer, *author);
            }
        }
    }

    pub(super) fn on_nodes(
        &mut self,
        peer: PeerId,
        author: Address,
        nodes: &[Bytes],
    ) -> Result<(), CoreError> {
        self.syncing.remove(&author);
        let before = self.next_seq(author);
        for node in nodes {
            // A range that does not begin where ours ends would ask for itself again and again.
            if self.receive(None, node)? == Reception::Reject {
                tracing::warn!(%peer, %author, "a member sent a bad range of log nodes");
                return Ok(());
            }
        }
        if self.next_seq(author) > before {
            self.ask_heads(peer);
        }
        Ok(())
    }

    /// Compares the ends of logs with everybody who is connected.
    pub(super) fn compare_heads(&mut self) {
        for peer in self.parts.shared.connected_peers() {
            self.ask_heads(peer);
        }
    }

    fn next_seq(&self, author: Address) -> u64 {
        self.replicas
            .get(&author)
            .map_or(0, |replica| replica.next_seq())
    }

    fn digest_at(&self, author: Address, seq: u64) -> Result<Option<Digest>, CoreError> {
        match self.fresh.get(&(author, seq)) {
            Some(digest) => Ok(Some(*digest)),
            None => Ok(self.parts.state.node_at(author, seq)?),
        }
    }

    fn receive(&mut self, from: Option<PeerId>, bytes: &[u8]) -> Result<Reception, CoreError> {
        let node = match LogNode::open(bytes, &self.parts.domain) {
            Ok(node) => node,
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "a node that is none was sent"
                );
                return Ok(Reception::Reject);
            }
        };
        // The epoch may have changed a moment ago for its sender: no reason to punish.
        if !self.parts.member.is_member(node.author()) {
            return Ok(Reception::Ignore);
        }
        self.parts.shared.heard(node.author());
        match self.offer(&node)? {
            Offer::Next => self.accept(node),
            Offer::Held => return Ok(Reception::Ignore),
            Offer::Gap { .. } => {
                if let Some(peer) = self.parts.shared.peer_of(node.author()).or(from) {
                    self.ask_nodes(peer, node.author());
                }
            }
            Offer::Fork { held } => return self.fork(&node, held),
            Offer::Unlinked => {
                // Whoever passed it on may hold too little of this log to have seen that.
                tracing::warn!(member = %node.author(), seq = node.seq(), "a node does not link to the log held here");
                return Ok(Reception::Ignore);
            }
        }
        Ok(Reception::Pass)
    }

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

    fn accept(&mut self, node: LogNode) {
        let author = node.author();
        self.replicas.entry(author).or_default().advance(&node);
        self.fresh.insert((author, node.seq()), node.digest());
        let votes = votes_of(&node);
        self.entries.push(Entry { node, votes });
    }

    /// Both nodes are kept: together they prove what their author did.
    fn fork(&mut self, node: &LogNode, held: Digest) -> Result<Reception, CoreError> {
        tracing::warn!(member = %node.author(), seq = node.seq(), %held, other = %node.digest(), "this member signed two nodes at one position");
        self.parts.state.fork(node)?;
        Ok(Reception::Pass)
    }

    fn ask_heads(&self, peer: PeerId) {
        let (network, outbox) = (self.parts.network.clone(), self.parts.outbox.clone());
        tokio::spawn(async move {
            match ask(&network, &peer, &Request::Heads).await {
                Ok(Response::Heads(heads)) => report(&outbox, Input::Heads { peer, heads }).await,
                Ok(_) => {
                    tracing::debug!(%peer, "a member answered another question than was asked")
                }
                Err(error) => {
                    tracing::debug!(%peer, error = &error as &dyn std::error::Error, "heads were not told")
                }
            }
        });
    }

    fn ask_nodes(&mut self, peer: PeerId, author: Address) {
        if !self.syncing.insert(author) {
            return;
        }
        let from = self.next_seq(author);
        let (network, outbox) = (self.parts.network.clone(), self.parts.outbox.clone());
        tokio::spawn(async move {
            let nodes = match ask(&network, &peer, &Request::Nodes { author, from }).await {
                Ok(Response::Nodes(nodes)) => nodes
                    .into_iter()
                    .map(|node| Bytes::from(node.into_vec()))
                    .collect(),
                Ok(_) => Vec::new(),
                Err(error) => {
                    tracing::debug!(%peer, error = &error as &dyn std::error::Error, "nodes were not given");
                    Vec::new()
                }
            };
            report(
                &outbox,
                Input::Nodes {
                    peer,
                    author,
                    nodes,
                },
            )
            .await;
        });
    }
}

async fn ask(network: &Network, peer: &PeerId, request: &Request) -> Result<Response, AskError> {
    let answer = network.request(peer, encode(request)?.into()).await?;
    Ok(Response::decode(&answer)?)
}

/// Reports to the core; when it has ended there is nobody to tell, and nothing to do.
pub(super) async fn report(outbox: &tokio::sync::mpsc::Sender<Input>, input: Input) {
    if outbox.send(input).await.is_err() {
        tracing::debug!("the core has ended");
    }
}

/// The votes in a node. A malformed one is its author's fault, and counts for nothing.
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
