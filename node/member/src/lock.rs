//! The lock on a data directory. Two processes on one directory could sign contradicting results with one key.
//!
//! The lock is taken before anything else in the directory is read, and held until the process ends; the operating
//! system releases it even when the process is killed. The file also holds the process id, so that the error can say
//! who holds the lock.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How long the holder of a lock may take to go. A process that was killed holds it until its last thread has ended,
/// which one that waits for the disk does late, and until a worker that it was starting runs its own program.
const GRACE: Duration = Duration::from_secs(3);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// The lock on a data directory, held as long as this value lives. The file holds the holder's process id.
#[derive(Debug)]
pub struct DataLock(#[expect(dead_code, reason = "the lock is held by the open file")] File);

/// Why a data directory cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds the lock.
    #[error("{path} is in use by process {pid}; a member runs once: stop that process first")]
    Held {
        /// The lock file.
        path: PathBuf,
        /// The process, as it wrote itself into the file.
        pid: String,
    },
    /// The file cannot be used.
    #[error("{path} cannot be locked; check its owner and the disk")]
    File {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl DataLock {
    /// Locks a data directory. A holder that was killed a moment ago is waited for.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process has it.
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join("lock");
        let failed = |source| LockError::File {
            path: path.clone(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        if !lock_in_time(&file).map_err(failed)? {
            let mut pid = String::new();
            file.read_to_string(&mut pid).map_err(failed)?;
            return Err(LockError::Held {
                path,
                pid: pid.trim().to_string(),
            });
        }
        write_pid(&mut file).map_err(failed)?;
        Ok(Self(file))
    }
}

/// Whether the lock was got within [`GRACE`].
fn lock_in_time(file: &File) -> io::Result<bool> {
    let deadline = Instant::now() + GRACE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(PAUSE),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(source)) => return Err(source),
        }
    }
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_locked_once() {
        let directory = tempfile::tempdir().unwrap();
        let held = DataLock::take(directory.path()).unwrap();
        let second = DataLock::take(directory.path()).unwrap_err();
        assert!(
            second.to_string().contains(&std::process::id().to_string()),
            "{second}"
        );
        drop(held);
        DataLock::take(directory.path()).unwrap();
    }

    #[test]
    fn a_holder_that_is_going_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let held = DataLock::take(directory.path()).unwrap();
        thread::scope(|scope| {
            let next = scope.spawn(|| DataLock::take(directory.path()));
            thread::sleep(4 * PAUSE);
            assert!(!next.is_finished());
            drop(held);
            next.join().unwrap().unwrap();
        });
    }
}
