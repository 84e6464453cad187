//! What a vector is, and what they are made of: keys, domain, and ways to spoil bytes.

use rings_protocol::{
    cids::sha256,
    crypto::SecretKey,
    eip712::Domain,
    log::{LogNode, OwnLog, Tip},
    message::Message,
    Address, Digest,
};
use serde_json::{json, Map, Value};
use std::convert::Infallible;

/// One file of vectors.
pub struct File {
    pub name: &'static str,
    pub about: &'static str,
    /// The fuzz target whose seeds these bytes are.
    pub fuzzed: Option<&'static str>,
    pub vectors: Vec<Vector>,
}

/// Bytes, and what they are read as, or the kind of error.
pub struct Vector {
    pub name: String,
    pub bytes: Vec<u8>,
    /// What the reader is told besides.
    pub given: Value,
    pub expect: Value,
    pub error: Option<&'static str>,
}

pub fn hex(bytes: impl AsRef<[u8]>) -> Value {
    json!(format!("0x{}", hex::encode(bytes)))
}

impl Vector {
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            bytes: bytes.into(),
            given: json!({}),
            expect: Value::Null,
            error: None,
        }
    }

    pub fn given(mut self, given: Value) -> Self {
        self.given = given;
        self
    }

    /// What this program reads; `error` names what must be wrong, if something must be.
    pub fn read(
        mut self,
        result: Result<Value, &'static str>,
        error: Option<&'static str>,
    ) -> Self {
        match (result, error) {
            (Ok(value), None) => self.expect = value,
            (Err(kind), Some(error)) if kind == error => self.error = Some(kind),
            (result, error) => panic!("{}: {result:?}, not {error:?}", self.name),
        }
        self
    }

    fn to_json(&self) -> Value {
        let mut map = Map::new();
        map.insert("name".into(), json!(self.name));
        map.insert("bytes".into(), hex(&self.bytes));
        if self.given != json!({}) {
            map.insert("given".into(), self.given.clone());
        }
        match self.error {
            Some(error) => map.insert("error".into(), json!(error)),
            None => map.insert("expect".into(), self.expect.clone()),
        };
        Value::Object(map)
    }
}

impl File {
    pub fn to_json(&self) -> String {
        let vectors: Vec<_> = self.vectors.iter().map(Vector::to_json).collect();
        let file = json!({"about": self.about, "vectors": vectors});
        serde_json::to_string_pretty(&file).unwrap() + "\n"
    }
}

pub fn domain() -> Domain {
    Domain::new(31337, Address([0x11; 20]))
}

/// What a reader must be told of the domain.
pub fn place() -> Value {
    json!({"chain": domain().chain_id, "ring": hex(domain().ring)})
}

pub fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32]).unwrap()
}

pub fn digest(n: u8) -> Digest {
    Digest([n; 32])
}

pub fn name(text: &str) -> Digest {
    sha256(text.as_bytes())
}

pub fn message(text: &str) -> Message {
    Message {
        domain: "example".into(),
        payload: text.as_bytes().to_vec().into(),
        status: "new".into(),
        kind: "Note".into(),
    }
}

/// A log in memory.
#[derive(Default)]
pub struct Nodes(pub Vec<LogNode>);

impl OwnLog for Nodes {
    type Error = Infallible;
    fn tip(&self) -> Result<Option<Tip>, Infallible> {
        Ok(self.0.last().map(LogNode::tip))
    }
    fn digest_at(&self, seq: u64) -> Result<Option<Digest>, Infallible> {
        Ok(self.0.get(seq as usize).map(LogNode::digest))
    }
}

pub fn log(author: &SecretKey, length: u64, text: &str) -> Vec<LogNode> {
    let mut nodes = Nodes::default();
    for seq in 0..length {
        let time = (seq % 2 == 0).then_some(1_800_000_000 + seq);
        let body = vec![message(text)];
        let node = rings_protocol::log::seal(&nodes, body, vec![], time, &domain(), author);
        nodes.0.push(node.unwrap());
    }
    nodes.0
}

/// The bytes with those of the first `from` replaced.
pub fn swap(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from);
    let at = at.expect("the bytes hold what is to be replaced");
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

/// The bytes with one changed.
pub fn set(bytes: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] = byte;
    bytes
}

/// Vectors of the usual ways to spoil good bytes; `vector` makes one of a name, bytes and a kind of error.
pub fn spoilt_vectors(
    good: &[u8],
    vector: impl Fn(&str, &[u8], Option<&'static str>) -> Vector,
) -> Vec<Vector> {
    let spoilt = spoilt(good);
    let vectors = spoilt
        .iter()
        .map(|(name, bytes)| vector(name, bytes, Some("form")));
    vectors.collect()
}

/// The usual ways to spoil canonical DAG-CBOR that begins with a short list or map: all are errors of form.
pub fn spoilt(good: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let (major, count) = (good[0] & 0xe0, good[0] & 0x1f);
    vec![
        ("empty", vec![]),
        ("cut", good[..good.len() - 1].to_vec()),
        ("left over", [good, &[0]].concat()),
        ("long head", [&[major | 24, count][..], &good[1..]].concat()),
        (
            "indefinite",
            [&[major | 31][..], &good[1..], &[0xff]].concat(),
        ),
        ("tagged", [&[0xc1][..], good].concat()),
        ("one more announced", set(good, 0, good[0] + 1)),
    ]
}
