//! What is asked of a member about the registry of services and processes on its chain: a page of entries.
//!
//! An entry is the word of whoever registered it. A member passes names and versions on as they are; whoever shows them must
//! escape them. `rings search` reads the chain itself.

use super::{json::text, processes::maybe_text, schema};
use cid::Cid;
use rings_protocol::Address;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most bytes of what is looked for: a name in the registry is no longer.
pub const MAX_SEARCH_BYTES: usize = 64;

/// Parameters of `rings_searchRegistry`.
#[derive(Debug, Clone, Default, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchRegistryParams {
    /// what the name contains, whatever the case of its letters, at most 64 bytes; every entry when it is not given
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// looks before the entry with this number; at the newest when it is not given
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
}

/// What is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "RegisteredKind")]
pub enum RegisteredKind {
    /// a service
    Service,
    /// a process
    Process,
}

/// An entry of the registry: the word of its owner, but for the CID.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RegistryEntry")]
pub struct RegistryEntryView {
    /// its place in the order in which entries were made, from 0
    pub number: u64,
    /// what it is
    pub kind: RegisteredKind,
    /// the definition
    #[serde(with = "text")]
    #[schemars(with = "schema::Cid")]
    pub cid: Cid,
    /// who registered it
    #[schemars(with = "schema::Address")]
    pub owner: Address,
    /// its name: any text of at most 64 bytes
    pub name: String,
    /// its version: any text of at most 32 bytes
    pub version: String,
    /// a description for people; null if there is none
    #[serde(with = "maybe_text")]
    #[schemars(with = "Option<schema::Cid>")]
    pub description: Option<Cid>,
    /// whether its owner advises against it
    pub withdrawn: bool,
}

/// A page of the registry, newest first.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "RegistryEntries")]
pub struct RegistryView {
    /// the contract; null if this chain has none
    #[schemars(with = "Option<schema::Address>")]
    pub registry: Option<Address>,
    /// the entries that were looked for, of the 100 before the number that was given
    pub entries: Vec<RegistryEntryView>,
    /// the next page is before this number; null when there is none
    pub next: Option<u64>,
}
