//! Changes of processes that the ring decides: what this member would choose, and what ring nodes list.

use super::{error::ProcessError, keeper::Processes};
use crate::core::{Input, Saying};
use rings_process::words::{Activity, Change, VERSION};
use rings_protocol::{assembly::Choice, ringlog::Entry, Digest};
use tokio::sync::oneshot;

impl Processes {
    /// Writes what this member would choose into its log.
    pub(super) async fn choose(&self, choices: &[Choice]) -> Result<(), ProcessError> {
        let choices = self.parts.faults.distort_choices(choices);
        let messages = choices.iter().map(Choice::to_message).collect();
        let (done, written) = oneshot::channel();
        let saying = Saying { messages, done };
        self.send(Input::Say(saying)).await?;
        written.await.map_err(|_| ProcessError::Stopping)
    }

    /// Whether a ring node is so deep in the chain that it counts.
    pub(super) fn is_deep(&self, number: u64) -> Result<bool, ProcessError> {
        let node = self.parts.logs.ring_node(number)?;
        let confirmations = self.parts.confirmations;
        let head = self.parts.ring.head();
        Ok(node.is_some_and(|node| node.block.saturating_add(confirmations) <= head))
    }

    /// What the ring has decided for a slot, once that counts.
    pub(super) fn decided(&self, slot: Digest) -> Result<Option<Digest>, ProcessError> {
        match self.parts.logs.listed(slot)? {
            Some((node, Entry::Decision { choice, .. })) if self.is_deep(node)? => Ok(Some(choice)),
            _ => Ok(None),
        }
    }

    /// Takes in what ring nodes have decided about changes. Returns what has changed, and to what.
    pub(super) fn decide(&self) -> Result<Vec<(Digest, Activity)>, ProcessError> {
        let mut changed = Vec::new();
        for (installation, number, wanted) in self.state.wanted_changes()? {
            // The slot depends on the number alone, and not on what is wanted.
            let slot = Change {
                installation,
                number,
                to: Activity::Active,
                version: VERSION,
            }
            .slot();
            let Some(choice) = self.decided(slot)?.filter(|choice| *choice == wanted) else {
                continue;
            };
            let decided = || self.state.decided(installation, number, choice);
            if !tokio::task::block_in_place(decided)? {
                continue;
            }
            if let Some(installed) = self.state.installed(installation)? {
                let activity = installed.activity;
                tracing::info!(%installation, number, %activity, "the ring has decided how a process goes on");
                changed.push((installation, activity));
            }
        }
        Ok(changed)
    }
}
