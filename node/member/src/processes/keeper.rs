//! What the parts of the work for processes share: the parts of the member that it rests on, writing words into the own log,
//! asking requests, and what the ring agreed on.

use super::{
    error::ProcessError,
    listener::{listeners, Listener},
    live::Live,
    plan_cache::Plans,
    users::Users,
};
use crate::{
    blocks::MemberBlocks,
    connectors::{Connectors, Instances},
    core::{Input, NotAsked, RequestProgress, Saying},
    faults::Faults,
    ring_keys::RingKeys,
    ring_status::{RingStatus, Snapshot},
    state::{ClientState, MemberState, ProcessState, RunKey},
};
use bytes::Bytes;
use cid::Cid;
use rings_api::News;
use rings_chain::{Chain, Submitter};
use rings_process::{
    bounds::MAX_DOCUMENT_BYTES,
    document::block_of,
    plan::Plan,
    words::{Installation, Word},
    work::why,
};
use rings_protocol::{
    cids::{data_cid, sha256},
    eip712::Domain,
    flush::relayers,
    operation::FailureRecord,
    request::Request,
    ringlog::{Entry, Outcome},
    Address, Digest,
};
use rings_store::{read_small_file, Block, BlockKey, BlockSource, BlockStore, Pin, StoreError};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc, Mutex, MutexGuard, PoisonError,
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch, Notify, OnceCell},
    task::JoinSet,
};

/// The parts of the member that the work for processes rests on.
pub struct ProcessParts {
    /// This member's account.
    pub me: Address,
    /// Chain and ring.
    pub domain: Domain,
    /// The chain.
    pub chain: Chain,
    /// The engine of the ring.
    pub engine: Address,
    /// Sends transactions of this member's account.
    pub submitter: Arc<Submitter>,
    /// The block store.
    pub store: Arc<dyn BlockStore>,
    /// Blocks of the own store and of the other members.
    pub blocks: Arc<MemberBlocks>,
    /// The logs of this member's ring, its requests and its ring nodes.
    pub logs: Arc<MemberState>,
    /// How the nodes of those logs are read.
    pub keys: Arc<RingKeys>,
    /// The logs of the client rings that this member keeps.
    pub clients: Arc<ClientState>,
    /// The ring as this member sees it.
    pub ring: Arc<RingStatus>,
    /// The core, which writes the own log.
    pub outbox: mpsc::Sender<Input>,
    /// Notified when a log has a new word about processes, on disk.
    pub words: Arc<Notify>,
    /// How long the next in line waits.
    pub turn: Duration,
    /// Blocks on top of a ring node before what it decides counts.
    pub confirmations: u64,
    /// What this machine does for external tasks.
    pub connectors: Connectors,
    /// The values of instances.
    pub instances: Instances,
    /// Where those are told that subscribe.
    pub news: News,
    /// Which faults this member commits.
    pub faults: Faults,
}

/// The processes of a member.
pub struct Processes {
    pub(super) parts: ProcessParts,
    pub(super) state: Arc<ProcessState>,
    pub(super) plans: Plans,
    /// The executions that are under way here.
    live: Mutex<BTreeMap<Cid, Live>>,
    /// What listens to logs.
    listeners: Mutex<Vec<Arc<Listener>>>,
    /// Whether all installations were looked at once since this member started.
    are_all_looked_for: AtomicBool,
    /// Notified when those have heard events that may stand in no log.
    pub(super) heard: Notify,
    /// External executions whose connectors run here.
    errands: Mutex<Errands>,
    /// Notified when an execution begins to wait for a gate.
    pub(super) gates: Notify,
    /// What gates have given.
    settled: Mutex<Settled>,
    /// The scope of the gates of executions, once it was read.
    pub(super) first_scope: OnceCell<Address>,
    /// How often members' words, or decisions of the ring, were taken in.
    pub(super) taken: watch::Sender<u64>,
    /// Installations that are new or have changed, and at which nobody has looked who finds their events.
    changed: Mutex<BTreeSet<Digest>>,
    /// Who uses which instance.
    users: Mutex<Users>,
}

/// External executions whose connectors run here, and their tasks.
#[derive(Default)]
pub(super) struct Errands {
    pub running: BTreeSet<Cid>,
    pub tasks: JoinSet<()>,
}

/// What the gates of executions that wait have given, as far as this member holds it.
#[derive(Default)]
pub(super) struct Settled {
    results: BTreeMap<Digest, (Digest, Answer)>,
    fresh: Vec<Digest>,
}

impl Settled {
    /// The gate of an execution has this token on it, which says this.
    pub fn found(&mut self, execution: Digest, token: Digest, answer: Answer) {
        if self.results.insert(execution, (token, answer)).is_none() {
            self.fresh.push(execution);
        }
    }

    /// Whether the result of an execution's gate was found.
    pub fn has(&self, execution: &Digest) -> bool {
        self.results.contains_key(execution)
    }

    /// The executions whose results were found since this was asked.
    pub fn take_fresh(&mut self) -> Vec<Digest> {
        std::mem::take(&mut self.fresh)
    }

