//! Registers results that two thirds have signed: usually with one transaction for each result.
//!
//! Members have their turns in an order that follows from the gate. A member whose turn it is asks whether the contract would take
//! the registration, behind the transactions that wait in the pool. So nothing is paid for a registration of a gate that has its
//! result, or with votes of an epoch that is over. The first in the order asks only whether the gate has its result, which takes
//! the chain less time, unless the membership changed a moment ago. After another turn each asks again, until the chain's events
//! say that the gate has its result.
//!
//! The state machine says when the turn has come (`Effect::Submit`); an `Errand` makes one attempt in a task of its
//! own, and how it [`Ended`] comes back through the inbox. Each attempt has a purpose, a digest, under which the
//! submitter's journal remembers the transaction: the same purpose, also after a crash or a reorganisation, is the same
//! transaction. Only after a failure has the next attempt another purpose. Losing the race is success, so
//! [`Ended::Foreseen`] is no failure.

use super::{
    input::{report, Ended, Input},
    Core,
};
use crate::counters::SubmissionOutcome;
use rings_api::with_causes;
use rings_chain::{calls, Call, Chain, ChainError, Submitted, Submitter};
use rings_protocol::{
    cids::keccak256, gate::Computation, member::Registration, quorum::submitters, Address, Digest,
};
use std::{sync::Arc, time::Duration};

impl Core {
    /// Sends a registration, in a task of its own. After a failure it has another purpose, so that the submitter's journal
    /// takes it for a new transaction and not for the one that failed. If the transaction was in a block that was
    /// reorganised away, the purpose is the same, so that the submitter sends that transaction again and no second one.
    pub(super) fn submit(&mut self, registration: &Registration) {
        let computation = registration.computation;
        let (account, needed) = (self.poor_account(), self.cost().needed);
        let attempts = self.attempts.entry(computation).or_default();
        attempts.begun += 1;
        let order = submitters(computation.gate, self.parts.member.members());
        let errand = Errand {
            submitter: Arc::clone(&self.parts.submitter),
            chain: self.parts.chain.clone(),
            gate: computation.gate,
            is_expected: attempts.begun == 1
                && order.first() == Some(&self.me)
                && !self.reading.is_recent(),
            turn: self.parts.turn,
            account,
            needed,
            purpose: purpose(registration, attempts.failed + 1),
            me: self.me,
            call: call(self.parts.domain.ring, registration),
        };
        let outbox = self.parts.outbox.clone();
        tokio::spawn(async move {
            let ended = errand.run().await;
            report(&outbox, Input::Submitted { computation, ended }).await;
        });
    }

    pub(super) fn on_submitted(&mut self, computation: Computation, ended: Ended) {
        let gate = computation.gate;
        self.parts.shared.counters.submission(outcome(&ended));
        if !matches!(ended, Ended::Mined | Ended::Foreseen | Ended::Refused(_)) {
            self.attempts.entry(computation).or_default().failed += 1;
        }
        match &ended {
            Ended::Mined => tracing::info!(%gate, "submitted: the registration is on chain"),
            Ended::Foreseen => {
                tracing::debug!(%gate, "another member has registered it");
                self.parts.member.came_too_early();
            }
            Ended::Failed(reason) => {
                tracing::warn!(%gate, reason, "the registration could not be sent; it is tried again after the others' turns");
            }
            Ended::Unpaid(reason) => {
                tracing::warn!(%gate, reason, "this member cannot pay for the registration: the others have their turns");
                self.found_poor();
                // What the others have decides whose turn comes next.
                self.ask_funds_of_submitters(gate);
            }
            Ended::Refused(reason) => {
                tracing::debug!(%gate, reason, "the contract would refuse the registration, so it was not sent; it is tried again after the others' turns");
                self.read_membership_again();
            }
            Ended::Reverted(reason) => {
                tracing::warn!(%gate, reason, "the registration was refused; it is tried again after the others' turns");
                // The signatures may be for an epoch that is over, or that does not exist on this branch.
                self.read_membership_again();
            }
        }
        // If the chain's events have told the result already, this changes nothing.
        let now = self.now();
        self.parts.member.submission_failed(computation, now);
    }
}

fn outcome(ended: &Ended) -> SubmissionOutcome {
    match ended {
        Ended::Mined => SubmissionOutcome::Mined,
        Ended::Foreseen => SubmissionOutcome::Foreseen,
        Ended::Reverted(_) => SubmissionOutcome::Reverted,
        Ended::Refused(_) | Ended::Failed(_) | Ended::Unpaid(_) => SubmissionOutcome::Failed,
    }
}

/// The call of the contract. The votes ascend by their signers, as it wants the signatures.
fn call(ring: Address, registration: &Registration) -> Call {
    let signatures: Vec<_> = registration
        .votes
        .iter()
        .map(|(_, vote)| vote.signature)
        .collect();
    let (pins, cids) = (registration.outputs.pins(), registration.outputs.cids());
    let gate = registration.computation.gate;
    calls::register_outputs(ring, gate, &pins, &cids, &signatures)
}

