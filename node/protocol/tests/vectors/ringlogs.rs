//! Vectors of the ring log: entries, headers, whole ring nodes, proofs of entries.

use crate::vector::{digest, domain, hex, name, place, set, spoilt_vectors, swap, File, Vector};
use rings_protocol::{
    log::skip_target,
    message::MAX_OUTPUTS,
    ringlog::{
        merkle, Entry, EntryProof, Head, Header, HeaderError, Outcome, Position, ProofError,
        RingNode, RingNodeError,
    },
    Address, Digest,
};
use serde_json::{json, Value};
use std::collections::BTreeMap;

fn result(request: &str, outputs: u8) -> Entry {
    Entry::Result {
        request: name(request),
        inputs: rings_protocol::gate::inputs_hash(&[]),
        outcome: Outcome::Outputs((1..=outputs).map(digest).collect()),
    }
}

fn failure(request: &str) -> Entry {
    Entry::Result {
        request: name(request),
        inputs: rings_protocol::gate::inputs_hash(&[digest(1)]),
        outcome: Outcome::Failure(digest(0xee)),
    }
}

fn decision(slot: &str) -> Entry {
    Entry::Decision {
        slot: name(slot),
        choice: digest(0xcc),
    }
}

fn shown(entry: &Entry) -> Value {
    match entry {
        Entry::Result {
            request,
            inputs,
            outcome,
        } => match outcome {
            Outcome::Outputs(outputs) => {
                let outputs: Vec<_> = outputs.iter().map(hex).collect();
                json!({"kind": "result", "request": hex(request), "inputs": hex(inputs), "outputs": outputs})
            }
            Outcome::Failure(record) => {
                json!({"kind": "failure", "request": hex(request), "inputs": hex(inputs), "failure": hex(record)})
            }
        },
        Entry::Decision { slot, choice } => {
            json!({"kind": "decision", "slot": hex(slot), "choice": hex(choice)})
        }
    }
}

pub fn entries() -> File {
    let vector = |name: &str, bytes: &[u8], error: Option<&'static str>| {
        let read = Entry::from_bytes(bytes).map(|entry| {
            let mut value = shown(&entry);
            value["leaf"] = hex(merkle::leaf(bytes));
            value
        });
        Vector::new(name, bytes).read(read.map_err(|_| "form"), error)
    };
    let good = result("a", 2).to_bytes();
    let many = Entry::Result {
        request: name("a"),
        inputs: digest(2),
        outcome: Outcome::Outputs(vec![digest(1); MAX_OUTPUTS + 1]),
    };
    let mut vectors = vec![
        vector("a result of one output", &result("a", 1).to_bytes(), None),
        vector(
            "a result of three outputs",
            &result("a", 3).to_bytes(),
            None,
        ),
        vector("a failure", &failure("b").to_bytes(), None),
        vector("a decision", &decision("c").to_bytes(), None),
        vector("an unknown kind", &set(&good, 1, 3), Some("form")),
        vector(
            "a decision with too many parts",
            &set(&good, 1, 2),
            Some("form"),
        ),
        vector(
            "a result without outputs",
            &[&good[..70], &[0x80]].concat(),
            Some("form"),
        ),
        vector("too many outputs", &many.to_bytes(), Some("form")),
        vector(
            "a digest of 31 bytes",
            &[&good[..3], &[31], &good[5..]].concat(),
            Some("form"),
        ),
    ];
    vectors.extend(spoilt_vectors(&good, vector));
    File {
        name: "entries",
        about: "Entries of ring nodes, with the Merkle leaf of each.",
        fuzzed: Some("entry"),
        vectors,
    }
}

fn header_kind(error: HeaderError) -> &'static str {
    match error {
        HeaderError::TooLong { .. } => "size",
        HeaderError::Form(_) | HeaderError::Version { .. } => "form",
        HeaderError::Links { .. } => "links",
        HeaderError::Pages { .. } => "pages",
    }
}

