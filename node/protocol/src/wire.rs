//! The requests of members to each other: for blocks, for the heads of logs, for ranges of log nodes, of their own logs and of
//! those of client rings.
//!
//! Each is a [`WireRequest`] in DAG-CBOR and gets one [`Response`]. The number of items in each message is bounded: reading ends
//! at the first item too many, so a list of many small items takes no memory. The member asks and answers (`serve.rs`, `blocks.rs` and `core/ask.rs` there).
//!
//! Nothing here is signed or trusted: blocks are hashed and log nodes are opened by whoever asked. An answer ends after
//! [`MAX_ANSWER_BYTES`], even if more was asked for, and the rest is asked for again. A change of these types is a
//! change of the protocol's version ([`crate::PROTOCOL_VERSION`]).

use crate::{flush::MAX_OFFERED_NODES, log::Tip, private::MAX_WRAP_BYTES, Address, Digest};
use cid::Cid;
use serde::{
    de::{Error, SeqAccess, Visitor},
    Deserialize, Deserializer, Serialize,
};
use serde_bytes::ByteBuf;
use std::{fmt, marker::PhantomData};

/// Most blocks asked for at once.
pub const MAX_BLOCKS: usize = 64;
/// Most log nodes in one answer.
pub const MAX_NODES: usize = 4096;
/// Bytes after which an answer ends; the rest is asked for again.
pub const MAX_ANSWER_BYTES: usize = 4 << 20;
/// Most heads in one answer.
pub const MAX_HEADS: usize = 1024;

/// A request to another member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum WireRequest {
    /// These blocks, as far as they are held.
    Blocks(#[serde(deserialize_with = "at_most::<_, _, MAX_BLOCKS>")] Vec<Cid>),
    /// The heads of all logs that are held.
    Heads,
    /// The log nodes of an author, ascending from a sequence number.
    Nodes {
        /// The author.
        author: Address,
        /// The first sequence number that is wanted.
        from: u64,
    },
    /// The key of this ring that seals nodes under this name, wrapped for whoever asks.
    Key {
        /// The replica key's name.
        name: Digest,
    },
    /// The heads of client rings' logs that are held, behind this ring and author.
    ClientHeads {
        /// The ring.
        ring: Address,
        /// The author.
        author: Address,
    },
    /// The log nodes of an avatar, ascending from a sequence number.
    ClientNodes {
        /// The avatar's ring.
        ring: Address,
        /// The avatar.
        author: Address,
        /// The first sequence number that is wanted.
        from: u64,
    },
    /// To hold an avatar's log up to a node, and to sign that it is held.
    Hold {
        /// The avatar's ring.
        ring: Address,
        /// The avatar.
        avatar: Address,
        /// The node.
        head: Digest,
        /// Serialised nodes that may be missing, newest first.
        #[serde(deserialize_with = "at_most::<_, _, MAX_OFFERED_NODES>")]
        nodes: Vec<ByteBuf>,
    },
}

/// Where a log of a client ring ends: ring, author, sequence number and digest.
pub type ClientHead = (Address, Address, u64, Digest);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Response {
    /// The blocks in the order asked; `None` for a block that is not held or did not fit.
    Blocks(#[serde(deserialize_with = "at_most::<_, _, MAX_BLOCKS>")] Vec<Option<ByteBuf>>),
    /// Author, sequence number and digest of the head of each log.
    Heads(#[serde(deserialize_with = "at_most::<_, _, MAX_HEADS>")] Vec<(Address, u64, Digest)>),
    /// Serialised nodes.
    Nodes(#[serde(deserialize_with = "at_most::<_, _, MAX_NODES>")] Vec<ByteBuf>),
    /// Heads of client rings' logs, in ascending order of ring and author.
    ClientHeads(#[serde(deserialize_with = "at_most::<_, _, MAX_HEADS>")] Vec<ClientHead>),
    /// The signature of `Held`.
    Held(ByteBuf),
    /// The wrapped key; `None` where it is not held, or is not given to whoever asks.
    Key(Option<ByteBuf>),
}

/// Why bytes from a peer are not a valid request or response.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Not DAG-CBOR of the right shape.
    #[error(
        "a peer sent bytes that are not a message of this protocol; it may run another version"
    )]
    Shape(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The message could be written in fewer or other bytes.
    #[error("a peer sent a message in other bytes than this protocol has for it")]
    NotCanonical,
    /// A key in more bytes than any has.
    #[error("a peer sent a key of {found} bytes where at most {limit} are allowed")]
    TooLong {
        /// How many came.
        found: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// An answer to another question.
    #[error("a peer's answer does not fit the request")]
    Unexpected,
}

/// Writes a message.
///
/// # Errors
/// [`WireError::Shape`].
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, WireError> {
    serde_ipld_dagcbor::to_vec(message).map_err(|error| WireError::Shape(error.into()))
}

impl WireRequest {
    /// Reads a request and checks its bounds.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let request = serde_ipld_dagcbor::from_slice(bytes)
            .map_err(|error| WireError::Shape(error.into()))?;
        // The library reads some bytes that it would not write, such as a request that ends too early. There are no long
        // requests, so comparing costs little.
        if encode(&request)? != bytes {
            return Err(WireError::NotCanonical);
        }
        Ok(request)
    }
}

impl Response {
    /// Reads a response and checks its bounds.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let response = serde_ipld_dagcbor::from_slice(bytes)
            .map_err(|error| WireError::Shape(error.into()))?;
        // The library also reads the name of a kind without the map around it, and bytes in parts of no fixed number. Writing
        // the answer again costs a copy of it, which is little beside checking what is in it.
        if encode(&response)? != bytes {
            return Err(WireError::NotCanonical);
        }
        if let Self::Key(Some(key)) = &response {
            let (found, limit) = (key.len(), MAX_WRAP_BYTES);
            if found > limit {
                return Err(WireError::TooLong { found, limit });
            }
        }
        Ok(response)
    }

    /// A response with these heads.
    pub fn heads(tips: impl IntoIterator<Item = (Address, Tip)>) -> Self {
        let heads = tips.into_iter().take(MAX_HEADS);
        Self::Heads(
            heads
                .map(|(author, tip)| (author, tip.seq, tip.digest))
                .collect(),
        )
    }
}

/// Reads a list, and refuses it at the first item beyond `MAX`.
fn at_most<'de, D, T, const MAX: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(Items::<T, MAX>(PhantomData))
}

