//! What a running member offers over HTTP: the trait it implements, and the shapes of the answers.
//!
//! The same types are read back by the client, so that server and client cannot drift apart.
//! Names in JSON are camelCase; a value that is not known is `null`.

use super::json::{text, HexBytes, Pin, Uint96};
use async_trait::async_trait;
use cid::Cid;
use rings_protocol::{Address, Digest};
use rings_store::{BlockSource, BlockStore};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// The running member, as its HTTP side sees it. Nothing here changes the member's state.
#[async_trait]
pub trait NodeApi: Send + Sync + 'static {
    /// What the member is doing now.
    async fn status(&self) -> Result<Status, ApiError>;

    /// A ring and its members, as chain and peers show them.
    ///
    /// # Errors
    /// [`ApiError::NotFollowed`] when this member does not follow `ring`.
    async fn ring(&self, ring: Address) -> Result<RingView, ApiError>;

    /// A gate and the votes seen for it. A gate that nobody has heard of is in [`GateState::Unknown`].
    async fn gate(&self, gate: Address) -> Result<GateView, ApiError>;

    /// Log nodes of `member`, newest first: at most `limit`, beginning at the sequence number `from`
    /// (at the head when `None`).
    ///
    /// # Errors
    /// [`ApiError::NotFollowed`] or [`ApiError::NotAMember`].
    async fn log(
        &self,
        ring: Address,
        member: Address,
        from: Option<u64>,
        limit: u32,
    ) -> Result<LogPage, ApiError>;

    /// Where blocks are read from: this member's store first, then other members.
    fn source(&self) -> Arc<dyn BlockSource>;

    /// This member's own store, into which files are imported.
    fn store(&self) -> Arc<dyn BlockStore>;

    /// Whether the member keeps up with its chain (`/health` answers 200) or not (503).
    fn following(&self) -> bool;

    /// Appends all metrics as Prometheus text.
    ///
    /// # Errors
    /// Only when a metric cannot be written as text.
    fn encode_metrics(&self, out: &mut String) -> fmt::Result;
}

/// Why a call was not answered. [`ApiError::code`] is its number in JSON-RPC.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The ring is not one that this member follows.
    #[error("this node does not follow ring {ring}; ask a member of that ring")]
    NotFollowed {
        /// The ring that was asked for.
        ring: Address,
    },
    /// The account is not in the ring, or was never.
    #[error("{member} is not a member of ring {ring}")]
    NotAMember {
        /// The ring that was asked for.
        ring: Address,
        /// The account that was asked for.
        member: Address,
    },
    /// A parameter has the right type and no sensible value.
    #[error("{reason}")]
    InvalidParams {
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// Too much is going on; the caller may come again.
    #[error("this node is busy; try again in {milliseconds} ms")]
    Busy {
        /// How long to wait before the next attempt.
        milliseconds: u64,
    },
    /// A fault of this node: its store, its chain provider, its disk.
    #[error("{what}")]
    Internal {
        /// What could not be done, in words that may be shown to any caller.
        what: String,
        /// The cause, which goes to the log of the node and not to the caller.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl ApiError {
    /// A fault of this node while doing `what`.
    pub fn internal<E>(what: impl Into<String>, source: E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (what, source) = (what.into(), source.into());
        Self::Internal { what, source }
    }

    /// The number of this error in JSON-RPC.
    pub fn code(&self) -> i32 {
        match self {
            Self::NotFollowed { .. } => code::NOT_FOLLOWED,
            Self::NotAMember { .. } => code::NOT_A_MEMBER,
            Self::InvalidParams { .. } => code::INVALID_PARAMS,
            Self::Busy { .. } => code::BUSY,
            Self::Internal { .. } => code::INTERNAL,
        }
    }

    /// The fixed message that belongs to [`ApiError::code`]; what is particular goes into `data`.
    pub fn message(&self) -> &'static str {
        match self {
            Self::NotFollowed { .. } => "unknown replica key",
            Self::NotAMember { .. } => "not a member",
            Self::InvalidParams { .. } => "Invalid params",
            Self::Busy { .. } => "busy",
            Self::Internal { .. } => "Internal error",
        }
    }
}

