//! Registers ring nodes that two thirds have endorsed, with one transaction each.
//!
//! The proposer sends at once; the others have their turns when it does not. Who comes too late finds that before it
//! pays, because the gas is estimated. After a failure a member pauses, twice as long each time, so that the others
//! have their turns.
//!
//! An `Errand` is one attempt, in a task of its own: has the ring node been registered already, send, wait. How it
//! [`Ended`] comes back through the inbox. Success is not concluded from that: only the chain's event moves the ring
//! log on.

use super::{
    input::{report, Ended, Input},
    Core,
};
use rings_api::with_causes;
use rings_chain::{calls, Call, Chain, ChainError, Submitted, Submitter};
use rings_protocol::{assembly::NodeRegistration, cids::keccak256, Address, Digest};
use std::{sync::Arc, time::Duration};

/// Longest pause after a registration that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// How often that pause is doubled.
const MAX_DOUBLINGS: u32 = 10;

impl Core {
    /// Sends a ring node.
    pub(super) fn register(&mut self, registration: NodeRegistration) {
        let (number, node) = (registration.number, registration.node);
        let attempt = self.ring.attempts.entry(node).or_default();
        *attempt += 1;
        let signatures = registration.signatures.len();
        tracing::info!(number, %node, signatures, attempt, "a ring node is endorsed: it is this member's turn to send it");
        let ring = self.parts.domain.ring;
        let failures = self.ring.failures.min(MAX_DOUBLINGS);
        let errand = Errand {
            submitter: Arc::clone(&self.parts.submitter),
            chain: self.parts.chain.clone(),
            ring,
            number,
            turn: self.parts.turn,
            pause: self
                .parts
                .turn
                .saturating_mul(1 << failures)
                .min(LONGEST_PAUSE),
            purpose: purpose(&registration, *attempt),
            call: calls::register_ring_node(ring, &registration),
        };
        let outbox = self.parts.outbox.clone();
        tokio::spawn(async move {
            let ended = errand.run().await;
            let input = Input::RingNodeSubmitted {
                number,
                node,
                ended,
            };
            report(&outbox, input).await;
        });
    }

    /// A registration has ended, in whatever way. Each failure in a row makes the pause before the next one longer, so
    /// that a member whose transactions fail does not send them without end.
    pub(super) fn on_ring_node_submitted(&mut self, number: u64, node: Digest, ended: &Ended) {
        match ended {
            Ended::Mined => tracing::debug!(number, "the ring node that was sent is in a block"),
            Ended::Foreseen => tracing::debug!(number, "another ring node has this number"),
            Ended::Failed(reason) => {
                tracing::warn!(
                    number,
                    reason,
                    "the ring node could not be sent; others have their turn"
                );
            }
            Ended::Unpaid(reason) => {
                tracing::warn!(
                    number,
                    reason,
                    "this member cannot pay for the ring node that it is to register"
                );
                self.found_poor();
            }
            Ended::Refused(reason) | Ended::Reverted(reason) => {
                tracing::warn!(
                    number,
                    reason,
                    "the ring node was refused; another one is proposed"
                );
                // Heads or the epoch may be others than this member believes.
                self.read_membership_again();
            }
        }
        if !matches!(ended, Ended::Mined | Ended::Foreseen) {
            self.ring.failures = self.ring.failures.saturating_add(1);
        }
        // If the number is taken by now, there is nothing to send again.
        if self.ring.assembler.next() == number {
            let now = self.now();
            self.ring.assembler.registration_failed(node, now);
            self.ring.changed();
        }
    }
}

/// Names one attempt at one registration: the submitter's journal gives the same answer for the same purpose.
fn purpose(registration: &NodeRegistration, attempt: u64) -> Digest {
    let moves = registration.moves.iter();
    let moves: Vec<u8> = moves
        .flat_map(|(member, before, after)| [&member.0[..], &before.0, &after.0].concat())
        .collect();
    let signers = registration.signatures.iter();
    let signers: Vec<u8> = signers.flat_map(|(signer, _)| signer.0).collect();
    let parts = [
        b"register ring node".as_slice(),
        &registration.number.to_be_bytes(),
        &registration.node.0,
        &attempt.to_be_bytes(),
        &moves,
        &signers,
    ];
    keccak256(&parts.concat())
}

/// One attempt.
struct Errand {
    submitter: Arc<Submitter>,
    chain: Chain,
    ring: Address,
    /// The number of the ring node.
    number: u64,
    /// How long each member has for its try.
    turn: Duration,
    /// How long nothing is tried after a failure: others have their turns meanwhile.
    pause: Duration,
    /// What names this attempt in the submitter's journal.
    purpose: Digest,
    call: Call,
}

impl Errand {
    /// Makes the attempt, and waits: a turn, so that the event can be read; after a failure longer each time, for each try
    /// adds to the logs.
    async fn run(self) -> Ended {
        let ended = self.attempt().await;
        let pause = match ended {
            Ended::Mined | Ended::Foreseen => self.turn,
            Ended::Refused(_) | Ended::Reverted(_) | Ended::Failed(_) | Ended::Unpaid(_) => {
                self.pause
            }
        };
        tokio::time::sleep(pause).await;
        ended
    }

    async fn attempt(&self) -> Ended {
        match self.is_registered().await {
            Ok(true) => return Ended::Foreseen,
            Ok(false) => {}
            Err(error) => return Ended::Failed(with_causes(&error)),
        }
        let sent = self.submitter.submit(self.purpose, self.call.clone()).await;
        let reason = match sent {
            Ok(Submitted::Mined { .. }) => return Ended::Mined,
            Ok(Submitted::Reverted { reason, .. }) | Err(ChainError::Reverted { reason }) => reason,
            Err(error @ ChainError::InsufficientFunds { .. }) => {
                return Ended::Unpaid(error.to_string());
            }
            Err(error) => return Ended::Failed(with_causes(&error)),
        };
        match self.is_registered().await {
            // Somebody else was faster: that is success.
            Ok(true) => Ended::Foreseen,
            _ => Ended::Reverted(reason),
        }
    }

    /// Whether a ring node of this number is on chain.
    async fn is_registered(&self) -> Result<bool, ChainError> {
        Ok(self.chain.ring_node_count(self.ring).await? > self.number)
    }
}