struct Items<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Items<T, MAX> {
    type Value = Vec<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a list of at most {MAX} items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
        let mut read = Vec::new();
        while let Some(item) = items.next_element()? {
            if read.len() == MAX {
                return Err(A::Error::invalid_length(MAX + 1, &self));
            }
            read.push(item);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cids::{data_cid, sha256};
    use proptest::prelude::*;

    /// Cases of each search here; `PROPTEST_CASES` has no say in it.
    const MUTATIONS: u32 = 4_000;

    fn requests() -> Vec<WireRequest> {
        let cid = data_cid(sha256(b"x"));
        vec![
            WireRequest::Blocks(vec![cid]),
            WireRequest::Heads,
            WireRequest::Nodes {
                author: Address([1; 20]),
                from: 7,
            },
            WireRequest::Key {
                name: Digest([6; 32]),
            },
            WireRequest::ClientHeads {
                ring: Address([1; 20]),
                author: Address([2; 20]),
            },
            WireRequest::ClientNodes {
                ring: Address([1; 20]),
                author: Address([2; 20]),
                from: 7,
            },
            WireRequest::Hold {
                ring: Address([1; 20]),
                avatar: Address([2; 20]),
                head: Digest([3; 32]),
                nodes: vec![ByteBuf::from([1])],
            },
        ]
    }

    fn responses() -> Vec<Response> {
        vec![
            Response::Blocks(vec![None, Some(ByteBuf::from([1]))]),
            Response::Heads(vec![(Address([1; 20]), 3, Digest([4; 32]))]),
            Response::Nodes(vec![ByteBuf::new()]),
            Response::ClientHeads(vec![(
                Address([1; 20]),
                Address([2; 20]),
                3,
                Digest([4; 32]),
            )]),
            Response::Held(ByteBuf::from([5])),
            Response::Key(None),
            Response::Key(Some(ByteBuf::from([7]))),
        ]
    }

    #[test]
    fn messages_survive_the_wire() {
        for request in requests() {
            assert_eq!(
                WireRequest::decode(&encode(&request).unwrap()).unwrap(),
                request
            );
        }
        for response in responses() {
            assert_eq!(
                Response::decode(&encode(&response).unwrap()).unwrap(),
                response
            );
        }
    }

    /// Whatever bytes come: they are refused, or read as what would be written so.
    fn read(bytes: &[u8]) {
        if let Ok(request) = WireRequest::decode(bytes) {
            assert_eq!(encode(&request).unwrap(), bytes, "{request:?}");
        }
        if let Ok(response) = Response::decode(bytes) {
            assert_eq!(encode(&response).unwrap(), bytes, "{response:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(MUTATIONS))]

        #[test]
        fn any_bytes_are_refused_or_canonical(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes);
        }

        #[test]
        fn a_changed_message_is_refused_or_canonical(
            which: prop::sample::Index,
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..4),
        ) {
            let all: Vec<_> = requests().iter().map(|it| encode(it).unwrap())
                .chain(responses().iter().map(|it| encode(it).unwrap()))
                .collect();
            let mut bytes = which.get(&all).clone();
            for (at, byte, how) in changes {
                let at = at.index(bytes.len().max(1));
                match how {
                    0 if at < bytes.len() => bytes[at] = byte,
                    1 => bytes.insert(at.min(bytes.len()), byte),
                    _ => bytes.truncate(at),
                }
            }
            read(&bytes);
        }
    }

    #[test]
    fn too_much_is_refused() {
        let cid = data_cid(sha256(b"x"));
        let many = encode(&WireRequest::Blocks(vec![cid; MAX_BLOCKS + 1])).unwrap();
        let refused = WireRequest::decode(&many).unwrap_err();
        let cause = std::error::Error::source(&refused).unwrap().to_string();
        assert!(cause.contains("at most 64 items"), "{cause}");
        let most = encode(&WireRequest::Blocks(vec![cid; MAX_BLOCKS])).unwrap();
        assert!(WireRequest::decode(&most).is_ok());
        let hold = WireRequest::Hold {
            ring: Address([1; 20]),
            avatar: Address([2; 20]),
            head: Digest([3; 32]),
            nodes: vec![ByteBuf::new(); MAX_OFFERED_NODES + 1],
        };
        assert!(WireRequest::decode(&encode(&hold).unwrap()).is_err());
        let nodes = encode(&Response::Nodes(vec![ByteBuf::new(); MAX_NODES + 1])).unwrap();
        assert!(Response::decode(&nodes).is_err());
        let blocks = encode(&Response::Blocks(vec![None; MAX_BLOCKS + 1])).unwrap();
        assert!(Response::decode(&blocks).is_err());
        let key = encode(&Response::Key(Some(ByteBuf::from([0; MAX_WRAP_BYTES + 1])))).unwrap();
        assert!(Response::decode(&key).is_err());
        assert!(WireRequest::decode(b"\xff").is_err());
        assert!(Response::decode(b"").is_err());
    }
}
