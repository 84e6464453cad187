//! The heads that members' logs had on chain before, and who the members were at a block: what a person needs who
//! checks a proof against the chain as it was then. And which heads of many rings moved lately: what a member needs that keeps
//! those rings' logs.

use crate::{
    abi::ring,
    chain::{At, Chain},
    convert::{address, count},
    error::ChainError,
    fetch::{page, search, PageSize},
    interest::Interest,
};
use ethers_core::types::{H160, U256};
use rings_protocol::{Address, Digest};
use std::collections::BTreeMap;

/// Blocks of one page of moved heads.
const PAGE_BLOCKS: u64 = 2_000;
/// Rings that one question names.
const RINGS_AT_ONCE: usize = 128;

impl Chain {
    /// The logs of these rings, by ring and member, whose heads moved in the blocks `from` to `to`, with the last head of each in
    /// them. It asks once for 128 rings and some thousand blocks.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub async fn moved_heads(
        &self,
        rings: &[Address],
        (from, to): (u64, u64),
    ) -> Result<BTreeMap<(Address, Address), Digest>, ChainError> {
        let interests: Vec<_> = rings
            .chunks(RINGS_AT_ONCE)
            .map(Interest::moved_heads)
            .collect();
        let (mut size, mut next) = (PageSize::new(PAGE_BLOCKS), from);
        let mut moved = BTreeMap::new();
        while next <= to {
            let (last, events) = page(self, &interests, &mut size, next, to).await?;
            for raw in events {
                let event: Option<ring::LogNodeHeadMovedFilter> = raw.read();
                if let Some(event) = event {
                    let place = (address(raw.address), address(event.member));
                    moved.insert(place, Digest(event.head));
                }
            }
            next = last.saturating_add(1);
        }
        Ok(moved)
    }

    /// The height of the block in which a member's log moved to this head; `None` when it never did.
    ///
    /// # Errors
    /// When the chain cannot be asked, or its endpoint does not keep old events.
    pub async fn head_moved(
        &self,
        ring: Address,
        member: Address,
        head: Digest,
    ) -> Result<Option<u64>, ChainError> {
        let interest = Interest::about::<ring::LogNodeHeadMovedFilter>(ring, member);
        for raw in search(self, &interest, 0, true).await? {
            let event: Option<ring::LogNodeHeadMovedFilter> = raw.read();
            if event.is_some_and(|event| event.head == head.0) {
                return Ok(Some(raw.place().number));
            }
        }
        Ok(None)
    }

    /// The epoch of a ring at the end of a block, and its members then, in the ring's own order, which is ascending.
    ///
    /// # Errors
    /// When the chain cannot be asked, or its endpoint does not keep the state of that block.
    pub async fn members_at(
        &self,
        ring: Address,
        block: u64,
    ) -> Result<(u64, Vec<Address>), ChainError> {
        let at = At::Block(block);
        let (epoch, members): (U256, Vec<H160>) = tokio::try_join!(
            self.view("ring", ring, ring::EpochCall, at),
            self.view("ring", ring, ring::GetMembersCall, at),
        )?;
        let members = members.into_iter().map(address);
        Ok((count(epoch), members.collect()))
    }
}
