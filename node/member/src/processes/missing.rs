//! Words that the ring has decided for, and that this member does not hold (`rings_process::missing`).

use super::{error::ProcessError, keeper::Processes};
use rings_process::{
    attempt::{Attempt, Stage},
    missing,
};
use rings_protocol::{Address, Digest};
use rings_store::StoreError;
use std::collections::BTreeMap;

impl Processes {
    /// Whether the ring has given up what it decided for in a slot.
    pub(super) fn is_given_up(&self, decided: Digest) -> Result<bool, ProcessError> {
        Ok(self.decided(missing::slot(decided))?.is_some())
    }

    /// This member does not hold what the ring decided for in a slot: it says so once that is late.
    pub(super) async fn misses(&self, decided: Digest) -> Result<(), ProcessError> {
        let choice = missing::choice(decided);
        if self.state.has_chosen(choice.slot)? {
            return Ok(());
        }
        let listed = self.parts.logs.listed(decided)?;
        let node = match listed {
            Some((number, _)) => self.parts.logs.ring_node(number)?,
            None => None,
        };
        let Some(node) = node else { return Ok(()) };
        let then = self.parts.chain.block(node.block).await?.timestamp;
        let head = self.parts.ring.head();
        let now = self.parts.chain.block(head).await?.timestamp;
        if !missing::is_late(then, now) {
            return Ok(());
        }
        tracing::warn!(slot = %decided, "nobody gives what the ring has decided for; it is to be given up");
        self.choose(&[choice]).await?;
        tokio::task::block_in_place(|| self.state.chosen(&[choice]))?;
        Ok(())
    }

    /// The attempts that can still be decided for: not those of members that are gone with what their connectors gave.
    pub(super) async fn attempts_held(
        &self,
        all: &BTreeMap<Address, Attempt>,
        here: &[Address],
    ) -> BTreeMap<Address, Attempt> {
        let mut held = BTreeMap::new();
        for (member, attempt) in all {
            let is_gone = match attempt.result.filter(|_| attempt.state == Stage::Answered) {
                Some(result) if !here.contains(member) => {
                    let read = self.file(&result).await;
                    matches!(read, Err(StoreError::NotFound { .. }))
                }
                _ => false,
            };
            if !is_gone {
                held.insert(*member, attempt.clone());
            }
        }
        held
    }
}
