//! Headers and pages of ring nodes that are under way, in memory, and the disk behind them as the assembly sees it.
//!
//! [`Pages`] is a cache with a bound in bytes; what falls out is fetched again from the block store. [`RingDisk`] joins
//! it with the state database into the `RingStore` that the protocol's assembler asks.

use crate::state::{MemberState, StateError};
use bytes::Bytes;
use rings_protocol::{assembly::RingStore, Address, Digest};
use std::collections::{HashMap, VecDeque};

/// Most bytes that are kept; the oldest go first. They are in the block store too.
const MAX_BYTES: usize = 64 << 20;
/// What one costs besides its bytes.
const OVERHEAD: usize = 128;

/// Blocks of ring nodes, by digest.
#[derive(Debug, Default)]
pub(super) struct Pages {
    held: HashMap<Digest, Bytes>,
    order: VecDeque<Digest>,
    bytes: usize,
}

impl Pages {
    /// Keeps a block, which was hashed before.
    pub fn keep(&mut self, digest: Digest, bytes: Bytes) {
        if self.held.contains_key(&digest) {
            return;
        }
        self.bytes += bytes.len() + OVERHEAD;
        self.held.insert(digest, bytes);
        self.order.push_back(digest);
        while self.bytes > MAX_BYTES {
            let oldest = self.order.pop_front();
            let Some(gone) = oldest.and_then(|oldest| self.held.remove(&oldest)) else {
                return;
            };
            self.bytes -= gone.len() + OVERHEAD;
        }
    }

    /// A block.
    pub fn get(&self, digest: Digest) -> Option<&Bytes> {
        self.held.get(&digest)
    }
}

/// What the assembly of ring nodes asks for.
pub(super) struct RingDisk<'a> {
    pub state: &'a MemberState,
    pub pages: &'a Pages,
}

impl RingStore for RingDisk<'_> {
    type Error = StateError;

    fn ring_node(&self, number: u64) -> Result<Option<Digest>, StateError> {
        Ok(self.state.ring_node(number)?.map(|node| node.digest))
    }

    fn page(&self, digest: Digest) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.pages.get(digest).map(|bytes| bytes.to_vec()))
    }

    fn position(&self, member: Address, head: Digest) -> Result<Option<u64>, StateError> {
        self.state.position(member, head)
    }

    fn tip(&self, member: Address) -> Result<Option<Digest>, StateError> {
        Ok(self.state.tip(member)?.map(|tip| tip.digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::cids::sha256;

    #[test]
    fn the_oldest_go_when_there_are_too_many_bytes() {
        let mut pages = Pages::default();
        let page = Bytes::from(vec![0; 1 << 20]);
        let digest = |n: u64| sha256(&n.to_be_bytes());
        for n in 0..100 {
            pages.keep(digest(n), page.clone());
            pages.keep(digest(n), page.clone());
        }
        assert!(pages.get(digest(0)).is_none() && pages.get(digest(99)).is_some());
        assert!(pages.bytes <= MAX_BYTES && pages.held.len() == pages.order.len());
        assert!(pages.held.len() >= 60);
    }
}
