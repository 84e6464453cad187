//! What people who have no node ask of a member: to keep their logs, and to bring what they signed to the chain.
//!
//! These are the parameters and answers of the trait [`ClientRings`](crate::ClientRings). Its methods are public: who
//! may act follows from the signatures in the parameters.
//!
//! The names of methods and of some parameters (`FlushToRing`, `mtx`, `msg_hash`) are an interface that other programs
//! are written against, so they differ in style from the rest. `docs/client-rings.md` is for those who write a client.

use super::{
    json::{HexBytes, Uint96},
    schema,
};
use rings_protocol::{Address, Digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most milliseconds that `AppendToRing` waits for other replicas.
pub const MAX_APPEND_WAIT: u64 = 5_000;

/// Parameters of `FlushToRing`.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlushParams {
    /// who acts
    #[schemars(with = "schema::Address")]
    pub avatar: Address,
    /// the avatar's ring
    #[schemars(with = "schema::Address")]
    pub ring: Address,
    /// abi.encode(CompoundAction)
    pub mtx: HexBytes,
    /// the avatar's signature, r, s and v in 65 bytes
    pub mtx_sig: HexBytes,
    /// serialised log nodes that this member may not hold, newest first
    #[serde(rename = "logNodes")]
    pub log_nodes: Vec<HexBytes>,
}

/// Parameters of `AppendToRing`.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppendParams {
    /// whose log grows
    #[schemars(with = "schema::Address")]
    pub avatar: Address,
    /// the avatar's ring
    #[schemars(with = "schema::Address")]
    pub ring: Address,
    /// serialised log nodes, newest first
    #[serde(rename = "logNodes")]
    pub log_nodes: Vec<HexBytes>,
    /// how many replicas are to hold them before the answer comes; 1 when it is not given
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    /// most milliseconds to wait for them, up to 5,000; 0 when it is not given
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
    /// a replica key that was made since the ring was handed over, wrapped to this member's public key (ECIES on secp256k1). It is
    /// taken if a log node of this avatar's, among those that are sent, is sealed with it
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica_key: Option<HexBytes>,
}

/// Parameters of `ReplicateRing`.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicateParams {
    /// the client ring
    #[schemars(with = "schema::Address")]
    pub ring: Address,
    /// the ring that is to keep its logs: this member's
    #[schemars(with = "schema::Address")]
    pub replica_ring: Address,
    /// the client ring's replica key, wrapped to this member's public key (ECIES on secp256k1); empty for a ring whose log
    /// nodes are not sealed
    pub replica_key: HexBytes,
    /// abi.encode(CompoundAction) of the action that calls registerRing
    pub mtx: HexBytes,
    /// the avatar's signature, r, s and v in 65 bytes
    pub mtx_sig: HexBytes,
    /// serialised log nodes that this member may not hold, newest first
    #[serde(default, rename = "logNodes", skip_serializing_if = "Vec::is_empty")]
    pub log_nodes: Vec<HexBytes>,
}

/// Parameters of `rings_getMessage`.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageParams {
    /// the name that FlushToRing gave
    #[schemars(with = "schema::Digest")]
    pub msg_hash: Digest,
}

/// Parameters of `rings_getClientRings`.
#[derive(Debug, Clone, Default, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientRingsParams {
    /// only this ring
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Address>")]
    pub ring: Option<Address>,
    /// the page behind this ring; the first one when it is not given
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Address>")]
    pub from: Option<Address>,
}

/// The client rings whose logs a member keeps.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(rename = "ClientRings")]
pub struct ClientRingsView {
    /// The rings, in ascending order.
    pub rings: Vec<ClientRingView>,
    /// `from` of the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Address>")]
    pub next: Option<Address>,
}

/// A client ring whose logs a member keeps.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(rename = "ClientRing")]
pub struct ClientRingView {
    /// The ring's contract.
    #[schemars(with = "schema::Address")]
    pub ring: Address,
    /// Bytes of its log nodes that are kept.
    pub bytes: u64,
    /// Where its logs end here.
    pub heads: Vec<ClientHeadView>,
    /// A former member of the ring that keeps it has its newest replica key: hand over a new one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rotate: bool,
    /// Its avatars that signed two histories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forks: Vec<ClientForkView>,
}

/// An avatar that signed two nodes for one position of its log.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(rename = "ClientFork")]
pub struct ClientForkView {
    /// Who it is.
    #[schemars(with = "schema::Address")]
    pub avatar: Address,
    /// The position.
    pub seq: u64,
    /// Whether its log is frozen on chain, or it has left, and that is final.
    pub proven: bool,
    /// What both signatures are for, as docs/log-format.md says: anybody can check it.
    pub claim: HexBytes,
}

/// Where an avatar's log ends at a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(rename = "ClientHead")]
pub struct ClientHeadView {
    /// Whose log it is.
    #[schemars(with = "schema::Address")]
    pub avatar: Address,
    /// The sequence number of its newest node.
    pub seq: u64,
    /// The digest of that node.
    #[schemars(with = "schema::Digest")]
    pub head: Digest,
    /// When the member got it, in milliseconds since 1970.
    pub since: u64,
}

/// How far an action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageStatus {
    /// It is durable here, and on its way to the chain.
    Received,
    /// It is on chain.
    Relayed,
    /// It will never be on chain.
    Failed,
}

/// An action of an avatar.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(rename = "Message")]
pub struct MessageView {
    /// How far it is.
    pub status: MessageStatus,
    /// Its name: the EIP-712 digest that the avatar signed.
    #[schemars(with = "schema::Digest")]
    pub msg_hash: Digest,
    /// Its transaction, once it is on chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Digest>")]
    pub tx: Option<Digest>,
    /// What that cost the member that sent it, in wei.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub txfee: Option<Uint96>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// That log nodes are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeldStatus {
    /// They are durable at the replicas that are named.
    Held,
}

/// Who holds an avatar's log, and up to where.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(rename = "Held")]
pub struct HeldView {
    /// Always `held`.
    pub status: HeldStatus,
    /// The digest of the newest node of the avatar's log that is held.
    #[schemars(with = "schema::Digest")]
    pub head: Digest,
    /// The replicas, each with its signature.
    pub held: Vec<HeldBy>,
}

/// One replica that holds a log.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct HeldBy {
    /// Its account.
    #[schemars(with = "schema::Address")]
    pub replica: Address,
    /// Its signature of `Held(address ring,address avatar,bytes32 head)` in the domain of the replica's ring.
    pub signature: HexBytes,
}
