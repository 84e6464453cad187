//! Executions that wait for one more event: which event is the one, and what the ring has decided.
//!
//! The members see events and blocks in any order. Each says what it would choose for an execution: the first event that it
//! finds for it, or, once the time of blocks is behind the deadline, that none has come. The ring decides
//! (`rings_process::wait`), and only then has the execution ended. So whether an event came in time is the same for all.

use super::{
    error::ProcessError,
    keeper::{Answer, Processes},
    look::{Look, Seen, Wait},
};
use crate::{
    clock,
    state::{Begun, Ended, Opening, RunKey, RunRecord, Waiting, NEVER},
};
use cid::Cid;
use rings_process::{
    document::{cid_of, Document},
    event::Event,
    missing,
    plan::{Plan, StepKind, WaitStep},
    wait::{self, expired},
    words::{Installation, Stage},
};
use rings_protocol::{assembly::Choice, cids::data_cid, Digest};
use std::collections::BTreeSet;

/// Events at which a step looks.
const EVENTS_AT_ONCE: usize = 256;
/// Executions whose time is over at which a step looks.
const OVERDUE_AT_ONCE: usize = 256;
/// Later ring nodes after which one that lists nothing here is passed over. Its pages may still come before.
const LATER_NODES: u64 = 16;

/// How far the decisions were read.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    /// The first ring node that was not looked at; nothing before all that wait were looked at once.
    next: Option<u64>,
    /// Executions at which somebody has to look.
    check: BTreeSet<Digest>,
    /// The head whose time was compared with the deadlines.
    head: u64,
    /// The head at which it was looked whether what nobody gives is late.
    missed: u64,
}

/// What this member would choose for executions that wait.
#[derive(Debug, Default)]
struct Chosen {
    choices: Vec<Choice>,
    slots: BTreeSet<Digest>,
    waits: Vec<(Digest, Waiting)>,
}

/// What an execution that waited has got, and the runs that waited for it.
pub(super) struct Decided {
    pub execution: Cid,
    pub runs: Vec<RunKey>,
    pub answer: Answer,
    pub ended: Ended,
}

impl Decisions {
    /// An execution waits now. The ring may have decided about it before.
    pub fn waits(&mut self, execution: Digest) {
        self.check.insert(execution);
    }
}

impl Processes {
    /// Begins to wait for an event, and says which of those before is the one.
    ///
    /// # Errors
    /// [`ProcessError`]: it is looked again later.
    pub(super) async fn look_wait(&self, look: &Look, wait: &Wait) -> Result<Seen, ProcessError> {
        let head = self.parts.ring.head();
        let now = self.parts.chain.block(head).await?.timestamp;
        let run = self.state.run(look.run)?.unwrap_or_default();
        let waiting = Waiting {
            gate: None,
            installation: look.run.0,
            event: look.run.1,
            execution: wait.execution.clone(),
            source: wait.source,
            until: now.saturating_add(wait.within),
            behind: run.place,
            since: self.began(&run).await?,
        };
        self.keep(&[waiting.execution.to_bytes()?]).await?;
        let begun =
            tokio::task::block_in_place(|| self.state.begin_wait(&look.execution, &waiting))?;
        match begun {
            Begun::Ended => match self.state.ended(&look.execution)? {
                Some(ended) => self.kept(ended).await,
                None => Ok(Seen::Open { asked: None }),
            },
            Begun::Full => {
                tracing::warn!(execution = %look.execution, "too many executions wait for events; this one is tried again");
                Ok(Seen::Open { asked: None })
            }
            Begun::Waits(earlier) => {
                self.choose_events(&earlier, Some(look.execution)).await?;
                Ok(Seen::Waits)
            }
        }
    }

    /// The first time of an event that came after the one that started a run, in milliseconds since 1970. A log of the chain came
    /// with its block, and this member knew of it only with enough blocks on top.
    async fn began(&self, run: &RunRecord) -> Result<u64, ProcessError> {
        let Some(place) = run.place else {
            return Ok(run.since);
        };
        let block = self.parts.chain.block(place.block).await?;
        Ok(run.since.min(block.timestamp.saturating_mul(1_000)))
    }

    /// Events of the sources of a plan's waits are kept from now on.
    pub(super) fn await_sources(
        &self,
        plan: &Plan,
        installation: &Installation,
    ) -> Result<(), ProcessError> {
        for (_, wait) in plan.waits() {
            let instance = installation.instances.get(&wait.service_name);
            let quorum = plan.is_for_quorum(&wait.service_name, &wait.event);
            let source = source_of(wait, instance.copied());
            self.state.await_source(source, quorum)?;
        }
        Ok(())
    }

