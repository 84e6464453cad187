//! Ends what a command has started when the command itself ends without doing so, also by SIGKILL.
//!
//! A [`Guard`] is a process of this program (`rings guard`) that reads from a pipe to the command. All that the command
//! starts joins the guard's process group. When the pipe ends without the word that releases the guard, the command is
//! gone: then [`watch`] ends the members in the group, then the chain, and last of all the rest of the group, itself
//! included. It holds the directory's lock meanwhile, so that the next `rings up` waits for it.
//!
//! The directory of a throw-away ring has no other user, so its guard needs no lock, and is started before the directory is
//! made: there is no moment at which the command can be killed and leave the directory behind.

use super::stopping::{end, note_what_runs, STOP_LIMIT};
use crate::{
    anvil,
    args::GuardArgs,
    exit::{Context, ExitError, ExitStatus},
    out::Out,
    process::{self, wait_until, Lock},
    ringdir::RingDir,
    signals::Signals,
};
use std::{
    env,
    fs::{self, File},
    io::{self, ErrorKind, Read, Write},
    os::{fd::AsFd, unix::process::CommandExt},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    time::Instant,
};

/// What an error of starting a guard begins with.
const UNSTARTED: &str = "cannot start the process that watches this one";

/// What releases the guard: everything may stay.
const RELEASE: &[u8] = b"release";
/// Most bytes that are read from the command.
const MOST_READ: u64 = 64;

/// The guard of what this process starts.
#[derive(Debug)]
pub struct Guard {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Guard {
    /// Starts a guard of the ring in `dir`, whose lock this process holds.
    ///
    /// # Errors
    /// When this program cannot be started.
    pub fn start(dir: &RingDir, lock: &Lock) -> Result<Self, ExitError> {
        let lock = lock.share().context(ExitStatus::Internal, UNSTARTED)?;
        // So the guard holds the lock too.
        Self::spawn(dir, &[], lock.into())
    }

    /// Starts a guard of a ring that is thrown away: it removes `dir` in the end. The directory need not be there yet.
    ///
    /// # Errors
    /// When this program cannot be started.
    pub fn start_removing(dir: &RingDir) -> Result<Self, ExitError> {
        Self::spawn(dir, &["--remove"], Stdio::null())
    }

    /// Starts the guard in a process group of its own, so that what ends this process does not end it too. It notices our
    /// end by the pipe.
    fn spawn(dir: &RingDir, options: &[&str], stdout: Stdio) -> Result<Self, ExitError> {
        let program = env::current_exe().context(ExitStatus::Internal, UNSTARTED)?;
        let spawned = Command::new(program)
            .arg("guard")
            .arg(dir.root())
            .args(options)
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let mut child = spawned.context(ExitStatus::Internal, UNSTARTED)?;
        let pipe = child.stdin.take();
        Ok(Self { child, pipe })
    }

    /// The process group that whatever is started joins.
    pub fn group(&self) -> i32 {
        // The numbers of processes are positive and fit.
        i32::try_from(self.child.id()).unwrap_or_default()
    }

    /// Lets everything be: it may stay, or is gone. Waits for the end of the guard.
    pub fn release(mut self) {
        let pipe = self.pipe.take();
        // If the guard is gone already, there is nothing to release.
        pipe.map(|mut pipe| pipe.write_all(RELEASE).unwrap_or_default())
            .unwrap_or_default();
        drop(self.child.wait());
    }

    /// Lets the guard do its work now, and waits for the end of it.
    pub fn finish(mut self) {
        drop(self.pipe.take());
        drop(self.child.wait());
    }
}

/// `rings guard`
///
/// # Errors
/// When it cannot know whether the command has ended.
pub async fn watch(args: GuardArgs, out: Out) -> Result<(), ExitError> {
    let mut said = Vec::new();
    let read = io::stdin().take(MOST_READ).read_to_end(&mut said);
    read.context(ExitStatus::Internal, "cannot watch the command")?;
    if said == RELEASE {
        return Ok(());
    }
    let dir = RingDir::new(Some(args.dir));
    if args.remove {
        // These signals reach the guard too when it sends them to its group.
        let _signals = Signals::new()?;
        end_in_order(&dir, out).await;
        remove(dir.root()).await;
    } else {
        // The command may have given its lock back before it ended.
        let lock = io::stdout().as_fd().try_clone_to_owned().map(File::from);
        let lock = lock.context(ExitStatus::Internal, "cannot lock the directory")?;
        lock.lock()
            .context(ExitStatus::Internal, "cannot lock the directory")?;
        end_in_order(&dir, out).await;
        if let Err(failure) = note_what_runs(&dir) {
            out.failure(&failure);
        }
    }
    process::kill_group();
    Ok(())
}

/// Ends the members of this process group, then its chain.
async fn end_in_order(dir: &RingDir, out: Out) {
    let members: Vec<_> = dir
        .member_dirs()
        .iter()
        .map(|member| member.lock())
        .collect();
    let running = || members.iter().filter_map(|lock| process::holder(lock));
    end(out, || {
        running().filter(|pid| process::is_beside(*pid)).collect()
    })
    .await;
    let chain = || anvil::running(dir).into_iter();
    end(out, || {
        chain().filter(|pid| process::is_beside(*pid)).collect()
    })
    .await;
}

/// Removes the directory. A process that was only just started holds no lock yet and is not known by one; it may still
/// make files. So the whole group is asked to end, and the removal is tried until nothing is left.
///
/// What cannot be removed stays in the directory for temporary files, which the system clears.
async fn remove(root: &Path) {
    process::terminate_group();
    let removed = || match fs::remove_dir_all(root) {
        Ok(()) => None,
        Err(error) => (error.kind() == ErrorKind::NotFound).then_some(()),
    };
    wait_until(Instant::now() + STOP_LIMIT, removed).await;
}