/// Error numbers of JSON-RPC 2.0 and of this interface.
pub mod code {
    /// JSON-RPC 2.0: a parameter is missing or wrong.
    pub const INVALID_PARAMS: i32 = -32602;
    /// JSON-RPC 2.0: a fault of the server.
    pub const INTERNAL: i32 = -32603;
    /// `unknown replica key`: this node does not follow that ring.
    pub const NOT_FOLLOWED: i32 = -32002;
    /// `not a member`.
    pub const NOT_A_MEMBER: i32 = -32004;
    /// `busy`; data: milliseconds to wait.
    pub const BUSY: i32 = -32007;
}

/// `rings_status`: one member at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Version of this program.
    pub version: String,
    /// Id of the WebAssembly engine and its configuration; members with different ids may disagree.
    pub engine: String,
    /// Chain id that the provider reports.
    pub chain_id: u64,
    /// Newest block seen.
    pub block: u64,
    /// Whether the member keeps up with the chain.
    pub following: bool,
    /// Account of this member.
    pub member: Address,
    /// libp2p id of this member (`16Uiu2HA…`).
    pub peer_id: String,
    /// How many other members are connected.
    pub peers: u32,
    /// The ring this member works for.
    pub ring: Address,
    /// Epoch of that ring.
    pub epoch: u64,
    /// Head of this member's own log; `null` while the log is empty.
    pub head: Option<Head>,
    /// The block store.
    pub store: StoreStatus,
}

/// The newest node of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// Its sequence number; the first node has 0.
    pub seq: u64,
    /// Its CID.
    #[serde(with = "text")]
    pub cid: Cid,
}

/// How full a member's block store is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreStatus {
    /// `embedded` or `kubo`.
    pub kind: String,
    /// Number of blocks.
    pub blocks: u64,
    /// Sum of their sizes in bytes.
    pub bytes: u64,
}

/// `rings_getRing`: a ring and its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RingView {
    /// The ring's contract.
    pub ring: Address,
    /// The engine's contract, which owns the ring.
    pub engine: Address,
    /// Who may let members in and out.
    pub keeper: Address,
    /// Rises with each change of membership.
    pub epoch: u64,
    /// Signatures needed in this epoch.
    pub quorum: u64,
    /// Digest of the newest ring node; all zero while there is none.
    pub ring_node_head: Digest,
    /// All members, in the contract's order.
    pub members: Vec<MemberView>,
}

/// One member, as another sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberView {
    /// Its account.
    pub address: Address,
    /// Its libp2p id, once it has announced its key.
    pub peer_id: Option<String>,
    /// Where it listens, as a text multiaddress, once announced.
    pub multiaddress: Option<String>,
    /// Whether there is a connection to it now (always true of the member that is asked).
    pub connected: bool,
    /// Milliseconds since 1970 when it was last heard.
    pub last_seen: Option<u64>,
    /// Head of its log, as far as it is known here.
    pub head: Option<Head>,
    /// Gates for which it voted against what was registered.
    pub diverged: Vec<Address>,
}

/// `rings_getGate`: a gate, its votes and its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateView {
    /// The gate's contract.
    pub gate: Address,
    /// How far it is.
    pub state: GateState,
    /// Why it was declined or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Scope of its tokens; `null` while the gate is unknown.
    pub scope: Option<Address>,
    /// Assigned rings, the primary first.
    pub rings: Vec<Address>,
    /// Input pins in order; the first is the operation.
    pub inputs: Vec<InputView>,
    /// Number of output pins.
    pub outputs: Uint96,
    /// Epoch in which the votes are counted.
    pub epoch: u64,
    /// Signatures needed in that epoch.
    pub quorum: u64,
    /// What was registered on chain; `null` until then.
    pub result: Option<Vec<ResultView>>,
    /// Votes seen here.
    pub votes: Vec<VoteView>,
    /// Members whose vote has not been seen here.
    pub silent: Vec<Address>,
    /// Transaction that registered the result.
    pub transaction: Option<Digest>,
    /// Block of that transaction.
    pub block: Option<u64>,
    /// How long each step took at this member.
    pub milliseconds: GateTimes,
}

