//! Vectors of members' logs: nodes, proofs back from a head, forks, skip links.

use crate::vector::{
    digest, domain, hex, key, log, message, place, set, spoilt_vectors, swap, File, Vector,
};
use rings_protocol::{
    cids::{cid_of, node_cid, RAW},
    crypto::Signature,
    eip712::Domain,
    log::{
        path, skip_target, Content, ForkClaim, ForkClaimError, ForkProof, LogNode, NodeError,
        SkipProof, SkipProofError,
    },
};
use serde_json::{json, Value};

fn kind(error: NodeError) -> &'static str {
    match error {
        NodeError::TooLong { .. } => "size",
        NodeError::Shape(_) | NodeError::NotCanonical | NodeError::TooMany { .. } => "form",
        NodeError::Links { .. } | NodeError::Cid { .. } => "links",
        NodeError::Signature { .. } => "signature",
    }
}

pub fn shown(node: &LogNode) -> Value {
    let body = node.content().body.iter();
    let messages = body.map(|message| {
        json!({"domain": message.domain, "type": message.kind, "status": message.status, "payload": hex(&message.payload)})
    });
    json!({
        "author": hex(node.author()),
        "cid": node.cid().to_string(),
        "seq": node.seq(),
        "prev": hex(node.signed().prev),
        "content": hex(node.signed().content),
        "time": node.content().time,
        "refs": node.content().refs.iter().map(|cid| cid.to_string()).collect::<Vec<_>>(),
        "body": messages.collect::<Vec<_>>(),
    })
}

fn read(bytes: &[u8], domain: &Domain) -> Result<Value, &'static str> {
    LogNode::open(bytes, domain)
        .map(|node| shown(&node))
        .map_err(kind)
}

fn vector(name: &str, bytes: &[u8], error: Option<&'static str>) -> Vector {
    Vector::new(name, bytes)
        .given(place())
        .read(read(bytes, &domain()), error)
}

/// A node after the second one of a log, with links.
fn content() -> (Vec<LogNode>, Content) {
    let nodes = log(&key(1), 6, "hello");
    let mut refs = vec![node_cid(digest(8)), node_cid(digest(9))];
    refs.sort_by_key(|cid| cid.to_bytes());
    let content = Content {
        body: vec![message("one"), message("two")],
        prev: Some(nodes[5].cid()),
        refs,
        seq: 6,
        skip: Some(nodes[skip_target(6).unwrap() as usize].cid()),
        time: Some(24),
    };
    (nodes, content)
}

pub fn nodes() -> File {
    let (nodes, content) = content();
    let seal = |content: Content| LogNode::seal(content, &domain(), &key(1)).unwrap();
    let with_refs = seal(content.clone());
    let empty = seal(Content {
        body: vec![],
        refs: vec![],
        time: None,
        ..content.clone()
    });
    let mut vectors: Vec<_> = nodes
        .iter()
        .map(|node| vector(&format!("node {}", node.seq()), node.bytes(), None))
        .collect();
    let good = with_refs.bytes();
    vectors.push(vector("two messages, references and a time", good, None));
    vectors.push(vector("an empty body", empty.bytes(), None));
    let letters = seal(Content {
        body: vec![message("\u{e9}\u{4e2d}\u{1f600}")],
        ..content.clone()
    });
    vectors.push(vector("letters of many alphabets", letters.bytes(), None));
    let elsewhere = Domain::new(1, domain().ring);
    let other = Vector::new(
        "read for another chain, so by another author",
        nodes[0].bytes(),
    );
    let given = json!({"chain": 1, "ring": hex(domain().ring)});
    vectors.push(
        other
            .given(given)
            .read(read(nodes[0].bytes(), &elsewhere), None),
    );
    vectors.extend(spoilt_vectors(good, vector));
    vectors.extend(bad(good, &nodes));
    File {
        name: "nodes",
        about: "Log nodes. Given are chain and ring; the author follows from the signature.",
        fuzzed: Some("node"),
        vectors,
    }
}

