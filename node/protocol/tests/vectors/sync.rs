//! Vectors of what members ask each other, and of the answers.

use crate::vector::{digest, hex, key, log, set, spoilt, swap, File, Vector};
use rings_protocol::{
    cids::data_cid,
    log::LogNode,
    private::MAX_WRAP_BYTES,
    wire::{encode, Response, WireError, WireRequest, MAX_BLOCKS},
    Address, Digest,
};
use serde::Serialize;
use serde_bytes::ByteBuf;
use serde_json::{json, Value};

const RING: Address = Address([0x11; 20]);
const AUTHOR: Address = Address([0x22; 20]);

fn shown_request(request: &WireRequest) -> Value {
    match request {
        WireRequest::Blocks(cids) => {
            let cids: Vec<_> = cids.iter().map(ToString::to_string).collect();
            json!({"Blocks": cids})
        }
        WireRequest::Heads => json!("Heads"),
        WireRequest::Nodes { author, from } => {
            json!({"Nodes": {"author": hex(author), "from": from}})
        }
        WireRequest::Key { name } => json!({"Key": {"name": hex(name)}}),
        WireRequest::ClientHeads { ring, author } => {
            json!({"ClientHeads": {"ring": hex(ring), "author": hex(author)}})
        }
        WireRequest::ClientNodes { ring, author, from } => {
            json!({"ClientNodes": {"ring": hex(ring), "author": hex(author), "from": from}})
        }
        WireRequest::Hold {
            ring,
            avatar,
            head,
            nodes,
        } => {
            let nodes: Vec<_> = nodes.iter().map(hex).collect();
            json!({"Hold": {"ring": hex(ring), "avatar": hex(avatar), "head": hex(head), "nodes": nodes}})
        }
    }
}

fn shown_answer(answer: &Response) -> Value {
    let bytes = |bytes: &Option<ByteBuf>| bytes.as_ref().map(hex);
    match answer {
        Response::Blocks(blocks) => {
            json!({"Blocks": blocks.iter().map(bytes).collect::<Vec<_>>()})
        }
        Response::Heads(heads) => {
            let heads = heads.iter();
            let heads: Vec<_> = heads
                .map(|(author, seq, digest)| json!([hex(author), seq, hex(digest)]))
                .collect();
            json!({"Heads": heads})
        }
        Response::Nodes(nodes) => json!({"Nodes": nodes.iter().map(hex).collect::<Vec<_>>()}),
        Response::ClientHeads(heads) => {
            let heads = heads.iter();
            let heads: Vec<_> = heads
                .map(|(ring, author, seq, digest)| {
                    json!([hex(ring), hex(author), seq, hex(digest)])
                })
                .collect();
            json!({"ClientHeads": heads})
        }
        Response::Held(signature) => json!({"Held": hex(signature)}),
        Response::Key(key) => json!({"Key": bytes(key)}),
    }
}

fn kind(error: WireError) -> &'static str {
    match error {
        WireError::TooLong { .. } => "size",
        WireError::Shape(_) | WireError::NotCanonical | WireError::Unexpected => "form",
    }
}

fn vector(of: &str, name: &str, bytes: &[u8], error: Option<&'static str>) -> Vector {
    let read = match of {
        "request" => WireRequest::decode(bytes).map(|request| shown_request(&request)),
        _ => Response::decode(bytes).map(|answer| shown_answer(&answer)),
    };
    Vector::new(format!("{of}: {name}"), bytes)
        .given(json!({"type": of}))
        .read(read.map_err(kind), error)
}

fn bytes(message: &impl Serialize) -> Vec<u8> {
    encode(message).unwrap()
}

fn nodes(count: u64) -> Vec<ByteBuf> {
    let nodes = log(&key(1), count, "hello");
    nodes
        .iter()
        .map(|node: &LogNode| ByteBuf::from(node.bytes()))
        .collect()
}

fn requests() -> Vec<(&'static str, WireRequest)> {
    let (ring, author) = (RING, AUTHOR);
    vec![
        (
            "blocks",
            WireRequest::Blocks(vec![data_cid(digest(1)), data_cid(digest(2))]),
        ),
        ("no block", WireRequest::Blocks(vec![])),
        ("heads", WireRequest::Heads),
        ("nodes", WireRequest::Nodes { author, from: 7 }),
        (
            "nodes from far on",
            WireRequest::Nodes {
                author,
                from: 1 << 53,
            },
        ),
        ("a key", WireRequest::Key { name: digest(6) }),
        (
            "heads of client rings",
            WireRequest::ClientHeads { ring, author },
        ),
        (
            "nodes of an avatar",
            WireRequest::ClientNodes {
                ring,
                author,
                from: 300,
            },
        ),
        (
            "to hold",
            WireRequest::Hold {
                ring,
                avatar: author,
                head: digest(3),
                nodes: nodes(2),
            },
        ),
    ]
}