    /// The token on the gate of an execution.
    pub fn token(&self, execution: &Digest) -> Option<Digest> {
        self.results.get(execution).map(|(token, _)| *token)
    }

    /// The token on the gate of an execution, and what it says.
    pub fn result(&self, execution: &Digest) -> Option<(Digest, Answer)> {
        self.results.get(execution).cloned()
    }

    /// An execution has ended.
    pub fn forget(&mut self, execution: &Digest) {
        self.results.remove(execution);
    }
}

/// What an execution gave, as two thirds agreed.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// What its program wrote.
    Output(Bytes),
    /// Why its program failed.
    Failed(String),
}

impl Processes {
    /// The processes of a member, from its database.
    pub fn new(parts: ProcessParts, state: Arc<ProcessState>) -> Self {
        Self {
            parts,
            state,
            plans: Plans::default(),
            live: Mutex::default(),
            listeners: Mutex::default(),
            are_all_looked_for: AtomicBool::new(false),
            heard: Notify::new(),
            errands: Mutex::default(),
            gates: Notify::new(),
            settled: Mutex::default(),
            first_scope: OnceCell::new(),
            taken: watch::Sender::new(0),
            changed: Mutex::default(),
            users: Mutex::default(),
        }
    }

    /// The executions that are under way here.
    pub(super) fn live(&self) -> MutexGuard<'_, BTreeMap<Cid, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What listens to logs.
    pub(super) fn listeners(&self) -> MutexGuard<'_, Vec<Arc<Listener>>> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it is listened for what starts this installation, or what it may wait for.
    pub(super) fn listen_for(&self, id: Digest, installation: &Installation, plan: &Plan) {
        let new = listeners(id, installation, plan);
        if !new.is_empty() {
            let mut all = self.listeners();
            all.retain(|listener| listener.owner != id);
            all.extend(new.into_iter().map(Arc::new));
            drop(all);
            // Who listens looks at all installations again.
            self.taken.send_modify(|taken| *taken += 1);
        }
    }

    /// All installations were looked at once since this member started. Before that, logs are not read: what was read for some of
    /// those that listen would not be read for the others.
    pub(super) fn all_are_looked_for(&self) {
        if !self.are_all_looked_for.swap(true, Ordering::AcqRel) {
            self.taken.send_modify(|taken| *taken += 1);
        }
    }

    /// Whether all installations were looked at once since this member started.
    pub(super) fn are_all_looked_for(&self) -> bool {
        self.are_all_looked_for.load(Ordering::Acquire)
    }

    /// Installations that are new or have changed.
    pub(super) fn changed(&self) -> MutexGuard<'_, BTreeSet<Digest>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who uses which instance.
    pub(super) fn users(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What gates have given.
    pub(super) fn settled(&self) -> MutexGuard<'_, Settled> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// External executions whose connectors run here.
    pub(super) fn errands(&self) -> MutexGuard<'_, Errands> {
        self.errands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives words to the own log. What is returned ends when they are on disk.
    ///
    /// # Errors
    /// [`ProcessError::Word`], [`ProcessError::Stopping`].
    pub(super) async fn tell(&self, words: &[Word]) -> Result<oneshot::Receiver<()>, ProcessError> {
        let messages = words.iter().map(Word::to_message);
        let messages = messages.collect::<Result<Vec<_>, _>>()?;
        let (done, written) = oneshot::channel();
        self.send(Input::Say(Saying { messages, done })).await?;
        Ok(written)
    }

    /// Writes words into the own log. They are on disk when this returns.
    ///
    /// # Errors
    /// As [`Processes::tell`].
    pub(super) async fn say(&self, words: &[Word]) -> Result<(), ProcessError> {
        let written = self.tell(words).await?;
        written.await.map_err(|_| ProcessError::Stopping)
    }

    pub(super) async fn send(&self, input: Input) -> Result<(), ProcessError> {
        let sent = self.parts.outbox.send(input).await;
        sent.map_err(|_| ProcessError::Stopping)
    }

    /// Asks a request of the ring, unless somebody has asked it. Nothing if it is on disk, else why it was not asked. What the own
    /// log says before comes with it, so that one round writes both.
    ///
    /// # Errors
    /// [`ProcessError::Word`], [`ProcessError::Stopping`].
    pub(super) async fn ask(
        &self,
        request: Request,
        before: Option<Word>,
    ) -> Result<Option<String>, ProcessError> {
        let until = Some(request.until);
        let (reply, answer) = oneshot::channel();
        let request = Box::new(request);
        let mut inputs = Vec::with_capacity(2);
        if let Some(word) = before {
            // Nobody waits for it alone.
            let (done, _) = oneshot::channel();
            let messages = vec![word.to_message()?];
            inputs.push(Input::Say(Saying { messages, done }));
        }
        inputs.push(Input::Ask {
            request,
            until,
            reply,
        });
        // With room for both, nothing comes between them, and the round does not begin with the first alone.
        let room = self.parts.outbox.reserve_many(inputs.len()).await;
        let room = room.map_err(|_| ProcessError::Stopping)?;
        room.zip(inputs).for_each(|(room, input)| room.send(input));
        match answer.await.map_err(|_| ProcessError::Stopping)? {
            Ok(_) => Ok(None),
            Err(NotAsked::Refused(reason) | NotAsked::Invalid(reason)) => Ok(Some(reason)),
        }
    }

    /// What two thirds have agreed that a request gives.
    ///
    /// # Errors
    /// [`ProcessError`].
    pub(super) async fn outcome(&self, request: Digest) -> Result<Option<Outcome>, ProcessError> {
        let outcome = |entry| match entry {
            Entry::Result { outcome, .. } => Some(outcome),
            Entry::Decision { .. } => None,
        };
        if let Some((_, entry)) = self.parts.logs.listed(request)? {
            return Ok(outcome(entry));
        }
        let (reply, answer) = oneshot::channel();
        self.send(Input::InspectRequest { request, reply }).await?;
        let RequestProgress { agreed, .. } = answer.await.map_err(|_| ProcessError::Stopping)?;
        Ok(agreed.and_then(outcome))
    }

    /// Reads what an outcome names.
    ///
    /// # Errors
    /// [`ProcessError::Store`] when its blocks cannot be had now.
    pub(super) async fn answer(
        &self,
        outcome: &Outcome,
    ) -> Result<(Answer, Option<Cid>), ProcessError> {
        Ok(match outcome {
            Outcome::Outputs(outputs) => match outputs.first() {
                Some(output) => {
                    let cid = data_cid(*output);
                    (Answer::Output(self.file(&cid).await?), Some(cid))
                }
                None => (Answer::Failed("the ring agreed on no output".into()), None),
            },
            Outcome::Failure(record) => {
                let bytes = self.file(&data_cid(*record)).await?;
                let reason = match FailureRecord::from_dag_json(&bytes) {
                    Ok(record) => why(&record),
                    Err(_) => "the record of the failure cannot be read".into(),
                };
                (Answer::Failed(reason), None)
            }
        })
    }

    /// A small file, from the own store or another member's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn file(&self, cid: &Cid) -> Result<Bytes, StoreError> {
        let blocks = Arc::clone(&self.parts.blocks) as Arc<dyn BlockSource>;
        let read = read_small_file(blocks, *cid, MAX_DOCUMENT_BYTES as u32).await?;
        Ok(read.into())
    }