fn bad(good: &[u8], nodes: &[LogNode]) -> Vec<Vector> {
    let raw = cid_of(RAW, nodes[5].digest()).to_bytes();
    let link = |bytes: &[u8]| [&[0xd8, 0x2a, 0x58, 0x25, 0x00], bytes].concat();
    let prev = link(&nodes[5].cid().to_bytes());
    let [one, two] = [8, 9].map(|n| link(&node_cid(digest(n)).to_bytes()));
    let refs = [one.clone(), two.clone()].concat();
    let end = good.len();
    let (first, last) = good[1..].split_at(end - 78);
    let cases = [
        (
            "an unknown key",
            swap(good, b"dtime\x18\x18", b"dtimf\x18\x18"),
            "form",
        ),
        ("a key twice", swap(good, b"drefs", b"dprev"), "form"),
        (
            "keys out of order",
            [&good[..1], last, first].concat(),
            "form",
        ),
        (
            "a long number",
            swap(good, b"dtime\x18\x18", b"dtime\x19\x00\x18"),
            "form",
        ),
        (
            "null for no time",
            swap(good, b"dtime\x18\x18", b"dtime\xf6"),
            "form",
        ),
        (
            "a float for a time",
            swap(good, b"dtime\x18\x18", b"dtime\xf9\x4e\x00"),
            "form",
        ),
        (
            "a negative position",
            swap(good, b"cseq\x06", b"cseq\x26"),
            "form",
        ),
        (
            "text that is not UTF-8",
            swap(good, b"dNote", b"dNot\xff"),
            "form",
        ),
        (
            "a link to raw bytes",
            swap(good, &prev, &link(&raw)),
            "form",
        ),
        (
            "a link without its tag",
            swap(good, &prev, &prev[2..]),
            "form",
        ),
        (
            "a message without a status",
            swap(good, b"\xa4dtypedNote", b"\xa3dtypedNote"),
            "form",
        ),
        (
            "a length beyond the end",
            swap(good, b"dbody\x82", b"dbody\x9a\xff\xff\xff\xff"),
            "form",
        ),
        (
            "references out of order",
            swap(good, &refs, &[two, one.clone()].concat()),
            "links",
        ),
        (
            "a reference twice",
            swap(good, &refs, &[one.clone(), one].concat()),
            "links",
        ),
        (
            "links in the first node",
            swap(good, b"cseq\x06", b"cseq\x00"),
            "links",
        ),
        (
            "no links in a later node",
            swap(nodes[0].bytes(), b"cseq\x00", b"cseq\x01"),
            "links",
        ),
        (
            "the skip link is not the node before, where it must be",
            swap(good, b"cseq\x06", b"cseq\x02"),
            "links",
        ),
        (
            "v is 0 or 1",
            set(good, end - 1, good[end - 1] - 27),
            "signature",
        ),
        ("v is 29", set(good, end - 1, 29), "signature"),
        ("s in the upper half", twin(good), "signature"),
        (
            "r is zero",
            [&good[..end - 65], &[0; 32], &good[end - 33..]].concat(),
            "signature",
        ),
    ];
    let cases = cases
        .iter()
        .map(|(name, bytes, error)| vector(name, bytes, Some(*error)));
    cases.collect()
}

/// The same signature with s subtracted from the order of the curve and the other v: `ecrecover` would take it.
fn twin(good: &[u8]) -> Vec<u8> {
    let at = good.len() - 65;
    let signature = Signature::from_slice(&good[at..]).unwrap();
    let order =
        hex::decode("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141").unwrap();
    let (mut s, mut borrow) = ([0; 32], 0);
    for i in (0..32).rev() {
        let difference = i16::from(order[i]) - i16::from(signature.s[i]) - borrow;
        borrow = i16::from(difference < 0);
        s[i] = (difference + 256 * borrow) as u8;
    }
    [&good[..at + 32], &s, &[55 - signature.v]].concat()
}

pub fn proof_kind(error: SkipProofError) -> &'static str {
    match error {
        SkipProofError::Form(_)
        | SkipProofError::Version { .. }
        | SkipProofError::Opening { .. } => "form",
        SkipProofError::TooLong { .. } => "size",
        SkipProofError::Node(_) => "node",
        SkipProofError::Elsewhere { .. } => "elsewhere",
        SkipProofError::Author { .. } => "author",
        SkipProofError::Broken { .. } => "broken",
        SkipProofError::Missing { .. } => "missing",
    }
}

