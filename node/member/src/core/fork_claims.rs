//! Brings the proofs of forks to the contract, which removes the author, or freezes its log.
//!
//! The proof shows no content: position, predecessor and the digest of the content, as they were signed twice. One member
//! sends it; the others have their turns in an order that follows from the author. Each looks at the chain before it sends,
//! and the gas is estimated, so nobody pays for what is proven already. After a reorganisation all of this begins again.

use super::{
    input::{report, Input},
    Core, CoreError,
};
use rings_api::with_causes;
use rings_chain::{calls, Call, Chain, ChainError, Submitted, Submitter};
use rings_protocol::{
    backoff::Backoff, cids::keccak256, log::ForkClaim, quorum::submitters, Address, Digest,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// Longest pause before a claim is sent again that could not be sent.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

impl Core {
    /// Brings all proofs that are on disk to the contract, as far as their authors are members.
    pub(super) fn claim_forks(&mut self) -> Result<(), CoreError> {
        if self.was_behind || !self.parts.member.is_member(self.me) {
            return Ok(());
        }
        for proof in self.parts.state.fork_proofs(&self.parts.keys.form())? {
            self.claim_fork(ForkClaim::of(&proof, &self.parts.domain), proof.author());
        }
        Ok(())
    }

    fn claim_fork(&mut self, claim: ForkClaim, author: Address) {
        let is_member = self.parts.member.is_member(author);
        if author == self.me || !is_member || !self.claimed.insert(author) {
            return;
        }
        // One claim is enough, and each costs a transaction, so members take turns in an order that all of them know.
        let order = submitters(author, self.parts.member.members());
        let others = order.into_iter().filter(|member| *member != author);
        let place = others.take_while(|member| *member != self.me).count();
        let errand = Errand {
            submitter: Arc::clone(&self.parts.submitter),
            chain: self.parts.chain.clone(),
            author,
            place: u32::try_from(place).unwrap_or(u32::MAX),
            turn: self.parts.turn,
            claim,
        };
        let outbox = self.parts.outbox.clone();
        tokio::spawn(async move {
            errand.run(&outbox).await;
            report(&outbox, Input::ForkClaimed(author)).await;
        });
    }

    /// A claim was brought to its end: the fork is proven, or its author is no member.
    pub(super) fn on_fork_claimed(&mut self, author: Address) {
        self.claimed.remove(&author);
    }
}

/// Brings one claim to the contract.
struct Errand {
    submitter: Arc<Submitter>,
    chain: Chain,
    /// Who signed two nodes for one position.
    author: Address,
    /// How many members' turns come before the own one.
    place: u32,
    /// How long each member has for its try.
    turn: Duration,
    /// The proof, as the contract takes it.
    claim: ForkClaim,
}

impl Errand {
    /// Waits for this member's turn, then sends the proof until it is accepted or needless.
    async fn run(self, outbox: &mpsc::Sender<Input>) {
        tokio::time::sleep(self.turn.saturating_mul(self.place)).await;
        let mut backoff = Backoff::new(self.turn, LONGEST_PAUSE);
        while !outbox.is_closed() {
            match self.attempt(backoff.failures()).await {
                Ok(()) => return,
                Err(error) => {
                    let (member, reason) = (self.author, with_causes(&error));
                    tracing::warn!(%member, reason, "the proof of a fork could not be sent; it is tried again");
                }
            }
            tokio::time::sleep(backoff.failed(rand::random())).await;
        }
    }

    /// Sends the claim, if it is not proven.
    async fn attempt(&self, number: u32) -> Result<(), ChainError> {
        let (ring, member, seq) = (self.claim.ring, self.author, self.claim.seq);
        if !self.chain.is_member(ring, member).await? || self.chain.is_frozen(ring, member).await? {
            return Ok(());
        }
        let sent = self
            .submitter
            .submit(self.purpose(number), self.call())
            .await;
        match sent {
            Ok(Submitted::Mined { .. }) => {
                tracing::warn!(%member, seq, "proved on chain that this member forked its log");
                Ok(())
            }
            // It was proven before, and the member has entered again; or somebody else was faster.
            Ok(Submitted::Reverted { reason, .. }) | Err(ChainError::Reverted { reason }) => {
                tracing::debug!(%member, seq, reason, "the contract does not take the proof of a fork");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn call(&self) -> Call {
        calls::prove_fork(self.claim.ring, &self.claim)
    }

    fn purpose(&self, number: u32) -> Digest {
        let random: u64 = rand::random();
        let parts = [
            b"prove fork".as_slice(),
            &self.claim.to_bytes(),
            &number.to_be_bytes(),
            // After a reorganisation, or a restart, the outcome of an earlier attempt says nothing.
            &random.to_be_bytes(),
        ];
        keccak256(&parts.concat())
    }
}
