//! Copies of logs that begin at a head on chain.

use super::*;
use crate::{
    serve::{LogShelf, ServeError},
    state::Usage,
};
use rings_protocol::log::{seal, Beginning, Offer, Replica, Tip};
use rings_store::{Block, StoreConfig};
use std::{convert::Infallible, sync::Arc};

/// The length of the other's log, and where the copy begins.
const LENGTH: u64 = 40;
const HEAD: u64 = 21;

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

fn log_of(author: &SecretKey) -> Vec<LogNode> {
    let mut log = Log(Vec::new());
    for time in 0..LENGTH {
        let node = seal(&log, vec![], vec![], Some(time), &domain(), author).unwrap();
        log.0.push(node);
    }
    log.0
}

fn beginning(nodes: &[LogNode]) -> Beginning {
    let head = nodes[HEAD as usize].clone();
    let (named, author) = (head.digest(), head.author());
    let mut beginning = Beginning::at(head, named, author).unwrap();
    while let Some(wanted) = beginning.wanted() {
        let node = nodes.iter().find(|node| node.digest() == wanted);
        beginning.add(node.unwrap()).unwrap();
    }
    beginning
}

fn received(node: &LogNode) -> ReceivedNode {
    ReceivedNode {
        node: node.clone(),
        votes: vec![],
        usage: Usage::default(),
        duties: vec![],
    }
}

#[tokio::test]
async fn a_part_of_a_log_is_held_and_given_as_a_part() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("blocks.redb");
    let config = StoreConfig::Embedded { path };
    let store = rings_store::open(&config).await.unwrap();
    let author = SecretKey::from_bytes(&[4; 32]).unwrap();
    let nodes = log_of(&author);
    let other = author.address();
    let state = open(&directory).unwrap();
    let beginning = beginning(&nodes);
    assert!(state.begin_log(&beginning).unwrap());
    // A crash before the head was written: it may begin again.
    drop(state);
    let state = Arc::new(open(&directory).unwrap());
    assert_eq!(state.tip(other).unwrap(), None);
    assert!(state.begin_log(&beginning).unwrap());

    let mut replica = Replica::new(beginning.before());
    for node in &nodes[HEAD as usize..] {
        let offer = replica.offer(node, |seq| state.node_at(other, seq).unwrap());
        assert_eq!(offer, Offer::Next, "{}", node.seq());
        replica.advance(node);
        let block = Block::new(node.cid(), node.bytes().to_vec().into()).unwrap();
        store.put(vec![block]).await.unwrap();
        state.append(None, &[received(node)], &[]).unwrap();
    }
    assert!(
        !state.begin_log(&beginning).unwrap(),
        "some of it is held now"
    );
    assert_eq!(state.held_from(other).unwrap(), HEAD);
    assert_eq!(state.held_from(key().address()).unwrap(), 0);
    assert_eq!(state.all_held_from().unwrap(), [(other, HEAD)].into());

    let shelf = LogShelf {
        store,
        state: Arc::clone(&state),
    };
    let given = shelf.nodes(other, HEAD).await.unwrap();
    assert_eq!(given.len() as u64, LENGTH - HEAD);
    for before in [0, 1, HEAD - 1] {
        let refused = shelf.nodes(other, before).await;
        assert!(
            matches!(refused, Err(ServeError::NotKept { .. })),
            "no range with a gap from {before}"
        );
    }
    // What somebody asked for is remembered, and only what is before the part that is held.
    let asked = [7, HEAD].map(|seq| (seq, nodes[seq as usize].digest()));
    state.learn_earlier(other, &asked).unwrap();
    assert_eq!(state.earlier_from(other, 7).unwrap(), Some(asked[0]));
    assert_eq!(state.node_at(other, 7).unwrap(), Some(asked[0].1));
    let all = state.earlier_after(None, 100).unwrap();
    assert!(all
        .iter()
        .all(|(author, seq, _)| *author == other && *seq < HEAD));
    let (_, last, _) = all[all.len() - 1];
    assert_eq!(state.earlier_after(Some((other, last)), 9).unwrap(), []);
}
