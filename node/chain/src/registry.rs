//! The registry of services and processes on chain.
//!
//! It has no owner and no setting, so one does for all rings of a chain: it stands at [`registry_address`], which follows from
//! its code alone (EIP-1014), and whoever needs it first makes it ([`ensure_registry`](crate::ensure_registry)). What stands in it is the word of whoever
//! wrote it. Names and versions are bounded by the contract and are shown by nobody here: whoever shows them escapes them.
//!
//! Entries are read in pages, newest first. A search looks through one page ([`Chain::search_registry`]), so that no number of
//! entries that strangers have written makes one question long.

use crate::{
    abi::registry,
    calls,
    chain::{At, Chain},
    convert::address,
    error::ChainError,
    gate_code::{create2_address, CREATE2_DEPLOYER},
    types::Call,
};
use ethers_core::types::U256;
use rings_protocol::{Address, Digest};

/// Entries that one search looks at.
pub const REGISTRY_PAGE: u64 = 100;
/// Most bytes of a name in the registry, as the contract has it.
pub const MAX_REGISTERED_NAME: usize = 64;
/// Most bytes of a version in the registry, as the contract has it.
pub const MAX_REGISTERED_VERSION: usize = 32;

/// The salt of its address: one registry on each chain.
pub(crate) const REGISTRY_SALT: Digest = Digest::ZERO;

/// What is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// A service.
    Service,
    /// A process.
    Process,
}

/// An entry: the word of its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryEntry {
    /// Its place in the order in which entries were made, from 0.
    pub number: u64,
    /// Who registered it.
    pub owner: Address,
    /// What it is.
    pub kind: Registered,
    /// Whether its owner advises against it.
    pub withdrawn: bool,
    /// The digest of the definition's CID.
    pub hash: Digest,
    /// The digest of the CID of a description, if there is one.
    pub description: Option<Digest>,
    /// Its name: any text of a stranger.
    pub name: String,
    /// Its version: any text of a stranger.
    pub version: String,
}

impl RegistryEntry {
    /// Whether a person who looks for `text` means it: it is in the name, whatever the case of the letters.
    pub fn is_named(&self, text: &str) -> bool {
        self.name.to_lowercase().contains(&text.to_lowercase())
    }
}

/// A page of entries, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryPage {
    /// Those of the page that are meant.
    pub entries: Vec<RegistryEntry>,
    /// The next page is before this number; nothing when this was the last.
    pub next: Option<u64>,
}

/// What an account writes about a definition.
#[derive(Debug, Clone)]
pub struct Registration {
    /// What it is.
    pub kind: Registered,
    /// The digest of the definition's CID.
    pub hash: Digest,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest of the CID of a description.
    pub description: Option<Digest>,
}

/// Where the registry of each chain is.
pub fn registry_address() -> Address {
    create2_address(CREATE2_DEPLOYER, REGISTRY_SALT, &creation())
}

/// The code that creates it.
pub(crate) fn creation() -> Vec<u8> {
    registry::REGISTRY_BYTECODE.to_vec()
}

/// Writes the sender's entry for a definition, in place of an earlier one.
pub fn register(entry: &Registration) -> Call {
    let call = registry::RegisterCall {
        kind: match entry.kind {
            Registered::Service => 0,
            Registered::Process => 1,
        },
        hash: entry.hash.0,
        name: entry.name.clone(),
        version: entry.version.clone(),
        description: entry.description.unwrap_or(Digest::ZERO).0,
    };
    calls::encode(registry_address(), call)
}

/// Says of the sender's entry whether its use is advised against.
pub fn withdraw(hash: Digest, withdrawn: bool) -> Call {
    let call = registry::WithdrawCall {
        hash: hash.0,
        withdrawn,
    };
    calls::encode(registry_address(), call)
}

impl Chain {
    /// The entries of one page whose names contain `text`, before the entry with this number, or the newest.
    ///
    /// # Errors
    /// [`ChainError::NotAContract`] when the chain has no registry; others when it cannot be asked.
    pub async fn search_registry(
        &self,
        text: &str,
        before: Option<u64>,
    ) -> Result<RegistryPage, ChainError> {
        let end = match before {
            Some(before) => before.min(self.registry_count().await?),
            None => self.registry_count().await?,
        };
        let from = end.saturating_sub(REGISTRY_PAGE);
        let mut entries = self.registry_entries(from, end - from).await?;
        entries.retain(|entry| entry.is_named(text));
        entries.reverse();
        Ok(RegistryPage {
            entries,
            next: (from > 0).then_some(from),
        })
    }

    async fn registry_count(&self) -> Result<u64, ChainError> {
        let call = registry::EntryCountCall;
        let count: U256 = self
            .view("registry", registry_address(), call, At::Latest)
            .await?;
        u64::try_from(count).map_err(|_| ChainError::malformed("registry", "too many entries"))
    }

    async fn registry_entries(
        &self,
        from: u64,
        limit: u64,
    ) -> Result<Vec<RegistryEntry>, ChainError> {
        let call = registry::EntriesCall {
            from: from.into(),
            limit: limit.into(),
        };
        let entries: Vec<registry::Entry> = self
            .view("registry", registry_address(), call, At::Latest)
            .await?;
        let numbered = (from..).zip(entries);
        numbered
            .map(|(number, entry)| read(number, entry))
            .collect()
    }
}

fn read(number: u64, entry: registry::Entry) -> Result<RegistryEntry, ChainError> {
    let is_bounded = entry.name.chars().count() <= MAX_REGISTERED_NAME
        && entry.version.chars().count() <= MAX_REGISTERED_VERSION;
    let kind = match entry.kind {
        0 => Registered::Service,
        1 => Registered::Process,
        _ => return Err(ChainError::malformed("registry", "no such kind")),
    };
    if !is_bounded {
        return Err(ChainError::malformed("registry", "a name is too long"));
    }
    let description = Digest(entry.description);
    Ok(RegistryEntry {
        number,
        owner: address(entry.owner),
        kind,
        withdrawn: entry.withdrawn,
        hash: Digest(entry.hash),
        description: (description != Digest::ZERO).then_some(description),
        name: entry.name,
        version: entry.version,
    })
}
