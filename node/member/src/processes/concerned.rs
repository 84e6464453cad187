//! What an event is for: the processes that it starts, and those that may wait for it.

use super::{error::ProcessError, keeper::Processes, users::Candidates};
use crate::state::Installed;
use cid::Cid;
use rings_api::with_causes;
use rings_process::{
    event::Event,
    event_origin::NotTold,
    plan::Plan,
    wait,
    words::{Activity, Installation},
};
use rings_protocol::Digest;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::time::{timeout_at, Instant};

/// How long an event waits in all for plans that this member has not read.
const PATIENCE: Duration = Duration::from_secs(2);

/// What an event is for.
#[derive(Default)]
pub(super) struct Concerned {
    /// The processes that it starts.
    pub plans: Vec<Arc<Plan>>,
    /// The processes that may wait for it.
    pub awaiting: Vec<Arc<Plan>>,
    /// Their installations, and its source if one may wait for it.
    pub starts: BTreeSet<Digest>,
    /// Why nobody tells it, if the members find it themselves.
    pub not_told: Option<NotTold>,
    /// The same, if it is the event of a schedule.
    pub due: Option<NotTold>,
}

impl Processes {
    /// The processes that an event is for, and what it starts. Those that are paused take it down too. A process whose definition
    /// cannot be read now does not keep the event from the others: it is left out.
    pub(super) async fn concerned(
        &self,
        (instance, event): (Digest, &str),
    ) -> Result<Concerned, ProcessError> {
        self.read_unread(instance, event).await?;
        let Candidates { heeding, .. } = self.users().of(&self.state, (instance, event))?;
        let mut found = Concerned::default();
        for id in heeding.starts.union(&heeding.waits) {
            let Some(installed) = self.not_cancelled(*id)? else {
                continue;
            };
            let installation = &installed.installation;
            let plan = match self.plan(installation.process).await {
                Ok(plan) => plan,
                Err(error) => {
                    self.cannot_be_read(*id, &error);
                    continue;
                }
            };
            let not_told = told_by_nobody(&plan, installation, (instance, event));
            found.not_told = found.not_told.or(not_told);
            found.due = found.due.or(plan.may_be_due(event).err());
            if heeding.waits.contains(id) {
                self.await_sources(&plan, installation)?;
                found.starts.insert(wait::source(instance, event));
                found.awaiting.push(Arc::clone(&plan));
            }
            if heeding.starts.contains(id) && plan.event().is_some() {
                found.starts.insert(*id);
                found.plans.push(plan);
            }
        }
        Ok(found)
    }

    /// The installations that start with an event that a task has emitted, and its source if one may wait for it. An execution that has
    /// ended emits once, so one whose definition cannot be read now is among them: it is found later whether the event starts it.
    pub(super) async fn started_by_task(
        &self,
        event: &Event,
    ) -> Result<BTreeSet<Digest>, ProcessError> {
        let instance = event.instance.unwrap_or_default();
        self.read_unread(instance, &event.event).await?;
        let candidates = self.users().of(&self.state, (instance, &event.event))?;
        let heeding = candidates.heeding;
        let mut starts = BTreeSet::new();
        for id in heeding
            .starts
            .union(&candidates.failed)
            .chain(&candidates.unread)
        {
            starts.extend(self.not_cancelled(*id)?.map(|_| *id));
        }
        if !heeding.waits.is_empty() {
            starts.insert(wait::source(instance, &event.event));
        }
        Ok(starts)
    }

    /// Reads the plans of installations that use an instance, as far as they were not read.
    async fn read_unread(&self, instance: Digest, event: &str) -> Result<(), ProcessError> {
        let unread = self.users().of(&self.state, (instance, event))?.unread;
        let until = Instant::now() + PATIENCE;
        for id in unread {
            let Some(Installed { installation, .. }) = self.not_cancelled(id)? else {
                continue;
            };
            let of = (id, &installation.instances);
            match timeout_at(until, self.plan(installation.process)).await {
                Ok(Ok(plan)) => {
                    self.await_sources(&plan, &installation)?;
                    self.users().read(&self.state, of, &plan)?;
                }
                Ok(Err(ProcessError::Document(_) | ProcessError::Plan { .. })) => {
                    self.users().leave_out(&self.state, of)?;
                }
                Ok(Err(error)) => self.cannot_be_read(id, &error),
                Err(_) => self.users().failed(id),
            }
        }
        Ok(())
    }

    fn cannot_be_read(&self, id: Digest, error: &ProcessError) {
        let cause = with_causes(error);
        tracing::warn!(installation = %id, cause, "a process that an event may concern cannot be read now");
        self.users().failed(id);
    }

    /// An installation that is not cancelled.
    fn not_cancelled(&self, id: Digest) -> Result<Option<Installed>, ProcessError> {
        let installed = self.state.installed(id)?;
        Ok(installed.filter(|held| held.activity != Activity::Cancelled))
    }
}

/// Why nobody tells of this event of this instance, if the members find it themselves.
fn told_by_nobody(
    plan: &Plan,
    installation: &Installation,
    (instance, event): (Digest, &str),
) -> Option<NotTold> {
    let of_instance = plan.events().filter(|(service, name)| {
        *name == event && installation.instances.get(*service) == Some(&instance)
    });
    let mut found = of_instance.filter_map(|(service, name)| plan.may_be_told(service, name).err());
    found.next()
}

/// The service of an event that is waited for, and whether two thirds have to have seen it.
pub(super) fn awaited_kind(plan: &Plan, event: &str) -> Option<(Cid, bool)> {
    let (_, wait) = plan.waits().find(|(_, wait)| wait.event == event)?;
    let quorum = plan.is_for_quorum(&wait.service_name, event);
    Some((wait.service, quorum))
}
