//! Processes that outlive the command that started them: known by a file that they keep locked.
//!
//! The lock (flock) goes when its holder goes, however it ends, so that a process id is trusted only while the
//! lock in whose file it stands is held.

use super::failure::{Context, Failure, Status};
use rustix::process::{kill_process, test_kill_process, Pid, Signal};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    path::Path,
    time::{Duration, Instant},
};

/// First pause between two looks at a condition outside this process.
pub const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Longest pause between two looks.
pub const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The process that holds the lock in `path`, if one does.
pub fn holder(path: &Path) -> Option<u32> {
    let pid: u32 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
    // Looking takes the lock for a moment. So that nobody is locked out by it, it is left alone when the process in
    // the file is gone.
    exists(pid).then_some(pid).filter(|_| is_held(path))
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
        // An error means that it has ended just now, which is what was wanted.
        kill_process(pid, signal).unwrap_or_default();
    }
}

/// Opens, and makes if needed, a file to be locked.
///
/// # Errors
/// When it cannot be opened.
pub fn lock_file(path: &Path) -> Result<File, Failure> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .context(
            Status::Usage,
            format!(
                "cannot open {}; check who owns the directory",
                path.display()
            ),
        )
}

/// A lock that is held as long as this lives.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the open file holds the lock")] File);

/// Takes the lock if it is free.
///
/// # Errors
/// When the file cannot be locked at all.
pub fn try_lock(path: &Path) -> Result<Option<Lock>, Failure> {
    let file = lock_file(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).context(
            Status::Unavailable,
            format!("cannot lock {}; is it on a local disk?", path.display()),
        ),
    }
}

/// Takes the lock, waiting for it.
///
/// # Errors
/// When the file cannot be locked at all.
pub async fn wait_lock(path: &Path, waiting: impl FnOnce()) -> Result<Lock, Failure> {
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

/// Pauses between looks at a condition, growing from [`FIRST_PAUSE`].
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

    /// Waits, longer each time.
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
