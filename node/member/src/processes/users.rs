//! The installations that an event of an instance concerns, found without going through all of its users, and without their
//! plans: each is read once, when somebody looks at the installation, and what events it heeds is remembered.

use crate::state::{Installed, ProcessState, StateError};
use rings_process::{event::SCHEDULED, plan::Plan, words::Activity};
use rings_protocol::Digest;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// How long a plan that could not be read is not asked for again when an event comes.
const PAUSE: Duration = Duration::from_secs(60);

/// The users of instances, and the events that they heed.
#[derive(Debug, Default)]
pub(super) struct Users(Option<Known>);

#[derive(Debug, Default)]
struct Known {
    /// By instance: the installations that use it and whose plans were not read.
    unread: BTreeMap<Digest, BTreeSet<Digest>>,
    /// By instance and event.
    heed: BTreeMap<Digest, BTreeMap<String, Heeding>>,
    /// Those whose plans were read, or that no event concerns.
    read: BTreeSet<Digest>,
    /// Those whose plans could not be read, and when that was.
    failed: BTreeMap<Digest, Instant>,
}

/// The installations that heed an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Heeding {
    /// It starts them, or it is that of their schedule.
    pub starts: BTreeSet<Digest>,
    /// They may wait for it.
    pub waits: BTreeSet<Digest>,
}

/// The installations that an event may concern.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Candidates {
    /// Those whose plans were read.
    pub heeding: Heeding,
    /// Those whose plans are to be read.
    pub unread: BTreeSet<Digest>,
    /// Those whose plans could not be read a moment ago.
    pub failed: BTreeSet<Digest>,
}

impl Users {
    /// These installations are new, or have changed. Nothing is done before all were read from the disk.
    pub fn add(&mut self, state: &ProcessState, new: &[Digest]) {
        let Some(known) = &mut self.0 else { return };
        for id in new {
            match state.installed(*id) {
                Ok(Some(installed)) => known.take(*id, &installed),
                Ok(None) => {}
                // All are read again when they are asked for.
                Err(_) => {
                    self.0 = None;
                    return;
                }
            }
        }
    }

    /// Whom an event of an instance may concern. All installations are read from the disk the first time.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn of(
        &mut self,
        state: &ProcessState,
        (instance, event): (Digest, &str),
    ) -> Result<Candidates, StateError> {
        let known = self.known(state)?;
        let heeding = known.heed.get(&instance);
        let heeding = heeding.and_then(|events| events.get(event)).cloned();
        let unread = known.unread.get(&instance).into_iter().flatten().copied();
        let (failed, unread) = unread.partition(|id| {
            let then = known.failed.get(id);
            then.is_some_and(|then| then.elapsed() < PAUSE)
        });
        Ok(Candidates {
            heeding: heeding.unwrap_or_default(),
            unread,
            failed,
        })
    }

    /// The plan of an installation with these instances was read.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn read(
        &mut self,
        state: &ProcessState,
        (id, instances): (Digest, &BTreeMap<String, Digest>),
        plan: &Plan,
    ) -> Result<(), StateError> {
        let known = self.known(state)?;
        if !known.set_read(id, instances) {
            return Ok(());
        }
        let instance = |service: &str| instances.get(service).copied();
        if let Some((service, (_, event))) = plan.event_service().zip(plan.event()) {
            if let Some(instance) = instance(service) {
                known.heeding(instance, event).starts.insert(id);
            }
        }
        if plan.schedule().is_some() {
            // Whoever tells of it is told where it comes from.
            for instance in instances.values() {
                known.heeding(*instance, SCHEDULED).starts.insert(id);
            }
        }
        for (_, wait) in plan.waits() {
            if let Some(instance) = instance(&wait.service_name) {
                known.heeding(instance, &wait.event).waits.insert(id);
            }
        }
        Ok(())
    }

    /// The plan of an installation cannot be read now.
    pub fn failed(&mut self, id: Digest) {
        if let Some(known) = &mut self.0 {
            known.failed.insert(id, Instant::now());
        }
    }

    /// No event concerns an installation with these instances: it is cancelled, or nobody can run its process.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn leave_out(
        &mut self,
        state: &ProcessState,
        (id, instances): (Digest, &BTreeMap<String, Digest>),
    ) -> Result<(), StateError> {
        let known = self.known(state)?;
        known.set_read(id, instances);
        for instance in instances.values() {
            let Some(events) = known.heed.get_mut(instance) else {
                continue;
            };
            events.retain(|_, heeding| {
                heeding.starts.remove(&id);
                heeding.waits.remove(&id);
                *heeding != Heeding::default()
            });
            if events.is_empty() {
                known.heed.remove(instance);
            }
        }
        Ok(())
    }

    fn known(&mut self, state: &ProcessState) -> Result<&mut Known, StateError> {
        let known = match self.0.take() {
            Some(known) => known,
            None => {
                let mut known = Known::default();
                state.each_installed(|id, installed| known.take(id, installed))?;
                known
            }
        };
        Ok(self.0.insert(known))
    }
}

impl Known {
    fn take(&mut self, id: Digest, installed: &Installed) {
        let is_cancelled = installed.activity == Activity::Cancelled;
        if is_cancelled || self.read.contains(&id) {
            return;
        }
        for instance in installed.installation.instances.values() {
            self.unread.entry(*instance).or_default().insert(id);
        }
    }

    fn heeding(&mut self, instance: Digest, event: &str) -> &mut Heeding {
        let events = self.heed.entry(instance).or_default();
        events.entry(event.to_owned()).or_default()
    }

    /// Whether it was not read before.
    fn set_read(&mut self, id: Digest, instances: &BTreeMap<String, Digest>) -> bool {
        for instance in instances.values() {
            if let Some(ids) = self.unread.get_mut(instance) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.unread.remove(instance);
                }
            }
        }
        self.failed.remove(&id);
        self.read.insert(id)
    }
}

#[cfg(test)]
mod tests;
