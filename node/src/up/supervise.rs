//! Watches a ring in the foreground, and ends what this process has started.
//!
//! [`LocalRing::supervise`] looks at the processes until nothing of the ring runs, and reports members that have ended.
//! [`LocalRing::abandon`] ends the processes of a start that failed.

use super::{
    local_ring::LocalRing,
    stopping::{note_pids, note_what_runs, pids, stop, STOP_LIMIT},
};
use crate::{
    anvil,
    exit::ExitError,
    process::{self, wait_until},
    ringdir::RingFile,
};
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// How often a ring in the foreground is checked.
const LOOK: Duration = Duration::from_millis(250);

impl LocalRing {
    /// Watches the ring until nothing of it runs. A member that ends is reported once, and not started again.
    ///
    /// # Errors
    /// When `ring.json` cannot be written.
    pub async fn supervise(&mut self, file: &mut RingFile) -> Result<(), ExitError> {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            self.reap();
            let now = pids(&self.dir, file);
            let changed = self.report(file, &now);
            if now.iter().all(Option::is_none) && anvil::running(&self.dir).is_none() {
                return Ok(());
            }
            if changed {
                note_pids(&self.dir, file)?;
            }
        }
    }

    /// Waits for children that have ended, so that none stays as a zombie.
    fn reap(&mut self) {
        self.children
            .retain_mut(|launched| matches!(launched.child.try_wait(), Ok(None)));
        if let Some(child) = &mut self.anvil {
            if !matches!(child.try_wait(), Ok(None)) {
                self.anvil = None;
            }
        }
    }

    /// Reports which members have ended, or were started by another process, since the last check. A process that stops a
    /// member on purpose removes its process id from `ring.json` first.
    fn report(&self, file: &mut RingFile, now: &[Option<u32>]) -> bool {
        let written = self.dir.find().ok().flatten();
        let mut changed = false;
        for (index, (member, pid)) in file.members.iter_mut().zip(now).enumerate() {
            if member.pid == *pid {
                continue;
            }
            changed = true;
            let on_purpose = written
                .as_ref()
                .is_some_and(|file| file.members[index].pid.is_none());
            match (member.pid, pid) {
                (Some(_), None) if on_purpose => self.out.note(format_args!("member {index} was stopped")),
                (Some(old), None) => self.out.warn(format_args!(
                    "member {index} ({}, process {old}) has ended; `rings up` starts it again, {} says more",
                    member.address,
                    self.dir.member(index).log().display()
                )),
                (_, Some(new)) => self.out.note(format_args!("member {index} runs again as process {new}")),
                (None, None) => {}
            }
            member.pid = *pid;
        }
        changed
    }

    /// Ends the processes that this process has started, because the others did not start.
    pub async fn abandon(&mut self) {
        let started = |ring: &Self| -> Vec<u32> {
            let children = ring.children.iter();
            children
                .filter_map(|launched| launched.child.id())
                .collect()
        };
        started(self).into_iter().for_each(process::terminate);
        let deadline = Instant::now() + STOP_LIMIT;
        let ended = wait_until(deadline, || {
            self.reap();
            self.children.is_empty().then_some(())
        });
        if ended.await.is_none() {
            started(self).into_iter().for_each(process::kill);
        }
        if let Some(mut child) = self.anvil.take() {
            child.id().into_iter().for_each(process::terminate);
            if tokio::time::timeout(STOP_LIMIT, child.wait())
                .await
                .is_err()
            {
                child.id().into_iter().for_each(process::kill);
            }
        }
        let noted = process::try_lock(&self.dir.lock()).and_then(|lock| match lock {
            Some(_lock) => note_what_runs(&self.dir),
            // Another process starts or stops something, and writes it down itself.
            None => Ok(()),
        });
        if let Err(failure) = noted {
            // Whatever made the command fail has been said as its error; this may be the same.
            self.out.warn(format_args!("{failure}"));
        }
        self.release();
    }

    /// Stops the whole ring in order, also processes that others have started.
    ///
    /// # Errors
    /// When `ring.json` cannot be read or written.
    pub async fn stop(&mut self) -> Result<(), ExitError> {
        let stopped = stop(&self.dir, self.out).await;
        self.abandon().await;
        stopped
    }
}
