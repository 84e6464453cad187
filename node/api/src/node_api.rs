//! The trait of what the HTTP side may ask of a running member, and the errors of the answers.
//!
//! [`NodeApi`] has one method for each thing that can be asked; `rings-member` implements it, and the tests of this
//! crate implement it with fixed answers. So this crate imports neither chain nor computing nor network. An
//! [`ApiError`] is what JSON-RPC answers with: each variant has a code, which is an interface, and a message that says
//! what to do. To add a method: a function here, its types in `views.rs` and `params.rs`, its name in `openrpc.rs`, its
//! call in `rpc.rs`, and a method of the client.

use super::{
    client_rings::{
        AppendParams, ClientRingsParams, ClientRingsView, FlushParams, HeldView, MessageView,
        ReplicateParams,
    },
    news::News,
    params::RequestParams,
    processes::{
        CreateProcessParams, EmitParams, EmittedView, ExecutionView, ExecutionsView, HookedEvent,
        InstancesView, ProcessRunsView, ProcessState, ProcessView, ProcessesView,
    },
    registry::{RegistryView, SearchRegistryParams},
    store_work::StoreKeeper,
    views::{GateView, LogPage, ProofView, RequestView, RequestedView, RingView, Status},
};
use async_trait::async_trait;
use cid::Cid;
use rings_protocol::{Address, Digest};
use rings_store::{BlockSource, BlockStore};
use std::{fmt, sync::Arc};

/// A running member, as its HTTP side sees it. What changes the member's state says so: requests, what avatars
/// send, and files that are imported into [`NodeApi::store`].
#[async_trait]
pub trait NodeApi: Send + Sync + 'static {
    /// What the member is doing now.
    async fn status(&self) -> Result<Status, ApiError>;

    /// A ring and its members, from the chain and from what this member sees of its peers.
    ///
    /// # Errors
    /// [`ApiError::NotFollowed`] when this member does not follow `ring`.
    async fn ring(&self, ring: Address) -> Result<RingView, ApiError>;

    /// A gate and the votes seen for it. A gate that nobody has heard of is in
    /// [`GateState::Unknown`](super::views::GateState::Unknown).
    async fn gate(&self, gate: Address) -> Result<GateView, ApiError>;

    /// Log nodes of `member` of this member's ring, or of an avatar of a client ring that is kept, newest first: at most `limit`,
    /// beginning at the sequence number `from` (at the head when `None`). `reads`: the caller has shown the member's token, so
    /// what a private ring's nodes say is shown too.
    ///
    /// # Errors
    /// [`ApiError::NotFollowed`] or [`ApiError::NotAMember`].
    async fn log(
        &self,
        ring: Address,
        member: Address,
        from: Option<u64>,
        limit: u32,
        reads: bool,
    ) -> Result<LogPage, ApiError>;

    /// Whether a block is a log node of this member's private ring, which nobody gets without the member's token.
    fn is_sealed(&self, _block: &[u8]) -> bool {
        false
    }

    /// The client rings whose logs this member keeps.
    ///
    /// # Errors
    /// [`ApiError::Busy`] while the member starts.
    async fn client_rings(&self) -> Result<Arc<dyn ClientRings>, ApiError>;

    /// The processes that this member's ring runs.
    ///
    /// # Errors
    /// [`ApiError::Busy`] while the member starts.
    async fn processes(&self) -> Result<Arc<dyn ProcessKeeper>, ApiError>;

    /// Asks a request of the ring: writes it into this member's log, unless it is there. It is on disk when this returns.
    /// The caller has shown the member's token.
    ///
    /// # Errors
    /// [`ApiError::NotFollowed`], [`ApiError::InvalidParams`], [`ApiError::Refused`].
    async fn request(&self, request: RequestParams) -> Result<RequestedView, ApiError>;

    /// A request and the votes seen for it. One that nobody has heard of is in
    /// [`RequestState::Unknown`](super::views::RequestState::Unknown).
    async fn get_request(&self, request: Digest) -> Result<RequestView, ApiError>;

    /// The proof that a ring node lists a request.
    ///
    /// # Errors
    /// [`ApiError::InvalidParams`] when none does.
    async fn proof(&self, request: Digest) -> Result<ProofView, ApiError>;

    /// A page of the chain's registry of services and processes.
    ///
    /// # Errors
    /// [`ApiError::Busy`] while the member starts; [`ApiError::Internal`] when the chain cannot be asked.
    async fn search_registry(&self, which: SearchRegistryParams) -> Result<RegistryView, ApiError>;

    /// Where blocks are read from: this member's store first, then other members.
    fn source(&self) -> Arc<dyn BlockSource>;

    /// This member's own store, into which files are imported.
    fn store(&self) -> Arc<dyn BlockStore>;

    /// To be called when somebody with the member's token has put a file into the store: a gate that needs it may be on its
    /// way, so the member looks for it soon.
    fn file_added(&self) {}

    /// Who works on the store; nobody while the member starts.
    fn keeper(&self) -> Option<Arc<dyn StoreKeeper>> {
        None
    }

    /// Where this member tells what happens, for the sessions that subscribe.
    fn news(&self) -> News;

    /// Whether the member keeps up with its chain.
    fn following(&self) -> bool;

    /// Why the member does not do its work (`/health` answers 503), in words for people: it does not keep up with its chain, or
    /// its block store fails. `None` while it does (200).
    fn trouble(&self) -> Option<String>;

    /// What somebody should look at although the member follows its chain, in words for people.
    fn warnings(&self) -> Vec<String>;

    /// Appends all metrics as Prometheus text.
    ///
    /// # Errors
    /// Only when a metric cannot be written as text.
    fn encode_metrics(&self, out: &mut String) -> fmt::Result;
}