fn header(number: u64) -> Header {
    let skip_is_prev = skip_target(number).map(|target| target + 1) == Some(number);
    Header {
        entries_root: digest(1),
        heads_root: digest(2),
        members_hash: digest(3),
        epoch: 300,
        number,
        prev: (number > 0).then(|| digest(5)),
        skip: (number > 0).then(|| digest(if skip_is_prev { 5 } else { 6 })),
        entry_pages: vec![digest(7), digest(8)],
        head_pages: vec![digest(9)],
    }
}

pub fn headers() -> File {
    let link = |digest: Option<Digest>| digest.map_or(Value::Null, hex);
    let vector = |name: &str, bytes: &[u8], error: Option<&'static str>| {
        let read = Header::from_bytes(bytes).map(|header| {
            let pages = |pages: &[Digest]| pages.iter().map(hex).collect::<Vec<_>>();
            json!({
                "digest": hex(header.digest().unwrap()), "number": header.number, "epoch": header.epoch,
                "entriesRoot": hex(header.entries_root), "headsRoot": hex(header.heads_root),
                "membersHash": hex(header.members_hash), "prev": link(header.prev), "skip": link(header.skip),
                "entryPages": pages(&header.entry_pages), "headPages": pages(&header.head_pages),
            })
        });
        Vector::new(name, bytes).read(read.map_err(header_kind), error)
    };
    let bytes = |header: Header| header.to_bytes().unwrap();
    let good = bytes(header(6));
    let full = bytes(Header {
        epoch: u64::from(u32::MAX),
        number: u64::from(u32::MAX) - 1,
        skip: Some(digest(6)),
        entry_pages: (0..18).map(digest).collect(),
        ..header(6)
    });
    // The bytes of `test_proveResult_vector` in contracts/test/Proofs.t.sol.
    let contract = bytes(Header {
        entries_root: merkle::leaf(b"entry"),
        heads_root: Digest::ZERO,
        members_hash: Digest([[0; 31].as_slice(), &[2]].concat().try_into().unwrap()),
        epoch: 1,
        entry_pages: vec![digest(0x33)],
        head_pages: vec![],
        ..header(0)
    });
    let no_prev = swap(
        &good,
        &[
            &[0xd8, 0x2a, 0x58, 0x25, 0, 1, 0x71, 0x12, 0x20][..],
            &[5; 32],
        ]
        .concat(),
        &[0xf6],
    );
    let mut vectors = vec![
        vector("the first", &bytes(header(0)), None),
        vector(
            "one whose skip link is the node before",
            &bytes(header(2)),
            None,
        ),
        vector("one in the midst", &good, None),
        vector("as many pages as there may be", &full, None),
        vector("the one that the contract's tests have", &contract, None),
        vector("another version", &set(&good, 1, 2), Some("form")),
        vector(
            "null for a root",
            &swap(&good, &[&[0x58, 0x20][..], &[1; 32]].concat(), &[0xf6]),
            Some("form"),
        ),
        vector(
            "a page that is null",
            &swap(&good, b"\x82\xd8", b"\x82\xf6"),
            Some("form"),
        ),
        vector(
            "a long epoch",
            &swap(&good, b"\x19\x01\x2c", b"\x1a\x00\x00\x01\x2c"),
            Some("form"),
        ),
        vector("no link to the node before", &no_prev, Some("links")),
        vector(
            "links in the first",
            &swap(&good, b"\x19\x01\x2c\x06", b"\x19\x01\x2c\x00"),
            Some("links"),
        ),
        vector(
            "a skip link that must be the node before",
            &swap(&good, b"\x19\x01\x2c\x06", b"\x19\x01\x2c\x05"),
            Some("links"),
        ),
        vector(
            "a root without pages",
            &good[..good.len() - 42]
                .iter()
                .copied()
                .chain([0x80])
                .collect::<Vec<_>>(),
            Some("pages"),
        ),
        vector(
            "pages without a root",
            &swap(&good, &[2; 32], &[0; 32]),
            Some("pages"),
        ),
        vector(
            "longer than 1,024 bytes",
            &[&full[..], &[0; 300]].concat(),
            Some("size"),
        ),
    ];
    vectors.extend(spoilt_vectors(&good, vector));
    File {
        name: "headers",
        about: "Headers of ring nodes: the blocks whose digests are registered on chain.",
        fuzzed: Some("header"),
        vectors,
    }
}

