//! The proof that the ring agreed on an entry: the entry's path to its root, and headers from one that the chain names
//! back to the one that lists it.
//!
//! Anybody checks it with nothing but the digest that the chain has for the anchor ([`EntryProof::verify`]). The chain
//! keeps the newest hundred ring nodes and each hundredth for good: a proof whose anchor is such a [`checkpoint`] stands
//! for ever. When the anchor is the listing node itself, the ring's contract checks the same (`proveResult`).

use super::{
    entry::Entry,
    header::{Header, HeaderError, MAX_HEADER_BYTES},
    merkle,
    node::RingNode,
};
use crate::{
    cbor::{CborError, Reader, Writer},
    cids::sha256,
    eip712::Domain,
    log::{path, skip_target},
    Address, Digest,
};

/// How often a ring node is archived on chain for good (`CHECKPOINT_FREQUENCY`).
pub const CHECKPOINT_FREQUENCY: u64 = 100;
/// Most headers in a proof: as many steps as lead back through the longest log.
pub const MAX_PROOF_HEADERS: usize = 200;
/// Most bytes of a proof.
pub const MAX_PROOF_BYTES: usize = 256 * 1024;
/// Most bytes of the entry that is proven.
const MAX_ENTRY_BYTES: usize = 16 * 1024;
const VERSION: u64 = 1;

/// The first archived ring node that is not before `number`.
pub fn checkpoint(number: u64) -> u64 {
    let step = number / CHECKPOINT_FREQUENCY;
    step.saturating_mul(CHECKPOINT_FREQUENCY)
        .saturating_add(CHECKPOINT_FREQUENCY - 1)
}

/// Whether the chain archives this ring node for good.
pub fn is_checkpoint(number: u64) -> bool {
    number % CHECKPOINT_FREQUENCY == CHECKPOINT_FREQUENCY - 1
}

