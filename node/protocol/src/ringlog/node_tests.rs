use super::super::{entry::Outcome, header::MAX_ENTRY_PAGES};
use super::*;
use crate::{message::MAX_OUTPUTS, Address};
use std::collections::BTreeMap;

pub fn position(number: u64, prev: Option<Digest>, skip: Option<Digest>) -> Position {
    Position {
        number,
        epoch: 1,
        members_hash: Digest([3; 32]),
        prev,
        skip,
    }
}

fn entry(n: u64, outputs: usize) -> Entry {
    Entry::Result {
        request: sha256(&n.to_be_bytes()),
        inputs: Digest::ZERO,
        outcome: Outcome::Outputs(vec![Digest([1; 32]); outputs]),
    }
}

fn head(n: u8) -> Head {
    Head {
        member: Address([n; 20]),
        head: Digest([n; 32]),
    }
}

fn open(node: &RingNode) -> Result<RingNode, RingNodeError> {
    let blocks: BTreeMap<_, _> = node.pages().iter().cloned().collect();
    RingNode::open(node.header_bytes(), |digest| blocks.get(&digest).cloned())
}

#[test]
fn a_node_survives_its_blocks_and_proves_each_entry() {
    let entries: Vec<_> = (0..37).map(|n| entry(n, 1)).collect();
    let heads = (1..5).map(head).collect();
    let node = RingNode::build(position(0, None, None), entries.clone(), heads).unwrap();
    assert_eq!(open(&node), Ok(node.clone()));
    for entry in entries {
        let path = node.path(&entry).unwrap();
        let root = merkle::root_of(merkle::leaf(&entry.to_bytes()), &path);
        assert_eq!(root, node.header().entries_root);
    }
}

#[test]
fn the_order_of_what_is_given_does_not_matter() {
    let mut entries: Vec<_> = (0..9).map(|n| entry(n, 1)).collect();
    let one = RingNode::build(
        position(0, None, None),
        entries.clone(),
        vec![head(2), head(1)],
    );
    entries.reverse();
    let other = RingNode::build(position(0, None, None), entries, vec![head(1), head(2)]);
    assert_eq!(one, other);
}

#[test]
fn as_many_of_the_longest_entries_as_are_allowed_fit() {
    let longest = entry(0, MAX_OUTPUTS).to_bytes().len();
    let count = (MAX_ENTRIES_BYTES / longest) as u64;
    let entries: Vec<_> = (0..count).map(|n| entry(n, MAX_OUTPUTS)).collect();
    let node = RingNode::build(position(0, None, None), entries.clone(), vec![]).unwrap();
    assert!(node.header().entry_pages.len() <= MAX_ENTRY_PAGES);
    assert!(node
        .pages()
        .iter()
        .all(|(_, bytes)| bytes.len() <= MAX_PAGE_BYTES));
    assert_eq!(open(&node), Ok(node));
    let more = [entries, vec![entry(count, MAX_OUTPUTS)]].concat();
    assert_eq!(
        RingNode::build(position(0, None, None), more, vec![]),
        Err(RingNodeError::TooMany { number: 0 })
    );
}

#[test]
fn nothing_is_listed_twice() {
    let place = position(0, None, None);
    let twice = vec![entry(1, 1), entry(1, 2)];
    assert!(RingNode::build(place, twice, vec![]).is_err());
    assert!(RingNode::build(place, vec![], vec![head(1), head(1)]).is_err());
    let choice = |n: u8| Entry::Decision {
        slot: Digest([1; 32]),
        choice: Digest([n; 32]),
    };
    assert!(RingNode::build(place, vec![choice(1), choice(2)], vec![]).is_err());
}

#[test]
fn pages_that_are_cut_otherwise_are_refused() {
    let entries = vec![entry(1, 1), entry(2, 1)];
    let node = RingNode::build(position(0, None, None), entries, vec![head(1)]).unwrap();
    let items: Vec<_> = node.entries().iter().map(Entry::to_bytes).collect();
    let (one, two) = (page(&items[..1]), page(&items[1..]));
    let cut = Header {
        entry_pages: vec![one.0, two.0],
        ..node.header().clone()
    };
    let mut blocks: BTreeMap<_, _> = node.pages().iter().cloned().collect();
    blocks.extend([one, two]);
    let open = |header: &Header| {
        RingNode::open(&header.to_bytes().unwrap(), |digest| {
            blocks.get(&digest).cloned()
        })
    };
    assert_eq!(open(&cut), Err(RingNodeError::Other { number: 0 }));
    let lost = Header {
        entry_pages: vec![Digest([9; 32])],
        ..node.header().clone()
    };
    assert!(matches!(open(&lost), Err(RingNodeError::Missing { .. })));
}