/// Names one attempt at one registration: the submitter's journal gives the same answer for the same purpose.
fn purpose(registration: &Registration, attempt: u64) -> Digest {
    let Computation { gate, inputs } = registration.computation;
    let parts = [
        b"register".as_slice(),
        &gate.0,
        &inputs.0,
        &registration.epoch.to_be_bytes(),
        &attempt.to_be_bytes(),
        &registration.outputs.result().0,
    ];
    keccak256(&parts.concat())
}

/// One attempt.
struct Errand {
    submitter: Arc<Submitter>,
    chain: Chain,
    gate: Address,
    /// Nobody else has had a turn, and the membership has not changed lately.
    is_expected: bool,
    /// How long each member has for its try.
    turn: Duration,
    /// This member's account, if it could not pay when it was looked at last: then it is looked at first.
    account: Option<Address>,
    /// What the registration costs, in wei.
    needed: u128,
    /// What names this attempt in the submitter's journal.
    purpose: Digest,
    /// Who sends it.
    me: Address,
    call: Call,
}

impl Errand {
    /// Makes the attempt. If the gate should have its result now, it waits for a turn, so that the event can be read. If
    /// the gate is still open then, the block was reorganised away.
    async fn run(self) -> Ended {
        let ended = self.attempt().await;
        if matches!(ended, Ended::Mined | Ended::Foreseen) {
            tokio::time::sleep(self.turn).await;
        }
        ended
    }

    async fn attempt(&self) -> Ended {
        if let Some(unpaid) = self.unpaid().await {
            return unpaid;
        }
        if let Some(ended) = self.foreseen().await {
            return ended;
        }
        match self.send().await {
            Ok(Submitted::Mined { .. }) => Ended::Mined,
            Ok(Submitted::Reverted { reason, .. }) => match self.has_result().await {
                // Somebody else was faster: that is success.
                true => Ended::Foreseen,
                false => Ended::Reverted(reason),
            },
            Err(ChainError::Reverted { reason }) => Ended::Reverted(reason),
            Err(error @ ChainError::InsufficientFunds { .. }) => Ended::Unpaid(error.to_string()),
            Err(error) => Ended::Failed(with_causes(&error)),
        }
    }

    /// Whether an account that could not pay still cannot. Nothing is signed for one that has nothing.
    async fn unpaid(&self) -> Option<Ended> {
        let account = self.account?;
        match self.chain.balance(account).await {
            Ok(wei) if wei >= self.needed => None,
            Ok(_) => {
                let message = "its balance is too small".into();
                let error = ChainError::InsufficientFunds { account, message };
                Some(Ended::Unpaid(error.to_string()))
            }
            Err(error) => Some(Ended::Failed(with_causes(&error))),
        }
    }

    /// Sends it. If it reverts although the gate has no result, sends it once more with the chain's own estimate of the
    /// gas.
    async fn send(&self) -> Result<Submitted, ChainError> {
        let first = self.submitter.submit(self.purpose, self.call.clone()).await;
        let reverted = matches!(first, Ok(Submitted::Reverted { .. }));
        match reverted && !self.has_result().await {
            true => {
                let (purpose, call) = (self.purpose, self.call.clone());
                self.submitter.submit_bounded(purpose, call).await
            }
            false => first,
        }
    }

    /// How it ends without a transaction, if it does. Sending without knowing would often pay for one that reverts.
    async fn foreseen(&self) -> Option<Ended> {
        if self.is_expected {
            return match self.chain.is_resolved(self.gate).await {
                Ok(true) => Some(Ended::Foreseen),
                Ok(false) => None,
                Err(error) => Some(Ended::Failed(with_causes(&error))),
            };
        }
        match self.is_accepted().await {
            Ok(()) => None,
            Err(ChainError::Reverted { reason }) => Some(self.refused(reason).await),
            Err(error) => Some(Ended::Failed(with_causes(&error))),
        }
    }

    /// Whether the contract would take it now, behind what is in the pool. If the endpoint does not show its pool, only the
    /// chain head counts.
    async fn is_accepted(&self) -> Result<(), ChainError> {
        match self.chain.accepts(self.me, &self.call, true).await {
            Ok(()) => Ok(()),
            Err(error @ ChainError::Reverted { .. }) => Err(error),
            Err(_) => self.chain.accepts(self.me, &self.call, false).await,
        }
    }

    /// The contract would not take it: because the gate has its result, at the head or by a transaction in the pool, or
    /// for another reason.
    async fn refused(&self, reason: String) -> Ended {
        match self.chain.will_be_resolved(self.gate).await {
            Ok(true) => Ended::Foreseen,
            Ok(false) => Ended::Refused(reason),
            Err(error) => Ended::Failed(with_causes(&error)),
        }
    }

    async fn has_result(&self) -> bool {
        self.chain.is_resolved(self.gate).await.unwrap_or(false)
    }
}
