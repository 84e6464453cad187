//! The heads that members' logs had on chain before, and who the members were at a block: what a person needs who
//! checks a proof against the chain as it was then.

use crate::{
    abi::ring,
    chain::{At, Chain},
    convert::{address, count},
    error::ChainError,
    fetch::search,
    interest::Interest,
};
use ethers_core::types::{H160, U256};
use rings_protocol::{Address, Digest};

impl Chain {
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
