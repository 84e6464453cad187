//! Processes that outlive the command that started them. Each is recognised by a file that it keeps locked.
//!
//! The operating system drops the lock (flock) when its holder ends, however it ends. So the process id in a lock file
//! is trusted only while the file is locked.
//!
//! [`holder`] says who holds a lock, [`try_lock`] and [`wait_lock`] take one, [`terminate`] and [`kill`] signal one
//! process, [`terminate_group`] and [`kill_group`] the process group. [`wait_until`] waits for a condition outside of
//! this process, with pauses that grow. Nothing is ever signalled by its name.

use super::exit::{Context, ExitError, ExitStatus};
use rustix::process::{
    getpgid, getpgrp, kill_process, kill_process_group, test_kill_process, Pid, Signal,
};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, Instant},
};

/// First pause between two checks of a condition outside this process.
pub const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Longest pause between two checks.
pub const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The process that holds the lock in `path`, if one does.
pub fn holder(path: &Path) -> Option<u32> {
    let pid: u32 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    // Testing the lock means taking it for a moment, which could make another process fail to get it. So it is not
    // tested when the process in the file is gone.
    exists(pid).then_some(pid).filter(|_| is_held(path))
}

/// The process whose standard input is the file in `path`. It is found only on systems that have `/proc`.
pub fn reader(path: &Path) -> Option<u32> {
    let file = fs::metadata(path).ok()?;
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| {
        let input = fs::metadata(format!("/proc/{pid}/fd/0"));
        input.is_ok_and(|input| (input.dev(), input.ino()) == (file.dev(), file.ino()))
    })
}

/// Whether a process is in the process group of this one.
pub fn is_beside(pid: u32) -> bool {
    named(pid).is_some_and(|pid| getpgid(Some(pid)) == Ok(getpgrp()))
}

/// Asks all processes of this process group to end, this one included.
pub fn terminate_group() {
    // An error would mean that this process is in no group, which cannot be.
    kill_process_group(getpgrp(), Signal::TERM).unwrap_or_default();
}

/// Ends all processes of this process group, this one included.
pub fn kill_group() {
    // An error would mean that this process is in no group, which cannot be.
    kill_process_group(getpgrp(), Signal::KILL).unwrap_or_default();
}

fn is_held(path: &Path) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

fn exists(pid: u32) -> bool {
    named(pid).is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

fn named(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// Asks a process to end.
pub fn terminate(pid: u32) {
    signal(pid, Signal::TERM);
}

/// Ends a process.
pub fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = named(pid) {
        // An error means that the process has just ended, as it should.
        kill_process(pid, signal).unwrap_or_default();
    }
}

/// Opens, and makes if needed, a file to be locked.
///
/// # Errors
/// When it cannot be opened.
pub fn lock_file(path: &Path) -> Result<File, ExitError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .context(
            ExitStatus::Usage,
            format!(
                "cannot open {}; check who owns the directory",
                path.display()
            ),
        )
}

/// A lock that is held as long as this lives.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// The locked file, for a process that holds the lock too, after this one has ended.
    ///
    /// # Errors
    /// When this process has no file descriptor left.
    pub fn share(&self) -> io::Result<File> {
        self.0.try_clone()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file would not do if it is shared. If it fails, the lock goes with the last process that holds it.
        self.0.unlock().unwrap_or_default();
    }
}

/// Takes the lock if it is free.
///
/// # Errors
/// When the file cannot be locked at all.
pub fn try_lock(path: &Path) -> Result<Option<Lock>, ExitError> {
    let file = lock_file(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).context(
            ExitStatus::Unavailable,
            format!("cannot lock {}; is it on a local disk?", path.display()),
        ),
    }
}

/// Takes the lock, waiting for it.
///
/// # Errors
/// When the file cannot be locked at all.
pub async fn wait_lock(path: &Path, waiting: impl FnOnce()) -> Result<Lock, ExitError> {
    if let Some(lock) = try_lock(path)? {
        return Ok(lock);
    }
    waiting();
    let mut pauses = Pauses::new(LONGEST_PAUSE);
    loop {
        pauses.next().await;
        if let Some(lock) = try_lock(path)? {
            return Ok(lock);
        }
    }
}

/// Growing pauses between checks of a condition, from [`FIRST_PAUSE`] on.
#[derive(Debug)]
pub struct Pauses {
    next: Duration,
    longest: Duration,
}

impl Pauses {
    /// Pauses that grow up to `longest`.
    pub fn new(longest: Duration) -> Self {
        let next = FIRST_PAUSE.min(longest);
        Self { next, longest }
    }

    /// Sleeps for the next pause, which is longer each time.
    pub async fn next(&mut self) {
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 3 / 2).min(self.longest);
    }
}

/// Waits until `condition` gives something, at most until `deadline`.
pub async fn wait_until<T>(
    deadline: Instant,
    mut condition: impl FnMut() -> Option<T>,
) -> Option<T> {
    let mut pauses = Pauses::new(LONGEST_PAUSE);
    loop {
        match condition() {
            Some(value) => return Some(value),
            None if Instant::now() >= deadline => return None,
            None => pauses.next().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_known_by_its_lock_and_not_by_its_number() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        assert_eq!(holder(&path), None);
        fs::write(&path, std::process::id().to_string()).unwrap();
        assert_eq!(holder(&path), None, "the process is there, the lock is not");
        let lock = try_lock(&path).unwrap().unwrap();
        assert_eq!(holder(&path), Some(std::process::id()));
        assert!(try_lock(&path).unwrap().is_none());
        drop(lock);
        assert_eq!(holder(&path), None);
        fs::write(&path, "no number").unwrap();
        assert_eq!(holder(&path), None);
    }

    #[test]
    fn a_lock_is_given_back_also_when_it_is_shared() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = try_lock(&path).unwrap().unwrap();
        let shared = lock.share().unwrap();
        drop(lock);
        assert!(try_lock(&path).unwrap().is_some());
        drop(shared);
    }

    #[tokio::test]
    async fn who_waits_for_a_lock_gets_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = try_lock(&path).unwrap();
        let waiting = std::sync::atomic::AtomicBool::new(false);
        let told = || waiting.store(true, std::sync::atomic::Ordering::Relaxed);
        let (taken, ()) = tokio::join!(wait_lock(&path, told), async { drop(held) });
        taken.unwrap();
        assert!(waiting.into_inner());
    }
}
