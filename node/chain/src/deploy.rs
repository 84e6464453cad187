//! Putting the contracts on a chain, and ether into accounts.

use crate::{
    abi::{creation_code, engine},
    calls,
    chain::{Chain, Receipt},
    convert::{address, h256},
    error::ChainError,
    submit::{Submitted, Submitter},
    types::{BlockRef, Call},
};
use ethers_contract::EthEvent;
use rings_protocol::{cids::keccak256, Address, Digest};

/// Name and symbol of the scope that a deployment makes.
const SCOPE: (&str, &str) = ("Rings data", "RINGS");

/// The contracts of a new deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deployed {
    /// The engine.
    pub engine: Address,
    /// A scope of data tokens, owned by the account that deployed.
    pub scope: Address,
    /// The ring; the account that deployed is its keeper.
    pub ring: Address,
    /// The block of the engine: nothing of this deployment happened before it.
    pub block: BlockRef,
}

/// Deploys an engine, and makes a scope and a ring of `members` with it.
///
/// The steps have purposes that follow from the code and the members, so a deployment that was interrupted
/// goes on where it stopped, and one that is finished is found again, as long as the journal is the same.
///
/// # Errors
/// When a transaction fails, or the chain cannot be asked.
pub async fn deploy(
    chain: &Chain,
    submitter: &Submitter,
    members: &[Address],
) -> Result<Deployed, ChainError> {
    let code = creation_code();
    let seed = seed(&code, members);
    let step = |name: &str| purpose(seed, name.as_bytes());
    let create = Call {
        to: None,
        data: code,
        value: 0,
        gas: None,
    };
    let receipt = execute(chain, submitter, step("engine"), create).await?;
    let engine = Chain::created(&receipt)
        .ok_or_else(|| ChainError::malformed("eth_getTransactionReceipt", "no contract address"))?;
    let header = chain
        .header_of(receipt.block_number.as_u64(), receipt.block_hash)
        .await?;
    let create_scope = calls::create_scope(engine, SCOPE.0, SCOPE.1);
    let create_ring = calls::create_ring(engine, members);
    let (scope, ring) = tokio::try_join!(
        execute(chain, submitter, step("scope"), create_scope),
        execute(chain, submitter, step("ring"), create_ring),
    )?;
    let scope: engine::ScopeCreatedFilter = event(&scope)?;
    let ring: engine::RingCreatedFilter = event(&ring)?;
    Ok(Deployed {
        engine,
        scope: address(scope.scope),
        ring: address(ring.ring),
        block: header.block(),
    })
}

/// Brings accounts up to a balance, in wei; those that have as much get nothing.
///
/// # Errors
/// When a transfer fails, or the chain cannot be asked.
pub async fn fund(
    chain: &Chain,
    submitter: &Submitter,
    accounts: &[Address],
    balance: u128,
) -> Result<(), ChainError> {
    let transfers = accounts.iter().map(|account| async move {
        let missing = balance.saturating_sub(chain.balance(*account).await?);
        if missing == 0 {
            return Ok(());
        }
        let head = chain.head().await?;
        // A balance that falls again later is another purpose, hence the block.
        let seed = purpose(head.hash, &account.0);
        let transfer = Call::transfer(*account, missing);
        execute(chain, submitter, seed, transfer).await.map(drop)
    });
    let transfers: Vec<_> = transfers.collect();
    futures::future::try_join_all(transfers).await.map(drop)
}

/// What a deployment is known by: its code and its members.
fn seed(code: &[u8], members: &[Address]) -> Digest {
    let mut bytes = keccak256(code).0.to_vec();
    for member in members {
        bytes.extend_from_slice(&member.0);
    }
    keccak256(&bytes)
}

fn purpose(seed: Digest, name: &[u8]) -> Digest {
    keccak256(&[&seed.0, name].concat())
}

/// Submits a call that must not revert, and reads its receipt.
async fn execute(
    chain: &Chain,
    submitter: &Submitter,
    purpose: Digest,
    call: Call,
) -> Result<Receipt, ChainError> {
    match submitter.submit(purpose, call).await? {
        Submitted::Reverted { reason, .. } => Err(ChainError::Reverted { reason }),
        Submitted::Mined { transaction, .. } => {
            let receipt = chain.receipt(h256(transaction)).await?;
            receipt.ok_or_else(|| {
                ChainError::malformed("eth_getTransactionReceipt", "the receipt has gone")
            })
        }
    }
}

/// The first event of a kind in a receipt.
fn event<E: EthEvent>(receipt: &Receipt) -> Result<E, ChainError> {
    let mut events = receipt
        .logs
        .iter()
        .filter_map(|log| E::decode_log(&log.clone().into()).ok());
    events
        .next()
        .ok_or_else(|| ChainError::malformed("eth_getTransactionReceipt", "an event is missing"))
}
