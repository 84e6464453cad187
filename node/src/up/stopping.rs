//! Stops a ring in order, whoever started it.
//!
//! [`stop`] is `rings down`: it asks the members to end, then the chain, which members need until they end, and kills what
//! does not end in time. It also repairs what an interrupted start has left.

use crate::{
    anvil,
    exit::ExitError,
    out::Out,
    process::{self, wait_until},
    ringdir::{RingDir, RingFile},
};
use std::time::{Duration, Instant};

/// Time for a process to end when it is asked to.
pub(super) const STOP_LIMIT: Duration = Duration::from_secs(10);

/// The process of each member, where one runs.
pub(super) fn pids(dir: &RingDir, file: &RingFile) -> Vec<Option<u32>> {
    let members = 0..file.members.len();
    members
        .map(|i| process::holder(&dir.member(i).lock()))
        .collect()
}

/// Corrects the process ids in `ring.json`, if there is one. Whoever calls this holds the directory's lock.
///
/// # Errors
/// When it cannot be read or written.
pub(super) fn note_what_runs(dir: &RingDir) -> Result<(), ExitError> {
    let Some(mut file) = dir.find()? else {
        return Ok(());
    };
    let now = pids(dir, &file);
    for (member, pid) in file.members.iter_mut().zip(now) {
        member.pid = pid;
    }
    file.chain_pid = anvil::running(dir);
    dir.write(&file)
}

/// Writes the process ids into `ring.json`, unless another process is starting or stopping something, and so writes
/// them itself.
pub(super) fn note_pids(dir: &RingDir, seen: &RingFile) -> Result<(), ExitError> {
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

/// Stops the members of the ring in `dir`, then its chain, which the members need until they end.
///
/// # Errors
/// When there is no ring and nothing of one.
pub async fn stop(dir: &RingDir, out: Out) -> Result<(), ExitError> {
    if !dir.root().is_dir() {
        let root = dir.root().display();
        let what = format!("there is no directory {root}; name that of a ring with --dir");
        return Err(ExitError::usage(what));
    }
    if dir.find()?.is_none() && !dir.has_remains() {
        return dir.read().map(drop);
    }
    let waiting = || out.note("waiting for another rings up or down here");
    let _lock = process::wait_lock(&dir.lock(), waiting).await?;
    let mut file = dir.find()?;
    let _step = out.step("stopping the members");
    if let Some(file) = &mut file {
        if !file.own_chain && dir.member_dirs().is_empty() {
            return Err(ExitError::usage(format!(
                "the members of the ring in {} run on other machines; stop them there",
                dir.root().display()
            )));
        }
        // A member without a process id in the file counts as stopped on purpose.
        file.members.iter_mut().for_each(|member| member.pid = None);
        note(dir, file, out);
    }
    let members: Vec<_> = dir
        .member_dirs()
        .iter()
        .map(|member| member.lock())
        .collect();
    let running = || members.iter().filter_map(|lock| process::holder(lock));
    end(out, || running().collect()).await;
    end(out, || anvil::running(dir).into_iter().collect()).await;
    match &mut file {
        Some(file) => {
            file.chain_pid = None;
            note(dir, file, out);
            Ok(())
        }
        None => {
            let root = dir.root().display();
            out.note(format_args!(
                "a start of a ring in {root} was interrupted; `rings up` starts it again"
            ));
            Ok(())
        }
    }
}

/// Writes the process ids down. A disk that is full is no reason to leave processes running: whoever reads the file looks
/// for itself which of them there are.
fn note(dir: &RingDir, file: &RingFile, out: Out) {
    if let Err(failure) = dir.write(file) {
        out.warn(format_args!("{failure}"));
    }
}

/// Asks processes to end, and ends those that do not.
pub(super) async fn end(out: Out, running: impl Fn() -> Vec<u32>) {
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
