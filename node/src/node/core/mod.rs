//! The one task that holds a member's mind. Everything that happens comes in through its inbox; what the mind
//! wants done is done here, or by tasks that report back through the inbox.
//!
//! A round takes what is in the inbox, thinks, writes all that came of it in one transaction, and only then
//! speaks: nodes are published after they are on disk.

mod chain;
mod gates;
mod logs;
mod tokens;
mod view;
mod write;

use super::{
    blocks::MemberBlocks,
    faults::Faults,
    shared::Shared,
    state::{Entry, State, StateError},
    wire::WireError,
};
use crate::execute::{Bounds, Execution};
use bytes::Bytes;
use rings_chain::{Chain, ChainError, Submitter, Update};
use rings_network::{Network, PeerId, Verdict};
use rings_protocol::{
    crypto::SecretKey,
    eip712::Domain,
    journal::{Draft, PrepareError},
    log::Replica,
    member::{Effect, Member, Timings},
    Address, Digest,
};
use rings_store::{BlockStore, StoreError};

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot, Semaphore};
use tokio_util::sync::CancellationToken;

pub(crate) use gates::chain_of;
pub use view::Progress;

use gates::NoResult;
use tokens::Tokens;

/// Room in the inbox; whoever fills it waits.
pub const INBOX: usize = 1024;
/// Most inputs taken in one round, so that one transaction does not grow without end.
const ROUND: usize = 256;
/// How often the heads of logs are compared with other members' while gates are open.
const COMPARE_BUSY: Duration = Duration::from_secs(3);
/// The same while nothing is open.
const COMPARE_IDLE: Duration = Duration::from_secs(60);
/// Resolved gates whose timings are kept in memory for those who ask.
const REMEMBERED: usize = 1024;

/// Everything that can happen to a member.
pub enum Input {
    /// The chain moved.
    Chain(Update),
    /// A node was gossiped.
    Gossip {
        /// Who passed it on.
        from: PeerId,
        /// The serialised node.
        data: Bytes,
        /// Whether it is passed on further.
        verdict: Verdict,
    },
    /// A member is connected now.
    Connected(PeerId),
    /// A member is not connected any more.
    Disconnected(PeerId),
    /// A member told where the logs end that it holds.
    Heads {
        /// The member.
        peer: PeerId,
        /// Author, sequence number, digest.
        heads: Vec<(Address, u64, Digest)>,
    },
    /// A range of nodes that was asked for.
    Nodes {
        /// Who answered.
        peer: PeerId,
        /// Whose nodes they are to be.
        author: Address,
        /// Serialised nodes, ascending; empty when the request failed.
        nodes: Vec<Bytes>,
    },
    /// A computation ended.
    Computed {
        /// The gate.
        gate: Address,
        /// Its result, or why there is none.
        result: Result<Execution, NoResult>,
    },
    /// A registration was mined, or was not.
    Submitted {
        /// The gate.
        gate: Address,
        /// Why it failed, if it did.
        failure: Option<String>,
    },
    /// Somebody asks how far this member is with a gate.
    Inspect {
        /// The gate.
        gate: Address,
        /// Where the answer goes.
        reply: oneshot::Sender<Progress>,
    },
}