fn position(number: u64, prev: Option<Digest>, skip: Option<Digest>) -> Position {
    Position {
        number,
        epoch: 1,
        members_hash: digest(3),
        prev,
        skip,
    }
}

fn heads(count: u8) -> Vec<Head> {
    let heads = (1..=count).map(|n| Head {
        member: Address([n; 20]),
        head: digest(n),
    });
    heads.collect()
}

fn node_kind(error: RingNodeError) -> &'static str {
    match error {
        RingNodeError::Header(error) => header_kind(error),
        RingNodeError::Page { .. } => "form",
        RingNodeError::Missing { .. } => "missing",
        RingNodeError::Order { .. } => "order",
        RingNodeError::TooMany { .. } => "size",
        RingNodeError::Other { .. } => "other",
    }
}

/// A ring node's header as the bytes, and its pages as what is given.
fn whole(name: &str, header: &[u8], pages: &[Vec<u8>], error: Option<&'static str>) -> Vector {
    let by_digest: BTreeMap<_, _> = pages
        .iter()
        .map(|page| (rings_protocol::cids::sha256(page), page.clone()))
        .collect();
    let node = RingNode::open(header, |digest| by_digest.get(&digest).cloned());
    let shown = node.map(|node| {
        let entries: Vec<_> = node.entries().iter().map(shown).collect();
        let heads = node.heads().iter();
        let heads: Vec<_> = heads
            .map(|head| json!([hex(head.member), hex(head.head)]))
            .collect();
        let paths = node.entries().iter().map(|entry| {
            let path = node.path(entry).unwrap();
            path.iter().map(hex).collect::<Vec<_>>()
        });
        json!({"entries": entries, "heads": heads, "paths": paths.collect::<Vec<_>>()})
    });
    let given = json!({"pages": pages.iter().map(hex).collect::<Vec<_>>()});
    Vector::new(name, header)
        .given(given)
        .read(shown.map_err(node_kind), error)
}

pub fn nodes() -> File {
    let build = |entries: Vec<Entry>, heads: Vec<Head>| {
        RingNode::build(position(0, None, None), entries, heads).unwrap()
    };
    let good = |name: &str, node: &RingNode| {
        let pages: Vec<_> = node
            .pages()
            .iter()
            .map(|(_, bytes)| bytes.clone())
            .collect();
        whole(name, node.header_bytes(), &pages, None)
    };
    let seven: Vec<_> = (0..7).map(|n| result(&format!("request {n}"), 1)).collect();
    let mixed = build(vec![result("a", 2), failure("b"), decision("c")], heads(4));
    let pages: Vec<_> = mixed
        .pages()
        .iter()
        .map(|(_, bytes)| bytes.clone())
        .collect();
    let mut vectors = vec![
        good("nothing", &build(vec![], vec![])),
        good(
            "one entry and no head",
            &build(vec![result("a", 1)], vec![]),
        ),
        good("seven results and three heads", &build(seven, heads(3))),
        good("a result, a failure and a decision", &mixed),
        whole(
            "a page is missing",
            mixed.header_bytes(),
            &pages[1..],
            Some("missing"),
        ),
    ];
    vectors.extend(bad_nodes(&mixed));
    File {
        name: "ring-nodes",
        about: "Whole ring nodes. The bytes are the header, the pages are given, and the paths lead from each entry to the root.",
        fuzzed: None,
        vectors,
    }
}

