//! Runs that wait for an event: their executions need no room in memory, and those that do nothing else are parked.

use super::{job::output, keeper::Processes, live::Live, runs::Runs, waits::Decided};
use crate::state::{RunKey, StateError};
use cid::Cid;
use rings_process::run::Run;
use std::collections::BTreeMap;

impl Runs {
    /// An execution waits, and that is on disk: it needs no room in memory. Gives the runs that wait for it.
    pub fn waits(&mut self, shared: &Processes, id: Cid) -> Vec<RunKey> {
        let Some(job) = self.jobs.remove(&id) else {
            return Vec::new();
        };
        shared.live().remove(&id);
        self.idle.extend(job.runs.iter().copied());
        job.runs.into_iter().collect()
    }

    /// The ring has decided what executions that waited get: the runs that are in memory go on.
    pub fn decided(&mut self, shared: &Processes, decided: Decided) -> Result<(), StateError> {
        for key in decided.runs {
            let Some(run) = self.runs.get_mut(&key) else {
                continue;
            };
            let told = match output(&decided.answer) {
                Ok(bytes) => run.answered(decided.execution, bytes),
                Err(reason) => run.failed(decided.execution, reason),
            };
            match told {
                Ok(()) => {
                    self.emit(key, &decided.execution);
                    self.advance(shared, key)?;
                }
                Err(error) => {
                    tracing::error!(execution = %decided.execution, %error, "an execution has ended twice");
                }
            }
        }
        Ok(())
    }

    /// Forgets a run. It is taken up again, as it is open.
    pub fn drop_run(&mut self, live: &mut BTreeMap<Cid, Live>, key: RunKey) {
        self.runs.remove(&key);
        self.causes.remove(&key);
        self.idle.remove(&key);
        // Also what is being looked at: with nobody to wait for it, it would never be looked at again.
        self.leave(live, |run| *run == key);
    }

    /// Runs that do nothing but wait. They are forgotten here.
    pub fn take_idle(&mut self) -> Vec<RunKey> {
        let idle = std::mem::take(&mut self.idle).into_iter().filter(|key| {
            let run = self.runs.get(key);
            run.is_some_and(|run| {
                !run.is_over() && run.created().next().is_none() && !self.is_busy(key, run)
            })
        });
        let idle: Vec<_> = idle.collect();
        for key in &idle {
            self.runs.remove(key);
            self.causes.remove(key);
        }
        idle
    }

    /// Whether somebody has to look at an execution of a run.
    fn is_busy(&self, key: &RunKey, run: &Run) -> bool {
        run.under_way().any(|id| {
            let job = self.jobs.get(&id);
            job.is_some_and(|job| job.runs.contains(key))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processes::look::{Duty, Job, Wait};
    use rings_process::{
        data::Fields,
        document::cid_of,
        execution::{Execution, VERSION},
    };
    use rings_protocol::Digest;
    use std::{collections::BTreeSet, sync::Arc, time::Instant};

    fn job(runs: &[RunKey]) -> Job {
        let execution = Execution {
            awaits: Some("came".into()),
            each: None,
            event: cid_of(b"event"),
            inputs: Fields::new(),
            node: "n".into(),
            parents: Vec::new(),
            process: cid_of(b"process"),
            service: cid_of(b"service"),
            task: String::new(),
            version: VERSION,
        };
        let wait = Wait {
            execution: execution.clone(),
            source: Digest::ZERO,
            within: 1,
        };
        Job {
            execution,
            duty: Arc::new(Duty::Wait(Box::new(wait))),
            runs: runs.iter().copied().collect(),
            requests: BTreeSet::new(),
            due: Instant::now(),
            since: Instant::now(),
            is_busy: true,
            look_again: false,
            has_asked: false,
            was_looked_at: true,
        }
    }

    /// One that stayed would be found again by the run, when that is taken up, and nobody would look at it.
    #[test]
    fn an_execution_for_which_no_run_waits_any_more_is_forgotten_although_somebody_looks_at_it() {
        let (one, other) = (
            (Digest([1; 32]), Digest([9; 32])),
            (Digest([2; 32]), Digest([9; 32])),
        );
        let mut runs = Runs::default();
        runs.jobs.insert(cid_of(b"its own"), job(&[one]));
        runs.jobs.insert(cid_of(b"shared"), job(&[one, other]));
        let mut live = BTreeMap::new();
        runs.drop_run(&mut live, one);
        let left: Vec<_> = runs
            .jobs
            .iter()
            .map(|(id, job)| (*id, job.runs.clone()))
            .collect();
        assert_eq!(left, [(cid_of(b"shared"), BTreeSet::from([other]))]);
    }
}