/// Keeps the logs of client rings, and relays the actions of their avatars.
#[async_trait]
pub trait ClientRings: Send + Sync + 'static {
    /// Takes an action in, with the log nodes behind it. It is durable here when this returns, and is relayed then. The
    /// same action again gives the same record.
    ///
    /// # Errors
    /// [`ApiError`], each before anything is stored.
    async fn flush(&self, request: FlushParams) -> Result<MessageView, ApiError>;

    /// Takes log nodes in. They are durable here when this returns.
    ///
    /// # Errors
    /// As [`ClientRings::flush`].
    async fn append(&self, request: AppendParams) -> Result<HeldView, ApiError>;

    /// Takes the replica key of a client ring, and the action that registers it with this member's ring.
    ///
    /// # Errors
    /// As [`ClientRings::flush`].
    async fn replicate(&self, request: ReplicateParams) -> Result<MessageView, ApiError>;

    /// What became of an action; nothing if it was never seen here.
    ///
    /// # Errors
    /// When this member's disk cannot be read.
    async fn message(&self, msg_hash: Digest) -> Result<Option<MessageView>, ApiError>;

    /// The client rings that are kept here, or one of them, with the heads of their logs.
    ///
    /// # Errors
    /// When this member's disk cannot be read.
    async fn rings(&self, which: ClientRingsParams) -> Result<ClientRingsView, ApiError>;

    /// A page of the log of an avatar in its ring, as [`NodeApi::log`].
    ///
    /// # Errors
    /// [`ApiError::NotFollowed`] when the ring is not kept here.
    async fn log(
        &self,
        place: (Address, Address),
        from: Option<u64>,
        limit: u32,
    ) -> Result<LogPage, ApiError>;
}

