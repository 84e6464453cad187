//! Authors who signed two nodes for one position of their log.
//!
//! A second node for a position may come by gossip. It may also be held by others only: two processes with one key each
//! have a log of their own, and one of them may never be heard directly. So where another member's head differs from the
//! node that is held there, or a node does not link to the log that is held, the other node is asked for
//! ([`Core::doubt`]). What may prove a fork is a [`Suspect`] until the node that is held has been looked up
//! ([`Core::prove_forks`]). One proof for each author is stored and passed on.

use super::{
    input::{Delivery, Input},
    suspect::Suspect,
    Core, CoreError,
};
use bytes::Bytes;
use rings_network::{PeerId, Verdict};
use rings_protocol::{
    cids::node_cid,
    log::{ForkProof, LogNode},
    Address, Digest,
};
use rings_store::StoreError;

impl Core {
    /// Notes a node whose position is taken by another node of the same author. One for each author is enough, because an
    /// author can make any number of them.
    pub(super) fn suspect(&mut self, node: LogNode, held: Digest, verdict: Option<Verdict>) {
        let author = node.author();
        if self.forks.contains(author) || self.suspects.contains_key(&author) {
            return;
        }
        let suspect = Suspect {
            node,
            held,
            verdict,
        };
        self.suspects.insert(author, suspect);
    }

    /// Asks `peer` for its node of `author` at `seq`, where this member holds another one.
    pub(super) fn doubt(&mut self, peer: PeerId, author: Address, seq: u64) {
        let is_known = self.forks.contains(author) || self.suspects.contains_key(&author);
        if is_known || !self.doubted.insert(author) {
            return;
        }
        self.request_range(peer, author, seq, Input::OtherNodes);
    }

    /// The node came that may contradict the one that is held, or nothing came. Nobody is blamed for that: the peer may
    /// have another one by now.
    pub(super) fn on_other_nodes(&mut self, delivery: Delivery) -> Result<(), CoreError> {
        self.doubted.remove(&delivery.author);
        let range = delivery.nodes.unwrap_or_default();
        let first = range.nodes.into_iter().next();
        first.map_or(Ok(()), |node| self.receive_other(node))
    }

    /// Checks the suspects, stores the proofs of real forks, and passes them on.
    pub(super) async fn prove_forks(&mut self) -> Result<(), CoreError> {
        for (author, suspect) in std::mem::take(&mut self.suspects) {
            let Some(held) = self.held_node(author, suspect.held).await? else {
                continue;
            };
            // One content that was signed twice is not a fork.
            let Ok(proof) = ForkProof::new(held, suspect.node) else {
                continue;
            };
            self.parts.state.add_fork(&proof)?;
            if self.forks.is_first(author) {
                self.tell_of_fork(&proof);
                self.claim_forks()?;
            }
            match suspect.verdict {
                Some(verdict) => verdict.accept(),
                None => self.pass_on(&proof).await,
            }
        }
        Ok(())
    }

    /// Gossips both nodes of a proof that did not come by gossip: whoever holds one of them learns of the other.
    async fn pass_on(&self, proof: &ForkProof) {
        for node in proof.nodes() {
            let bytes = Bytes::copy_from_slice(node.bytes());
            if let Err(error) = self.parts.network.publish(bytes).await {
                let cause = &error as &dyn std::error::Error;
                tracing::debug!(error = cause, "the proof of a fork is not passed on now");
            }
        }
    }

    /// Tells the log, the status and the assembly of ring nodes, which no longer moves that member's head.
    fn tell_of_fork(&mut self, proof: &ForkProof) {
        let (author, seq) = (proof.author(), proof.seq());
        self.parts.shared.forked(author);
        self.ring.assembler.forked(author);
        self.ring.changed();
        match author == self.me {
            true => tracing::error!(
                seq,
                "another process signs with this member's key: two nodes of its log stand at one position. Stop one of the two; never start a copy of a data directory"
            ),
            false => tracing::warn!(member = %author, seq, "this member signed two nodes at one position"),
        }
    }

    /// This member was announced on chain. If another process did it, two processes use one key: they fork the log, and
    /// only one of them reaches the others at a time, so there may be no proof of it for long.
    pub(super) fn look_for_twin(&self, multiaddress: &[u8]) {
        if self.parts.shared.is_by_twin(multiaddress) {
            tracing::error!(
                at = rings_network::address_text(multiaddress),
                "another process has announced itself with this member's key. Stop one of the two; never start a copy of a data directory"
            );
        }
    }

    async fn held_node(
        &self,
        author: Address,
        digest: Digest,
    ) -> Result<Option<LogNode>, CoreError> {
        let fresh = self
            .entries
            .iter()
            .map(|entry| &entry.node)
            .find(|node| node.author() == author && node.digest() == digest);
        if let Some(node) = fresh {
            return Ok(Some(node.clone()));
        }
        let bytes: Option<Bytes> = match self.parts.store.get(&node_cid(digest)).await {
            // `rings store repair` fetches it again; the suspect is looked at again when it comes the next time.
            Err(StoreError::Corrupt { cid }) => {
                tracing::warn!(%cid, "a log node on this disk is damaged");
                None
            }
            found => found?,
        };
        let form = self.parts.keys.form();
        Ok(bytes.and_then(|bytes| form.open(&bytes).ok()))
    }
}
