//! The task that owns the member's state machine.
//!
//! Everything that happens comes in through one inbox ([`Input`]): updates of the chain, nodes of other members,
//! finished computations, questions of the HTTP side. A round takes what is in the inbox, gives it to the state
//! machine, writes everything that follows in one transaction, and only then publishes nodes. What the state machine
//! wants done (an [`Effect`]) is done here, or by tasks that report back through the inbox.
//!
//! [`Core`] is the task, [`CoreParts`] what it is given, [`CoreError`] why it stops. Each file below adds the methods of
//! one subject to `Core`: `chain` and `membership` (updates of the chain), `gates` (which work is started), `compute`
//! (from work to votes), `logs`, `begin`, `sync`, `admit`, `forks` and `fork_claims` (other members' logs), `keys` (of a private ring), `recover` (after a
//! backup was put back), `write` (to disk, then to the network), `say` (messages of other parts), `submit` and `funds`
//! (to the chain, and who can pay for it), `view` (answers), `requests` (from a message in a log to a vote), `ring_nodes`
//! and `register` (what the ring as a whole agrees on), `tell` (what is new, for those who subscribe). The other files know nothing of `Core`: `input` (the inbox),
//! `desk` and `fair` (whose turn it is), `claims`, `ask` and `ahead` (whom to ask for nodes, asking, and
//! what comes before its time), `onchain_head` and
//! `beginnings` (where a log begins), `gather` (how far rounds are from each other), `missing_keys`, `reading` (the task that reads the membership), `purse` (what accounts hold), `ring_desk`, `jobs`, `pages`, `fetch` and `terms` (what surrounds
//! the assembly of ring nodes), `quota`, `recovery`, `sample`, `suspect`.
//!
//! # A round
//!
//! 1. `round` gives what is in the inbox, at most [`ROUND`] inputs, to the parts that they are for. A page of the
//!    chain is stored at once, with its cursor, in a transaction of its own. All other inputs change memory and queue
//!    effects; nothing is signed or published yet.
//! 2. `do_what_is_due` does what depends on time: computations that are tried again, turns to submit, the membership,
//!    balances, requests to peers that are late.
//! 3. `settle` changes the connections first, so that a member that has just left does not get what is published next. It
//!    performs the queued effects and starts work for which there is a place.
//! 4. `write` ends it: votes and messages are signed into one node; blocks, journal, indexes and heads go to disk in one
//!    transaction, and the store gets the blocks later. Only after the transaction the node is published, and the votes in it and in the nodes of
//!    others are counted.
//! 5. Counting may cause effects (two thirds agree, so this member submits), so 3 and 4 are repeated until nothing is
//!    left.
//!
//! If the disk cannot be written now, all that was to be written is put back, and tried again after a pause. Any other
//! failure of the disk ends the member.

mod admit;
mod ahead;
mod ask;
mod attempts;
mod begin;
mod beginnings;
mod chain;
mod claims;
mod compute;
mod desk;
mod error;
mod fair;
mod fetch;
mod fork_claims;
mod forks;
mod funds;
mod gates;
mod gather;
mod input;
mod jobs;
mod keys;
mod logs;
mod membership;
mod missing_keys;
mod onchain_head;
mod pages;
mod parts;
mod purse;
mod quota;
mod reading;
mod recover;
mod recovery;
mod register;
mod requests;
mod ring_desk;
mod ring_nodes;
mod sample;
mod say;
mod submit;
mod suspect;
mod sync;
mod tell;
mod terms;
mod view;
mod write;

