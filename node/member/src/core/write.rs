//! The end of a round: everything is written to disk in one transaction, and only then published.
//!
//! `write` signs what waits (`journal::prepare_round`: votes, requests, proposals, endorsements), and commits the blocks of all
//! new nodes, journal, indexes, votes and heads together; the store gets the blocks after that (`late_store.rs`). Then it publishes the own
//! node, counts the votes of received ones, and hears what else they say (`requests`). If the disk or the store cannot be
//! written now, all of it is kept and tried again. While a signer gives no signature, only what others signed is written, and
//! the own round waits. This order is the rule "disk first": no signature leaves before it can
//! be found again after a crash.

use super::{Core, CoreError};
use crate::{
    clock,
    state::{LateBlocks, ReceivedNode},
};
use bytes::Bytes;
use rings_protocol::{
    cids::{node_cid, sha256},
    journal::{prepare_round, Prepared, Round, Sealing},
    log::{LogNode, MAX_REFS},
    private::LogForm,
    request::Request,
};
use rings_store::{Block, StoreError};
use std::time::Instant;

impl Core {
    /// Whether there is something to write.
    pub(super) fn has_news(&self) -> bool {
        let has_words = !self.ring.waiting.is_empty() && !self.must_be_silent();
        has_words || !self.entries.is_empty() || !self.diverged.is_empty()
    }

    /// Whether other members have nodes of the own log that are not held here, or may have: then this disk is older than
    /// what this member signed. Nothing is signed until they are here, because a new node would take the position of one
    /// of them.
    fn is_overtaken(&self) -> bool {
        if self.recovery.is_some() {
            return true;
        }
        let has_come = self.entries.iter().any(|e| e.node.author() == self.me);
        has_come || self.claims.is_proven(self.me, self.next_seq(self.me))
    }

    /// Whether nothing may be signed now: others have more of the own log, there is no key of this epoch, or the signer was away a
    /// moment ago.
    fn must_be_silent(&self) -> bool {
        self.is_overtaken() || self.lacks_key() || self.unsigned.is_some_and(is_to_come)
    }

    /// Stores blocks, results, indexes and heads in one transaction, then publishes the own node and counts the
    /// votes. If the disk cannot be written now, nothing that was signed has left this machine, and the whole is tried
    /// again in a moment.
    pub(super) async fn write(&mut self) -> Result<(), CoreError> {
        let mut round = self.next_round();
        let entries = std::mem::take(&mut self.entries);
        // Everything that follows relies on the disk: nothing is published, counted or answered before this has
        // succeeded.
        let mut kept = self.keep(&round, &entries).await;
        if kept.as_ref().is_err_and(CoreError::is_unsigned) {
            self.wait_for_signer(std::mem::take(&mut round));
            kept = self.keep(&round, &entries).await;
        } else if kept.is_ok() && !round.is_empty() {
            self.signer_pauses.reset();
        }
        let prepared = match kept {
            Ok(prepared) => prepared,
            Err(error) => return self.postpone(round, entries, error),
        };
        if prepared.is_some() {
            self.ring.blocks.clear();
        }
        self.fresh.clear();
        self.quotas.written();
        self.diverged.clear();
        self.waiting_bytes = 0;
        let own = prepared.as_ref().and_then(Prepared::to_store);
        self.tell_heads(own.map(|(node, _)| node), &entries);
        if let Some(prepared) = prepared {
            self.speak(prepared).await?;
        }
        // Whoever waits for a message may answer others now, because the message is on disk.
        self.tell_written(&round.messages);
        if !entries.is_empty() {
            self.parts.heard.notify_one();
        }
        for ReceivedNode { node, votes, .. } in entries {
            self.count(node.author(), votes)?;
            self.hear(&node)?;
        }
        self.forget_unwanted()
    }

    /// Takes requests off the disk that were not taken up.
    fn forget_unwanted(&mut self) -> Result<(), CoreError> {
        let unwanted = std::mem::take(&mut self.ring.unwanted);
        if !unwanted.is_empty() {
            let state = &self.parts.state;
            tokio::task::block_in_place(|| state.forget_requests(&unwanted))?;
        }
        self.recover()
    }

