//! Answers the HTTP side what changes processes: to install one, to take an event down, to pause, resume and cancel.

use super::{
    concerned::{awaited_kind, Concerned},
    error::ProcessError,
    keeper::Processes,
};
use crate::state::{Installed, RunRecord};
use async_trait::async_trait;
use cid::Cid;
use rings_api::{
    processes::{
        CreateProcessParams, EmitParams, EmittedView, ExecutionView, ExecutionsView, HookedEvent,
        InstancesView, ProcessRunsView, ProcessState, ProcessView, ProcessesView,
    },
    ApiError, ProcessKeeper,
};
use rings_process::{
    data::{Data, Fields},
    document::{cid_of, Document},
    event::{Event, Source, VERSION as EVENT_VERSION},
    plan::Plan,
    run::Run,
    wait,
    words::{Activity, Change, Happened, Installation, Word, VERSION},
};
use rings_protocol::{cids::digest_of, Digest};
use std::{collections::BTreeSet, sync::Arc};

#[async_trait]
impl ProcessKeeper for Processes {
    async fn create(&self, asked: CreateProcessParams) -> Result<ProcessView, ApiError> {
        if asked.ring != self.parts.domain.ring {
            return Err(ApiError::NotFollowed { ring: asked.ring });
        }
        let plan = self.plan(asked.process).await?;
        check_instances(&plan, &asked)?;
        // What happened before it was installed does not start it.
        let head = self.parts.chain.block_number().await;
        let head = head.map_err(ProcessError::Chain)?;
        let installation = Installation {
            heads: self.heads_now(&plan)?,
            instances: asked.instances,
            nonce: asked.nonce,
            process: asked.process,
            since: head.saturating_add(1),
            version: VERSION,
        };
        let id = installation.id().map_err(ProcessError::Document)?;
        if let Some(installed) = self.held(id)? {
            return self.view(id, &installed).await;
        }
        self.say(&[Word::Installation(installation)]).await?;
        let installed = self.until_taken(|| self.held(id)).await?;
        self.view(id, &installed).await
    }

    async fn change(
        &self,
        installation: Digest,
        to: ProcessState,
    ) -> Result<ProcessView, ApiError> {
        let installed = self.must_hold(installation)?;
        let (now, to) = (installed.activity, activity(to));
        if !now.may_become(to) {
            let reason = format!("the process is {now}, and cannot become {to}");
            return Err(ApiError::Refused { reason });
        }
        let change = Change {
            installation,
            number: installed.changes + 1,
            to,
            version: VERSION,
        };
        self.say(&[Word::Change(change)]).await?;
        self.view(installation, &installed).await
    }

    async fn emit(&self, asked: EmitParams) -> Result<EmittedView, ApiError> {
        let source = Source::Hand { nonce: asked.nonce };
        let what = (asked.instance, asked.event);
        self.take_event(what, asked.data, source).await
    }

    async fn hook(&self, event: HookedEvent) -> Result<EmittedView, ApiError> {
        let source = Source::Webhook { id: event.id };
        let what = (event.instance, event.event);
        self.take_event(what, event.data, source).await
    }

    async fn list(&self, behind: Option<Digest>, limit: usize) -> Result<ProcessesView, ApiError> {
        self.show_list(behind, limit).await
    }

    async fn instances(
        &self,
        behind: Option<Digest>,
        limit: usize,
    ) -> Result<InstancesView, ApiError> {
        self.show_instances(behind, limit)
    }

    async fn get(
        &self,
        installation: Digest,
        page: (Option<u64>, usize),
    ) -> Result<ProcessRunsView, ApiError> {
        let installed = self.must_hold(installation)?;
        self.show_runs((installation, &installed), page).await
    }

    async fn executions(
        &self,
        event: Option<Cid>,
        limit: usize,
    ) -> Result<ExecutionsView, ApiError> {
        self.show_executions(event, limit).await
    }

    async fn execution(&self, execution: Cid) -> Result<Option<ExecutionView>, ApiError> {
        self.show_execution(execution).await
    }
}

impl Processes {
    fn held(&self, id: Digest) -> Result<Option<Installed>, ApiError> {
        Ok(self.state.installed(id).map_err(ProcessError::State)?)
    }

    fn must_hold(&self, id: Digest) -> Result<Installed, ApiError> {
        self.held(id)?.ok_or_else(|| {
            invalid(format!(
                "there is no process {id} in this ring; `rings process list` shows those that there are"
            ))
        })
    }

    /// Waits until a word in the own log was taken in, which `look` shows.
    async fn until_taken<T>(
        &self,
        look: impl Fn() -> Result<Option<T>, ApiError>,
    ) -> Result<T, ApiError> {
        let mut taken = self.taken.subscribe();
        loop {
            taken.borrow_and_update();
            if let Some(found) = look()? {
                return Ok(found);
            }
            let changed = taken.changed().await;
            changed.map_err(|_| ProcessError::Stopping)?;
        }
    }