use crate::{execute::Prepared, state::ReceivedNode};
use ahead::Ahead;
use attempts::Attempts;
use beginnings::Beginnings;
use claims::Claims;
use desk::Desk;
use gather::Gather;
use missing_keys::MissingKeys;
use purse::Funds;
use quota::Quotas;
use reading::Reading;
use recovery::Recovery;
use ring_desk::RingDesk;
use rings_chain::Update;
use rings_protocol::{
    backoff::Backoff,
    crypto::Signer,
    gate::Computation,
    log::{Forks, Replica},
    member::{Effect, Timings},
    Address, Digest,
};
use rings_store::Lease;
use sample::Sampler;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};
use suspect::Suspect;
use tokio::sync::{mpsc, oneshot, Semaphore};
use tokio_util::sync::CancellationToken;

pub(crate) use ask::{ask, AskError};
pub use error::CoreError;
pub(crate) use fetch::open as open_ring_node;
pub use input::{Asked, Input, NotAsked, Progress, RequestProgress, Saying, INBOX};
pub use parts::CoreParts;
pub use terms::RingTerms;

/// Most inputs taken in one round, so that one transaction does not grow without end.
const ROUND: usize = 256;
/// How often the heads of logs are compared with those of other members while gates are open or nodes are known to be
/// missing.
const COMPARE_BUSY: Duration = Duration::from_secs(3);
/// How often they are compared while no gate is open.
const COMPARE_IDLE: Duration = Duration::from_secs(60);
/// Most resolved gates whose timings, and most runs whose notes, are kept in memory for the HTTP side.
const REMEMBERED: usize = 1024;
/// How long everything waits when the disk or the store cannot be written, for example because the disk is full or Kubo is
/// being restarted.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// First and longest pause before a signer that gave no signature is asked again. Asking one that does not answer takes seconds, in
/// which the core does nothing else.
const SIGNER_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_SIGNER_PAUSE: Duration = Duration::from_secs(15);

/// The running core.
pub struct Core {
    /// What the core was given at its start.
    parts: CoreParts,
    /// This member's account.
    me: Address,
    /// The zero of the clock that the state machines are given.
    started: Instant,
    /// Whose computation is prepared or run next.
    desk: Desk<Box<Prepared>>,
    /// The reading of the membership that is under way.
    reading: Reading,
    /// An update of the chain that could not be written to disk yet, and the channel that waits for that.
    held: Option<(Update, oneshot::Sender<()>)>,
    /// Whether this member is catching up with the chain. It starts no work before it has reached the head.
    was_behind: bool,
    /// Votes may be on disk that were not counted.
    must_recount: bool,
    /// Where each log ends here, nodes of this round included.
    replicas: HashMap<Address, Replica>,
    /// Which peer says that it holds more of which log.
    claims: Claims,
    /// Whose turn it is to open a range of nodes.
    opening: Arc<Semaphore>,
    /// Logs that begin at heads on chain.
    beginnings: Beginnings,
    /// Keys of the ring that are missing.
    keys: MissingKeys,
    /// Parts of logs that came before their time.
    ahead: Ahead,
    /// Which gates are looked at more closely.
    sampler: Sampler,
    /// The authors whose forks are proven.
    forks: Forks,
    /// Members of which two nodes for one position are here, until a proof is made of them.
    suspects: BTreeMap<Address, Suspect>,
    /// Authors of whom a node was asked for that may contradict one that is held.
    doubted: BTreeSet<Address>,
    /// Authors whose forks are being brought to the contract.
    claimed: BTreeSet<Address>,
    /// Digests of nodes that this round accepted and has not written yet.
    fresh: HashMap<(Address, u64), Digest>,
    /// Nodes of other members that this round will write.
    entries: Vec<ReceivedNode>,
    /// Bytes of the nodes in `entries`.
    waiting_bytes: usize,
    /// What surrounds the assembly of ring nodes.
    ring: RingDesk,
    /// How many members are two thirds, as the contract counts.
    needed: usize,
    /// Messages of other parts of this member that are not written yet.
    said: VecDeque<Saying>,
    /// What the state machine wants done.
    effects: VecDeque<Effect>,
    /// Gates and members that voted for another result, to be written with this round.
    diverged: Vec<(Address, Address)>,
    /// Whether the network must be told of other members or addresses.
    peers_changed: bool,
    /// Until when nothing is written, because the disk could not take it.
    postponed: Option<Instant>,
    /// Until when nothing is signed, because the signer gave no signature.
    unsigned: Option<Instant>,
    signer_pauses: Backoff,
    /// How far rounds are from each other.
    gather: Gather,
    /// The times of gates that have a result, the newest last.
    finished: VecDeque<(Address, Timings)>,
    /// What a person should know about the run for a gate.
    notes: VecDeque<(Address, Vec<String>)>,
    /// How often this member has tried to register each result.
    attempts: HashMap<Computation, Attempts>,
    /// What the members' accounts hold.
    funds: Funds,
    /// How much of the others' logs is held today.
    quotas: Quotas,
    /// Present after a backup was put back, until it is known where the own log ends.
    recovery: Option<Recovery>,
    /// The outputs of runs are not collected before the votes that name them are on disk.
    outputs: Vec<Lease>,
}

