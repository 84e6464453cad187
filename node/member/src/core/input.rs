//! The inputs of the core: everything that can happen to a member.
//!
//! All parts of a member talk to the core by sending an [`Input`] into its bounded inbox. The other types here are what
//! the larger inputs carry: the membership as it was read, nodes that were requested, the end of a computation or of a
//! registration. Where somebody waits for an answer, the input carries a `oneshot` channel for it.
//!
//! There is no other way into the core, and no lock around its state. So the order of the inputs is the order in which
//! things happened for this member, and a full inbox ([`INBOX`]) slows down whoever sends.

use super::onchain_head::NotBegun;
use crate::execute::{ExecuteError, Execution, Prepared};
use bytes::Bytes;
use rings_api::with_causes;
use rings_chain::Update;
use rings_network::{PeerId, Verdict};
use rings_protocol::{
    gate::Computation,
    log::{Beginning, LogNode, Tip},
    member::{Phase, Timings},
    message::Message,
    request::Request,
    ringlog::{Entry, RingNode},
    Address, Digest,
};
use rings_store::Lease;
use tokio::sync::{mpsc, oneshot};

/// Inputs that wait in the inbox; a sender waits when it is full.
pub const INBOX: usize = 1024;
/// Everything that can happen to a member.
pub enum Input {
    /// A page of events, or a reorganisation.
    Chain {
        /// The page or the reorganisation.
        update: Update,
        /// Answered when the member has stored it. The next update waits for that.
        taken: oneshot::Sender<()>,
    },
    /// The membership was read from the chain.
    Membership(Box<Membership>),
    /// A node was gossiped.
    Gossip {
        /// The peer that passed it on.
        from: PeerId,
        /// The serialised node.
        data: Bytes,
        /// Takes the verdict whether it is valid and passed on.
        verdict: Verdict,
    },
    /// A member is connected now.
    Connected(PeerId),
    /// A member is no longer connected.
    Disconnected(PeerId),
    /// A member answered with the heads of the logs that it holds.
    Heads {
        /// The member.
        peer: PeerId,
        /// Author, sequence number, digest.
        heads: Vec<(Address, u64, Digest)>,
    },
    /// A range of nodes that was asked for.
    Nodes(Delivery),
    /// Nodes from a position on at which somebody holds another node than this member.
    OtherNodes(Delivery),
    /// Preparing a computation has ended, with or without success.
    Prepared {
        /// What is to be computed.
        computation: Computation,
        /// What to run; nothing if it is not wanted any more.
        result: Result<Box<Prepared>, NoResult>,
    },
    /// A computation ended.
    Computed {
        /// What was computed.
        computation: Computation,
        /// Its result, or the reason why it has no result.
        result: Result<Execution, NoResult>,
        /// Keeps its outputs from being collected until a vote names them.
        outputs: Lease,
    },
    /// What became of a registration.
    Submitted {
        /// What was computed.
        computation: Computation,
        /// What became of it.
        ended: Ended,
    },
    /// Messages for this member's own log.
    Say(Saying),
    /// What members' accounts hold was read from the chain.
    Funds(Balances),
    /// The own account could not pay for a transaction of another part.
    Unpaid,
    /// The fork of this author is proven on chain, or there is nothing to prove any more.
    ForkClaimed(Address),
    /// Fetching the pages of a ring node that is proposed has ended.
    Pages {
        /// Who proposed it.
        author: Address,
        /// The pages; none if nobody gave them.
        pages: Vec<(Digest, Bytes)>,
    },
    /// A member gave a key of the ring.
    Key {
        /// The member.
        peer: PeerId,
        /// The name that stands on nodes under it.
        name: Digest,
        /// The key, wrapped for this member.
        wrapped: Vec<u8>,
    },
    /// Where the copy of a log is to begin; nothing where the chain names no head of it.
    Beginning {
        /// The author of the log.
        author: Address,
        /// The head on chain, and what later nodes may link to.
        found: Result<Option<Box<Beginning>>, NotBegun>,
    },
    /// A ring node that the chain names was fetched, with all its pages.
    RingNode(Box<RingNode>),
    /// What became of the registration of a ring node.
    RingNodeSubmitted {
        /// Its number.
        number: u64,
        /// The digest of its header.
        node: Digest,
        /// What became of it.
        ended: Ended,
    },
    /// Somebody with this member's token asks a request.
    Ask {
        /// The request; its `until` does not count.
        request: Box<Request>,
        /// The last ring node that may list it; this member's own choice if it is not given.
        until: Option<u64>,
        /// Answered when the request is on disk.
        reply: oneshot::Sender<Result<Asked, NotAsked>>,
    },
    /// The HTTP side asks how far this member is with a request.
    InspectRequest {
        /// The request.
        request: Digest,
        /// Where the answer goes.
        reply: oneshot::Sender<RequestProgress>,
    },
    /// The HTTP side asks how far this member is with a gate.
    Inspect {
        /// The gate.
        gate: Address,
        /// Where the answer goes.
        reply: oneshot::Sender<Progress>,
    },
}