/// Why a member stops: what it rests on has failed, and going on could lose or contradict something.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// The state database.
    #[error("the member's memory cannot be used")]
    State(#[from] StateError),
    /// The block store.
    #[error("the block store cannot be used")]
    Store(#[from] StoreError),
    /// Signing.
    #[error("nothing can be signed")]
    Prepare(#[from] PrepareError<StateError>),
    /// A log node of ours has no CID that the store accepts, or a message cannot be written.
    #[error("a message cannot be written")]
    Wire(#[from] WireError),
    /// The chain.
    #[error("the chain cannot be followed")]
    Chain(#[from] ChainError),
}

/// What the core works with.
pub struct Parts {
    /// The member's account key.
    pub key: SecretKey,
    /// Chain and ring.
    pub domain: Domain,
    /// The mind.
    pub member: Member,
    /// Its memory.
    pub state: Arc<State>,
    /// Its blocks.
    pub store: Arc<dyn BlockStore>,
    /// Its blocks, and those of others.
    pub blocks: Arc<MemberBlocks>,
    /// The chain.
    pub chain: Chain,
    /// What sends transactions.
    pub submitter: Arc<Submitter>,
    /// The other members.
    pub network: Network,
    /// The workers.
    pub pool: Arc<rings_compute::Pool>,
    /// How many programs run at once.
    pub workers: usize,
    /// What this machine is willing to spend on a gate.
    pub bounds: Bounds,
    /// Accounts whose gates are computed, besides members.
    pub requesters: BTreeSet<Address>,
    /// What others look at.
    pub shared: Arc<Shared>,
    /// Faults to make, in tests.
    pub faults: Faults,
    /// Where tasks report.
    pub outbox: mpsc::Sender<Input>,
}

/// The running core.
pub struct Core {
    parts: Parts,
    me: Address,
    started: Instant,
    workers: Arc<Semaphore>,
    replicas: HashMap<Address, Replica>,
    /// Digests of nodes that this round accepted and has not written yet.
    fresh: HashMap<(Address, u64), Digest>,
    entries: Vec<Entry>,
    drafts: VecDeque<Draft>,
    effects: VecDeque<Effect>,
    diverged: Vec<(Address, Address)>,
    syncing: HashSet<Address>,
    peers_changed: bool,
    postponed: Option<Instant>,
    tokens: Tokens,
    finished: VecDeque<(Address, Timings)>,
    attempts: HashMap<Address, u64>,
}

impl Core {
    /// A core that has not begun.
    ///
    /// # Errors
    /// [`CoreError`] when its memory cannot be read.
    pub fn new(parts: Parts) -> Result<Self, CoreError> {
        let replicas = parts
            .state
            .tips()?
            .into_iter()
            .map(|(author, tip)| (author, Replica::new(Some(tip))));
        Ok(Self {
            me: parts.key.address(),
            started: Instant::now(),
            workers: Arc::new(Semaphore::new(parts.workers)),
            replicas: replicas.collect(),
            fresh: HashMap::new(),
            entries: Vec::new(),
            drafts: VecDeque::new(),
            effects: VecDeque::new(),
            diverged: Vec::new(),
            syncing: HashSet::new(),
            peers_changed: false,
            postponed: None,
            tokens: Tokens::default(),
            finished: VecDeque::new(),
            attempts: HashMap::new(),
            parts,
        })
    }

    /// Works until `shutdown`.
    ///
    /// # Errors
    /// [`CoreError`]: what the member rests on has failed.
    pub async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Input>,
        shutdown: CancellationToken,
    ) -> Result<(), CoreError> {
        self.resume()?;
        self.settle().await?;
        let mut compare = Instant::now() + COMPARE_BUSY;
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => break,
                input = inbox.recv() => match input {
                    Some(input) => self.round(input, &mut inbox)?,
                    None => break,
                },
                () = tokio::time::sleep_until(self.wake(compare).into()) => {}
            }
            if Instant::now() >= compare {
                self.compare_heads();
                compare = Instant::now() + self.compare_pause();
            }
            let due = self.parts.member.tick(self.now());
            self.effects.extend(due);
            self.settle().await?;
        }
        Ok(())
    }

    /// Milliseconds of this process's monotonic clock.
    fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    fn wake(&self, compare: Instant) -> Instant {
        let deadline = self
            .parts
            .member
            .deadline()
            .map(|at| self.started + Duration::from_millis(at));
        // A deadline is a whole millisecond: one more, so that it has surely passed.
        let deadline = deadline.map(|at| at.max(Instant::now()) + Duration::from_millis(1));
        let wakes = [Some(compare), deadline, self.postponed];
        wakes.into_iter().flatten().min().unwrap_or(compare)
    }

    fn compare_pause(&self) -> Duration {
        match self.parts.member.open().next() {
            Some(_) => COMPARE_BUSY,
            None => COMPARE_IDLE,
        }
    }

    fn round(&mut self, first: Input, inbox: &mut mpsc::Receiver<Input>) -> Result<(), CoreError> {
        self.take(first)?;
        for _ in 1..ROUND {
            match inbox.try_recv() {
                Ok(input) => self.take(input)?,
                Err(_) => break,
            }
        }
        Ok(())
    }

    fn take(&mut self, input: Input) -> Result<(), CoreError> {
        match input {
            Input::Chain(update) => self.on_chain(update)?,
            Input::Gossip {
                from,
                data,
                verdict,
            } => self.on_gossip(from, &data, verdict)?,
            Input::Connected(peer) => self.on_connected(peer),
            Input::Disconnected(peer) => self.on_disconnected(peer),
            Input::Heads { peer, heads } => self.on_heads(peer, &heads),
            Input::Nodes {
                peer,
                author,
                nodes,
            } => self.on_nodes(peer, author, &nodes)?,
            Input::Computed { gate, result } => self.on_computed(gate, result),
            Input::Submitted { gate, failure } => self.on_submitted(gate, failure),
            Input::Inspect { gate, reply } => self.on_inspect(gate, reply),
        }
        Ok(())
    }

    /// Does what the mind wants, and writes what came of it, until nothing is left to do.
    async fn settle(&mut self) -> Result<(), CoreError> {
        self.tell_peers().await;
        loop {
            while let Some(effect) = self.effects.pop_front() {
                self.perform(effect);
            }
            if self.is_postponed() || !self.has_news() {
                return Ok(());
            }
            self.write().await?;
        }
    }

    /// Whether a round waits for the store to take blocks again.
    fn is_postponed(&mut self) -> bool {
        if self.postponed.is_some_and(|until| until <= Instant::now()) {
            self.postponed = None;
        }
        self.postponed.is_some()
    }

    fn has_news(&self) -> bool {
        !(self.entries.is_empty() && self.drafts.is_empty() && self.diverged.is_empty())
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Compute { gate } => self.compute(gate),
            Effect::Vote(draft) => self.drafts.push_back(draft),
            Effect::Submit(registration) => self.submit(registration),
            Effect::Diverged { gate, member } => {
                tracing::warn!(%gate, %member, "this member voted for another result than the chain holds");
                self.diverged.push((gate, member));
            }
            Effect::Equivocated { gate, member } => {
                tracing::warn!(%gate, %member, "this member signed two results for one gate");
                self.diverged.push((gate, member));
            }
        }
    }
}