/// Nodes whose pages are not what the entries give.
fn bad_nodes(good: &RingNode) -> Vec<Vector> {
    let entries: Vec<_> = good.entries().iter().map(Entry::to_bytes).collect();
    let head_page = good.pages()[1].1.clone();
    let with = |name: &str, items: &[&[u8]], root: Option<Digest>, error: &'static str| {
        let page = [&[0x80 + items.len() as u8][..], &items.concat()].concat();
        let header = Header {
            entry_pages: vec![rings_protocol::cids::sha256(&page)],
            entries_root: root.unwrap_or(good.header().entries_root),
            ..good.header().clone()
        };
        whole(
            name,
            &header.to_bytes().unwrap(),
            &[page, head_page.clone()],
            Some(error),
        )
    };
    let [a, b, c] = [&entries[0][..], &entries[1], &entries[2]];
    vec![
        with("entries out of order", &[b, a, c], None, "other"),
        with("an entry twice", &[a, a, b], None, "order"),
        with("another root", &[a, b, c], Some(digest(9)), "other"),
        with("an entry left out", &[a, b], None, "other"),
        with(
            "an entry that is none",
            &[a, b, &set(c, 1, 7)],
            None,
            "form",
        ),
    ]
}

fn proof_kind(error: ProofError) -> &'static str {
    match error {
        ProofError::Form(_) | ProofError::Version { .. } => "form",
        ProofError::TooLong { .. } => "size",
        ProofError::Header(_) => "header",
        ProofError::Anchor { .. } => "anchor",
        ProofError::Broken { .. } => "broken",
        ProofError::NotListed { .. } => "not-listed",
        ProofError::Missing { .. } => "missing",
    }
}

pub fn proofs() -> File {
    let mut log: Vec<RingNode> = Vec::new();
    for number in 0..12u64 {
        let at = |n: u64| log.get(n as usize).map(RingNode::digest);
        let place = position(
            number,
            number.checked_sub(1).and_then(at),
            skip_target(number).and_then(at),
        );
        let entries = (0..5).map(|n| decision(&format!("{number}.{n}"))).collect();
        log.push(RingNode::build(place, entries, vec![]).unwrap());
    }
    let make = |number: u64, anchor: u64| {
        let bytes = |n: u64| Some(log[n as usize].header_bytes().to_vec());
        let entry = decision(&format!("{number}.2"));
        EntryProof::make(&domain(), &log[number as usize], &entry, anchor, bytes).unwrap()
    };
    let vector = |name: &str, bytes: &[u8], anchor: u64, error: Option<&'static str>| {
        let on_chain = log[anchor as usize].digest();
        let proven = EntryProof::from_bytes(bytes).and_then(|proof| {
            let header = proof.verify(on_chain)?;
            Ok(json!({"number": header.number, "anchor": proof.anchor()?, "entry": shown(&proof.entry)}))
        });
        let mut given = place();
        given["onChain"] = hex(on_chain);
        Vector::new(name, bytes)
            .given(given)
            .read(proven.map_err(proof_kind), error)
    };
    let good = make(2, 11);
    let changed = |change: &dyn Fn(&mut EntryProof)| {
        let mut proof = good.clone();
        change(&mut proof);
        proof.to_bytes()
    };
    let bytes = good.to_bytes();
    let mut vectors = vec![
        vector("node 2 from node 11", &bytes, 11, None),
        vector("node 0 from node 11", &make(0, 11).to_bytes(), 11, None),
        vector(
            "the node itself, as a contract checks it",
            &make(7, 7).to_bytes(),
            7,
            None,
        ),
        vector("not from what the chain has", &bytes, 10, Some("anchor")),
        vector(
            "a header is missing",
            &changed(&|proof| drop(proof.headers.remove(1))),
            11,
            Some("broken"),
        ),
        vector(
            "another entry",
            &changed(&|proof| proof.entry = decision("other")),
            11,
            Some("not-listed"),
        ),
        vector(
            "a path that is cut",
            &changed(&|proof| proof.path.truncate(proof.path.len() - 1)),
            11,
            Some("not-listed"),
        ),
        vector(
            "a header that is none",
            &changed(&|proof| proof.headers[1] = vec![0x8a]),
            11,
            Some("header"),
        ),
        vector("another version", &set(&bytes, 1, 2), 11, Some("form")),
    ];
    vectors.extend(spoilt_vectors(&bytes, |name, bytes, error| {
        vector(name, bytes, 11, error)
    }));
    File {
        name: "entry-proofs",
        about: "Proofs that a ring node lists an entry. Given is the digest that the chain has for the first header.",
        fuzzed: Some("files"),
        vectors,
    }
}
