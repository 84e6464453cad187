//! Opens the gates that settle executions, and finds what they have given.
//!
//! Both are looked at with each new block, beside everything else, so a ring that is down, or a chain that is slow, delays nobody who
//! does not wait for it. As long as no execution waits for a gate, nothing happens here. The members have their turns to open a gate, in an order that the execution gives; who comes later
//! finds that a member has asked for it, and asks again only if nobody has. Asking twice changes nothing.

use super::{error::ProcessError, keeper::Processes, moment::at, openings::Openings};
use crate::state::{Waiting, NEVER};
use futures::{stream, StreamExt};
use rings_api::with_causes;
use rings_chain::{calls, Call, ChainError, Submitted};
use rings_process::{
    plan::StepKind,
    settle,
    words::{Opened, Word, VERSION},
    work::Work,
};
use rings_protocol::{
    cids::{data_cid, keccak256},
    gate::{GateInput, GateSpec},
    Address, Digest,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// Gates that are read from the disk at once.
const PAGE: usize = 256;
/// Gates about which the chain is asked at once.
const ASKED_AT_ONCE: usize = 8;
/// Gates that this member opens at once.
const OPENED_AT_ONCE: usize = 16;

/// Looks after the gates of executions until `stop`.
pub(super) async fn watch(shared: Arc<Processes>, stop: CancellationToken) {
    let mut watcher = Watcher::default();
    // The watcher of the chain has seen them. Nothing is asked while there is no new block.
    let mut heads = shared.parts.chain.read_blocks();
    while !stop.is_cancelled() {
        let head = *heads.borrow_and_update();
        if let Err(error) = watcher.step(&shared, head).await {
            let cause = with_causes(&error);
            tracing::warn!(
                cause,
                "gates of executions cannot be looked at now; trying again"
            );
            watcher.seen = Some(head);
            watcher.next = Some(Instant::now() + shared.parts.turn);
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = shared.gates.notified() => watcher.seen = None,
            // Without a gate that is waited for, a new block means nothing.
            Ok(()) = heads.changed(), if watcher.next.is_some() => {}
            () = at(watcher.next) => {}
            (name, opened) = watcher.opening.ended() => watcher.take_opened(&shared, name, opened),
        }
    }
    // What is in the submitter's journal goes on there.
    watcher.opening.abort();
}

struct Watcher {
    /// The head with which all were looked at.
    seen: Option<u64>,
    /// When all are looked at again without a new block, if any is waited for.
    next: Option<Instant>,
    /// When it is this member's turn to open a gate, by the execution.
    due: BTreeMap<Digest, Instant>,
    opening: Openings<Result<(), ProcessError>>,
    /// How often the chain has refused to open it.
    refused: BTreeMap<Digest, u64>,
}

impl Default for Watcher {
    fn default() -> Self {
        Self {
            seen: None,
            next: None,
            due: BTreeMap::new(),
            opening: Openings::new(OPENED_AT_ONCE),
            refused: BTreeMap::new(),
        }
    }
}

/// What a look at a gate has found.
enum Found {
    Result,
    Asked,
    NotAsked,
}

impl Watcher {
    async fn step(&mut self, shared: &Arc<Processes>, head: u64) -> Result<(), ProcessError> {
        let now = Instant::now();
        if self.seen == Some(head) && self.next.is_none_or(|next| now < next) {
            return Ok(());
        }
        let (mut after, mut all) = (None, BTreeSet::new());
        loop {
            let page = shared.state.waiting_gates(after, PAGE)?;
            let count = page.len();
            after = page.last().map(|(name, _)| *name);
            all.extend(page.iter().map(|(name, _)| *name));
            self.look(shared, page, head).await?;
            if count < PAGE {
                break;
            }
        }
        self.due.retain(|name, _| all.contains(name));
        self.refused.retain(|name, _| all.contains(name));
        self.seen = Some(head);
        self.next = (!all.is_empty()).then(|| now + shared.parts.turn);
        Ok(())
    }

    /// A gate was opened, or not; nothing is known of it if its task has panicked.
    fn take_opened(
        &mut self,
        shared: &Processes,
        name: Digest,
        opened: Option<Result<(), ProcessError>>,
    ) {
        self.due.insert(name, Instant::now() + shared.round());
        let cause = match opened {
            Some(Ok(())) => return,
            Some(Err(error)) => {
                if let ProcessError::Chain(ChainError::Reverted { .. }) = error {
                    *self.refused.entry(name).or_default() += 1;
                }
                with_causes(&error)
            }
            None => "the task that opens it was cut short".to_owned(),
        };
        tracing::warn!(execution = %data_cid(name), cause, "the gate of an execution cannot be opened now; trying again");
    }

    async fn look(
        &mut self,
        shared: &Arc<Processes>,
        page: Vec<(Digest, Waiting)>,
        head: u64,
    ) -> Result<(), ProcessError> {
        let looks = page.into_iter().map(|(name, waiting)| async move {
            let found = shared.look_at_gate(name, &waiting, head).await;
            (name, waiting, found)
        });
        let looked: Vec<_> = stream::iter(looks)
            .buffer_unordered(ASKED_AT_ONCE)
            .collect()
            .await;
        for (name, waiting, found) in looked {
            match found {
                Ok(Found::Result) => {}
                Ok(Found::Asked) => {
                    self.due.insert(name, Instant::now() + shared.round());
                }
                Ok(Found::NotAsked) => self.open(shared, name, waiting),
                // Its blocks may be with a ring that is down: the others go on.
                Err(error @ ProcessError::Store(_)) => {
                    let cause = with_causes(&error);
                    tracing::warn!(execution = %data_cid(name), cause, "what a gate has given cannot be fetched now; trying again");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn open(&mut self, shared: &Arc<Processes>, name: Digest, waiting: Waiting) {
        let now = Instant::now();
        let turn = || now + shared.parts.turn * shared.place(name);
        let is_due = *self.due.entry(name).or_insert_with(turn) <= now;
        if !is_due || !self.opening.has_room_for(&name) {
            return;
        }
        let refused = self.refused.get(&name).copied().unwrap_or_default();
        let shared = Arc::clone(shared);
        let opening = async move { shared.open_gate(name, &waiting, refused).await };
        self.opening.begin(name, opening);
    }
}

impl Processes {
    /// Looks whether a gate has a result that is deep enough, and else whether a member has asked for it.
    async fn look_at_gate(
        &self,
        name: Digest,
        waiting: &Waiting,
        head: u64,
    ) -> Result<Found, ProcessError> {
        let Some(gate) = waiting.gate.filter(|_| !self.settled().has(&name)) else {
            return Ok(Found::Result);
        };
        let deep = head.saturating_sub(self.parts.confirmations);
        if let Some(outcome) = self.parts.chain.gate_outcome(gate, deep).await? {
            let answer = self.given(outcome.token, outcome.failed).await?;
            if waiting.until != NEVER {
                self.choose_result(name, outcome.token).await?;
            }
            self.settled().found(name, outcome.token, answer);
            // The driver goes on.
            self.parts.words.notify_one();
            return Ok(Found::Result);
        }
        Ok(match self.is_asked(gate).await? {
            true => Found::Asked,
            false => Found::NotAsked,
        })
    }

    /// Says that the gate came in time, once. It is only said by who holds what the gate has given.
    async fn choose_result(&self, name: Digest, token: Digest) -> Result<(), ProcessError> {
        let choice = settle::choice(&data_cid(name), token);
        if self.state.has_chosen(choice.slot)? {
            return Ok(());
        }
        self.choose(&[choice]).await?;
        tokio::task::block_in_place(|| self.state.chosen(&[choice]))?;
        Ok(())
    }

    /// Whether a member of this ring has asked for a gate. That somebody else has made it does not mean that it is computed.
    async fn is_asked(&self, gate: Address) -> Result<bool, ProcessError> {
        let members = self.parts.ring.snapshot().members;
        let is_member = |account: &Address| members.binary_search(account).is_ok();
        if let Some(record) = self.parts.logs.gate(gate)? {
            if record.requesters.keys().any(is_member) {
                return Ok(true);
            }
        }
        if !self.parts.chain.has_code(gate).await? {
            return Ok(false);
        }
        let history = self.parts.chain.gate_history(self.parts.engine, gate);
        Ok(history.await?.requesters.iter().any(is_member))
    }

    /// Says that this member opens a gate, declares its inputs, and asks for it.
    async fn open_gate(
        &self,
        name: Digest,
        waiting: &Waiting,
        refused: u64,
    ) -> Result<(), ProcessError> {
        let Some(gate) = waiting.gate else {
            return Ok(());
        };
        let spec = self.spec_of(waiting).await?;
        let opened = Word::Opened(Opened {
            event: data_cid(waiting.event),
            execution: data_cid(name),
            gate,
            installation: waiting.installation,
            version: VERSION,
        });
        self.say(&[opened]).await?;
        let undeclared = self.undeclared(&spec).await?;
        if !undeclared.is_empty() {
            self.send_call(calls::declare_data(spec.scope, &undeclared), refused)
                .await?;
        }
        let call = calls::create_gate(self.parts.engine, &spec);
        self.send_call(call, refused).await?;
        tracing::info!(execution = %data_cid(name), %gate, "opened the gate of an execution");
        Ok(())
    }

    /// The specification of the gate for which an execution waits.
    async fn spec_of(&self, waiting: &Waiting) -> Result<GateSpec, ProcessError> {
        let execution = &waiting.execution;
        let plan = self.plan(execution.process).await?;
        let task = match plan.step(&execution.node).map(|step| &step.kind) {
            Some(StepKind::Task(task)) => task,
            _ => {
                return Err(ProcessError::Node(format!(
                    "node {} is no task",
                    execution.node
                )))
            }
        };
        let work = Work::of(&task.task, execution, &rings_compute::profile());
        let work = work.map_err(ProcessError::Node)?;
        let ring = task.settlement.and_then(|settlement| settlement.ring);
        let ring = ring.unwrap_or(self.parts.domain.ring);
        settle::gate(&work, self.scope().await?, ring).map_err(ProcessError::Node)
    }

    /// The inputs that the scope does not have yet.
    async fn undeclared(&self, spec: &GateSpec) -> Result<Vec<Digest>, ProcessError> {
        let mut undeclared = BTreeSet::new();
        for input in &spec.inputs {
            if let GateInput::Constant(token) = input {
                if !self.parts.chain.is_declared(spec.scope, *token).await? {
                    undeclared.insert(*token);
                }
            }
        }
        Ok(undeclared.into_iter().collect())
    }

    /// A call that must succeed. The same call is sent once, unless the chain has refused it.
    async fn send_call(&self, call: Call, refused: u64) -> Result<(), ProcessError> {
        let to = call.to.map(|to| to.0).unwrap_or_default();
        let refused = refused.to_be_bytes();
        let parts = [
            &b"rings process gate"[..],
            &to[..],
            &refused[..],
            &call.data[..],
        ];
        let purpose = parts.concat();
        match self
            .parts
            .submitter
            .submit(keccak256(&purpose), call)
            .await?
        {
            Submitted::Mined { .. } => Ok(()),
            Submitted::Reverted { reason, .. } => Err(ChainError::Reverted { reason }.into()),
        }
    }
}
