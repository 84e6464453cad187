//! Decoding of dag-pb nodes and of the UnixFS message inside them.
//!
//! [`Node`] and [`UnixFs`] accept everything that the two formats allow, because archives hold directories too. They
//! note what is unusual for a part of a file, and `part.rs` refuses it.
//!
//! The decoder is written by hand and strict (`protobuf.rs`), because members vote on whether an input is a file: two
//! libraries that differ in one corner of the format would split a ring. Nothing is copied; names and data are slices
//! of the block.

use crate::protobuf::{Fields, Value};
use cid::Cid;

/// A dag-pb node.
#[derive(Debug, Default)]
pub(crate) struct Node<'a> {
    /// What it points to, in order.
    pub(crate) links: Vec<NodeLink<'a>>,
    /// What it holds itself.
    pub(crate) data: Option<&'a [u8]>,
    /// Whether the data stands before the links.
    pub(crate) data_first: bool,
}

/// A link of a dag-pb node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeLink<'a> {
    /// What it points to.
    pub(crate) cid: Cid,
    /// What it is called, if the field is there.
    pub(crate) name: Option<&'a [u8]>,
    /// Bytes in the block it points to and in all below that, as the writer says (`Tsize`).
    pub(crate) weight: Option<u64>,
}

impl<'a> Node<'a> {
    /// Decodes a block. Links stand together, before or behind the data, as the dag-pb specification says.
    pub(crate) fn decode(block: &'a [u8]) -> Result<Self, String> {
        let mut node = Self::default();
        let mut links_closed = false;
        for field in Fields::of(block) {
            match field? {
                (2, Value::Bytes(_)) if links_closed => return Err("links in two places".into()),
                (2, Value::Bytes(link)) => {
                    node.data_first = node.data.is_some();
                    node.links.push(decode_link(link)?);
                }
                (1, Value::Bytes(_)) if node.data.is_some() => {
                    return Err("data in two places".into())
                }
                (1, Value::Bytes(data)) => {
                    node.data = Some(data);
                    links_closed = !node.links.is_empty();
                }
                (number, _) => return Err(format!("field {number} in a dag-pb node")),
            }
        }
        Ok(node)
    }
}

/// A link: hash, name, size, in this order and once each; the hash must be there.
fn decode_link(link: &[u8]) -> Result<NodeLink<'_>, String> {
    let (mut cid, mut name, mut weight) = (None, None, None);
    let mut last = 0;
    for field in Fields::of(link) {
        let (number, value) = field?;
        if number <= last {
            return Err("link fields out of order".into());
        }
        last = number;
        match (number, value) {
            (1, Value::Bytes(hash)) => cid = Some(decode_cid(hash)?),
            (2, Value::Bytes(text)) if std::str::from_utf8(text).is_ok() => name = Some(text),
            (3, Value::Varint(size)) => weight = Some(size),
            _ => {
                return Err(format!(
                    "field {number} in a dag-pb link, unknown or with a wrong value"
                ))
            }
        }
    }
    Ok(NodeLink {
        cid: cid.ok_or("a link to nothing")?,
        name,
        weight,
    })
}

/// The reader of CIDs takes no notice of what stands behind one. Then a content would have any number of roots, so only the
/// encoding that the CID has itself is accepted.
fn decode_cid(bytes: &[u8]) -> Result<Cid, String> {
    let cid = Cid::try_from(bytes).map_err(|error| format!("a link that is not a CID: {error}"))?;
    match cid.to_bytes() == bytes {
        true => Ok(cid),
        false => Err("a link whose CID is followed by more bytes, or encoded otherwise".into()),
    }
}

/// The kinds of UnixFS nodes, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bytes of a file, or links to them.
    File,
    /// Anything else, in words.
    Other(&'static str),
}

impl Kind {
    fn of(number: u64) -> Self {
        match number {
            0 | 2 => Self::File,
            1 => Self::Other("a directory"),
            3 => Self::Other("a metadata node"),
            4 => Self::Other("a symbolic link"),
            5 => Self::Other("a sharded directory"),
            _ => Self::Other("a UnixFS node of unknown type"),
        }
    }
}

/// The UnixFS message of a node, as far as files need it.
#[derive(Debug)]
pub(crate) struct UnixFs<'a> {
    /// What it is.
    pub(crate) kind: Kind,
    /// The bytes that stand in this node, if the field is there.
    pub(crate) data: Option<&'a [u8]>,
    /// Bytes in this node and all below it.
    pub(crate) file_size: Option<u64>,
    /// Bytes below each link.
    pub(crate) block_sizes: Vec<u64>,
    /// The first thing about the encoding that `ipfs add` does not do.
    pub(crate) unusual: Option<String>,
}

impl<'a> UnixFs<'a> {
    /// Decodes the data of a dag-pb node.
    pub(crate) fn decode(message: &'a [u8]) -> Result<Self, String> {
        let mut kind = None;
        let mut found = Self {
            kind: Kind::File,
            data: None,
            file_size: None,
            block_sizes: Vec::new(),
            unusual: None,
        };
        let mut last = 0;
        for field in Fields::of(message) {
            let (field, value) = field?;
            found.note(field, last);
            last = field;
            match (field, value) {
                (1, Value::Varint(number)) => kind = Some(Kind::of(number)),
                (2, Value::Bytes(data)) => found.data = Some(data),
                (3, Value::Varint(size)) => found.file_size = Some(size),
                (4, Value::Varint(size)) => found.block_sizes.push(size),
                (1..=4, _) => return Err("a UnixFS field of the wrong type".into()),
                _ => {}
            }
        }
        found.kind = kind.ok_or("a UnixFS node without a type")?;
        Ok(found)
    }

