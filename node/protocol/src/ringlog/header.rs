//! The header of a ring node: the one block whose digest the members register.
//!
//! It is canonical DAG-CBOR, a list of ten of at most [`MAX_HEADER_BYTES`], whose first part stands at fixed places,
//! where the ring's contract reads it (`contracts/src/libraries/RingNodeHeader.sol` has the table). A [`Header`] can be
//! made or read only in that form. What a header alone cannot tell is checked with its pages: see [`super::RingNode`].
//!
//! A contract hashes the whole header when it checks a proof (`proveResult`), and never a page. So the header is
//! bounded, and entries and heads stand in pages, of which there are at most [`MAX_PAGES`]. The skip link follows the
//! rule of logs ([`skip_target`]), so an old ring node is reached in a few steps.

use crate::{
    cbor::{CborError, Reader, Writer, LINK_BYTES},
    cids::sha256,
    log::skip_target,
    Digest,
};

/// Most bytes of a header.
pub const MAX_HEADER_BYTES: usize = 1024;
/// Most pages that a header may name, of entries and heads together. They fit with the longest integers too.
pub const MAX_PAGES: usize = 19;
/// Most pages of heads: the heads of the largest ring fit into one.
pub const MAX_HEAD_PAGES: usize = 1;
/// Most pages of entries.
pub const MAX_ENTRY_PAGES: usize = MAX_PAGES - MAX_HEAD_PAGES;
const VERSION: u64 = 1;

/// The header of a ring node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Merkle root of the entries; zero when there are none.
    pub entries_root: Digest,
    /// Merkle root of the heads; zero when there are none.
    pub heads_root: Digest,
    /// `membersHash()` of the ring in this epoch.
    pub members_hash: Digest,
    /// The epoch of the members who endorsed it.
    pub epoch: u64,
    /// Its number in the ring log, from 0.
    pub number: u64,
    /// The header of the ring node before; absent in the first.
    pub prev: Option<Digest>,
    /// The header at [`skip_target`] of this number; absent in the first.
    pub skip: Option<Digest>,
    /// The blocks that hold the entries, in the order of the leaves.
    pub entry_pages: Vec<Digest>,
    /// The blocks that hold the heads, in the order of the leaves.
    pub head_pages: Vec<Digest>,
}

/// Why bytes are not the header of a ring node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Larger than [`MAX_HEADER_BYTES`].
    #[error("a header of {length} bytes; at most {MAX_HEADER_BYTES} are accepted")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// Not the canonical list of ten.
    #[error("not the header of a ring node in DAG-CBOR")]
    Form(#[source] CborError),
    /// Another version.
    #[error("a header of version {version}; this program reads version {VERSION}")]
    Version {
        /// The version that it names.
        version: u64,
    },
    /// A link is missing or superfluous, or `skip` should be `prev` and is not.
    #[error("the links of ring node {number} do not fit its number")]
    Links {
        /// Its number.
        number: u64,
    },
    /// A root without pages, or pages without a root, or a page named twice.
    #[error("the roots and pages of ring node {number} do not fit each other")]
    Pages {
        /// Its number.
        number: u64,
    },
}

impl From<CborError> for HeaderError {
    fn from(error: CborError) -> Self {
        Self::Form(error)
    }
}

impl Header {
    /// What can be checked without the pages.
    fn check(&self) -> Result<(), HeaderError> {
        let number = self.number;
        let linked = self.prev.is_some() == (number > 0) && self.skip.is_some() == (number > 0);
        let skip_is_prev = skip_target(number).map(|target| target + 1) == Some(number);
        if !linked || (skip_is_prev && self.skip != self.prev) {
            return Err(HeaderError::Links { number });
        }
        let (entries, heads) = (self.entry_pages.len(), self.head_pages.len());
        let rooted = self.entries_root.is_zero() == (entries == 0)
            && self.heads_root.is_zero() == (heads == 0);
        match rooted && entries <= MAX_ENTRY_PAGES && heads <= MAX_HEAD_PAGES {
            true => Ok(()),
            false => Err(HeaderError::Pages { number }),
        }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// [`HeaderError`] when links or pages do not fit.
    pub fn to_bytes(&self) -> Result<Vec<u8>, HeaderError> {
        self.check()?;
        let mut writer = Writer::with_capacity(MAX_HEADER_BYTES);
        writer
            .list(10)
            .uint(VERSION)
            .bytes(&self.entries_root.0)
            .bytes(&self.heads_root.0)
            .bytes(&self.members_hash.0)
            .uint(self.epoch)
            .uint(self.number)
            .link_or_null(self.prev)
            .link_or_null(self.skip);
        for pages in [&self.entry_pages, &self.head_pages] {
            writer.list(pages.len());
            for page in pages {
                writer.link(*page);
            }
        }
        Ok(writer.finish())
    }

    /// The digest that is registered: sha2-256 of its bytes.
    ///
    /// # Errors
    /// As [`Header::to_bytes`].
    pub fn digest(&self) -> Result<Digest, HeaderError> {
        self.to_bytes().map(|bytes| sha256(&bytes))
    }

    /// Reads a header.
    ///
    /// # Errors
    /// [`HeaderError`] for anything but the canonical bytes of a header whose links and pages fit.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HeaderError> {
        if bytes.len() > MAX_HEADER_BYTES {
            return Err(HeaderError::TooLong {
                length: bytes.len(),
            });
        }
        let mut reader = Reader::new(bytes);
        reader.tuple(10)?;
        match reader.uint()? {
            VERSION => {}
            version => return Err(HeaderError::Version { version }),
        }
        let header = Self {
            entries_root: reader.digest()?,
            heads_root: reader.digest()?,
            members_hash: reader.digest()?,
            epoch: reader.uint()?,
            number: reader.uint()?,
            prev: reader.link_or_null()?,
            skip: reader.link_or_null()?,
            entry_pages: links(&mut reader, MAX_ENTRY_PAGES)?,
            head_pages: links(&mut reader, MAX_HEAD_PAGES)?,
        };
        reader.end()?;
        header.check().map(|()| header)
    }
}

