//! What a replica asks the chain about avatars: who they are, what they signed last, and what became of an action.
//!
//! [`Chain::avatar`] reads at one block all that decides whether an action may be relayed. [`Chain::simulate`] says
//! what it would cost, or why the contract would refuse it. [`Chain::landed`] finds the action that took a nonce, by
//! the ring's event and the transaction behind it: what is compared is the action itself, for an avatar may sign two
//! actions for one nonce.
//!
//! Everything else is read at the newest block and may be reorganised away; the caller waits for confirmations where it
//! matters. [`Chain::is_client`] and [`Chain::is_ring`] say which rings concern a member at all: only a ring that the
//! engine made is known to tell the truth about its members.

use crate::{
    abi::{engine, ring},
    chain::{message_of, At, Chain},
    convert::{address, count, digest, h160},
    error::ChainError,
    fetch::search,
    interest::Interest,
    receipt::{Receipt, Transaction},
    types::{BlockRef, Call},
};
use ethers_core::types::{H160, U256};
use rings_protocol::{flush::CompoundAction, Address, Digest};
use std::collections::BTreeSet;

/// Client rings that are read at once.
const CLIENTS_AT_ONCE: usize = 256;

/// An avatar, read at one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvatarState {
    /// The block.
    pub block: BlockRef,
    /// Whether it is a member of the ring.
    pub is_member: bool,
    /// The head of its log; zero when there is none.
    pub head: Digest,
    /// The nonce of its next action.
    pub nonce: u64,
}

/// The action that took a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Landed {
    /// Whether it is the one that was asked for.
    pub is_this: bool,
    /// Its transaction.
    pub transaction: Digest,
    /// The block of it.
    pub block: BlockRef,
    /// Who sent it.
    pub sender: Address,
    /// Gas that it used.
    pub gas_used: u64,
    /// What it cost, in wei.
    pub fee: u128,
}

impl Chain {
    /// Whether `client` is registered with a ring that keeps logs.
    ///
    /// # Errors
    /// [`ChainError::NotAContract`] when there is no ring; others when the chain cannot be asked.
    pub async fn is_client(&self, keeper: Address, client: Address) -> Result<bool, ChainError> {
        let client = h160(client);
        let call = ring::IsClientCall { client };
        self.view("ring", keeper, call, At::Latest).await
    }

    /// All client rings that are registered with a ring that keeps logs, in pages.
    ///
    /// # Errors
    /// As [`Chain::is_client`].
    pub async fn clients(&self, keeper: Address) -> Result<BTreeSet<Address>, ChainError> {
        let mut clients = BTreeSet::new();
        loop {
            let (start, limit) = (U256::from(clients.len()), U256::from(CLIENTS_AT_ONCE));
            let call = ring::ClientsFromCall {
                start,
                count: limit,
            };
            let page: Vec<H160> = self.view("ring", keeper, call, At::Latest).await?;
            let (before, is_last) = (clients.len(), page.len() < CLIENTS_AT_ONCE);
            clients.extend(page.into_iter().map(address));
            // The list changes when a registration ends: then a page may repeat what is known.
            if is_last || clients.len() == before {
                return Ok(clients);
            }
        }
    }

    /// The same as of a block in the past.
    ///
    /// # Errors
    /// As [`Chain::is_client`]; also when the endpoint does not know that block's state any more.
    pub async fn was_client(
        &self,
        keeper: Address,
        client: Address,
        block: u64,
    ) -> Result<bool, ChainError> {
        let client = h160(client);
        let call = ring::IsClientCall { client };
        self.view("ring", keeper, call, At::Block(block)).await
    }

    /// Whether an account is a member of a ring whose log is not frozen: now, or as of a block in the past.
    ///
    /// # Errors
    /// As [`Chain::is_client`]; also when the endpoint does not know that block's state any more.
    pub async fn may_append(
        &self,
        ring: Address,
        account: Address,
        block: Option<u64>,
    ) -> Result<bool, ChainError> {
        let (at, account) = (block.map_or(At::Latest, At::Block), h160(account));
        let is_member = self.view("ring", ring, ring::IsMemberCall { account }, at);
        let is_frozen = self.view("ring", ring, ring::IsFrozenCall { avatar: account }, at);
        let (is_member, is_frozen): (bool, bool) = tokio::try_join!(is_member, is_frozen)?;
        Ok(is_member && !is_frozen)
    }