/// That a ring node lists an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryProof {
    /// The chain's id.
    pub chain: u64,
    /// The ring.
    pub ring: Address,
    /// The entry.
    pub entry: Entry,
    /// From the entry to the root of the entries, the lowest first.
    pub path: Vec<Digest>,
    /// Headers from the anchor, which the chain names, back to the one that lists the entry.
    pub headers: Vec<Vec<u8>>,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not the canonical encoding.
    #[error("not a proof in DAG-CBOR")]
    Form(#[source] CborError),
    /// Larger than [`MAX_PROOF_BYTES`].
    #[error("a proof of {length} bytes; at most {MAX_PROOF_BYTES} are accepted")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// Another version.
    #[error("a proof of version {version}; this program reads version {VERSION}")]
    Version {
        /// The version that it names.
        version: u64,
    },
    /// A header cannot be read.
    #[error("a header in the proof cannot be used")]
    Header(#[source] HeaderError),
    /// The first header is not the one that the chain names.
    #[error("the proof begins at ring node {number} with a header that the chain does not name")]
    Anchor {
        /// The number of the anchor.
        number: u64,
    },
    /// Headers that do not follow from each other.
    #[error("the headers of the proof do not lead from one to the next at ring node {number}")]
    Broken {
        /// Where the links end.
        number: u64,
    },
    /// The path does not lead to the root.
    #[error("the entry is not listed by ring node {number}")]
    NotListed {
        /// The node that should list it.
        number: u64,
    },
    /// A header or the entry is not there, so no proof can be made.
    #[error("ring node {number}, or the entry in it, is not held here; fetch it first")]
    Missing {
        /// The node's number.
        number: u64,
    },
}

impl From<CborError> for ProofError {
    fn from(error: CborError) -> Self {
        Self::Form(error)
    }
}

impl EntryProof {
    /// Makes a proof of an entry that `node` lists, back from the ring node with number `anchor`. `header` gives the bytes
    /// of a header by its number.
    ///
    /// # Errors
    /// [`ProofError::Missing`] when the entry or a header on the way is not held.
    pub fn make(
        domain: &Domain,
        node: &RingNode,
        entry: &Entry,
        anchor: u64,
        mut header: impl FnMut(u64) -> Option<Vec<u8>>,
    ) -> Result<Self, ProofError> {
        let missing = |number| ProofError::Missing { number };
        let steps = path(anchor, node.number());
        let headers = steps.into_iter().map(|number| match number {
            at if at == node.number() => Ok(node.header_bytes().to_vec()),
            at => header(at).ok_or(missing(at)),
        });
        let headers: Vec<_> = headers.collect::<Result<_, _>>()?;
        if headers.is_empty() {
            return Err(missing(anchor));
        }
        Ok(Self {
            chain: domain.chain_id,
            ring: domain.ring,
            entry: entry.clone(),
            path: node.path(entry).ok_or(missing(node.number()))?,
            headers,
        })
    }

    /// The number of the ring node that the chain must name.
    ///
    /// # Errors
    /// [`ProofError`] when the first header cannot be read.
    pub fn anchor(&self) -> Result<u64, ProofError> {
        let first = self.headers.first().map(Vec::as_slice).unwrap_or_default();
        let header = Header::from_bytes(first).map_err(ProofError::Header)?;
        Ok(header.number)
    }

    /// Checks the proof against the digest that the chain has for ring node [`EntryProof::anchor`]. Returns the header
    /// that lists the entry.
    ///
    /// # Errors
    /// [`ProofError`] when it does not prove the entry.
    pub fn verify(&self, on_chain: Digest) -> Result<Header, ProofError> {
        // The chain names the first header, and each header names the next one by its digest. So the last one is as
        // certain as what the chain says.
        let mut expected = (self.anchor()?, on_chain);
        let mut listing = None;
        for (at, bytes) in self.headers.iter().enumerate() {
            let header = Header::from_bytes(bytes).map_err(ProofError::Header)?;
            if (header.number, sha256(bytes)) != expected {
                return Err(match at {
                    0 => ProofError::Anchor {
                        number: header.number,
                    },
                    _ => ProofError::Broken { number: expected.0 },
                });
            }
            if let Some(next) = self.headers.get(at + 1) {
                expected = step(&header, next)?;
            }
            listing = Some(header);
        }
        let listing = listing.ok_or(ProofError::Missing { number: 0 })?;
        let root = merkle::root_of(merkle::leaf(&self.entry.to_bytes()), &self.path);
        match root == listing.entries_root {
            true => Ok(listing),
            false => Err(ProofError::NotListed {
                number: listing.number,
            }),
        }
    }

    /// Its bytes: `[version, chain, ring, entry, [path …], [header …]]`, where the entry stands as it is and each header is
    /// a byte string.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(1024 * (1 + self.headers.len()));
        writer.list(6).uint(VERSION).uint(self.chain);
        writer.bytes(&self.ring.0).raw(&self.entry.to_bytes());
        writer.list(self.path.len());
        for sister in &self.path {
            writer.bytes(&sister.0);
        }
        writer.list(self.headers.len());
        for header in &self.headers {
            writer.bytes(header);
        }
        writer.finish()
    }

    /// Reads a proof. It is not verified yet.
    ///
    /// # Errors
    /// [`ProofError`] for anything but the canonical bytes of a proof.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProofError> {
        if bytes.len() > MAX_PROOF_BYTES {
            return Err(ProofError::TooLong {
                length: bytes.len(),
            });
        }
        let mut reader = Reader::new(bytes);
        let proof = Self::read(&mut reader)?;
        reader.end()?;
        Ok(proof)
    }

    /// Reads a proof where it stands in a longer form. Each part has its own bound.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, ProofError> {
        reader.tuple(6)?;
        match reader.uint()? {
            VERSION => {}
            version => return Err(ProofError::Version { version }),
        }
        let (chain, ring) = (reader.uint()?, Address(reader.fixed()?));
        let from = reader.at();
        let entry = Entry::read(reader)?;
        if reader.since(from).len() > MAX_ENTRY_BYTES {
            return Err(ProofError::TooLong {
                length: reader.since(from).len(),
            });
        }
        let sisters = reader.list(merkle::MAX_PATH, 34)?;
        let mut path = Vec::with_capacity(sisters);
        for _ in 0..sisters {
            path.push(reader.digest()?);
        }
        let count = reader.list(MAX_PROOF_HEADERS, 2)?;
        let mut headers = Vec::with_capacity(count);
        for _ in 0..count {
            headers.push(reader.bytes(MAX_HEADER_BYTES)?.to_vec());
        }
        Ok(Self {
            chain,
            ring,
            entry,
            path,
            headers,
        })
    }
}

