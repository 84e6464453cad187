//! A whole ring node: its header with the entries and heads in its pages.
//!
//! A page is one block, the canonical DAG-CBOR list of its entries or heads. Pages are filled in order: an entry that does
//! not fit into [`MAX_PAGE_BYTES`] any more begins the next one. So the same entries and heads give the same pages, roots
//! and header to everybody. [`RingNode::build`] makes one; [`RingNode::open`] reads the blocks of another's, builds it
//! again and compares.

use super::{
    entry::{Entry, Head, Subject, HEAD_BYTES, MIN_ENTRY_BYTES},
    header::{Header, HeaderError},
    merkle,
};
use crate::{
    cbor::{CborError, Reader, Writer},
    cids::sha256,
    quorum::MAX_MEMBERS,
    Digest,
};
use std::collections::BTreeSet;

/// Most bytes of a page, as of every node.
pub const MAX_PAGE_BYTES: usize = 256 * 1024;
/// Most bytes that the entries of one ring node have together. With the longest entries they still fit into the pages
/// that a header can name.
pub const MAX_ENTRIES_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of the head of a page's list, at most.
const LIST_HEAD: usize = 5;

/// What a ring node says besides entries and heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Its number in the ring log, from 0.
    pub number: u64,
    /// The epoch of the members.
    pub epoch: u64,
    /// `membersHash()` of the ring in that epoch: [`crate::eip712::members_hash`].
    pub members_hash: Digest,
    /// The ring node before.
    pub prev: Option<Digest>,
    /// The ring node at [`crate::log::skip_target`] of the number.
    pub skip: Option<Digest>,
}

/// A ring node with all that it lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingNode {
    /// What the chain has the digest of.
    header: Header,
    /// The header's bytes, which are hashed.
    header_bytes: Vec<u8>,
    /// The digest of the header.
    digest: Digest,
    /// What it lists, in the order of its bytes.
    entries: Vec<Entry>,
    /// The heads of logs that it moves, in the order of the members.
    heads: Vec<Head>,
    /// The blocks of entries and heads, by their digests.
    pages: Vec<(Digest, Vec<u8>)>,
}

/// Why blocks are not a ring node, or none can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RingNodeError {
    /// The header.
    #[error("the header of a ring node cannot be used")]
    Header(#[source] HeaderError),
    /// A page is not a list of entries or heads, or is too large.
    #[error("page {page} of ring node {number} cannot be read")]
    Page {
        /// The ring node's number.
        number: u64,
        /// The page's digest.
        page: Digest,
        /// What is wrong with it.
        #[source]
        source: CborError,
    },
    /// A page is not there.
    #[error("page {page} of ring node {number} is missing; fetch it first")]
    Missing {
        /// The ring node's number.
        number: u64,
        /// The page's digest.
        page: Digest,
    },
    /// Entries or heads out of order, one of them twice, or a request or slot twice.
    #[error("ring node {number} lists something twice, or out of order")]
    Order {
        /// The ring node's number.
        number: u64,
    },
    /// More than [`MAX_ENTRIES_BYTES`], or more heads than a ring has members.
    #[error("ring node {number} lists too much: at most {MAX_ENTRIES_BYTES} bytes of entries and {MAX_MEMBERS} heads")]
    TooMany {
        /// The ring node's number.
        number: u64,
    },
    /// Roots or pages are others than the entries and heads give.
    #[error("ring node {number} is not what its entries and heads give")]
    Other {
        /// The ring node's number.
        number: u64,
    },
}

/// One block of a ring node: a list of items that are encoded already.
fn page(items: &[Vec<u8>]) -> (Digest, Vec<u8>) {
    let size = items.iter().map(Vec::len).sum::<usize>() + LIST_HEAD;
    let mut writer = Writer::with_capacity(size);
    writer.list(items.len());
    for item in items {
        writer.raw(item);
    }
    let bytes = writer.finish();
    (sha256(&bytes), bytes)
}

/// Items into pages, each as full as it gets.
fn pages(items: &[Vec<u8>]) -> Vec<(Digest, Vec<u8>)> {
    let (mut pages, mut from, mut size) = (Vec::new(), 0, LIST_HEAD);
    for (at, item) in items.iter().enumerate() {
        if at > from && size + item.len() > MAX_PAGE_BYTES {
            pages.push(page(&items[from..at]));
            (from, size) = (at, LIST_HEAD);
        }
        size += item.len();
    }
    if from < items.len() {
        pages.push(page(&items[from..]));
    }
    pages
}

fn leaves(items: &[Vec<u8>]) -> Vec<Digest> {
    items.iter().map(|item| merkle::leaf(item)).collect()
}

fn digests(pages: &[(Digest, Vec<u8>)]) -> Vec<Digest> {
    pages.iter().map(|(digest, _)| *digest).collect()
}

