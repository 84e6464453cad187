//! Whether a node of another member is held: what it costs its author.
//!
//! A node that contains only what others have asked of its author (votes that are waited for, its part in the next ring
//! node) is free. Everything else counts against the author's quota of the day ([`super::quota`]). Without this a
//! member could fill the disks of all others.

use super::{
    quota::{today, FREE_MESSAGES, HELD_BACK},
    requests::{said, Said},
    Core, CoreError,
};
use crate::state::{Cost, Duty, Usage};
use rings_protocol::{log::LogNode, message::Vote, Address};
use std::{collections::BTreeMap, time::Instant};

impl Core {
    /// Whether the node of another member may be held: what is counted for its author then, and the duties that it does.
    pub(super) fn admit(
        &mut self,
        node: &LogNode,
    ) -> Result<Option<(Usage, Vec<Duty>)>, CoreError> {
        let author = node.author();
        let own = author == self.me;
        let duties = match own {
            true => Vec::new(),
            false => self.duties(node)?,
        };
        // Nodes of the own log come back after a loss, and must all be held.
        let cost = match own || self.is_asked_for(node, &duties)? {
            true => Cost::default(),
            false => Cost {
                nodes: 1,
                bytes: node.bytes().len() as u64,
            },
        };
        let usage = self.quotas.charge(author, today(), cost);
        match usage {
            Some(_) => {
                for duty in &duties {
                    *self.quotas.fresh.entry((author, *duty)).or_default() += 1;
                }
                self.quotas.waits.remove(&author);
                if self.parts.shared.hold_back(author, None) {
                    tracing::info!(member = %author, "its log is held further again");
                }
            }
            None => self.hold_back(author, node.seq()),
        }
        Ok(usage.map(|usage| (usage, duties)))
    }

    /// What the messages of a node are for, as far as others may have asked for them. What is malformed is for nothing.
    fn duties(&self, node: &LogNode) -> Result<Vec<Duty>, CoreError> {
        let mut duties = Vec::new();
        for message in &node.content().body {
            if let Ok(Some(vote)) = Vote::from_message(message) {
                duties.push(Duty::Gate(vote.gate));
                continue;
            }
            match said(message) {
                Ok(Said::Vote(vote)) => duties.push(Duty::Request(vote.key.request)),
                Ok(Said::Proposal(_) | Said::Endorsement(_) | Said::Choice(_)) => {
                    duties.push(Duty::RingNode(self.parts.state.ring_node_count()?));
                }
                Ok(Said::Request(_) | Said::Nothing) | Err(_) => {}
            }
        }
        Ok(duties)
    }

    /// Stops holding a member's log for a while, and says so once.
    fn hold_back(&mut self, author: Address, seq: u64) {
        self.quotas.waits.insert(author, Instant::now() + HELD_BACK);
        if self.parts.shared.hold_back(author, Some(seq)) {
            tracing::warn!(
                member = %author, seq,
                "the log of this member has used up its quota for today, and is not held further; [store] author_daily_nodes and author_daily_bytes raise it"
            );
        }
    }

    /// Whether the node has nothing but what others have asked of its author, and not too much of it.
    fn is_asked_for(&self, node: &LogNode, duties: &[Duty]) -> Result<bool, CoreError> {
        // One message that nobody asked for makes the whole node count, or it would ride free beside a vote.
        if duties.is_empty() || duties.len() != node.content().body.len() {
            return Ok(false);
        }
        let mut here: BTreeMap<Duty, u64> = BTreeMap::new();
        for duty in duties {
            *here.entry(*duty).or_default() += 1;
        }
        for (duty, count) in here {
            let fresh = self.quotas.fresh.get(&(node.author(), duty));
            let written = self.parts.state.duty(node.author(), duty)?;
            // What is on disk, what this round took in before, and what this node has. `None`: it is nobody's duty.
            let all = written.map(|written| written + fresh.copied().unwrap_or(0) + count);
            if all.is_none_or(|all| all > FREE_MESSAGES) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