    /// Signs the drafts, and writes everything to disk. The blocks go into the state database with the rest, and into the store
    /// later; where they are many, or many wait, into the store before.
    async fn keep(
        &self,
        round: &Round,
        entries: &[ReceivedNode],
    ) -> Result<Option<Prepared>, CoreError> {
        // Between the put and the index that names the nodes.
        let _lease = self.parts.store.lease();
        let prepared = match round.is_empty() {
            true => None,
            false => Some(self.prepare(round)?),
        };
        let blocks = self.round_blocks(prepared.as_ref(), entries)?;
        let late = &self.parts.late;
        let taken = match late.take(&blocks) {
            Some(taken) => taken,
            None => {
                self.parts.store.put(blocks).await?;
                LateBlocks::default()
            }
        };
        tokio::task::block_in_place(|| -> Result<(), CoreError> {
            let round = (prepared.as_ref(), entries, self.diverged.as_slice());
            for (computation, member) in self.parts.state.append_with(round, &taken)? {
                tracing::warn!(gate = %computation.gate, %member, "this member signed two results for one gate");
            }
            Ok(())
        })?;
        late.written(taken);
        Ok(prepared)
    }

    /// There is no signature for this round now: it is the next one again, when the signer is asked the next time.
    fn wait_for_signer(&mut self, round: Round) {
        self.ring.waiting.put_back(round);
        let pause = self.signer_pauses.failed(rand::random());
        self.unsigned = Some(Instant::now() + pause);
    }

    /// Waits for the disk, or for the store, if waiting can help; otherwise the member stops.
    fn postpone(
        &mut self,
        round: Round,
        entries: Vec<ReceivedNode>,
        error: CoreError,
    ) -> Result<(), CoreError> {
        if !error.is_transient() {
            return Err(error);
        }
        self.ring.waiting.put_back(round);
        self.entries = entries;
        self.pause(&error);
        Ok(())
    }

    fn next_round(&mut self) -> Round {
        match self.must_be_silent() {
            true => Round::default(),
            false => self.ring.waiting.take(),
        }
    }

    /// Signs the round by the rules of the protocol's journal.
    fn prepare(&self, round: &Round) -> Result<Prepared, CoreError> {
        let journal = self.parts.state.journal()?;
        let (form, epoch) = (self.parts.keys.form(), self.parts.member.epoch());
        let sealing = match &*form {
            LogForm::Open(domain) => Sealing::Open(domain),
            LogForm::Private(keys) => Sealing::Private { keys, epoch },
        };
        let (refs, time) = (self.refs(), clock::known_seconds());
        let key = &self.parts.key;
        Ok(prepare_round(&journal, round, refs, time, sealing, key)?)
    }

    /// The heads of the other members' logs, sorted by their bytes as log nodes require.
    fn refs(&self) -> Vec<cid::Cid> {
        let others = self
            .replicas
            .iter()
            .filter(|(author, _)| **author != self.me);
        let tips = others.filter_map(|(_, replica)| replica.tip());
        let mut refs: Vec<_> = tips.map(|tip| node_cid(tip.digest)).collect();
        refs.sort_by_key(cid::Cid::to_bytes);
        refs.truncate(MAX_REFS);
        refs
    }

    /// The blocks of all nodes of this round, of the requests in them, and of ring nodes that are proposed in it.
    fn round_blocks(
        &self,
        prepared: Option<&Prepared>,
        entries: &[ReceivedNode],
    ) -> Result<Vec<Block>, StoreError> {
        let own = prepared
            .and_then(|prepared| prepared.to_store())
            .map(|(node, _)| node);
        let nodes = own
            .into_iter()
            .chain(entries.iter().map(|entry| &entry.node));
        let mut blocks = Vec::new();
        for node in nodes {
            blocks.push(block(node)?);
            blocks.extend(request_blocks(node)?);
        }
        // Pages of ring nodes that this member proposes go with the node that carries the proposal.
        if own.is_some() {
            blocks.extend_from_slice(&self.ring.blocks);
        }
        Ok(blocks)
    }