    /// Takes an event down, if it starts something.
    async fn take_event(
        &self,
        (instance, name): (Digest, String),
        data: serde_json::Value,
        source: Source,
    ) -> Result<EmittedView, ApiError> {
        let Concerned {
            plans,
            awaiting,
            starts,
            not_told,
            due,
        } = self.concerned((instance, &name)).await?;
        if let Some(not_told) = not_told {
            return Err(invalid(not_told.to_string()));
        }
        let waiting = awaiting.first().map(|plan| (plan, false));
        if let Some(due) = due.filter(|_| plans.is_empty() && awaiting.is_empty()) {
            return Err(invalid(due.to_string()));
        }
        let Some((first, is_started)) = plans.first().map(|plan| (plan, true)).or(waiting) else {
            return Err(invalid(format!(
                "no process starts with event {name} of instance {instance}, or waits for it; `rings process create` makes one"
            )));
        };
        let kind = match is_started {
            true => first
                .event()
                .map(|(service, _)| (service, first.needs_quorum())),
            false => awaited_kind(first, &name),
        };
        let (service, needs_quorum) = kind.unzip();
        let event = Event {
            data: fields(data)?,
            event: name,
            instance: Some(instance),
            process: None,
            service,
            source,
            version: EVENT_VERSION,
        };
        for plan in &plans {
            Run::new(Arc::clone(plan), &event).map_err(|error| {
                let cause = rings_api::with_causes(&error);
                invalid(format!("the event starts nothing: {cause}"))
            })?;
        }
        let bytes = event.to_bytes().map_err(ProcessError::Document)?;
        for plan in &awaiting {
            let mut waits = plan.waits().filter(|(_, wait)| wait.event == event.event);
            // What a wait looks for besides does not belong to the event.
            let wrong = waits.find_map(|(_, wait)| wait.event(&Fields::new(), &bytes).err());
            if let Some(reason) = wrong {
                return Err(invalid(format!("nothing can wait for the event: {reason}")));
            }
        }
        self.take_down(event, starts, needs_quorum.unwrap_or_default())
            .await
    }

    /// Writes an event into the own log, unless all that it starts was started before.
    async fn take_down(
        &self,
        event: Event,
        starts: BTreeSet<Digest>,
        needs_quorum: bool,
    ) -> Result<EmittedView, ApiError> {
        // Where two thirds have to have seen it, the word of another member does not stand for that of this one.
        let is_said = |run: &RunRecord| match needs_quorum {
            true => run.seen_by.contains(&self.parts.me),
            false => run.by.is_some(),
        };
        let bytes = event.to_bytes().map_err(ProcessError::Document)?;
        let cid = cid_of(&bytes);
        let source = wait::source(event.instance.unwrap_or_default(), &event.event);
        let name = digest_of(&cid).unwrap_or_default();
        let mut is_known = true;
        for id in &starts {
            let run = self.state.run((*id, name)).map_err(ProcessError::State)?;
            is_known &= run.as_ref().is_some_and(is_said);
        }
        if !is_known {
            self.keep(&[bytes]).await.map_err(ProcessError::Store)?;
            let happened = Happened {
                event,
                starts: starts.clone(),
                version: VERSION,
            };
            self.say(&[Word::Happened(Box::new(happened))]).await?;
            for id in &starts {
                let run = || self.state.run((*id, name)).map_err(ProcessError::State);
                let is_known = || Ok(run()?.filter(is_said));
                self.until_taken(is_known).await?;
            }
        }
        Ok(EmittedView {
            event: cid,
            awaited: starts.contains(&source),
            starts: starts.into_iter().filter(|id| *id != source).collect(),
            fresh: !is_known,
        })
    }
}

fn invalid(reason: String) -> ApiError {
    ApiError::InvalidParams { reason }
}

fn activity(state: ProcessState) -> Activity {
    match state {
        ProcessState::Active => Activity::Active,
        ProcessState::Paused => Activity::Paused,
        ProcessState::Cancelled => Activity::Cancelled,
    }
}

/// Each service of the process has an instance, and nothing else has one.
fn check_instances(plan: &Plan, asked: &CreateProcessParams) -> Result<(), ApiError> {
    let services = &plan.process().services;
    if let Some(missing) = services
        .keys()
        .find(|name| !asked.instances.contains_key(*name))
    {
        return Err(invalid(format!(
            "the process uses service {missing}; name the instance of it"
        )));
    }
    match asked
        .instances
        .keys()
        .find(|name| !services.contains_key(*name))
    {
        Some(other) => Err(invalid(format!("the process has no service {other}"))),
        None => Ok(()),
    }
}

fn fields(data: serde_json::Value) -> Result<Fields, ApiError> {
    let data = serde_json::from_value::<Data>(data);
    match data {
        Ok(Data::Map(fields)) if Data::Map(fields.clone()).is_within_bounds() => Ok(fields),
        Ok(Data::Map(_)) => Err(invalid("the data are nested too deep, or too many".into())),
        Ok(other) => Err(invalid(format!(
            "the data are {}; give an object",
            other.kind()
        ))),
        Err(error) => Err(invalid(format!("the data cannot be taken: {error}"))),
    }
}