pub fn proofs() -> File {
    let (nodes, other) = (log(&key(1), 24, "hello"), log(&key(2), 24, "hello"));
    let head = nodes[23].digest();
    let make = |seq: u64| {
        let bytes = |seq: u64| Some(nodes[seq as usize].bytes().to_vec().into());
        SkipProof::make(&domain(), key(1).address(), 23, seq, bytes).unwrap()
    };
    let given = json!({"chain": domain().chain_id, "ring": hex(domain().ring), "head": hex(head)});
    let vector = |name: &str, bytes: &[u8], error: Option<&'static str>| {
        let verified = SkipProof::from_bytes(bytes).and_then(|proof| {
            proof.verify(&domain(), head, |node| {
                LogNode::open(&node.block, &domain())
            })
        });
        let shown = verified.map(|node| json!({"seq": node.seq(), "cid": node.cid().to_string(), "author": hex(node.author())}));
        Vector::new(name, bytes)
            .given(given.clone())
            .read(shown.map_err(proof_kind), error)
    };
    let changed = |change: &dyn Fn(&mut SkipProof)| {
        let mut proof = make(6);
        change(&mut proof);
        proof.to_bytes()
    };
    let good = make(6).to_bytes();
    let mut vectors = vec![
        vector("node 6 of 24", &good, None),
        vector("node 0 of 24", &make(0).to_bytes(), None),
        vector("the head itself", &make(23).to_bytes(), None),
        vector(
            "a step is missing",
            &changed(&|proof| drop(proof.nodes.remove(1))),
            Some("broken"),
        ),
        vector(
            "not from the head",
            &changed(&|proof| drop(proof.nodes.remove(0))),
            Some("broken"),
        ),
        vector(
            "no node",
            &changed(&|proof| proof.nodes.clear()),
            Some("missing"),
        ),
        vector(
            "another author",
            &changed(&|proof| proof.author = key(2).address()),
            Some("author"),
        ),
        vector(
            "a node by another",
            &changed(&|proof| proof.nodes[1] = other[20].bytes().to_vec().into()),
            Some("author"),
        ),
        vector(
            "another chain",
            &changed(&|proof| proof.chain = 1),
            Some("elsewhere"),
        ),
        vector(
            "bytes that are not a log node",
            &changed(&|proof| proof.nodes[1] = vec![0xa0].into()),
            Some("node"),
        ),
        vector("another version", &set(&good, 1, 2), Some("form")),
    ];
    vectors.extend(spoilt_vectors(&good, vector));
    File {
        name: "log-proofs",
        about: "Proofs that a node belongs to a log. Given are chain, ring and the digest of the log's head.",
        fuzzed: Some("files"),
        vectors,
    }
}

fn fork_kind(error: ForkClaimError) -> &'static str {
    match error {
        ForkClaimError::Form(_) | ForkClaimError::Version { .. } => "form",
        ForkClaimError::Elsewhere { .. } => "elsewhere",
        ForkClaimError::Signature { .. } => "signature",
        ForkClaimError::Authors { .. } => "authors",
        ForkClaimError::SameNode => "same",
    }
}

pub fn forks() -> File {
    let tip = |author: u8, text: &str| log(&key(author), 3, text)[2].clone();
    let proof = ForkProof::new(tip(1, "one"), tip(1, "other")).unwrap();
    let good = ForkClaim::of(&proof, &domain());
    let vector = |name: &str, bytes: &[u8], error: Option<&'static str>| {
        let author = ForkClaim::from_bytes(bytes).and_then(|claim| claim.verify(&domain()));
        let shown = author.map(|author| json!({"author": hex(author), "seq": 2}));
        Vector::new(name, bytes)
            .given(place())
            .read(shown.map_err(fork_kind), error)
    };
    let [one, other] = good.signed;
    let stranger = tip(2, "one").signed();
    let bytes = good.to_bytes();
    let mut vectors = vec![
        vector("a fork", &bytes, None),
        vector(
            "the same node twice",
            &ForkClaim {
                signed: [one, one],
                ..good
            }
            .to_bytes(),
            Some("same"),
        ),
        vector(
            "two authors",
            &ForkClaim {
                signed: [one, stranger],
                ..good
            }
            .to_bytes(),
            Some("authors"),
        ),
        vector(
            "another position",
            &ForkClaim { seq: 3, ..good }.to_bytes(),
            Some("authors"),
        ),
        vector(
            "another chain",
            &ForkClaim { chain: 1, ..good }.to_bytes(),
            Some("elsewhere"),
        ),
        vector(
            "v is 0 or 1",
            &set(&bytes, bytes.len() - 1, other.signature.v - 27),
            Some("signature"),
        ),
    ];
    vectors.extend(spoilt_vectors(&bytes, vector));
    File {
        name: "forks",
        about: "Proofs that an author signed two nodes for one position, without contents. Given are chain and ring.",
        fuzzed: Some("files"),
        vectors,
    }
}

pub fn skips() -> File {
    let targets: Vec<_> = (0..40).map(skip_target).collect();
    let paths = [
        (39, 0),
        (39, 17),
        (1_000_000, 3),
        (1_000_000, 999_999),
        (5, 5),
    ];
    let paths = paths.map(|(from, to)| json!({"from": from, "to": to, "path": path(from, to)}));
    let expect = json!({"targets": targets, "paths": paths});
    File {
        name: "skips",
        about: "To which position the node at each position links back, and the shortest ways back. No bytes are read.",
        fuzzed: None,
        vectors: vec![Vector::new("targets and paths", Vec::<u8>::new()).read(Ok(expect), None)],
    }
}