/// Runs processes. Whoever changes something has shown the member's token.
#[async_trait]
pub trait ProcessKeeper: Send + Sync + 'static {
    /// Installs a process. That is on disk here when this returns, and the other members learn of it from the log.
    ///
    /// # Errors
    /// [`ApiError::NotFollowed`]; [`ApiError::InvalidParams`] when the process cannot be run.
    async fn create(&self, asked: CreateProcessParams) -> Result<ProcessView, ApiError>;

    /// Asks the ring to change what a process does. It does so when a ring node has decided it, and the number of changes
    /// has risen.
    ///
    /// # Errors
    /// [`ApiError::InvalidParams`] when there is no such process, [`ApiError::Refused`] when it cannot become this.
    async fn change(&self, installation: Digest, to: ProcessState)
        -> Result<ProcessView, ApiError>;

    /// Takes an event down. It is on disk when this returns, and the same event again is the same one.
    ///
    /// # Errors
    /// [`ApiError::InvalidParams`] when it starts nothing.
    async fn emit(&self, event: EmitParams) -> Result<EmittedView, ApiError>;

    /// Takes an event down that a webhook brings. It is on disk when this returns.
    ///
    /// # Errors
    /// As [`ProcessKeeper::emit`].
    async fn hook(&self, event: HookedEvent) -> Result<EmittedView, ApiError>;

    /// A page of the processes behind an installation.
    ///
    /// # Errors
    /// When this member's disk cannot be read.
    async fn list(&self, behind: Option<Digest>, limit: usize) -> Result<ProcessesView, ApiError>;

    /// Instances that processes use, in the order of their hashes, behind one of them.
    ///
    /// # Errors
    /// Why they cannot be read.
    async fn instances(
        &self,
        behind: Option<Digest>,
        limit: usize,
    ) -> Result<InstancesView, ApiError>;

    /// A process, and a page of its runs: those before a number, and how many.
    ///
    /// # Errors
    /// [`ApiError::InvalidParams`] when there is no such process.
    async fn get(
        &self,
        installation: Digest,
        page: (Option<u64>, usize),
    ) -> Result<ProcessRunsView, ApiError>;

    /// The newest executions, of one event or of all.
    ///
    /// # Errors
    /// When this member's disk cannot be read.
    async fn executions(
        &self,
        event: Option<Cid>,
        limit: usize,
    ) -> Result<ExecutionsView, ApiError>;

    /// An execution; nothing if this member does not know of it.
    ///
    /// # Errors
    /// When this member's disk cannot be read.
    async fn execution(&self, execution: Cid) -> Result<Option<ExecutionView>, ApiError>;
}