    /// Looks at the events that are new, and says for which executions they are. Whether these were all.
    pub(super) async fn match_events(&self) -> Result<bool, ProcessError> {
        let events = self.state.awaited_events(EVENTS_AT_ONCE)?;
        if events.is_empty() {
            return Ok(true);
        }
        let known = events.iter().map(|event| {
            let record = self.state.run(event.key)?;
            Ok((event.key, record.unwrap_or_default()))
        });
        let known: Vec<_> = known.collect::<Result<_, ProcessError>>()?;
        self.choose_events(&events, None).await?;
        tokio::task::block_in_place(|| self.state.postpone(&known))?;
        Ok(events.len() < EVENTS_AT_ONCE)
    }

    /// Chooses events for the executions that wait for them, or for that one: the first that fits, of each.
    async fn choose_events(
        &self,
        events: &[Opening],
        only: Option<Cid>,
    ) -> Result<(), ProcessError> {
        let mut chosen = Chosen::default();
        for event in events {
            self.choose_event(event, only, &mut chosen).await?;
        }
        self.say_choices(&chosen.choices, &chosen.waits).await
    }

    /// Chooses an event for the executions that wait for it, or for that one.
    async fn choose_event(
        &self,
        opening: &Opening,
        only: Option<Cid>,
        chosen: &mut Chosen,
    ) -> Result<(), ProcessError> {
        let (source, _) = opening.key;
        let event = Event::from_bytes(&opening.event)?;
        let quorum = self.state.awaited(source)?.unwrap_or_default().quorum;
        if quorum && !event.source.is_found() && !self.is_seen_enough(opening.key)? {
            return Ok(());
        }
        let Some(record) = self.state.run(opening.key)? else {
            return Ok(());
        };
        for name in self.state.waits_for(source, &event)? {
            let id = data_cid(name);
            let waiting = self.state.waiting(name)?;
            let Some(waiting) = waiting.filter(|waiting| waiting.may_be(&record)) else {
                continue;
            };
            if only.is_some_and(|only| only != id) {
                continue;
            }
            let choice = wait::choice(&id, &opening.event);
            let is_new =
                !self.state.has_chosen(choice.slot)? && !chosen.slots.contains(&choice.slot);
            if is_new && self.fits(&waiting, &opening.event).await?.is_ok() {
                // Whoever traces a result finds it with any member.
                self.keep(std::slice::from_ref(&opening.event)).await?;
                chosen.slots.insert(choice.slot);
                chosen.choices.push(choice);
                chosen.waits.push((name, waiting));
            }
        }
        Ok(())
    }

    /// Says what this member would choose for these executions, once.
    async fn say_choices(
        &self,
        choices: &[Choice],
        chosen: &[(Digest, Waiting)],
    ) -> Result<(), ProcessError> {
        if !choices.is_empty() {
            self.choose(choices).await?;
        }
        tokio::task::block_in_place(|| {
            if !choices.is_empty() {
                self.state.chosen(choices)?;
            }
            self.state.waits_chosen(chosen)
        })?;
        Ok(())
    }

    /// Whether an event is what an execution waits for.
    async fn fits(
        &self,
        waiting: &Waiting,
        event: &[u8],
    ) -> Result<Result<(), String>, ProcessError> {
        let plan = self.plan(waiting.execution.process).await?;
        let step = plan.step(&waiting.execution.node).map(|step| &step.kind);
        let Some(StepKind::Wait(wait)) = step else {
            return Ok(Err("its node does not wait".into()));
        };
        let fits = wait.event(&waiting.execution.inputs, event);
        Ok(fits.and_then(|event| {
            if !event.source.is_found() {
                let may = plan.may_be_told(&wait.service_name, &event.event);
                may.map_err(|not_told| not_told.to_string())?;
            }
            let source = event
                .instance
                .map(|instance| wait::source(instance, &event.event));
            match source == Some(waiting.source) {
                true => Ok(()),
                false => Err("its event happened in another instance".into()),
            }
        }))
    }

    /// Says of executions whose time is over that no event has come.
    pub(super) async fn choose_expired(
        &self,
        decisions: &mut Decisions,
    ) -> Result<(), ProcessError> {
        let head = self.parts.ring.head();
        if head <= decisions.head || !self.state.has_deadlines()? {
            return Ok(());
        }
        let now = self.parts.chain.block(head).await?.timestamp;
        let (mut choices, mut chosen) = (Vec::new(), Vec::new());
        let overdue = self.state.overdue(now, OVERDUE_AT_ONCE)?;
        let is_all = overdue.len() < OVERDUE_AT_ONCE;
        for name in overdue {
            let Some(waiting) = self.state.waiting(name)? else {
                continue;
            };
            let choice = wait::choice(&data_cid(name), &expired());
            if !self.state.has_chosen(choice.slot)? {
                choices.push(choice);
            }
            chosen.push((name, waiting));
        }
        self.say_choices(&choices, &chosen).await?;
        if is_all {
            decisions.head = head;
        }
        Ok(())
    }