/// Number and digest that the next header must have: the one at the end of the skip link if `next` has that number, else
/// the one before.
fn step(header: &Header, next: &[u8]) -> Result<(u64, Digest), ProofError> {
    let number = header.number;
    let next = Header::from_bytes(next).map_err(ProofError::Header)?.number;
    let by_skip = skip_target(number).zip(header.skip);
    let by_prev = number.checked_sub(1).zip(header.prev);
    by_skip
        .into_iter()
        .chain(by_prev)
        .find(|(target, _)| *target == next)
        .ok_or(ProofError::Broken { number })
}

#[cfg(test)]
mod tests {
    use super::super::node::tests::position;
    use super::*;

    fn entry(n: u64) -> Entry {
        Entry::Decision {
            slot: sha256(&n.to_be_bytes()),
            choice: Digest([1; 32]),
        }
    }

    fn log(length: u64) -> Vec<RingNode> {
        let mut nodes: Vec<RingNode> = Vec::new();
        for number in 0..length {
            let at = |n: u64| nodes.get(n as usize).map(RingNode::digest);
            let place = position(
                number,
                number.checked_sub(1).and_then(at),
                skip_target(number).and_then(at),
            );
            let entries = (3 * number..3 * number + 3).map(entry).collect();
            nodes.push(RingNode::build(place, entries, vec![]).unwrap());
        }
        nodes
    }

    fn domain() -> Domain {
        Domain::new(31337, Address([7; 20]))
    }

    fn prove(log: &[RingNode], number: u64, anchor: u64) -> Result<EntryProof, ProofError> {
        let headers = |n: u64| log.get(n as usize).map(|node| node.header_bytes().to_vec());
        let node = &log[number as usize];
        EntryProof::make(&domain(), node, &entry(3 * number + 1), anchor, headers)
    }

    #[test]
    fn each_entry_is_proven_from_each_later_node() {
        let log = log(120);
        for number in [0, 1, 5, 63, 98, 99, 100] {
            for anchor in [number, 99, 100, 119] {
                if anchor < number {
                    assert!(prove(&log, number, anchor).is_err());
                    continue;
                }
                let proof = prove(&log, number, anchor).unwrap();
                let again = EntryProof::from_bytes(&proof.to_bytes()).unwrap();
                assert_eq!(again, proof);
                let listing = again.verify(log[anchor as usize].digest()).unwrap();
                assert_eq!((listing.number, proof.anchor()), (number, Ok(anchor)));
                assert!(proof.headers.len() <= 3 * (anchor + 2).ilog2() as usize + 3);
            }
        }
    }

    #[test]
    fn nothing_else_is_proven() {
        let log = log(120);
        let good = prove(&log, 40, 99).unwrap();
        let on_chain = log[99].digest();
        assert!(good.verify(on_chain).is_ok());
        assert!(matches!(
            good.verify(log[98].digest()),
            Err(ProofError::Anchor { .. })
        ));
        let other = EntryProof {
            entry: entry(0),
            ..good.clone()
        };
        assert!(matches!(
            other.verify(on_chain),
            Err(ProofError::NotListed { .. })
        ));
        for left_out in 1..good.headers.len() {
            let mut broken = good.clone();
            broken.headers.remove(left_out);
            assert!(broken.verify(on_chain).is_err(), "{left_out}");
        }
        let empty = EntryProof {
            headers: vec![],
            ..good
        };
        assert!(empty.verify(on_chain).is_err());
    }

    #[test]
    fn checkpoints_are_the_hundredths() {
        assert_eq!([0, 99, 100, 199].map(checkpoint), [99, 99, 199, 199]);
        assert!(is_checkpoint(99) && is_checkpoint(199) && !is_checkpoint(100));
        assert_eq!(checkpoint(u64::MAX), u64::MAX);
    }
}
