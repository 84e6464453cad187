//! An avatar's own log in a file: the bytes of its nodes, oldest first, each behind its length in four bytes, big-endian.
//!
//! The file is locked while a command uses it, for two nodes for one position would be a fork. A node is on disk before
//! it is sent. What is left of a node whose writing was interrupted was never sent, and is cut off.

use crate::exit::{Context, ExitError, ExitStatus};
use rings_client::{Domain, Log, LogMessage, LogNode, Secrecy, SecretKey};
use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// Bytes of a length.
const LENGTH: usize = 4;

/// A log with its file.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    log: Log,
}

impl LogFile {
    /// Opens the file, or makes it, and waits while another command uses it.
    ///
    /// # Errors
    /// Status 2 when it cannot be read, or is not the log of this avatar in this ring.
    pub(super) fn open(path: PathBuf, domain: Domain, key: &SecretKey) -> Result<Self, ExitError> {
        let cannot = |what: &str| format!("cannot {what} {}; check the directory", path.display());
        let mut options = OpenOptions::new();
        let opened = options.read(true).append(true).create(true).open(&path);
        let mut file = opened.context(ExitStatus::Usage, cannot("open"))?;
        file.lock().context(ExitStatus::Usage, cannot("lock"))?;
        let mut bytes = Vec::new();
        let read = file.read_to_end(&mut bytes);
        read.context(ExitStatus::Usage, cannot("read"))?;
        let (nodes, end) = split(&bytes);
        // A write that was broken off has left a part of a node, which nobody has seen. It is cut off.
        if end < bytes.len() {
            let cut = file.set_len(end as u64).and_then(|()| file.sync_all());
            cut.context(ExitStatus::Internal, cannot("mend"))?;
        }
        let foreign = || {
            let (path, avatar) = (path.display(), key.address());
            ExitError::usage(format!(
                "{path} is not the log of {avatar} in this ring; use another directory"
            ))
        };
        let log = Log::read(domain, Secrecy::Open, nodes);
        let log = log.map_err(|error| foreign().because(error))?;
        if log
            .nodes()
            .first()
            .is_some_and(|node| node.author() != key.address())
        {
            return Err(foreign());
        }
        Ok(Self { path, file, log })
    }

    /// The log.
    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// Adds a node with these messages. It is on disk when this returns.
    ///
    /// # Errors
    /// Status 1 when it cannot be written; then it is not in the log.
    pub(super) fn append(
        &mut self,
        key: &SecretKey,
        messages: Vec<LogMessage>,
        time: Option<u64>,
    ) -> Result<(), ExitError> {
        let mut log = self.log.clone();
        let node = log.append(key, messages, &[], time);
        let node = node.map_err(|error| ExitError::usage(error.to_string()).because(error))?;
        let written = write(&mut self.file, node);
        let what = format!("cannot write {}; check its disk", self.path.display());
        written.context(ExitStatus::Internal, what)?;
        self.log = log;
        Ok(())
    }
}

fn write(file: &mut File, node: &LogNode) -> std::io::Result<()> {
    let end = file.seek(SeekFrom::End(0))?;
    let length = u32::try_from(node.bytes().len()).unwrap_or(u32::MAX);
    let record = [&length.to_be_bytes()[..], node.bytes()].concat();
    let written = file.write_all(&record).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a record would be cut off when it is opened; this only tidies up.
        drop(file.set_len(end));
    }
    written
}

/// The whole records, and where they end.
fn split(bytes: &[u8]) -> (Vec<&[u8]>, usize) {
    let (mut records, mut at) = (Vec::new(), 0);
    while let Some(length) = bytes.get(at..at + LENGTH) {
        let length = length
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let Some(record) = bytes.get(at + LENGTH..at + LENGTH + length) else {
            break;
        };
        records.push(record);
        at += LENGTH + length;
    }
    (records, at)
}

/// Where the log of an avatar in a ring is, below the directory of the ring that keeps it.
pub(super) fn path(root: &Path, ring: rings_protocol::Address, key: &SecretKey) -> PathBuf {
    root.join("avatars")
        .join(format!("{}-{ring}.log", key.address()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::Address;

    #[test]
    fn a_log_survives_and_half_a_node_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let (path, domain) = (
            directory.path().join("log"),
            Domain::new(1, Address([7; 20])),
        );
        let key = SecretKey::from_bytes(&[1; 32]).unwrap();
        let open = |key: &SecretKey| LogFile::open(path.clone(), domain, key);
        let mut log = open(&key).unwrap();
        for n in 0..3 {
            log.append(&key, vec![], Some(n)).unwrap();
        }
        let head = log.log().head();
        drop(log);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&[0, 0, 1, 0, 5, 5]).unwrap();
        drop(file);
        let mut log = open(&key).unwrap();
        assert_eq!((log.log().nodes().len(), log.log().head()), (3, head));
        log.append(&key, vec![], None).unwrap();
        drop(log);
        assert_eq!(open(&key).unwrap().log().nodes().len(), 4);
        let other = SecretKey::from_bytes(&[2; 32]).unwrap();
        assert_eq!(open(&other).unwrap_err().status(), ExitStatus::Usage);
    }
}