    /// Notes a field that a file made by `ipfs add` does not have, or has in another place.
    fn note(&mut self, field: u64, last: u64) {
        let ascends = field > last || (field == last && field == 4);
        let unusual = match field {
            0 | 5.. => Some(format!("field {field} in a UnixFS file")),
            _ if !ascends => Some("UnixFS fields out of order".into()),
            _ => None,
        };
        self.unusual = self.unusual.take().or(unusual);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EMPTY_DIRECTORY: [u8; 4] = [0x0a, 0x02, 0x08, 0x01];

    #[test]
    fn the_empty_directory_and_the_empty_file() {
        let node = Node::decode(&EMPTY_DIRECTORY).unwrap();
        assert!(node.links.is_empty());
        assert_eq!(
            UnixFs::decode(node.data.unwrap()).unwrap().kind,
            Kind::Other("a directory")
        );
        let file = UnixFs::decode(&[0x08, 0x02, 0x18, 0x00]).unwrap();
        assert_eq!(
            (file.kind, file.data, file.file_size, file.unusual),
            (Kind::File, None, Some(0), None)
        );
    }

    fn link(fields: &[&[u8]]) -> Vec<u8> {
        let body = fields.concat();
        [&[0x12, body.len() as u8][..], &body].concat()
    }

    #[test]
    fn links_are_strict() {
        let mut hash = vec![0x0a, 34, 0x12, 32];
        hash.extend([9; 32]);
        let name: &[u8] = &[0x12, 0x00];
        let size: &[u8] = &[0x18, 0x05];
        assert_eq!(
            Node::decode(&link(&[&hash, name, size]))
                .unwrap()
                .links
                .len(),
            1
        );
        assert_eq!(Node::decode(&link(&[&hash])).unwrap().links.len(), 1);
        for wrong in [
            link(&[name, &hash]),
            link(&[&hash, &hash]),
            link(&[name, size]),
            link(&[&hash, &[0x12, 0x01, 0xff]]),
            link(&[&hash, &[0x20, 0x01]]),
            link(&[&[0x0a, 0x03, 1, 2, 3]]),
            vec![0x18, 0x01],
        ] {
            assert!(Node::decode(&wrong).is_err(), "{wrong:x?}");
        }
    }

    #[test]
    fn a_cid_in_a_link_ends_with_the_link_and_has_one_encoding() {
        let hash = [&[0x12, 32][..], &[9; 32]].concat();
        let first = [&[1, 0x70][..], &hash].concat();
        let field = |cid: &[u8]| link(&[&[&[0x0a, cid.len() as u8][..], cid].concat()]);
        for right in [&hash, &first] {
            assert_eq!(Node::decode(&field(right)).unwrap().links.len(), 1);
            let tail = [&right[..], &[0]].concat();
            assert!(Node::decode(&field(&tail)).is_err(), "{tail:x?}");
        }
        // The codec with a byte more than it needs.
        let long = [&[1, 0xf0, 0][..], &hash].concat();
        assert!(Node::decode(&field(&long)).is_err());
    }

    #[test]
    fn links_stand_together_and_data_stands_once() {
        let mut hash = vec![0x0a, 34, 0x12, 32];
        hash.extend([9; 32]);
        let (link, data) = (link(&[&hash]), [0x0a, 0x00]);
        for right in [
            [&link[..], &link, &data].concat(),
            [&data[..], &link, &link].concat(),
        ] {
            assert_eq!(Node::decode(&right).unwrap().links.len(), 2);
        }
        assert!(Node::decode(&[&link[..], &data, &link].concat()).is_err());
        assert!(Node::decode(&[data, data].concat()).is_err());
    }

    #[test]
    fn what_is_unusual_in_a_file_is_noted() {
        for unusual in [
            &[0x08, 0x02, 0x38, 0x01][..],
            &[0x18, 0x00, 0x08, 0x02],
            &[0x08, 0x02, 0x08, 0x02],
            &[0x08, 0x02, 0x20, 0x01, 0x18, 0x01],
        ] {
            assert!(
                UnixFs::decode(unusual).unwrap().unusual.is_some(),
                "{unusual:x?}"
            );
        }
        let usual = [0x08, 0x02, 0x18, 0x03, 0x20, 0x01, 0x20, 0x02];
        assert_eq!(UnixFs::decode(&usual).unwrap().unusual, None);
    }

    #[test]
    fn a_message_without_type_or_with_wrong_types_is_refused() {
        for wrong in [
            &[][..],
            &[0x18, 0x00],
            &[0x0a, 0x00],
            &[0x08, 0x02, 0x1a, 0x00],
        ] {
            assert!(UnixFs::decode(wrong).is_err(), "{wrong:x?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_them_panic(bytes: Vec<u8>) {
            drop(Node::decode(&bytes));
            drop(UnixFs::decode(&bytes));
        }
    }
}