/// Why a call was not answered. [`ApiError::code`] is its number in JSON-RPC.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The ring is not one that this member follows.
    #[error("this node does not follow ring {ring}, nor keep its logs; ask a member of that ring, or hand a client ring over with ReplicateRing")]
    NotFollowed {
        /// The ring that was asked for.
        ring: Address,
    },
    /// Another key has taken the place of the one with which the newest of the avatar's nodes is sealed, and the time in which such
    /// nodes are still taken is over.
    #[error("the newest of these nodes is {} of ring {ring}; seal a further node with the ring's present key and send both: nothing is lost, and no node is to be signed again", code::REPLACED)]
    ReplacedKey {
        /// The avatar's ring.
        ring: Address,
    },
    /// The account is not a member of the ring, and no log of it is held.
    #[error("{member} is not a member of ring {ring}")]
    NotAMember {
        /// The ring that was asked for.
        ring: Address,
        /// The account that was asked for.
        member: Address,
    },
    /// Log nodes are missing here. The caller sends them along, and those before them that are missing too.
    #[error("log nodes are missing here ({}); send them along", .missing.len())]
    LogIncomplete {
        /// Their CIDs.
        missing: Vec<Cid>,
    },
    /// The signature is not by the account that is said to act.
    #[error("{reason}")]
    WrongSignature {
        /// What does not fit.
        reason: String,
    },
    /// The action does not begin at the head of the avatar's log on chain.
    #[error("the head of the log on chain is {head}; begin there")]
    StaleHead {
        /// The head on chain; zero while there is none.
        head: Digest,
    },
    /// The contract would refuse it.
    #[error("{reason}")]
    Reverted {
        /// The contract's error, decoded.
        reason: String,
    },
    /// A parameter has the right type, but its value is not allowed.
    #[error("{reason}")]
    InvalidParams {
        /// What is wrong, and which values are allowed.
        reason: String,
    },
    /// What was asked needs the member's token, and the caller did not show it.
    #[error("this needs the token of this member, as Authorization: Bearer <token>")]
    NoToken,
    /// The member does not take up what was asked.
    #[error("{reason}")]
    Refused {
        /// Why not, and what may help.
        reason: String,
    },
    /// All places are taken; the caller may try again.
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
            Self::NotFollowed { .. } | Self::ReplacedKey { .. } => code::NOT_FOLLOWED,
            Self::NotAMember { .. } => code::NOT_A_MEMBER,
            Self::LogIncomplete { .. } => code::LOG_INCOMPLETE,
            Self::WrongSignature { .. } => code::WRONG_SIGNATURE,
            Self::StaleHead { .. } => code::STALE_HEAD,
            Self::Reverted { .. } => code::REVERTED,
            Self::InvalidParams { .. } => code::INVALID_PARAMS,
            Self::Busy { .. } => code::BUSY,
            Self::NoToken => code::NO_TOKEN,
            Self::Refused { .. } => code::REFUSED,
            Self::Internal { .. } => code::INTERNAL,
        }
    }

    /// The fixed message that belongs to [`ApiError::code`]; details go into `data`.
    pub fn message(&self) -> &'static str {
        match self {
            Self::NotFollowed { .. } | Self::ReplacedKey { .. } => "unknown replica key",
            Self::NotAMember { .. } => "not a member",
            Self::LogIncomplete { .. } => "log replication incomplete",
            Self::WrongSignature { .. } => "signature does not match avatar",
            Self::StaleHead { .. } => "stale head",
            Self::Reverted { .. } => "reverted",
            Self::InvalidParams { .. } => "Invalid params",
            Self::Busy { .. } => "busy",
            Self::NoToken => "token needed",
            Self::Refused { .. } => "refused",
            Self::Internal { .. } => "Internal error",
        }
    }
}

/// Error numbers of JSON-RPC 2.0 and of this interface.
pub mod code {
    /// In the data of [`NOT_FOLLOWED`], where the ring is known here and its key has changed.
    pub const REPLACED: &str = "sealed with a replaced key";
    /// JSON-RPC 2.0: what was sent is no request, or more than one may have.
    pub const INVALID_REQUEST: i32 = -32600;
    /// JSON-RPC 2.0: a parameter is missing or wrong.
    pub const INVALID_PARAMS: i32 = -32602;
    /// JSON-RPC 2.0: a fault of the server.
    pub const INTERNAL: i32 = -32603;
    /// `log replication incomplete`; data: the CIDs that are missing.
    pub const LOG_INCOMPLETE: i32 = -32001;
    /// `signature does not match avatar`.
    pub const WRONG_SIGNATURE: i32 = -32003;
    /// `stale head`; data: the head on chain.
    pub const STALE_HEAD: i32 = -32005;
    /// `reverted`; data: the contract's error, decoded.
    pub const REVERTED: i32 = -32006;
    /// `unknown replica key`: this node does not follow that ring, or a node is sealed with a key that was replaced; data: which.
    pub const NOT_FOLLOWED: i32 = -32002;
    /// `not a member`.
    pub const NOT_A_MEMBER: i32 = -32004;
    /// `busy`; data: milliseconds to wait.
    pub const BUSY: i32 = -32007;
    /// `token needed`: only who has the member's token may ask this.
    pub const NO_TOKEN: i32 = -32008;
    /// `refused`; data: why.
    pub const REFUSED: i32 = -32009;
}
