//! Logs of other members.

use super::*;
use crate::state::{ReceivedNode, Usage};
use rings_protocol::log::{seal, Beginning, LogNode, OwnLog, Tip};
use std::convert::Infallible;

struct Log(Vec<LogNode>);

impl OwnLog for Log {
    type Error = Infallible;
    fn tip(&self) -> Result<Option<Tip>, Infallible> {
        Ok(self.0.last().map(LogNode::tip))
    }
    fn digest_at(&self, seq: u64) -> Result<Option<Digest>, Infallible> {
        Ok(self.0.get(seq as usize).map(LogNode::digest))
    }
}

/// A log of so many nodes.
pub fn log_of(author: &SecretKey, length: usize) -> Vec<LogNode> {
    let mut log = Log(Vec::new());
    for time in 0..length as u64 {
        let node = seal(&log, vec![], vec![], Some(time), &domain(), author).unwrap();
        log.0.push(node);
    }
    log.0
}

/// A copy of it that begins at a head.
pub fn beginning(nodes: &[LogNode], at: usize) -> Beginning {
    let (head, author) = (nodes[at].clone(), nodes[at].author());
    let mut beginning = Beginning::at(head, nodes[at].digest(), author).unwrap();
    while let Some(wanted) = beginning.wanted() {
        let node = nodes.iter().find(|node| node.digest() == wanted);
        beginning.add(node.unwrap()).unwrap();
    }
    beginning
}

/// A node as it is stored.
pub fn received(node: &LogNode) -> ReceivedNode {
    ReceivedNode {
        node: node.clone(),
        votes: vec![],
        usage: Usage::default(),
        duties: vec![],
    }
}