impl GateView {
    /// The fuel that the votes of `signers` name. It is not signed with the result; of members of the same engine
    /// that agree on a result, it is the same.
    pub fn fuel_of(&self, signers: &[Address]) -> Option<u64> {
        let vote = self
            .votes
            .iter()
            .find(|vote| signers.contains(&vote.member));
        vote.map(|vote| vote.fuel)
    }
}

/// How far a gate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GateState {
    /// This node has not heard of it.
    Unknown,
    /// It waits for outputs of other gates.
    Waiting,
    /// All inputs are there; votes are being collected.
    Ready,
    /// This member does not work for whoever asked.
    Declined,
    /// The result is on chain.
    Resolved,
    /// The ring agreed that the program failed, or a gate before it did.
    Failed,
}

/// What one input pin carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum InputView {
    /// Data that is there.
    Data {
        /// The UnixFS file.
        #[serde(with = "text")]
        cid: Cid,
    },
    /// A future: the output of another gate.
    Output {
        /// That gate.
        gate: Address,
        /// Its output pin.
        pin: Pin,
    },
}

/// What one output pin carries on chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResultView {
    /// The output pin; `"failure"` for the failure record.
    pub pin: Pin,
    /// The token on it.
    pub token_id: Digest,
    /// The data that the token names.
    #[serde(with = "text")]
    pub cid: Cid,
}

/// One member's vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VoteView {
    /// Who voted.
    pub member: Address,
    /// In which epoch.
    pub epoch: u64,
    /// Digest of the result it signed.
    pub result: Digest,
    /// What that result says.
    pub outputs: Vec<OutputView>,
    /// Whether it is the registered result; `null` until one is registered.
    pub agrees: Option<bool>,
    /// Id of the WebAssembly engine it ran.
    pub engine: String,
    /// Units of fuel that the program used.
    pub fuel: u64,
}

/// One output, as voted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputView {
    /// The output pin; `"failure"` for the failure record.
    pub pin: Pin,
    /// Its data.
    #[serde(with = "text")]
    pub cid: Cid,
}

/// Milliseconds spent on a gate by the member that is asked; `null` for a step not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateTimes {
    /// From ready to the own vote.
    pub compute: Option<u64>,
    /// From the own vote to two thirds.
    pub quorum: Option<u64>,
    /// From two thirds to the registration on chain.
    pub register: Option<u64>,
}

impl GateTimes {
    /// How many of the three are known.
    pub fn known(&self) -> usize {
        let all = [self.compute, self.quorum, self.register];
        all.iter().flatten().count()
    }
}

/// `rings_getLog`: a page of a member's log, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogPage {
    /// The nodes.
    pub nodes: Vec<LogEntry>,
    /// `from` of the next page; `null` at the end of the log.
    pub next: Option<u64>,
}

/// One node of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogEntry {
    /// Its CID.
    #[serde(with = "text")]
    pub cid: Cid,
    /// Its sequence number.
    pub seq: u64,
    /// The node as stored (canonical DAG-CBOR), for those who check its hash and signature.
    pub bytes: HexBytes,
    /// The same node as DAG-JSON, for those who read it.
    pub node: serde_json::Value,
}

/// Answer to `POST /ipfs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Added {
    /// The file, under the name `ipfs add` gives it.
    #[serde(with = "text")]
    pub cid: Cid,
    /// How many bytes were read.
    pub bytes: u64,
}

/// Answer to `GET /health`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Whether the node keeps up with its chain.
    pub following: bool,
}
