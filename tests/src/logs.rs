//! A member's log, read through JSON-RPC and followed from its first node with the rules of the protocol.

use rings_api::{views::LogPage, Client};
use rings_protocol::{
    eip712::Domain,
    log::{LogNode, Offer, Replica},
    message::Vote,
    Address, Digest,
};
use std::collections::BTreeMap;

/// Nodes asked for at once: few, so that paging is tested too.
const PAGE: u32 = 7;

/// A log without a gap, a fork or a wrong signature, and the votes in it.
#[derive(Debug, Clone)]
pub struct CheckedLog {
    /// Its author.
    pub member: Address,
    /// Its nodes, oldest first.
    pub nodes: Vec<LogNode>,
    /// What it voted, by gate.
    pub votes: BTreeMap<Address, Vec<Vote>>,
}

impl CheckedLog {
    /// The result it voted for at this gate, if it voted.
    pub fn result(&self, gate: Address) -> Option<Digest> {
        self.votes.get(&gate).map(|votes| votes[0].outputs.result())
    }
}

/// Reads the whole log of `member` from `client` and checks it: every node is signed by its author for this ring,
/// each links to the one before and to its skip target, and no gate has two results.
///
/// # Panics
/// When any of this does not hold.
pub async fn check_log(client: &Client, domain: &Domain, member: Address) -> CheckedLog {
    let (mut replica, mut nodes, mut votes) = (Replica::default(), Vec::new(), BTreeMap::new());
    let mut digests: Vec<Digest> = Vec::new();
    for bytes in read(client, domain.ring, member).await {
        let node = LogNode::open(&bytes, domain)
            .unwrap_or_else(|error| panic!("log of {member}: {error}"));
        assert_eq!(node.author(), member, "node {} is by another", node.seq());
        let offer = replica.offer(&node, |seq| digests.get(seq as usize).copied());
        assert_eq!(offer, Offer::Next, "node {} of {member}", node.seq());
        replica.advance(&node);
        digests.push(node.digest());
        collect(&node, domain, &mut votes);
        nodes.push(node);
    }
    CheckedLog {
        member,
        nodes,
        votes,
    }
}

fn collect(node: &LogNode, domain: &Domain, votes: &mut BTreeMap<Address, Vec<Vote>>) {
    for message in &node.content().body {
        let Some(vote) = Vote::from_message(message).unwrap() else {
            continue;
        };
        assert_eq!(
            vote.signer(domain),
            Some(node.author()),
            "a vote by another"
        );
        let of_gate = votes.entry(vote.gate).or_default();
        for before in of_gate.iter() {
            assert_eq!(
                before.outputs,
                vote.outputs,
                "{} signed two results",
                node.author()
            );
            assert_ne!(
                before.epoch,
                vote.epoch,
                "{} voted twice in an epoch",
                node.author()
            );
        }
        of_gate.push(vote);
    }
}

/// The bytes of all nodes, oldest first.
async fn read(client: &Client, ring: Address, member: Address) -> Vec<Vec<u8>> {
    let (mut nodes, mut from) = (Vec::new(), None);
    loop {
        let page: LogPage = client.log(ring, member, from, PAGE).await.unwrap();
        assert!(page.nodes.len() <= PAGE as usize);
        nodes.extend(page.nodes.into_iter().map(|entry| entry.bytes.0));
        from = page.next;
        if from.is_none() {
            nodes.reverse();
            return nodes;
        }
    }
}