/// The membership as of one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Which reading gave it.
    pub number: u64,
    /// The ring.
    pub ring: rings_chain::RingState,
    /// How to reach the members for which that was not known before.
    pub contacts: Vec<(Address, rings_chain::Contact)>,
}

/// Messages for this member's own log.
#[derive(Debug)]
pub struct Saying {
    /// What is to be written.
    pub messages: Vec<Message>,
    /// Told when they are on disk. If they will never be, it is dropped and the waiting side gets an error.
    pub done: oneshot::Sender<()>,
}

/// Nodes that came as a range, opened: their signatures are good.
#[derive(Debug, Default)]
pub struct Range {
    /// The nodes, in the order in which they came.
    pub nodes: Vec<LogNode>,
    /// Whether nothing else came. What came after something else is left out.
    pub is_good: bool,
    /// The name of the key that is needed to open what came next.
    pub locked: Option<Digest>,
}

/// How a request for nodes of a log ended.
#[derive(Debug)]
pub struct Delivery {
    /// Who was asked.
    pub peer: PeerId,
    /// Whose nodes they are to be.
    pub author: Address,
    /// The first that was asked for.
    pub from: u64,
    /// The nodes; at least one came.
    pub nodes: Result<Range, Nothing>,
}

/// Why a member gave no nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nothing {
    /// It has too much to do, and says so.
    Refused,
    /// It did not answer in time, or its answer was not valid.
    Failed,
}

/// What accounts hold, in wei.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balances {
    /// The wei of each account for which the chain answered.
    pub wei: Vec<(Address, u128)>,
    /// The chain's price of a unit of gas.
    pub price: Option<u128>,
}

/// What became of a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Its transaction is in a block.
    Mined,
    /// It was not sent: the gate has a result at the chain's head, or a transaction in the pool will give it one.
    Foreseen,
    /// It was not sent: the contract would refuse it at the chain's head.
    Refused(String),
    /// It was sent, and the contract refused it.
    Reverted(String),
    /// It could not be sent.
    Failed(String),
    /// This member's account cannot pay for it.
    Unpaid(String),
}

/// A request that is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// Its digest.
    pub request: Digest,
    /// The last ring node that may list it; nothing where only what a ring node lists is known of it.
    pub until: Option<u64>,
    /// The node of the own log in which it was written now; nothing if it was there before.
    pub node: Option<Tip>,
}

/// Why a request was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAsked {
    /// This member does not take it up.
    Refused(String),
    /// The request is not one that anybody would take up.
    Invalid(String),
}

/// How far this member is with a request.
#[derive(Debug, Clone, Default)]
pub struct RequestProgress {
    /// Whether it is held, and not listed.
    pub is_open: bool,
    /// Whether all its inputs are known.
    pub is_ready: bool,
    /// What two thirds have voted for.
    pub agreed: Option<Entry>,
    /// Whether no ring node may list it any more.
    pub has_expired: bool,
    /// Why this member does not vote on it.
    pub refused: Option<String>,
    /// Why this member has no result of it now.
    pub without: Option<String>,
    /// When each step happened, in milliseconds of this process's clock.
    pub times: RequestTimes,
}

/// When each step of a request happened at this member, in milliseconds of this process's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestTimes {
    /// It was asked to be computed.
    pub ready: Option<u64>,
    /// It was computed.
    pub computed: Option<u64>,
    /// Two thirds had voted the same.
    pub agreed: Option<u64>,
    /// A ring node that lists it was seen.
    pub listed: Option<u64>,
}

/// How far this member is with a gate.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// The state machine's phase, while it is open.
    pub phase: Option<Phase>,
    /// Why the newest try that has ended gave nothing.
    pub without: Option<String>,
    /// When each step happened, in milliseconds of this process's clock.
    pub timings: Timings,
    /// What a person should know about the run.
    pub notes: Vec<String>,
}

/// Why a computation gave no result to vote on.
#[derive(Debug)]
pub enum NoResult {
    /// This machine could not do it; another try may help.
    Fault(String),
    /// This member declines, or its two engines do not agree.
    Declined(String),
}

impl NoResult {
    pub(super) fn of(error: &ExecuteError) -> Self {
        match error.is_declined() {
            true => Self::Declined(with_causes(error)),
            false => Self::Fault(with_causes(error)),
        }
    }
}

/// Sends an input to the core. When the core has ended, the input is dropped.
pub(super) async fn report(outbox: &mpsc::Sender<Input>, input: Input) {
    if outbox.send(input).await.is_err() {
        tracing::debug!("the core has ended");
    }
}