    /// Keeps documents in the own store for good.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn keep(&self, documents: &[Vec<u8>]) -> Result<(), StoreError> {
        let _lease = self.parts.store.lease();
        let cids = self.hold(documents).await?;
        self.pin(&cids).await
    }

    /// Puts documents into the own store, so that they need not be fetched from others. Gives their CIDs.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn hold(&self, documents: &[Vec<u8>]) -> Result<Vec<Cid>, StoreError> {
        let block = |document: &Vec<u8>| {
            let bytes = block_of(document);
            Block::new(data_cid(sha256(&bytes)), bytes.into())
        };
        let blocks = documents.iter().map(block);
        let blocks = blocks.collect::<Result<Vec<_>, _>>()?;
        let cids: Vec<_> = blocks.iter().map(|block| *block.cid()).collect();
        self.parts.store.put(blocks).await?;
        Ok(cids)
    }

    /// Keeps files that are in the own store from being collected.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn pin(&self, cids: &[Cid]) -> Result<(), StoreError> {
        let Some(inventory) = self.parts.store.inventory() else {
            return Ok(());
        };
        let pins = cids.iter().map(|cid| {
            Ok(Pin {
                key: BlockKey::of(cid)?,
                below: true,
                until: Pin::ALWAYS,
            })
        });
        inventory
            .pin(pins.collect::<Result<_, StoreError>>()?)
            .await
    }

    /// This member's place among those that are to do something: the members in an order that `seed` gives, without those
    /// that are not connected here.
    pub(super) fn place(&self, seed: Digest) -> u32 {
        self.parts.ring.look(|snapshot| {
            let here = relayers(seed, &snapshot.members)
                .into_iter()
                .filter(|member| self.is_here(snapshot, member));
            let order: Vec<_> = here.collect();
            let place = order.iter().position(|member| *member == self.parts.me);
            place.unwrap_or(order.len()) as u32
        })
    }

    /// Whether two thirds of the members have seen the event of a run.
    pub(super) fn is_seen_enough(&self, key: RunKey) -> Result<bool, ProcessError> {
        let seen_by = self.state.run(key)?.unwrap_or_default().seen_by;
        Ok(self.parts.ring.look(|snapshot| {
            let members = snapshot.members.iter();
            let seen = members.filter(|member| seen_by.contains(member));
            seen.count() as u64 >= snapshot.needed
        }))
    }

    /// Whether a member is connected here, or is this one.
    pub(super) fn is_here(&self, snapshot: &Snapshot, member: &Address) -> bool {
        let contact = snapshot.contacts.get(member);
        *member == self.parts.me
            || contact.is_some_and(|contact| snapshot.connected.contains(&contact.peer))
    }

    /// How long it takes until all members have had their turns.
    pub(super) fn round(&self) -> Duration {
        let members = self.parts.ring.look(|snapshot| snapshot.members.len());
        let members = members.max(1);
        self.parts.turn * members as u32
    }
}
