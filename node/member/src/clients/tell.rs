//! What is told to those who subscribe at the HTTP side: avatars' logs that grow, and what became of actions.

use super::{keeper::Clients, refusal::view};
use rings_api::notices::{HeadNotice, MessageNotice, Notice};
use rings_protocol::{flush::FlushStatus, log::LogNode, Address, Digest};
use std::collections::BTreeMap;

impl Clients {
    /// Nodes of a ring are on disk, since `since` in milliseconds since 1970.
    pub(super) fn tell_heads(&self, ring: Address, nodes: &[LogNode], since: u64) {
        if !self.parts.news.is_heard() {
            return;
        }
        // The last one of an author in the plan is its newest: nodes are taken in oldest first.
        let newest: BTreeMap<_, _> = nodes.iter().map(|node| (node.author(), node)).collect();
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

    /// How far an action is, is on disk.
    pub(super) fn tell_message(
        &self,
        (ring, avatar): (Address, Address),
        msg_hash: Digest,
        status: &FlushStatus,
    ) {
        let message = view(msg_hash, status);
        self.parts.news.tell(Notice::Messages(MessageNotice {
            ring,
            avatar,
            message,
        }));
    }
}