    async fn speak(&mut self, prepared: Prepared) -> Result<(), CoreError> {
        // A refusal by the journal means that this machine computed something else than before from the same inputs. The
        // journal is the last defence, so the log says it as an error.
        for refusal in &prepared.refused {
            tracing::error!(
                gate = %refusal.computation.gate, signed = %refusal.signed, refused = %refusal.refused,
                "this member signed another result for this gate before, and does not sign this one"
            );
            self.parts.member.refused(refusal.computation);
        }
        for key in &prepared.refused_requests {
            tracing::error!(request = %key.request, "this member voted for another result of this request before, and does not vote for this one");
        }
        // Only here does the signed node come out of `Prepared`: the caller states by this call that it is on disk.
        let Some((node, votes)) = prepared.committed() else {
            return Ok(());
        };
        self.replicas.entry(self.me).or_default().advance(&node);
        self.parts.shared.wrote(&votes);
        let peers = self.parts.shared.connected_members().len();
        for vote in &votes {
            tracing::info!(gate = %vote.computation().gate, result = %vote.outputs.result(), epoch = vote.epoch, peers, "voted");
        }
        if let Err(error) = self
            .parts
            .network
            .publish(Bytes::copy_from_slice(node.bytes()))
            .await
        {
            // Members that connect later compare heads, and request the node then.
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "no member is connected to receive a log node now"
            );
        }
        self.count(self.me, votes)?;
        self.hear(&node)
    }
}

/// Whether a moment is still to come.
fn is_to_come(moment: Instant) -> bool {
    Instant::now() < moment
}

fn block(node: &LogNode) -> Result<Block, rings_store::StoreError> {
    Block::new(node.cid(), Bytes::copy_from_slice(node.bytes()))
}

/// The requests in a node, each as a block of its own: by its digest anybody finds what was asked, also when this member
/// has forgotten the request.
fn request_blocks(node: &LogNode) -> Result<Vec<Block>, StoreError> {
    let messages = node.content().body.iter();
    let requests = messages.filter_map(|message| Request::from_message(message).ok().flatten());
    let bytes = requests.filter_map(|request| request.to_bytes().ok());
    bytes
        .map(|bytes| Block::new(node_cid(sha256(&bytes)), bytes.into()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::{
        crypto::SecretKey,
        eip712::Domain,
        log::{seal, OwnLog, Tip},
        Address, Digest,
    };
    use std::convert::Infallible;

    struct Empty;

    impl OwnLog for Empty {
        type Error = Infallible;
        fn tip(&self) -> Result<Option<Tip>, Infallible> {
            Ok(None)
        }
        fn digest_at(&self, _: u64) -> Result<Option<Digest>, Infallible> {
            Ok(None)
        }
    }

    #[test]
    fn a_request_is_a_block_that_its_digest_names() {
        let ring = Address([7; 20]);
        let request = |nonce| Request {
            ring,
            chain: 31337,
            profile: "p".into(),
            operation: Digest([1; 32]),
            inputs: vec![],
            nonce,
            until: 9,
        };
        let key = SecretKey::from_bytes(&[5; 32]).unwrap();
        let other = rings_protocol::assembly::Choice {
            slot: Digest([1; 32]),
            choice: Digest([2; 32]),
        };
        let asked = [1, 2].map(|nonce| request(nonce).to_message().unwrap());
        let body = [&asked[..], &[other.to_message()]].concat();
        let domain = Domain::new(31337, ring);
        let node = seal(&Empty, body, vec![], None, &domain, &key).unwrap();
        let blocks = request_blocks(&node).unwrap();
        assert_eq!(blocks.len(), 2);
        for (block, nonce) in blocks.iter().zip([1, 2]) {
            let digest = request(nonce).digest().unwrap();
            assert_eq!(*block.cid(), node_cid(digest));
            assert_eq!(Request::from_bytes(block.data()), Ok(request(nonce)));
        }
    }
}
