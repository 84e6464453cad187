//! Putting the contracts on a chain, and ether into accounts.
//!
//! [`deploy`] checks that the chain has the Cancun upgrade, creates the ring contract and the engine in a transaction
//! each, has the engine make a scope and a ring, and makes the chain's registry where there is none. With a salt, both addresses follow from the salt and the code, and
//! what is there already is used. Every step is submitted under a purpose that follows from its arguments, so an
//! interrupted deployment goes on where it stopped. [`fund`] brings accounts up to a balance.

use crate::{
    abi::{engine, engine_creation, ring_creation},
    calls,
    chain::{At, Chain},
    convert::{address, h256},
    error::ChainError,
    gate_code::{create2_address, CREATE2_DEPLOYER},
    receipt::Receipt,
    registry::{creation as registry_creation, REGISTRY_SALT},
    submit::{Submitted, Submitter},
    types::{BlockRef, Call, RingTerms},
};
use ethers_contract::EthEvent;
use rings_protocol::{cids::keccak256, Address, Digest};
use serde_json::json;

/// Name and symbol of the scope that a deployment makes.
const SCOPE: (&str, &str) = ("Rings data", "RINGS");

/// Code that copies memory with an opcode that came with Cancun (EIP-5656), and code that does nothing.
const WITH_MCOPY: &str = "0x6000600060005e60006000f3";
const WITHOUT: &str = "0x60006000f3";

/// The contracts of a new deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deployed {
    /// The engine.
    pub engine: Address,
    /// A scope of data tokens, owned by the account that deployed.
    pub scope: Address,
    /// The ring.
    pub ring: Address,
    /// The block of the engine: nothing of this deployment happened before it.
    pub block: BlockRef,
}

