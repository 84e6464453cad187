//! Nodes of other members' logs behind the checkpoint.

use super::{
    others::{log_of, received},
    *,
};
use crate::{
    serve::{LogShelf, ServeError},
    state::RingNodeFact,
};
use rings_api::StoreKeeper;
use rings_protocol::{
    cids::node_cid,
    log::{log_keepers, skip_target, LogNode},
    ringlog::{Head, Position, RingNode},
};
use rings_store::{Block, StoreConfig};

/// The newest archived ring node.
const CHECKPOINT: u64 = 99;
/// The position of the head of the other's log in it, and the length of that log.
const HEAD: usize = 5;
const LENGTH: usize = 9;

async fn hold(store: &Arc<dyn BlockStore>, state: &MemberState, nodes: &[LogNode]) {
    let block = |node: &LogNode| Block::new(node.cid(), node.bytes().to_vec().into()).unwrap();
    store.put(nodes.iter().map(block).collect()).await.unwrap();
    let received: Vec<_> = nodes.iter().map(received).collect();
    state.append(None, &received, &[]).unwrap();
}

/// Ring nodes up to two behind the checkpoint. That before the checkpoint moves these heads, and the newest moves them on.
async fn ring_log(store: &Arc<dyn BlockStore>, state: &MemberState, logs: &[&[LogNode]]) {
    let mut nodes: Vec<RingNode> = Vec::new();
    for number in 0..=CHECKPOINT + 2 {
        let at = |number: u64| nodes.get(number as usize).map(RingNode::digest);
        let position = Position {
            number,
            epoch: 1,
            members_hash: Digest([1; 32]),
            prev: number.checked_sub(1).and_then(at),
            skip: skip_target(number).and_then(at),
        };
        let place = match number {
            number if number == CHECKPOINT - 1 => Some(HEAD),
            number if number == CHECKPOINT + 2 => Some(LENGTH - 1),
            _ => None,
        };
        let heads = place.into_iter().flat_map(|place| {
            logs.iter().map(move |log| Head {
                member: log[place].author(),
                head: log[place].digest(),
            })
        });
        let mut heads: Vec<_> = heads.collect();
        heads.sort_by_key(|head| head.member);
        let node = RingNode::build(position, vec![], heads).unwrap();
        let header = (node.digest(), node.header_bytes().to_vec());
        let blocks = node.pages().iter().cloned().chain([header]);
        let blocks = blocks.map(|(digest, bytes)| Block::new(node_cid(digest), bytes.into()));
        store
            .put(blocks.map(Result::unwrap).collect())
            .await
            .unwrap();
        let fact = RingNodeFact {
            node: node.digest(),
            prev: number.checked_sub(1).and_then(at).unwrap_or(Digest::ZERO),
            block: number + 1,
            transaction: Digest([2; 32]),
        };
        state
            .page(&[], &[fact], cursor(number + 1), &everybody)
            .unwrap();
        state.list(&node).unwrap();
        nodes.push(node);
    }
    state.finalise(CHECKPOINT + 3, &[]).unwrap();
}

/// Five members, of whom this one keeps the log of `author` whole, or not.
fn ring_of(author: Address, keeps: bool) -> Vec<Address> {
    let me = key().address();
    let rings = (0..u8::MAX).map(|n| {
        let strangers = (1..=3).map(|k| Address([n.wrapping_mul(3).wrapping_add(k); 20]));
        strangers.chain([me, author]).collect::<Vec<_>>()
    });
    let mut rings = rings.filter(|ring| log_keepers(RING, author, ring).contains(&me) == keeps);
    rings.next().expect("there are many rings")
}

#[tokio::test]
async fn old_nodes_of_others_go_where_that_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let config = StoreConfig::Embedded {
        path: directory.path().join("blocks.redb"),
    };
    let store = rings_store::open(&config).await.unwrap();
    let state = MemberState::open(&directory.path().join("state.redb"), &identity()).unwrap();
    let state = Arc::new(state);
    let other = SecretKey::from_bytes(&[4; 32]).unwrap();
    let (own, others) = (log_of(&key(), LENGTH), log_of(&other, LENGTH));
    hold(&store, &state, &own).await;
    hold(&store, &state, &others).await;
    ring_log(&store, &state, &[&own, &others]).await;

    keeper(&store, &state, NOTHING_OLD).collect().await.unwrap();
    for node in own.iter().chain(&others) {
        assert!(
            store.has(&node.cid()).await.unwrap(),
            "unless it is asked for"
        );
    }
    let logs = Policy {
        logs: true,
        ..NOTHING_OLD
    };
    // Nor where this member is one of those that keep that log whole, or does not know who is.
    for members in [Some(ring_of(other.address(), true)), None] {
        let keeper = keeper(&store, &state, logs);
        let keeper = match members {
            Some(members) => keeper.with_members(Arc::new(move || members.clone())),
            None => keeper,
        };
        assert_eq!(keeper.collect().await.unwrap().removed_blocks, 0);
    }
    let members = ring_of(other.address(), false);
    let keeper = keeper(&store, &state, logs).with_members(Arc::new(move || members.clone()));
    let collected = keeper.collect().await.unwrap();
    assert_eq!(collected.removed_blocks, HEAD as u64);
    for node in &own {
        assert!(
            store.has(&node.cid()).await.unwrap(),
            "the own log is whole"
        );
    }
    for (seq, node) in others.iter().enumerate() {
        assert_eq!(store.has(&node.cid()).await.unwrap(), seq >= HEAD, "{seq}");
        assert_eq!(
            state.node_at(other.address(), seq as u64).unwrap(),
            Some(node.digest()),
            "its digest stays"
        );
    }
    assert_eq!(keeper.check().await.unwrap().faults, []);
    assert_eq!(keeper.collect().await.unwrap().removed_blocks, 0);

    let shelf = LogShelf {
        store: Arc::clone(&store),
        state: Arc::clone(&state),
    };
    let refused = shelf.nodes(other.address(), 0).await;
    assert!(matches!(refused, Err(ServeError::NotKept { .. })));
    let nodes = shelf.nodes(other.address(), HEAD as u64).await.unwrap();
    assert_eq!(nodes.len(), LENGTH - HEAD);
    // What is lost without having been collected is still missed.
    let inventory = store.inventory().unwrap();
    let gone = rings_store::BlockKey::of(&others[HEAD].cid()).unwrap();
    inventory.remove(vec![gone]).await.unwrap();
    assert_eq!(keeper.check().await.unwrap().fault_count, 1);
}
