//! An avatar's own log in a file: the bytes of its nodes, oldest first, each behind its length in four bytes, big-endian.
//!
//! The file is locked while a command uses it, for two nodes for one position would be a fork. A node is on disk before
//! it is sent. What is left of a node whose writing was interrupted was never sent, and is cut off.
//!
//! A file beside it marks a log that was restored from replicas. Nothing is added to it ever again: what its key has signed
//! elsewhere is not known, and a second node for one position would be a fork.

use crate::exit::{Context, ExitError, ExitStatus};
use rings_client::{Domain, Log, LogMessage, Secrecy, SecretKey};
use rings_member::clock;
use rings_protocol::{Address, Digest};
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// Where the files of avatars are, in the directory of the ring that keeps their logs.
pub(super) const DIRECTORY: &str = "avatars";
/// Bytes of a length.
const LENGTH: usize = 4;
/// The extension of the file that marks a log as restored.
const RESTORED: &str = "restored";

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
    pub(super) fn open(
        path: PathBuf,
        domain: Domain,
        secrecy: Secrecy,
        key: &SecretKey,
    ) -> Result<Self, ExitError> {
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
                "{path} is not the log of {avatar} in this ring, or it is sealed with a key that is not known here; use another directory, or give --line"
            ))
        };
        let log = Log::read(domain, secrecy, nodes);
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

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it was restored, so that nothing may be added.
    pub(super) fn is_restored(&self) -> bool {
        self.path.with_extension(RESTORED).exists()
    }

    /// Puts nodes into an empty log that come from replicas, oldest first, and marks it as restored.
    ///
    /// # Errors
    /// Status 2 when there is a log, 1 when it cannot be written.
    pub(super) fn restore(&mut self, nodes: &[Vec<u8>]) -> Result<(), ExitError> {
        let path = self.path.display();
        if !self.log.nodes().is_empty() && !self.is_restored() {
            return Err(ExitError::usage(format!(
                "{path} is there, so nothing has to be restored; the avatar goes on with it"
            )));
        }
        let cannot = || format!("cannot write {path}; check its disk");
        // The mark first: a log without it could grow.
        let mark = self.path.with_extension(RESTORED);
        let marked = File::create(&mark).and_then(|file| file.sync_all());
        marked.context(ExitStatus::Internal, cannot())?;
        self.file
            .set_len(0)
            .context(ExitStatus::Internal, cannot())?;
        for node in nodes {
            write(&mut self.file, node).context(ExitStatus::Internal, cannot())?;
        }
        let synced = self.file.sync_all();
        synced.context(ExitStatus::Internal, cannot())
    }

    /// Adds a node of now without messages, where a node is needed and there is nothing to say.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub(super) fn append_nothing(&mut self, key: &SecretKey) -> Result<(), ExitError> {
        self.append(key, Vec::new(), (&[], clock::known_seconds()))
    }

    /// Adds a node with these messages, which refers to these heads of other logs. It is on disk when this returns.
    ///
    /// # Errors
    /// Status 1 when it cannot be written; then it is not in the log. Status 2 when the log was restored.
    pub(super) fn append(
        &mut self,
        key: &SecretKey,
        messages: Vec<LogMessage>,
        (refs, time): (&[Digest], Option<u64>),
    ) -> Result<(), ExitError> {
        if self.is_restored() {
            return Err(ExitError::usage(format!(
                "the log of {} was restored: its key reads, rescues and leaves, and never appends, because it may have signed other nodes elsewhere; make a new avatar and let the ring enter it",
                key.address()
            )));
        }
        let mut log = self.log.clone();
        let node = log.append(key, messages, refs, time);
        let node = node.map_err(|error| ExitError::usage(error.to_string()).because(error))?;
        let written = write(&mut self.file, node.bytes()).and_then(|()| self.file.sync_all());
        let what = format!("cannot write {}; check its disk", self.path.display());
        written.context(ExitStatus::Internal, what)?;
        self.log = log;
        Ok(())
    }
}

fn write(file: &mut File, node: &[u8]) -> std::io::Result<()> {
    let end = file.seek(SeekFrom::End(0))?;
    let length = u32::try_from(node.len()).unwrap_or(u32::MAX);
    let record = [&length.to_be_bytes()[..], node].concat();
    let written = file.write_all(&record);
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

/// Where the files of avatars are, below the directory of a ring. Only their owner can read them.
///
/// # Errors
/// Status 2 when the directory cannot be made.
pub(super) fn directory(root: &Path) -> Result<PathBuf, ExitError> {
    let path = root.join(DIRECTORY);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
    let what = format!("cannot make {}; check its parent", path.display());
    made.context(ExitStatus::Usage, what).map(|()| path)
}

/// Where the log of an avatar in a ring is, below that directory.
pub(super) fn path(files: &Path, ring: Address, avatar: Address) -> PathBuf {
    files.join(format!("{avatar}-{ring}.log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_survives_and_half_a_node_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let (path, domain) = (
            directory.path().join("log"),
            Domain::new(1, Address([7; 20])),
        );
        let key = SecretKey::from_bytes(&[1; 32]).unwrap();
        let open = |key: &SecretKey| LogFile::open(path.clone(), domain, Secrecy::Open, key);
        let mut log = open(&key).unwrap();
        for n in 0..3 {
            log.append(&key, vec![], (&[], Some(n))).unwrap();
        }
        let head = log.log().head();
        drop(log);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&[0, 0, 1, 0, 5, 5]).unwrap();
        drop(file);
        let mut log = open(&key).unwrap();
        assert_eq!((log.log().nodes().len(), log.log().head()), (3, head));
        log.append(&key, vec![], (&[], None)).unwrap();
        drop(log);
        assert_eq!(open(&key).unwrap().log().nodes().len(), 4);
        let other = SecretKey::from_bytes(&[2; 32]).unwrap();
        assert_eq!(open(&other).unwrap_err().status(), ExitStatus::Usage);
    }

    #[test]
    fn a_restored_log_never_grows() {
        let directory = tempfile::tempdir().unwrap();
        let (path, domain) = (
            directory.path().join("a.log"),
            Domain::new(1, Address([7; 20])),
        );
        let key = SecretKey::from_bytes(&[1; 32]).unwrap();
        let mut own = Log::new(domain, Secrecy::Open);
        for _ in 0..2 {
            own.append(&key, vec![], &[], None).unwrap();
        }
        let nodes = own.nodes().iter().map(|node| node.bytes().to_vec());
        let nodes: Vec<_> = nodes.collect();
        let open = || LogFile::open(path.clone(), domain, Secrecy::Open, &key).unwrap();
        let mut log = open();
        log.restore(&nodes).unwrap();
        drop(log);
        let mut log = open();
        assert_eq!(log.log().head(), own.head());
        let refused = log.append(&key, vec![], (&[], None)).unwrap_err();
        assert!(refused.to_string().contains("never appends"), "{refused}");
        // Again, if it was interrupted.
        log.restore(&nodes).unwrap();
        drop(log);
        assert_eq!(open().log().nodes().len(), 2);
    }

    #[test]
    fn a_log_that_is_there_is_not_restored_over() {
        let directory = tempfile::tempdir().unwrap();
        let (path, domain) = (
            directory.path().join("a.log"),
            Domain::new(1, Address([7; 20])),
        );
        let key = SecretKey::from_bytes(&[1; 32]).unwrap();
        let mut log = LogFile::open(path, domain, Secrecy::Open, &key).unwrap();
        log.append(&key, vec![], (&[], None)).unwrap();
        assert!(log.restore(&[]).is_err());
        log.append(&key, vec![], (&[], None)).unwrap();
    }
}