    /// Takes in what the ring has decided about executions that wait.
    pub(super) async fn decide_waits(
        &self,
        decisions: &mut Decisions,
    ) -> Result<Vec<Decided>, ProcessError> {
        self.read_decisions(decisions)?;
        decisions.check.extend(self.settled().take_fresh());
        let mut decided = Vec::new();
        let head = self.parts.ring.head();
        // Time passes with blocks, and steps are many.
        let is_later = head > decisions.missed;
        for name in decisions.check.clone() {
            let Some(waiting) = self.state.waiting(name)? else {
                decisions.check.remove(&name);
                continue;
            };
            let id = data_cid(name);
            let choice = match waiting.gate.is_some() && waiting.until == NEVER {
                // Nothing competes with what the gate gives.
                true => self.settled().token(&name),
                false => self.decided(wait::slot(&id))?,
            };
            let Some(choice) = choice else {
                // A ring node, or the gate, tells when it is.
                decisions.check.remove(&name);
                continue;
            };
            let slot = wait::slot(&id);
            let choice = match self.is_given_up(slot)? {
                true => missing::given_up(),
                false => choice,
            };
            // Where the event is not known, it comes with a log, or with a block, that is read later.
            let Some((stage, answer)) = self.got(&waiting, choice).await? else {
                if waiting.until != NEVER && is_later {
                    self.misses(slot).await?;
                    decisions.missed = head;
                }
                continue;
            };
            let ended = ended(&waiting, (stage, &answer), choice);
            let runs = tokio::task::block_in_place(|| self.state.end_wait(&id, &waiting, &ended))?;
            tracing::info!(execution = %id, node = %waiting.execution.node, state = stage.name(), "an execution has ended");
            decisions.check.remove(&name);
            self.settled().forget(&name);
            decided.push(Decided {
                execution: id,
                runs,
                answer,
                ended,
            });
        }
        Ok(decided)
    }

    /// Finds out for which executions ring nodes have decided that were not looked at.
    fn read_decisions(&self, decisions: &mut Decisions) -> Result<(), ProcessError> {
        let count = self.parts.logs.ring_node_count()?;
        let Some(mut next) = decisions.next else {
            decisions.check.extend(self.state.waiting_names()?);
            // The newest ones may not count yet.
            decisions.next = Some(count.saturating_sub(self.parts.confirmations + LATER_NODES));
            return Ok(());
        };
        while next < count && self.is_deep(next)? {
            let listed = self.parts.logs.listed_by(next)?;
            if listed.is_empty() && next + LATER_NODES > count {
                break;
            }
            for slot in listed {
                decisions.check.extend(self.state.wait_of_slot(slot)?);
            }
            next += 1;
        }
        // After a reorganisation there may be fewer.
        decisions.next = Some(next.min(count));
        Ok(())
    }

    /// What the ring has decided for gives; nothing as long as it is not known here.
    async fn got(
        &self,
        waiting: &Waiting,
        choice: Digest,
    ) -> Result<Option<(Stage, Answer)>, ProcessError> {
        let none = expired();
        if waiting.gate.is_some() {
            let given = self.of_gate(&waiting.execution.cid()?, choice);
            return Ok(match given {
                Some((Stage::Expired, _)) => {
                    self.keep(std::slice::from_ref(&none)).await?;
                    given
                }
                Some((Stage::Succeeded, Answer::Output(bytes))) => Some((
                    self.stage_of(&waiting.execution, &bytes).await?,
                    Answer::Output(bytes),
                )),
                other => other,
            });
        }
        if data_cid(choice) == cid_of(&none) {
            self.keep(std::slice::from_ref(&none)).await?;
            return Ok(Some((Stage::Expired, Answer::Output(none.into()))));
        }
        let known = self.state.known_event(waiting.source, choice)?;
        let Some((event, _)) = known.filter(|(_, record)| record.may_begin()) else {
            return Ok(None);
        };
        Ok(Some(match self.fits(waiting, &event).await? {
            Ok(()) => {
                self.keep(std::slice::from_ref(&event)).await?;
                (Stage::Succeeded, Answer::Output(event.into()))
            }
            Err(reason) => (Stage::Failed, Answer::Failed(reason)),
        }))
    }
}

/// The source of the events for which a node waits.
pub(super) fn source_of(wait: &WaitStep, instance: Option<Digest>) -> Digest {
    // Each service of an installation has an instance.
    wait::source(instance.unwrap_or_default(), &wait.event)
}

fn ended(waiting: &Waiting, (stage, answer): (Stage, &Answer), choice: Digest) -> Ended {
    let (result, reason) = match answer {
        Answer::Output(_) => (Some(data_cid(choice)), None),
        Answer::Failed(reason) => (None, Some(reason.clone())),
    };
    Ended {
        gate: waiting.gate,
        installation: waiting.installation,
        event: waiting.event,
        request: None,
        by: Vec::new(),
        stage,
        result,
        reason,
        time: clock::milliseconds(),
    }
}