impl RingNode {
    /// Makes a ring node of entries and heads in any order.
    ///
    /// # Errors
    /// [`RingNodeError`] when something is listed twice, or too much, or the links do not fit the number.
    pub fn build(
        position: Position,
        mut entries: Vec<Entry>,
        mut heads: Vec<Head>,
    ) -> Result<Self, RingNodeError> {
        let number = position.number;
        entries.sort_by_cached_key(Entry::to_bytes);
        heads.sort_unstable();
        check_once(number, &entries, &heads)?;
        let entry_bytes: Vec<_> = entries.iter().map(Entry::to_bytes).collect();
        let head_bytes: Vec<_> = heads.iter().map(Head::to_bytes).collect();
        let total = entry_bytes.iter().map(Vec::len).sum::<usize>();
        if total > MAX_ENTRIES_BYTES || heads.len() > MAX_MEMBERS {
            return Err(RingNodeError::TooMany { number });
        }
        let (entry_pages, head_pages) = (pages(&entry_bytes), pages(&head_bytes));
        let header = Header {
            entries_root: merkle::root(&leaves(&entry_bytes)),
            heads_root: merkle::root(&leaves(&head_bytes)),
            members_hash: position.members_hash,
            epoch: position.epoch,
            number,
            prev: position.prev,
            skip: position.skip,
            entry_pages: digests(&entry_pages),
            head_pages: digests(&head_pages),
        };
        let header_bytes = header.to_bytes().map_err(RingNodeError::Header)?;
        Ok(Self {
            digest: sha256(&header_bytes),
            header,
            header_bytes,
            entries,
            heads,
            pages: [entry_pages, head_pages].concat(),
        })
    }

    /// Reads the ring node of a header. `block` gives the bytes of a page; they are hashed again by whoever took them in.
    ///
    /// # Errors
    /// [`RingNodeError`] when a page is missing, or when anything differs from what the entries and heads give.
    pub fn open(
        header_bytes: &[u8],
        mut block: impl FnMut(Digest) -> Option<Vec<u8>>,
    ) -> Result<Self, RingNodeError> {
        let header = Header::from_bytes(header_bytes).map_err(RingNodeError::Header)?;
        let number = header.number;
        let mut entries = Vec::new();
        for digest in &header.entry_pages {
            let bytes = block(*digest).ok_or(RingNodeError::Missing {
                number,
                page: *digest,
            })?;
            let read = read_page(&bytes, MIN_ENTRY_BYTES, Entry::read);
            entries.extend(read.map_err(|source| RingNodeError::Page {
                number,
                page: *digest,
                source,
            })?);
        }
        let mut heads = Vec::new();
        for digest in &header.head_pages {
            let bytes = block(*digest).ok_or(RingNodeError::Missing {
                number,
                page: *digest,
            })?;
            let read = read_page(&bytes, HEAD_BYTES, Head::read);
            heads.extend(read.map_err(|source| RingNodeError::Page {
                number,
                page: *digest,
                source,
            })?);
        }
        // The node is built again from its parts. If the headers are equal, then order, roots and the division into
        // pages are those that everybody else would make.
        let node = Self::build(header.position(), entries, heads)?;
        match node.header == header {
            true => Ok(node),
            false => Err(RingNodeError::Other { number }),
        }
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The header's bytes.
    pub fn header_bytes(&self) -> &[u8] {
        &self.header_bytes
    }

    /// The digest that is registered.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its number in the ring log.
    pub fn number(&self) -> u64 {
        self.header.number
    }

    /// The entries, in ascending order of their bytes.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The heads that move, in ascending order of the members.
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// The pages: digest and bytes of each block, entries first. The header is a block of its own.
    pub fn pages(&self) -> &[(Digest, Vec<u8>)] {
        &self.pages
    }

    /// The path from an entry to the root of the entries; `None` when the entry is not listed.
    pub fn path(&self, entry: &Entry) -> Option<Vec<Digest>> {
        let index = self.entries.iter().position(|listed| listed == entry)?;
        let bytes: Vec<_> = self.entries.iter().map(Entry::to_bytes).collect();
        merkle::path(&leaves(&bytes), index)
    }
}

impl Header {
    /// What it says besides entries and heads.
    pub fn position(&self) -> Position {
        Position {
            number: self.number,
            epoch: self.epoch,
            members_hash: self.members_hash,
            prev: self.prev,
            skip: self.skip,
        }
    }
}

fn check_once(number: u64, entries: &[Entry], heads: &[Head]) -> Result<(), RingNodeError> {
    let subjects: BTreeSet<Subject> = entries.iter().map(Entry::subject).collect();
    let members = heads.windows(2).all(|pair| pair[0].member < pair[1].member);
    match subjects.len() == entries.len() && members {
        true => Ok(()),
        false => Err(RingNodeError::Order { number }),
    }
}

/// The items of a page, each at least `least` bytes long. Their order is checked by building the node again.
fn read_page<T>(
    bytes: &[u8],
    least: usize,
    read: impl Fn(&mut Reader<'_>) -> Result<T, CborError>,
) -> Result<Vec<T>, CborError> {
    if bytes.len() > MAX_PAGE_BYTES {
        return Err(CborError::TooMany {
            at: 0,
            count: bytes.len() as u64,
            max: MAX_PAGE_BYTES,
        });
    }
    let mut reader = Reader::new(bytes);
    let count = reader.list(MAX_PAGE_BYTES, least)?;
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        items.push(read(&mut reader)?);
    }
    reader.end().map(|()| items)
}

#[cfg(test)]
#[path = "node_tests.rs"]
pub(super) mod tests;
