//! Blocks of UnixFS files, written by hand: as `ipfs add` makes them, or not quite.

use cid::Cid;
use rings_store::Block;

/// A part of a file, as a link to it says.
#[derive(Debug, Clone, Copy)]
pub struct Linked {
    pub cid: Cid,
    /// Bytes of the file.
    pub bytes: u64,
    /// Bytes of blocks.
    pub weight: u64,
}

impl Linked {
    pub fn new(cid: Cid, bytes: u64, weight: u64) -> Self {
        Self { cid, bytes, weight }
    }

    /// A raw leaf weighs what it holds.
    pub fn raw(cid: Cid, bytes: u64) -> Self {
        Self::new(cid, bytes, bytes)
    }
}

pub fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

pub fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [
        &[number << 3 | 2][..],
        &varint(content.len() as u64),
        content,
    ]
    .concat()
}

pub fn number(field: u8, value: u64) -> Vec<u8> {
    [vec![field << 3], varint(value)].concat()
}

/// A dag-pb block with this UnixFS message and these links.
pub fn dag_pb(message: &[u8], links: &[Linked]) -> Block {
    dag_pb_with(message, links, |cid, weight| {
        [field(1, &cid.to_bytes()), field(2, b""), number(3, weight)].concat()
    })
}

/// The same with links written in another way.
pub fn dag_pb_with(message: &[u8], links: &[Linked], link: impl Fn(&Cid, u64) -> Vec<u8>) -> Block {
    let links: Vec<u8> = links
        .iter()
        .flat_map(|linked| field(2, &link(&linked.cid, linked.weight)))
        .collect();
    Block::dag_pb([links, field(1, message)].concat().into()).unwrap()
}

/// A part of a file: its own bytes, and links to raw leaves of these sizes.
pub fn part(data: &[u8], file_size: Option<u64>, leaves: &[(Cid, u64)]) -> Block {
    let links: Vec<_> = leaves
        .iter()
        .map(|(cid, size)| Linked::raw(*cid, *size))
        .collect();
    dag_pb(&message(data, file_size, &links), &links)
}

/// A node above other parts.
pub fn node(file_size: Option<u64>, links: &[Linked]) -> Block {
    dag_pb(&message(b"", file_size, links), links)
}

fn message(data: &[u8], file_size: Option<u64>, links: &[Linked]) -> Vec<u8> {
    let mut message = number(1, 2);
    if !data.is_empty() {
        message.extend(field(2, data));
    }
    message.extend(file_size.into_iter().flat_map(|size| number(3, size)));
    message.extend(links.iter().flat_map(|link| number(4, link.bytes)));
    message
}