impl Core {
    /// A core that is not running yet.
    ///
    /// # Errors
    /// [`CoreError`] when the state database cannot be read.
    pub fn new(parts: CoreParts) -> Result<Self, CoreError> {
        let replicas = parts.state.tips()?.into_iter();
        let replicas = replicas.map(|(author, tip)| (author, Replica::new(Some(tip))));
        let forks = Forks::new(parts.state.fork_authors()?);
        forks
            .authors()
            .for_each(|author| parts.shared.forked(author));
        let recovery = parts.state.is_restored()?.then(Recovery::default);
        Ok(Self {
            quotas: Quotas::new(parts.quota, parts.state.usage()?),
            recovery,
            outputs: Vec::new(),
            me: parts.key.address(),
            started: Instant::now(),
            desk: Desk::new(parts.workers),
            reading: Reading::default(),
            held: None,
            // Work begins only when the chain's head is reached: until then, gates may have results already.
            was_behind: true,
            must_recount: false,
            replicas: replicas.collect(),
            claims: Claims::default(),
            opening: Arc::new(Semaphore::new(1)),
            beginnings: Beginnings::new(parts.begins_at_heads, parts.state.all_held_from()?),
            keys: MissingKeys::default(),
            ahead: Ahead::default(),
            sampler: Sampler::random(),
            forks,
            suspects: BTreeMap::new(),
            doubted: BTreeSet::new(),
            claimed: BTreeSet::new(),
            fresh: HashMap::new(),
            entries: Vec::new(),
            waiting_bytes: 0,
            ring: RingDesk::new(parts.key.address(), parts.domain, &parts.terms),
            needed: usize::MAX,
            said: VecDeque::new(),
            effects: VecDeque::new(),
            diverged: Vec::new(),
            peers_changed: false,
            postponed: None,
            unsigned: None,
            signer_pauses: Backoff::new(SIGNER_PAUSE, LONGEST_SIGNER_PAUSE),
            gather: Gather::default(),
            finished: VecDeque::new(),
            notes: VecDeque::new(),
            attempts: HashMap::new(),
            funds: Funds::default(),
            parts,
        })
    }

