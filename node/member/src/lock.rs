//! The lock on a data directory. Two processes on one directory could sign contradicting results with one key.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

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
    /// Locks a data directory.
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
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                file.read_to_string(&mut pid).map_err(failed)?;
                return Err(LockError::Held {
                    path,
                    pid: pid.trim().to_string(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        write_pid(&mut file).map_err(failed)?;
        Ok(Self(file))
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
}
