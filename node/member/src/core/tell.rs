//! What the core tells those who subscribe at the HTTP side: logs that grow, and what happens to gates.
//!
//! It is told after it is on disk, so whoever looks then finds it. Nothing is told while nobody listens.

use super::Core;
use crate::{clock, state::ReceivedNode};
use rings_api::notices::{GateChange, GateNotice, HeadNotice, Notice};
use rings_chain::ChainEvent;
use rings_protocol::{gate::FAILURE_PIN, log::LogNode, Address};
use std::collections::BTreeMap;

impl Core {
    /// Nodes of the logs of this ring are on disk.
    pub(super) fn tell_heads(&self, own: Option<&LogNode>, entries: &[ReceivedNode]) {
        if !self.parts.news.is_heard() {
            return;
        }
        let nodes = own
            .into_iter()
            .chain(entries.iter().map(|entry| &entry.node));
        let mut newest = BTreeMap::<Address, &LogNode>::new();
        for node in nodes {
            let known = newest.entry(node.author()).or_insert(node);
            if known.seq() < node.seq() {
                *known = node;
            }
        }
        let (ring, since) = (self.parts.domain.ring, clock::milliseconds());
        for (member, node) in newest {
            self.parts.news.tell(Notice::Heads(HeadNotice {
                ring,
                member,
                seq: node.seq(),
                head: node.digest(),
                since,
            }));
        }
    }

    /// A member's vote is on disk.
    pub(super) fn tell_vote(&self, gate: Address, member: Address) {
        self.tell_gate(gate, GateChange::Voted, Some(member));
    }

    /// An event of the chain is on disk.
    pub(super) fn tell_event(&self, event: &ChainEvent) {
        match event {
            ChainEvent::GateRequested { gate, .. } => {
                self.tell_gate(*gate, GateChange::Made, None);
            }
            ChainEvent::OutputsRegistered { gate, pins, .. } => {
                let change = match pins.contains(&FAILURE_PIN) {
                    true => GateChange::Failed,
                    false => GateChange::Resolved,
                };
                self.tell_gate(*gate, change, None);
            }
            _ => {}
        }
    }

    fn tell_gate(&self, gate: Address, change: GateChange, member: Option<Address>) {
        let notice = GateNotice {
            gate,
            change,
            member,
        };
        self.parts.news.tell(Notice::Gates(notice));
    }
}
