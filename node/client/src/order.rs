//! The order in which the nodes of several logs are shown.

use rings_protocol::{cids::digest_of, log::LogNode, Address, Digest};
use std::collections::{BTreeMap, HashSet, VecDeque};

/// Puts nodes into an order in which none comes before one that it refers to, otherwise by time, then by author. Within a log
/// the order stays. References to nodes that are not among these are taken for older ones.
pub fn in_order(nodes: Vec<LogNode>) -> Vec<LogNode> {
    let mut waiting: HashSet<Digest> = nodes.iter().map(LogNode::digest).collect();
    let mut logs: BTreeMap<Address, VecDeque<LogNode>> = BTreeMap::new();
    for node in nodes {
        logs.entry(node.author()).or_default().push_back(node);
    }
    let mut ordered = Vec::with_capacity(waiting.len());
    while let Some(node) = next(&mut logs, &waiting) {
        waiting.remove(&node.digest());
        ordered.push(node);
    }
    ordered
}

/// Takes the first node of the log whose first node is due: it refers to nothing that waits, and has the least time. If none is
/// (nobody can make such nodes), the one with the least time.
fn next(
    logs: &mut BTreeMap<Address, VecDeque<LogNode>>,
    waiting: &HashSet<Digest>,
) -> Option<LogNode> {
    let heads = logs
        .iter()
        .filter_map(|(author, log)| Some((*author, log.front()?)));
    let (_, author) = heads
        .map(|(author, node)| ((!is_due(node, waiting), node.content().time), author))
        .min()?;
    logs.get_mut(&author)?.pop_front()
}

fn is_due(node: &LogNode, waiting: &HashSet<Digest>) -> bool {
    let mut refs = node.content().refs.iter();
    !refs.any(|link| digest_of(link).is_ok_and(|digest| waiting.contains(&digest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Log, Secrecy};
    use rings_protocol::{crypto::SecretKey, eip712::Domain};

    #[test]
    fn an_answer_comes_behind_its_question_whatever_the_clocks_say() {
        let domain = Domain::new(1, Address([7; 20]));
        let key = |n: u8| SecretKey::from_bytes(&[n; 32]).unwrap();
        let mut alice = Log::new(domain, Secrecy::Open);
        let mut bob = Log::new(domain, Secrecy::Open);
        alice.append(&key(1), vec![], &[], Some(100)).unwrap();
        // Bob's clock is behind by a minute.
        bob.append(&key(2), vec![], &[alice.head()], Some(40))
            .unwrap();
        alice
            .append(&key(1), vec![], &[bob.head()], Some(101))
            .unwrap();
        bob.append(&key(2), vec![], &[], Some(41)).unwrap();
        let strange = Digest([9; 32]);
        bob.append(&key(2), vec![], &[strange], Some(200)).unwrap();
        let nodes = bob.nodes().iter().chain(alice.nodes()).cloned();
        let ordered = in_order(nodes.collect());
        let places: Vec<_> = ordered
            .iter()
            .map(|node| (node.author() == key(1).address(), node.seq()))
            .collect();
        let expected = [(true, 0), (false, 0), (false, 1), (true, 1), (false, 2)];
        assert_eq!(places, expected);
    }
}