    /// Whether the engine made the ring at `account`.
    ///
    /// # Errors
    /// [`ChainError::NotAContract`] when there is no engine; others when the chain cannot be asked.
    pub async fn is_ring(&self, engine: Address, account: Address) -> Result<bool, ChainError> {
        let account = h160(account);
        let call = engine::IsRingCall { account };
        self.view("engine", engine, call, At::Latest).await
    }

    /// Head and nonce of an avatar, and whether it is a member, all at the newest block.
    ///
    /// # Errors
    /// [`ChainError::NotAContract`] when there is no ring; others when the chain cannot be asked.
    pub async fn avatar(&self, ring: Address, avatar: Address) -> Result<AvatarState, ChainError> {
        let head = self.latest().await?;
        let at = At::Hash(head.hash);
        let account = h160(avatar);
        let (is_member, log_head, nonce): (bool, [u8; 32], U256) = tokio::try_join!(
            self.view("ring", ring, ring::IsMemberCall { account }, at),
            self.view("ring", ring, ring::LogNodeHeadsCall { member: account }, at),
            self.view("ring", ring, ring::NonceOfCall { avatar: account }, at),
        )?;
        Ok(AvatarState {
            block: head.block(),
            is_member,
            head: Digest(log_head),
            nonce: count(nonce),
        })
    }

    /// The nonce that an avatar's next action will have once the transactions in the endpoint's pool are in blocks.
    ///
    /// # Errors
    /// As [`Chain::avatar`].
    pub async fn nonce_in_pool(&self, ring: Address, avatar: Address) -> Result<u64, ChainError> {
        let avatar = h160(avatar);
        let call = ring::NonceOfCall { avatar };
        let nonce: U256 = self.view("ring", ring, call, At::Pending).await?;
        Ok(count(nonce))
    }

    /// The account from which an avatar's actions are made.
    ///
    /// # Errors
    /// As [`Chain::avatar`].
    pub async fn account_of(&self, ring: Address, avatar: Address) -> Result<Address, ChainError> {
        let avatar = h160(avatar);
        let call = ring::AccountOfCall { avatar };
        let account: ethers_core::types::H160 = self.view("ring", ring, call, At::Latest).await?;
        Ok(address(account))
    }

    /// The gas that a call would need now, if `from` sent it.
    ///
    /// # Errors
    /// [`ChainError::Reverted`] with the contract's reason; others when the chain cannot be asked.
    pub async fn simulate(&self, from: Address, call: &Call) -> Result<u64, ChainError> {
        self.estimate(message_of(from, call.to, &call.data, call.value))
            .await
    }

    /// Whether a call would be accepted now, if `from` sent it: behind the transactions in the endpoint's pool, if `in_pool`.
    ///
    /// # Errors
    /// [`ChainError::Reverted`] with the contract's reason, if it would not; others when the chain cannot be asked.
    pub async fn accepts(
        &self,
        from: Address,
        call: &Call,
        in_pool: bool,
    ) -> Result<(), ChainError> {
        let at = match in_pool {
            true => At::Pending,
            false => At::Latest,
        };
        self.call_contract(message_of(from, call.to, &call.data, call.value), at)
            .await
            .map(drop)
    }

    /// The action that took the nonce of `action`, looked for from block `since` on; `None` while none is found.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub async fn landed(
        &self,
        ring: Address,
        action: &CompoundAction,
        since: u64,
    ) -> Result<Option<Landed>, ChainError> {
        let interest = Interest::flushed(ring, action.avatar, action.nonce);
        let events = search(self, &interest, since, false).await?;
        // Another action may have taken the nonce. So the transaction's data are compared, not only the event.
        let Some(event) = events.last() else {
            return Ok(None);
        };
        let place = event.place();
        let (receipt, transaction): (Option<Receipt>, Option<Transaction>) = tokio::try_join!(
            self.receipt(place.transaction),
            self.transaction(place.transaction),
        )?;
        let (Some(receipt), Some(transaction)) = (receipt, transaction) else {
            return Ok(None);
        };
        let price = receipt.effective_gas_price.unwrap_or_default();
        let fee = receipt.gas_used.saturating_mul(price);
        Ok(Some(Landed {
            is_this: action.is_in(&transaction.input),
            transaction: digest(place.transaction),
            block: self.block_of(event, place).await?,
            sender: receipt.from.map(address).unwrap_or_default(),
            gas_used: count(receipt.gas_used),
            fee: fee.min(u128::MAX.into()).as_u128(),
        }))
    }
}