    /// Runs until `shutdown`.
    ///
    /// # Errors
    /// [`CoreError`]: something that the member needs has failed.
    pub async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Input>,
        shutdown: CancellationToken,
    ) -> Result<(), CoreError> {
        let mut compare = Instant::now() + COMPARE_BUSY;
        self.recover()?;
        let ring = self.parts.ring.clone();
        // What is on disk first, then what was read from the chain at the start: votes may have been written and not
        // counted.
        self.begin_ring_log()?;
        self.ring_as_read(&ring)?;
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
            self.do_what_is_due()?;
            let settled = self.settle().await;
            self.wait_if_transient(settled)?;
        }
        Ok(())
    }

    /// Milliseconds of this process's monotonic clock.
    fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// The earliest moment at which something is due, if no input comes before.
    fn wake(&self, compare: Instant) -> Instant {
        let deadline = self
            .parts
            .member
            .deadline()
            .map(|at| self.started + Duration::from_millis(at));
        // A deadline is in whole milliseconds: one more is added, so that it has passed for certain.
        let deadline = deadline.map(|at| at.max(Instant::now()) + Duration::from_millis(1));
        let wakes = [
            Some(compare),
            deadline,
            self.postponed,
            self.unsigned.filter(|_| !self.ring.waiting.is_empty()),
            self.reading_due(),
            Some(self.funds_due()),
            self.claims.deadline(),
            self.ring_due(),
            self.key_due(),
            self.gathers_until().filter(|_| self.has_news()),
        ];
        wakes.into_iter().flatten().min().unwrap_or(compare)
    }

    /// How long until heads of logs are compared again: a short time while something is expected from other logs.
    fn compare_pause(&self) -> Duration {
        let is_behind =
            self.recovery.is_some() || self.claims.is_behind(|author| self.next_seq(author));
        let is_asked = self.ring.assembler.book().has_open();
        match is_behind || is_asked || self.parts.member.open().next().is_some() {
            true => COMPARE_BUSY,
            false => COMPARE_IDLE,
        }
    }

    /// Takes an input and what is in the inbox behind it, at most [`ROUND`] in all. Under load one durable transaction so
    /// serves many inputs; without load an input does not wait for others.
    fn round(&mut self, first: Input, inbox: &mut mpsc::Receiver<Input>) -> Result<(), CoreError> {
        let mut next = Some(first);
        let mut room = ROUND;
        while let Some(input) = next {
            let taken = self.take(input);
            self.wait_if_transient(taken)?;
            room -= 1;
            next = match room {
                0 => None,
                _ => inbox.try_recv().ok(),
            };
        }
        Ok(())
    }

    /// Gives an input to the part that it is for, which may change state and queue effects. Of all inputs only those of the
    /// chain are stored here, each in a transaction of its own; nothing is signed or published.
    fn take(&mut self, input: Input) -> Result<(), CoreError> {
        match input {
            Input::Chain { update, taken } => self.on_chain(update, taken)?,
            Input::Membership(membership) => self.on_membership(*membership)?,
            Input::Gossip {
                from,
                data,
                verdict,
            } => self.on_gossip(from, &data, verdict)?,
            Input::Connected(peer) => self.on_connected(peer),
            Input::Disconnected(peer) => self.on_disconnected(peer),
            Input::Heads { peer, heads } => self.on_heads(peer, &heads)?,
            Input::Nodes(delivery) => self.on_nodes(delivery)?,
            Input::OtherNodes(delivery) => self.on_other_nodes(delivery)?,
            Input::Beginning { author, found } => self.on_beginning(author, found)?,
            Input::Key {
                peer,
                name,
                wrapped,
            } => self.on_key(peer, name, &wrapped)?,
            Input::Prepared {
                computation,
                result,
            } => self.on_prepared(computation, result),
            Input::Computed {
                computation,
                result,
                outputs,
            } => {
                self.outputs.push(outputs);
                self.on_computed(computation, result);
            }
            Input::Submitted { computation, ended } => self.on_submitted(computation, ended),
            Input::Say(saying) => self.on_say(saying),
            Input::Funds(balances) => self.on_funds(&balances),
            Input::Unpaid => self.found_poor(),
            Input::Inspect { gate, reply } => self.on_inspect(gate, reply),
            Input::ForkClaimed(author) => self.on_fork_claimed(author),
            Input::Pages { author, pages } => self.on_pages(author, pages),
            Input::RingNode(node) => self.on_ring_node(*node)?,
            Input::RingNodeSubmitted {
                number,
                node,
                ended,
            } => self.on_ring_node_submitted(number, node, &ended),
            Input::Ask {
                request,
                until,
                reply,
            } => self.on_ask(*request, until, reply)?,
            Input::InspectRequest { request, reply } => self.on_inspect_request(request, reply),
        }
        Ok(())
    }

    /// If waiting may help against a failure of the disk, waits; any other failure ends the member.
    fn wait_if_transient(&mut self, outcome: Result<(), CoreError>) -> Result<(), CoreError> {
        match outcome {
            Err(error) if error.is_transient() => {
                self.pause(&error);
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Does what depends on time and not on an input.
    fn do_what_is_due(&mut self) -> Result<(), CoreError> {
        if !self.is_postponed() {
            let done = self.catch_up_on_the_disk();
            self.wait_if_transient(done)?;
        }
        self.read_if_due();
        self.ask_funds_if_due();
        self.ask_beside_late();
        self.retry_requests();
        let due = self.parts.member.tick(self.now());
        self.effects.extend(due);
        Ok(())
    }

    /// Tries again what waited for the disk.
    fn catch_up_on_the_disk(&mut self) -> Result<(), CoreError> {
        self.on_held()?;
        if self.must_recount && !self.is_postponed() {
            self.recount()?;
            self.must_recount = false;
        }
        Ok(())
    }

    /// Does what the state machine wants, and writes what came of it, until nothing is left to do.
    async fn settle(&mut self) -> Result<(), CoreError> {
        // Connections are changed before work begins: a member that has just left must not get what is published below.
        self.tell_peers().await;
        loop {
            while let Some(effect) = self.effects.pop_front() {
                self.perform(effect)?;
            }
            self.work()?;
            self.assemble()?;
            self.make_key_if_due()?;
            let has_something = self.has_news() || !self.suspects.is_empty();
            // When no vote waits to be written, all outputs are named by something on disk, and the leases on them can
            // end.
            if self.ring.waiting.is_empty() {
                self.outputs.clear();
            }
            if self.is_postponed() || !has_something {
                return Ok(());
            }
            // What waits to be written waits for the votes that come in a moment.
            if self.suspects.is_empty() && self.gathers_until().is_some() {
                return Ok(());
            }
            // A proof of a fork is stored and passed on before the round is written, because it does not depend on the
            // round.
            self.prove_forks().await?;
            self.write().await?;
            self.gather.wrote(Instant::now());
        }
    }

    /// Until when the next round waits for more, if it does.
    fn gathers_until(&self) -> Option<Instant> {
        self.gather.until(self.desk.is_busy(), Instant::now())
    }

    /// Whether everything waits for the disk or the store.
    fn is_postponed(&mut self) -> bool {
        if self.postponed.is_some_and(|until| until <= Instant::now()) {
            self.postponed = None;
        }
        self.postponed.is_some()
    }

    /// Begins what the protocol's state machine wants. Whatever takes time runs in a task and comes back as an input.
    fn perform(&mut self, effect: Effect) -> Result<(), CoreError> {
        match effect {
            Effect::Compute(computation) => {
                let peers = self.parts.shared.connected_members().len();
                tracing::info!(gate = %computation.gate, peers, "taken up");
                self.ask_funds_of_submitters(computation.gate);
                self.compute(computation)?;
            }
            Effect::Vote(draft) => self.draft_vote(draft)?,
            Effect::Submit(registration) => {
                let signatures = registration.votes.len();
                tracing::info!(gate = %registration.computation.gate, signatures, "quorum reached: it is this member's turn to submit");
                self.submit(&registration);
            }
            Effect::Diverged {
                computation: Computation { gate, .. },
                member,
            } => {
                self.parts.shared.counters.diverged();
                tracing::warn!(%gate, %member, "this member voted for another result than the one on chain");
                self.diverged.push((gate, member));
            }
            Effect::Equivocated {
                computation: Computation { gate, .. },
                member,
            } => {
                self.parts.shared.counters.diverged();
                tracing::warn!(%gate, %member, "this member signed two results for one gate");
                self.diverged.push((gate, member));
            }
        }
        Ok(())
    }
}
