//! Runs that wait for an event: their executions need no room in memory, and those that do nothing else are parked.

use super::{job::output, keeper::Processes, runs::Runs, waits::Decided};
use crate::state::{RunKey, StateError};
use cid::Cid;
use rings_process::run::Run;

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
    pub fn drop_run(&mut self, key: RunKey) {
        self.runs.remove(&key);
        self.causes.remove(&key);
        self.idle.remove(&key);
        for job in self.jobs.values_mut() {
            job.runs.remove(&key);
        }
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