fn links(reader: &mut Reader<'_>, max: usize) -> Result<Vec<Digest>, CborError> {
    let count = reader.list(max, LINK_BYTES)?;
    let mut links = Vec::with_capacity(count);
    for _ in 0..count {
        links.push(reader.link()?);
    }
    Ok(links)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn header(number: u64) -> Header {
        let link = |n: u8| (number > 0).then_some(Digest([n; 32]));
        let skip_is_prev = skip_target(number).map(|target| target + 1) == Some(number);
        Header {
            entries_root: Digest([1; 32]),
            heads_root: Digest([2; 32]),
            members_hash: Digest([3; 32]),
            epoch: 4,
            number,
            prev: link(5),
            skip: link(if skip_is_prev { 5 } else { 6 }),
            entry_pages: vec![Digest([7; 32])],
            head_pages: vec![Digest([8; 32])],
        }
    }

    /// The bytes and the digest of `test_proveResult_vector` in `contracts/test/Proofs.t.sol`.
    #[test]
    fn the_contract_has_these_bytes() {
        let header = Header {
            entries_root: super::super::merkle::leaf(b"entry"),
            heads_root: Digest::ZERO,
            members_hash: Digest([[0; 31].as_slice(), &[2]].concat().try_into().unwrap()),
            epoch: 1,
            number: 0,
            prev: None,
            skip: None,
            entry_pages: vec![Digest([0x33; 32])],
            head_pages: vec![],
        };
        assert_eq!(
            header.digest().unwrap().to_string(),
            "0x97bf58df48bf354b4f96117c67a788a9d97afcee39d03a145da0b880b72fd831"
        );
        assert_eq!(Header::from_bytes(&header.to_bytes().unwrap()), Ok(header));
    }

    #[test]
    fn the_longest_header_fits() {
        let longest = Header {
            epoch: u64::MAX,
            number: u64::MAX,
            entry_pages: (0..MAX_ENTRY_PAGES as u8)
                .map(|n| Digest([n; 32]))
                .collect(),
            ..header(u64::MAX)
        };
        let bytes = longest.to_bytes().unwrap();
        assert!(bytes.len() <= MAX_HEADER_BYTES, "{}", bytes.len());
        assert_eq!(Header::from_bytes(&bytes), Ok(longest));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let good = header(6);
        assert!(good.to_bytes().is_ok());
        let page = |n: usize| vec![Digest([9; 32]); n];
        let bad = [
            Header {
                prev: None,
                ..good.clone()
            },
            Header {
                skip: None,
                ..good.clone()
            },
            Header {
                number: 0,
                ..good.clone()
            },
            Header {
                entry_pages: page(MAX_ENTRY_PAGES + 1),
                ..good.clone()
            },
            Header {
                head_pages: page(MAX_HEAD_PAGES + 1),
                ..good.clone()
            },
            Header {
                entry_pages: page(0),
                ..good.clone()
            },
            Header {
                entries_root: Digest::ZERO,
                ..good.clone()
            },
            Header {
                heads_root: Digest::ZERO,
                ..good.clone()
            },
            // Ring node 2 follows 1, and its skip link is the same node.
            Header {
                skip: Some(Digest([1; 32])),
                ..header(2)
            },
        ];
        for header in bad {
            assert!(header.to_bytes().is_err(), "{header:?}");
        }
    }

    #[test]
    fn only_the_one_encoding_is_read() {
        let good = header(6).to_bytes().unwrap();
        assert!(Header::from_bytes(&good).is_ok());
        for cut in 0..good.len() {
            assert!(Header::from_bytes(&good[..cut]).is_err());
        }
        for (at, byte) in [(0, 0x8b), (1, 2), (2, 0x59), (104, 0x18), (105, 0xf6)] {
            let mut bytes = good.clone();
            bytes[at] = byte;
            assert!(Header::from_bytes(&bytes).is_err(), "{byte:#x} at {at}");
        }
        assert!(Header::from_bytes(&[good, vec![0]].concat()).is_err());
    }
}