/// Deploys an engine, and makes a scope and a ring of `members` with it.
///
/// The contract of which rings are clones and the engine are created by transactions of their own, each of which fits
/// into a block of 10,000,000 gas. With a `salt` their addresses follow from it and their code alone (EIP-1014), the same
/// on every chain that has the [`CREATE2_DEPLOYER`]; an engine that is there already, whoever deployed it, is used.
///
/// The steps have purposes that follow from code, salt, members and terms, so a deployment that was interrupted goes on
/// where it stopped, and one that is finished is found again, as long as the journal is the same.
///
/// # Errors
/// [`ChainError::Unsupported`] where the chain lacks the Cancun upgrade; when a transaction fails, the chain cannot be
/// asked, or it lacks the deployer that a salt needs.
pub async fn deploy(
    chain: &Chain,
    submitter: &Submitter,
    members: &[Address],
    terms: &RingTerms,
    salt: Option<Digest>,
) -> Result<Deployed, ChainError> {
    require_cancun(chain).await?;
    let creator = Creator {
        chain,
        submitter,
        salt,
    };
    let seed = seed(salt, members, terms);
    let step = |name: &str| purpose(seed, name.as_bytes());
    let rings = creator.create(step("rings"), ring_creation()).await?;
    let code = engine_creation(rings.address);
    let engine = creator.create(step("engine"), code).await?;
    let create_scope = calls::create_scope(engine.address, SCOPE.0, SCOPE.1);
    let create_ring = calls::create_ring(engine.address, members, terms);
    let (scope, ring, ()) = tokio::try_join!(
        execute(chain, submitter, step("scope"), create_scope),
        execute(chain, submitter, step("ring"), create_ring),
        registry(chain, submitter, step("registry")),
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

/// Makes the chain's registry, where there is none yet. A chain without the [`CREATE2_DEPLOYER`] has none; rings do without it.
async fn registry(chain: &Chain, submitter: &Submitter, purpose: Digest) -> Result<(), ChainError> {
    match ensure_registry(chain, submitter, purpose).await {
        Ok(_) | Err(ChainError::NotAContract { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the registry of this chain, unless it is there. Gives its address.
///
/// # Errors
/// [`ChainError::NotAContract`] where the chain lacks the [`CREATE2_DEPLOYER`]; others when the transaction fails.
pub async fn ensure_registry(
    chain: &Chain,
    submitter: &Submitter,
    purpose: Digest,
) -> Result<Address, ChainError> {
    let salt = REGISTRY_SALT;
    let creator = Creator {
        chain,
        submitter,
        salt: Some(salt),
    };
    let created = creator.find(purpose, salt, &registry_creation()).await?;
    Ok(created.address)
}

/// Refuses a chain on which the contracts can be deployed but would fail later.
async fn require_cancun(chain: &Chain) -> Result<(), ChainError> {
    let run = |code| chain.call_contract(json!({ "data": code }), At::Latest);
    let answer = run(WITH_MCOPY).await;
    let refused = matches!(
        answer,
        Err(ChainError::Reverted { .. } | ChainError::Refused { .. })
    );
    // An endpoint may also refuse to run code that is not on the chain; then nothing is known, and the deployment goes
    // on.
    if !refused || run(WITHOUT).await.is_err() {
        return Ok(());
    }
    Err(ChainError::Unsupported {
        chain_id: chain.id(),
        what: "it lacks the Cancun upgrade (EIP-5656); use a chain that has it".into(),
    })
}

/// A contract, and how it was made, unless somebody else made it.
struct Created {
    address: Address,
    receipt: Option<Receipt>,
}

/// Creates contracts, at addresses that follow from the salt if there is one.
struct Creator<'a> {
    chain: &'a Chain,
    submitter: &'a Submitter,
    salt: Option<Digest>,
}

impl Creator<'_> {
    async fn create(&self, purpose: Digest, code: Vec<u8>) -> Result<Created, ChainError> {
        match self.salt {
            None => self.create_new(purpose, code).await,
            Some(salt) => self.find(purpose, salt, &code).await,
        }
    }

    /// Creates a contract by a transaction of its own. The chain says at which address.
    async fn create_new(&self, purpose: Digest, code: Vec<u8>) -> Result<Created, ChainError> {
        let create = Call {
            to: None,
            data: code,
            value: 0,
            gas: None,
        };
        let receipt = execute(self.chain, self.submitter, purpose, create).await?;
        let address = receipt.created().ok_or_else(|| {
            ChainError::malformed("eth_getTransactionReceipt", "no contract address")
        })?;
        Ok(Created {
            address,
            receipt: Some(receipt),
        })
    }

    /// The contract that `salt` stands for; it is made if it is not there. If two make it at once, the deployer reverts one
    /// of the transactions, and its sender then finds the other's contract.
    async fn find(
        &self,
        purpose: Digest,
        salt: Digest,
        code: &[u8],
    ) -> Result<Created, ChainError> {
        let address = create2_address(CREATE2_DEPLOYER, salt, code);
        let there = Created {
            address,
            receipt: None,
        };
        if self.chain.has_code(address).await? {
            return Ok(there);
        }
        if !self.chain.has_code(CREATE2_DEPLOYER).await? {
            return Err(ChainError::NotAContract {
                address: CREATE2_DEPLOYER,
                what: "deterministic deployment proxy, which a salt needs,",
            });
        }
        let call = Call::contract(CREATE2_DEPLOYER, [&salt.0, code].concat());
        match execute(self.chain, self.submitter, purpose, call).await {
            Ok(receipt) => Ok(Created {
                address,
                receipt: Some(receipt),
            }),
            Err(ChainError::Reverted { .. }) if self.chain.has_code(address).await? => Ok(there),
            Err(error) => Err(error),
        }
    }
}

fn older(one: &Receipt, other: &Receipt) -> Receipt {
    let older = if one.block_number <= other.block_number {
        one
    } else {
        other
    };
    older.clone()
}

/// Makes one more ring on an engine that is there. `purpose` names it in the submitter's journal: the same one gives the
/// same ring.
///
/// # Errors
/// [`ChainError::Reverted`] when the engine refuses the members or the terms; others when the chain cannot be asked.
pub async fn create_ring(
    chain: &Chain,
    submitter: &Submitter,
    engine: Address,
    (members, terms): (&[Address], &RingTerms),
    purpose: Digest,
) -> Result<Address, ChainError> {
    let call = calls::create_ring(engine, members, terms);
    let receipt = execute(chain, submitter, purpose, call).await?;
    let created: engine::RingCreatedFilter = event(&receipt)?;
    Ok(address(created.ring))
}

/// Brings accounts up to a balance, in wei. Accounts that have as much already get nothing.
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
        // The block is part of the purpose, so that a balance that falls again later can be filled again.
        let seed = purpose(head.hash, &account.0);
        let transfer = Call::transfer(*account, missing);
        execute(chain, submitter, seed, transfer).await.map(drop)
    });
    let transfers: Vec<_> = transfers.collect();
    futures::future::try_join_all(transfers).await.map(drop)
}

/// What identifies a deployment: its code, its salt, its members and its terms.
fn seed(salt: Option<Digest>, members: &[Address], terms: &RingTerms) -> Digest {
    let code = [ring_creation(), engine_creation(Address::ZERO)].concat();
    let mut bytes = keccak256(&code).0.to_vec();
    if let Some(salt) = salt {
        bytes.extend_from_slice(&salt.0);
        bytes.push(1); // no list of addresses ends in a single byte
    }
    // The call contains everything that a ring is made with.
    bytes.extend(calls::create_ring(Address::ZERO, members, terms).data);
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
                ChainError::malformed("eth_getTransactionReceipt", "the receipt is gone")
            })
        }
    }
}

/// The first event of a kind in a receipt.
fn event<E: EthEvent>(receipt: &Receipt) -> Result<E, ChainError> {
    let mut events = receipt.logs.iter().filter_map(|event| event.read());
    events
        .next()
        .ok_or_else(|| ChainError::malformed("eth_getTransactionReceipt", "an event is missing"))
}
