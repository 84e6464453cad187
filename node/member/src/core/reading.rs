//! Reads the membership from the chain, in a task of its own, until the answer is new enough.
//!
//! An event only says that the membership changed. What it is now is read as of one block, so that members, epoch and
//! the number of signatures needed fit each other. Readings are numbered: an answer that was asked for before the last
//! change is not used.

use super::input::{report, Input, Membership};
use rings_api::with_causes;
use rings_chain::{Chain, ChainError, RingState};
use rings_protocol::{backoff::Backoff, Address};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};
use tokio::{sync::mpsc, task::AbortHandle};

/// First and longest pause after the chain could not be asked, or an endpoint answered for an earlier block.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long after a change, or a reorganisation, the contract is asked before each registration whether it would take it.
const SETTLING: Duration = Duration::from_secs(10);

/// Which reading of the membership is under way, and from which block on its answer is good.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Counts the readings, so that the answer to an earlier one is ignored.
    pub number: u64,
    pub task: Option<AbortHandle>,
    /// The newest block in which something happened.
    pub block: u64,
    /// The highest epoch in an event since the last rewind.
    pub epoch: u64,
    /// When it is read again without a reason from outside.
    pub due: Option<Instant>,
    /// When it was begun; nothing for the one at the start.
    pub since: Option<Instant>,
}

impl Reading {
    /// Whether the membership changed a moment ago, or something did not fit it. Then votes may be of an epoch that is over.
    pub fn is_recent(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() < SETTLING)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// Reads the membership until there is an answer that is new enough.
pub(super) struct Reader {
    pub chain: Chain,
    pub ring: Address,
    /// Members whose contacts are known.
    pub known: BTreeSet<Address>,
    /// The number of this reading.
    pub number: u64,
    /// The answer must not be from an earlier block.
    pub block: u64,
    /// The answer must not be of an earlier epoch.
    pub epoch: u64,
}

impl Reader {
    /// Reads until an answer is new enough. A provider may lag behind the one that told of the event, so an answer from
    /// an older block is thrown away and asked for again.
    pub async fn run(self, outbox: mpsc::Sender<Input>) {
        let mut backoff = Backoff::new(PAUSE, LONGEST_PAUSE);
        while !outbox.is_closed() {
            match self.read().await {
                Ok(membership) if self.is_new_enough(&membership.ring) => {
                    return report(&outbox, Input::Membership(Box::new(membership))).await;
                }
                Ok(membership) => {
                    let (block, epoch) = (membership.ring.block, membership.ring.epoch);
                    tracing::debug!(
                        block,
                        epoch,
                        "the membership was read from a state of the chain that is too old"
                    );
                }
                Err(error) => {
                    let reason = with_causes(&error);
                    tracing::warn!(reason, "the membership cannot be read; it is tried again");
                }
            }
            tokio::time::sleep(backoff.failed(rand::random())).await;
        }
    }

    fn is_new_enough(&self, ring: &RingState) -> bool {
        ring.block >= self.block && ring.epoch >= self.epoch
    }

    /// Reads the ring's state, as of one block, and the contacts of members that are not known yet.
    async fn read(&self) -> Result<Membership, ChainError> {
        let ring = self.chain.ring_state(self.ring).await?;
        let mut contacts = Vec::new();
        for member in ring.members.iter().filter(|m| !self.known.contains(*m)) {
            if let Some(contact) = self.chain.contact(self.ring, *member).await? {
                contacts.push((*member, contact));
            }
        }
        Ok(Membership {
            number: self.number,
            ring,
            contacts,
        })
    }
}
