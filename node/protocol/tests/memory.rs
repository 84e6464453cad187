//! Decoding takes at most eight times its input in memory: a counting allocator watches.

#![allow(clippy::unwrap_used)]
// Helpers of tests may panic as the tests do.

// An allocator cannot be written without `unsafe`; this one only counts, and passes every call on.
#![allow(unsafe_code)]

use rings_protocol::{
    eip712::Domain,
    log::{Content, LogNode, MAX_BODY_MESSAGES, MAX_NODE_BYTES},
    message::Message,
    request::Request,
    ringlog::{Entry, Header},
    wire::{Response, WireRequest, MAX_ANSWER_BYTES},
    Address,
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

fn add(size: usize) {
    let held = HELD.try_with(|held| {
        held.set(held.get() + size);
        held.get()
    });
    if let Ok(held) = held {
        // The thread ends: nothing is measured any more.
        PEAK.try_with(|peak| peak.set(peak.get().max(held)))
            .unwrap_or(());
    }
}

fn remove(size: usize) {
    HELD.try_with(|held| held.set(held.get().saturating_sub(size)))
        .unwrap_or(());
}

/// What the usual allocator takes for a block of this size, at least: 16 bytes more, rounded up to 16.
fn taken(size: usize) -> usize {
    (size + 8).next_multiple_of(16).max(32)
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(taken(layout.size()));
        System.alloc(layout)
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        remove(taken(layout.size()));
        System.dealloc(block, layout);
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that is held at once while `run` runs, beyond what was held before.
fn peak<T>(run: impl FnOnce() -> T) -> usize {
    let before = HELD.get();
    PEAK.set(before);
    let result = run();
    let peak = PEAK.get() - before;
    drop(result);
    peak
}

/// A few fixed things (an error, a hash) may be held beside what grows with the input.
const FIXED: usize = 4096;
/// What the longest list of items takes, of a message of one member to another, when all of them are empty.
const MOST_FOR_ITEMS: usize = 256 * 1024;

fn check(name: &str, bytes: &[u8], run: impl FnOnce(&[u8])) {
    let peak = peak(|| run(bytes));
    let bound = 8 * bytes.len() + FIXED;
    assert!(
        peak <= bound,
        "{name}: {peak} bytes for an input of {}",
        bytes.len()
    );
}

fn domain() -> Domain {
    Domain::new(31337, Address([0x11; 20]))
}

fn open(bytes: &[u8]) {
    drop(LogNode::open(bytes, &domain()));
}

/// A first node with this body and no valid signature: it is read as a whole before the signature is looked at.
fn node(messages: usize, text: &str, payload: usize) -> Vec<u8> {
    let message = Message {
        domain: text.into(),
        payload: vec![7; payload].into(),
        status: text.into(),
        kind: text.into(),
    };
    let content = Content {
        body: vec![message; messages],
        prev: None,
        refs: vec![],
        seq: 0,
        skip: None,
        time: None,
    };
    let content = serde_ipld_dagcbor::to_vec(&content).unwrap();
    let signature = [&b"isignature\x58\x41"[..], &[0; 65]].concat();
    [&b"\xa2gcontent"[..], &content, &signature].concat()
}

#[test]
fn nodes_of_many_small_messages() {
    for (messages, text, payload) in [
        (MAX_BODY_MESSAGES, "", 0),
        (MAX_BODY_MESSAGES, "x", 1),
        (MAX_BODY_MESSAGES, "a longer text", 200),
        (1, "", MAX_NODE_BYTES - 200),
        (3, "x", 60_000),
    ] {
        let bytes = node(messages, text, payload);
        check("node", &bytes, open);
    }
}

/// The well-known bomb: a block of empty arrays, of which a tree of values would take a hundred bytes each.
#[test]
fn bombs_take_nothing() {
    let arrays = [&[0x9a, 0, 3, 0xff, 0xf0][..], &[0x80; 0x3fff0]].concat();
    let maps = [&[0xba, 0, 3, 0xff, 0xf0][..], &[0xa0; 0x3fff0]].concat();
    let deep = vec![0x81; MAX_NODE_BYTES];
    let long = [0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let body = [
        &b"\xa2gcontent\xa3cseq\x00dbody\x99\x04\x00"[..],
        &[0xa0; 1024],
    ]
    .concat();
    for bytes in [&arrays[..], &maps, &deep, &long, &body] {
        check("node", bytes, open);
        check("header", bytes, |bytes| drop(Header::from_bytes(bytes)));
        check("entry", bytes, |bytes| drop(Entry::from_bytes(bytes)));
        check("request", bytes, |bytes| drop(Request::from_bytes(bytes)));
    }
}

/// A peer's answer of the greatest length, full of items that take one byte each and 24 or more when they are read.
#[test]
fn long_answers_of_small_items_take_nothing() {
    let count = (MAX_ANSWER_BYTES - 32) as u32;
    for (name, item) in [("Blocks", 0xf6), ("Nodes", 0x40), ("Heads", 0x80)] {
        let head = [&[0xa1, 0x60 + name.len() as u8], name.as_bytes(), &[0x9a]].concat();
        let items = vec![item; count as usize];
        let bytes = [&head, &count.to_be_bytes()[..], &items].concat();
        let held = peak(|| {
            assert!(Response::decode(&bytes).is_err(), "{name}");
            assert!(WireRequest::decode(&bytes).is_err(), "{name}");
        });
        assert!(held <= MOST_FOR_ITEMS, "{name}: {held} bytes");
    }
}
