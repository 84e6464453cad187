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

/// The contract that makes others with CREATE2, at an address that follows from a salt and their code: the
/// "deterministic deployment proxy", which most chains have, anvil among them.
pub const CREATE2_DEPLOYER: Address = Address([
    0x4e, 0x59, 0xb4, 0x48, 0x47, 0xb3, 0x79, 0x57, 0x85, 0x88, 0x92, 0x0c, 0xa7, 0x8f, 0xbf, 0x26,
    0xc0, 0xb4, 0x95, 0x6c,
]);

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
/// With a `salt` the engine's address follows from it and the code alone (EIP-1014), the same on every chain that has
/// the [`CREATE2_DEPLOYER`]; an engine that is there already, whoever deployed it, is used.
///
/// The steps have purposes that follow from code, salt and members, so a deployment that was interrupted
/// goes on where it stopped, and one that is finished is found again, as long as the journal is the same.
///
/// # Errors
/// When a transaction fails, the chain cannot be asked, or it lacks the deployer that a salt needs.
pub async fn deploy(
    chain: &Chain,
    submitter: &Submitter,
    members: &[Address],
    salt: Option<Digest>,
) -> Result<Deployed, ChainError> {
    let code = creation_code();
    let seed = seed(&code, salt, members);
    let step = |name: &str| purpose(seed, name.as_bytes());
    let engine = match salt {
        None => create_engine(chain, submitter, step("engine"), code).await?,
        Some(salt) => find_engine(chain, submitter, step("engine"), salt, &code).await?,
    };
    let create_scope = calls::create_scope(engine.address, SCOPE.0, SCOPE.1);
    let create_ring = calls::create_ring(engine.address, members);
    let (scope, ring) = tokio::try_join!(
        execute(chain, submitter, step("scope"), create_scope),
        execute(chain, submitter, step("ring"), create_ring),
    )?;
    let first = engine.receipt.unwrap_or_else(|| older(&scope, &ring));
    let made_scope: engine::ScopeCreatedFilter = event(&scope)?;
    let made_ring: engine::RingCreatedFilter = event(&ring)?;
    let header = chain
        .header_of(first.block_number.as_u64(), first.block_hash)
        .await?;
    Ok(Deployed {
        engine: engine.address,
        scope: address(made_scope.scope),
        ring: address(made_ring.ring),
        block: header.block(),
    })
}

/// An engine, and how it was made, unless somebody else made it.
struct Engine {
    address: Address,
    receipt: Option<Receipt>,
}

async fn create_engine(
    chain: &Chain,
    submitter: &Submitter,
    purpose: Digest,
    code: Vec<u8>,
) -> Result<Engine, ChainError> {
    let create = Call {
        to: None,
        data: code,
        value: 0,
        gas: None,
    };
    let receipt = execute(chain, submitter, purpose, create).await?;
    let address = Chain::created(&receipt)
        .ok_or_else(|| ChainError::malformed("eth_getTransactionReceipt", "no contract address"))?;
    Ok(Engine {
        address,
        receipt: Some(receipt),
    })
}

/// The engine that `salt` stands for, made if it is not there. Two who make it at once: one loses a transaction, which
/// the deployer reverts, and finds the other's.
async fn find_engine(
    chain: &Chain,
    submitter: &Submitter,
    purpose: Digest,
    salt: Digest,
    code: &[u8],
) -> Result<Engine, ChainError> {
    let address = create2_address(salt, code);
    let there = Engine {
        address,
        receipt: None,
    };
    if chain.has_code(address).await? {
        return Ok(there);
    }
    if !chain.has_code(CREATE2_DEPLOYER).await? {
        return Err(ChainError::NotAContract {
            address: CREATE2_DEPLOYER,
            what: "deterministic deployment proxy, which a salt needs,",
        });
    }
    let call = Call::contract(CREATE2_DEPLOYER, [&salt.0, code].concat());
    match execute(chain, submitter, purpose, call).await {
        Ok(receipt) => Ok(Engine {
            address,
            receipt: Some(receipt),
        }),
        Err(ChainError::Reverted { .. }) if chain.has_code(address).await? => Ok(there),
        Err(error) => Err(error),
    }
}

/// Where the [`CREATE2_DEPLOYER`] puts a contract (EIP-1014).
fn create2_address(salt: Digest, code: &[u8]) -> Address {
    let parts = [
        &[0xff][..],
        &CREATE2_DEPLOYER.0,
        &salt.0,
        &keccak256(code).0,
    ];
    let mut address = [0; 20];
    address.copy_from_slice(&keccak256(&parts.concat()).0[12..]);
    Address(address)
}

fn older(one: &Receipt, other: &Receipt) -> Receipt {
    let older = if one.block_number <= other.block_number {
        one
    } else {
        other
    };
    older.clone()
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

/// What a deployment is known by: its code, its salt and its members.
fn seed(code: &[u8], salt: Option<Digest>, members: &[Address]) -> Digest {
    let mut bytes = keccak256(code).0.to_vec();
    if let Some(salt) = salt {
        bytes.extend_from_slice(&salt.0);
        bytes.push(1); // no list of addresses ends in a single byte
    }
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
