//! Requests that this member computes, or tries to.
//!
//! A [`Job`] is a request whose inputs are known and which has no vote of this member yet. If this machine fails, the
//! job is tried again after a pause that doubles up to a minute; if the member declines it, it is not. Gates have the
//! same in the protocol's state machine (`rings_protocol::member`); requests have it here, because the book of requests
//! only says what is to be computed. Nothing here is on disk: after a restart the book asks for the same computations
//! again.

use rings_protocol::{backoff::Backoff, gate::Computation, request::RequestKey, Address, Digest};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// First and longest pause before a request is computed again that this machine could not compute.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A request with its resolved inputs.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub key: RequestKey,
    /// The data on its inputs, the operation first.
    pub data: Vec<Digest>,
    /// In whose log it stands.
    pub author: Address,
    /// The profile that it names.
    pub profile: String,
    retries: Backoff,
    again: Option<Instant>,
    /// Why there is no result.
    without: Option<String>,
    /// Whether it is not tried again.
    is_declined: bool,
}

/// The jobs that are not done.
#[derive(Debug, Default)]
pub(super) struct Jobs(HashMap<Computation, Job>);

impl Job {
    /// A job that was not tried yet.
    pub fn new(key: RequestKey, data: Vec<Digest>, author: Address, profile: String) -> Self {
        Self {
            key,
            data,
            author,
            profile,
            retries: Backoff::new(PAUSE, LONGEST_PAUSE),
            again: None,
            without: None,
            is_declined: false,
        }
    }
}

impl Jobs {
    /// Takes up a job.
    pub fn add(&mut self, job: Job) {
        self.0.entry(job.key.computation()).or_insert(job);
    }

    /// The job of a computation.
    pub fn get(&self, computation: Computation) -> Option<&Job> {
        self.0.get(&computation)
    }

    /// Removes a job that is done or not wanted any more.
    pub fn remove(&mut self, computation: Computation) -> Option<Job> {
        self.0.remove(&computation)
    }

    /// It could not be computed now.
    pub fn failed(&mut self, computation: Computation, reason: String) {
        if let Some(job) = self.0.get_mut(&computation) {
            job.again = Some(Instant::now() + job.retries.failed(rand::random()));
            job.without = Some(reason);
        }
    }

    /// This member does not compute it.
    pub fn declined(&mut self, computation: Computation, reason: String) {
        if let Some(job) = self.0.get_mut(&computation) {
            (job.again, job.is_declined, job.without) = (None, true, Some(reason));
        }
    }

    /// Why a request has no result here.
    pub fn without(&self, request: Digest) -> Option<String> {
        let mut jobs = self.0.values();
        let job = jobs.find(|job| job.key.request == request)?;
        job.without.clone()
    }

    /// When the next job is to be tried again.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.values().filter_map(|job| job.again).min()
    }

    /// Those that are to be tried again now.
    pub fn due(&mut self) -> Vec<(Address, Computation)> {
        let now = Instant::now();
        let mut due = Vec::new();
        for (computation, job) in &mut self.0 {
            if job.again.is_some_and(|again| again <= now) {
                job.again = None;
                due.push((job.author, *computation));
            }
        }
        due
    }

    /// All jobs that were not declined.
    pub fn open(&self) -> Vec<(Address, Computation)> {
        let open = self.0.iter().filter(|(_, job)| !job.is_declined);
        open.map(|(computation, job)| (job.author, *computation))
            .collect()
    }

    /// Keeps only the jobs for whose request `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(Digest) -> bool) {
        self.0.retain(|_, job| keep(job.key.request));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(n: u8) -> Job {
        let key = RequestKey {
            request: Digest([n; 32]),
            inputs: Digest::ZERO,
        };
        Job::new(key, vec![], Address([n; 20]), "p".into())
    }

    #[test]
    fn what_failed_is_due_later_and_what_is_declined_is_not() {
        let mut jobs = Jobs::default();
        let [one, other] = [job(1), job(2)].map(|job| {
            let computation = job.key.computation();
            jobs.add(job);
            computation
        });
        assert_eq!((jobs.open().len(), jobs.deadline()), (2, None));
        jobs.failed(one, "no memory".into());
        jobs.declined(other, "too much".into());
        assert_eq!(jobs.open(), [(Address([1; 20]), one)]);
        assert!(jobs.due().is_empty() && jobs.deadline().is_some());
        assert_eq!(jobs.without(Digest([2; 32])).as_deref(), Some("too much"));
        jobs.retain(|request| request == Digest([1; 32]));
        assert!(jobs.get(other).is_none() && jobs.remove(one).is_some());
    }
}
