//! A ring that runs: watching it in the foreground, and stopping it in order.

use super::Session;
use crate::cli::{
    anvil,
    failure::Failure,
    out::Out,
    process::{self, wait_until},
    ringdir::{RingDir, RingFile},
};
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// How often a ring in the foreground is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Time for a process to end when it is asked to.
const STOP_LIMIT: Duration = Duration::from_secs(10);

impl Session {
    /// Watches the ring until nothing of it runs. A member that ends is reported once, and not started again.
    ///
    /// # Errors
    /// When `ring.json` cannot be written.
    pub async fn supervise(&mut self, file: &mut RingFile) -> Result<(), Failure> {
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

    /// Forgets children that have ended, so that none stays as a zombie.
    fn reap(&mut self) {
        self.children
            .retain_mut(|launched| matches!(launched.child.try_wait(), Ok(None)));
        if let Some(child) = &mut self.anvil {
            if !matches!(child.try_wait(), Ok(None)) {
                self.anvil = None;
            }
        }
    }

    /// Says which members have ended or were started by somebody else since the last look. Whoever stops a member on
    /// purpose takes its process out of `ring.json` first.
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

    /// Ends what this session has started, because the rest did not come up.
    pub async fn abandon(&mut self) {
        let started = |session: &Self| -> Vec<u32> {
            let children = session.children.iter();
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
        self.note_what_runs();
    }

    /// What is written about processes is true again after a start that failed.
    fn note_what_runs(&self) {
        let Ok(Some(mut file)) = self.dir.find() else {
            return;
        };
        let now = pids(&self.dir, &file);
        for (member, pid) in file.members.iter_mut().zip(now) {
            member.pid = pid;
        }
        if let Err(failure) = note_pids(&self.dir, &file) {
            self.out.failure(&failure);
        }
    }

    /// Stops all of the ring, also what others have started, in order.
    ///
    /// # Errors
    /// When `ring.json` cannot be read or written.
    pub async fn stop(&mut self) -> Result<(), Failure> {
        let stopped = stop(&self.dir, self.out).await;
        self.abandon().await;
        stopped
    }
}

/// The process of each member, where one runs.
fn pids(dir: &RingDir, file: &RingFile) -> Vec<Option<u32>> {
    let members = 0..file.members.len();
    members
        .map(|i| process::holder(&dir.member(i).lock()))
        .collect()
}

/// Writes the processes into `ring.json`, unless somebody is starting or stopping something, who does so then.
fn note_pids(dir: &RingDir, seen: &RingFile) -> Result<(), Failure> {
    let Some(_lock) = process::try_lock(&dir.lock())? else {
        return Ok(());
    };
    let Some(mut file) = dir.find()? else {
        return Ok(());
    };
    for (member, seen) in file.members.iter_mut().zip(&seen.members) {
        member.pid = seen.pid;
    }
    file.chain_pid = anvil::running(dir);
    dir.write(&file)
}

/// Stops the members of the ring in `dir`, then its chain, so that nobody loses what they stand on.
///
/// # Errors
/// When there is no ring, or `ring.json` cannot be written.
pub async fn stop(dir: &RingDir, out: Out) -> Result<(), Failure> {
    let waiting = || out.note("waiting for another rings up or down here");
    let _lock = process::wait_lock(&dir.lock(), waiting).await?;
    let mut file = dir.read()?;
    let _step = out.step("stopping the members");
    // A member that is not in the file any more is seen to be stopped on purpose.
    for member in &mut file.members {
        member.pid = None;
    }
    dir.write(&file)?;
    let members: Vec<_> = (0..file.members.len())
        .map(|i| dir.member(i).lock())
        .collect();
    let running = || members.iter().filter_map(|lock| process::holder(lock));
    end(out, || running().collect()).await;
    end(out, || anvil::running(dir).into_iter().collect()).await;
    file.chain_pid = None;
    dir.write(&file)
}

/// Asks processes to end, and ends those that do not.
async fn end(out: Out, running: impl Fn() -> Vec<u32>) {
    running().into_iter().for_each(process::terminate);
    let gone = || running().is_empty().then_some(());
    if wait_until(Instant::now() + STOP_LIMIT, gone)
        .await
        .is_some()
    {
        return;
    }
    for pid in running() {
        let seconds = STOP_LIMIT.as_secs();
        out.warn(format_args!(
            "process {pid} did not end within {seconds} s, and is killed"
        ));
        process::kill(pid);
    }
    if wait_until(Instant::now() + STOP_LIMIT, gone)
        .await
        .is_none()
    {
        out.warn("a process cannot be killed; see `rings status`");
    }
}