fn answers() -> Vec<(&'static str, Response)> {
    let held = Some(ByteBuf::from(b"a block".to_vec()));
    let head = |n: u8| (Address([n; 20]), u64::from(n) << 20, digest(n));
    let client = |n: u8| (RING, Address([n; 20]), u64::from(n), Digest([n; 32]));
    vec![
        ("blocks", Response::Blocks(vec![None, held])),
        ("heads", Response::Heads(vec![head(1), head(2)])),
        ("no heads", Response::Heads(vec![])),
        // Long enough for skip links over several nodes.
        ("a log from its beginning", Response::Nodes(nodes(8))),
        (
            "a log with a node twice",
            Response::Nodes([nodes(3), nodes(2)].concat()),
        ),
        (
            "a log with a gap",
            Response::Nodes([nodes(1), nodes(4)[2..].to_vec()].concat()),
        ),
        (
            "heads of client rings",
            Response::ClientHeads(vec![client(1), client(2)]),
        ),
        ("held", Response::Held(ByteBuf::from([5; 65]))),
        ("no key", Response::Key(None)),
        (
            "a key",
            Response::Key(Some(ByteBuf::from([7; MAX_WRAP_BYTES]))),
        ),
    ]
}

pub fn messages() -> File {
    let mut vectors = Vec::new();
    for (name, request) in requests() {
        vectors.push(vector("request", name, &bytes(&request), None));
    }
    for (name, answer) in answers() {
        vectors.push(vector("answer", name, &bytes(&answer), None));
    }
    vectors.extend(bad());
    File {
        name: "sync",
        about: "What members ask each other, and the answers, in strict canonical DAG-CBOR. Given is which of the two it is. Nodes in an answer are not opened here.",
        fuzzed: Some("sync"),
        vectors,
    }
}

fn bad() -> Vec<Vector> {
    let asked = bytes(&WireRequest::Nodes {
        author: AUTHOR,
        from: 7,
    });
    let told = bytes(&Response::Heads(vec![(AUTHOR, 3, digest(4))]));
    let many = WireRequest::Blocks(vec![data_cid(digest(1)); MAX_BLOCKS + 1]);
    let long = Response::Key(Some(ByteBuf::from([7; MAX_WRAP_BYTES + 1])));
    let nothing = Response::Blocks(vec![None; MAX_BLOCKS + 1]);
    let cases = [
        ("request", "too many blocks", bytes(&many), "form"),
        (
            "request",
            "an unknown kind",
            swap(&asked, b"Nodes", b"Notes"),
            "form",
        ),
        (
            "request",
            "an unknown key",
            swap(&asked, b"dfrom", b"dfrim"),
            "form",
        ),
        (
            "request",
            "an author of 21 bytes",
            swap(&asked, b"fauthor\x54", b"fauthor\x55"),
            "form",
        ),
        (
            "request",
            "a long number",
            swap(&asked, b"dfrom\x07", b"dfrom\x18\x07"),
            "form",
        ),
        (
            "request",
            "a negative number",
            swap(&asked, b"dfrom\x07", b"dfrom\x27"),
            "form",
        ),
        ("answer", "too many blocks", bytes(&nothing), "form"),
        ("answer", "a key that is too long", bytes(&long), "size"),
        (
            "answer",
            "a head of two parts",
            swap(&told, b"\x83\x54", b"\x82\x54"),
            "form",
        ),
        (
            "answer",
            "a list announced that is longer than any",
            swap(&told, b"Heads\x81", b"Heads\x9a\xff\xff\xff\xff"),
            "form",
        ),
        ("answer", "no map around it", told[1..].to_vec(), "form"),
        (
            "answer",
            "a long number",
            swap(&told, b"\x03\x58\x20", b"\x18\x03\x58\x20"),
            "form",
        ),
        (
            "answer",
            "a block in parts of no fixed number",
            b"\xa1fBlocks\x81\x5f\x40\x40\xff".to_vec(),
            "form",
        ),
        ("answer", "a request", asked.clone(), "form"),
        ("answer", "two answers", set(&told, 0, told[0] + 1), "form"),
    ];
    let mut vectors: Vec<_> = cases
        .iter()
        .map(|(of, name, bytes, error)| vector(of, name, bytes, Some(error)))
        .collect();
    for (of, good) in [("request", &asked), ("answer", &told)] {
        for (name, bytes) in spoilt(good) {
            vectors.push(vector(of, name, &bytes, Some("form")));
        }
    }
    vectors
}
