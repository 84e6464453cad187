//! A disk that is full, and is free again.

use super::*;
use crate::state::{database::Durable, file::explain, open::initialise};
use redb::{backends::FileBackend, Database, StorageBackend};
use std::{
    fs, io,
    path::PathBuf,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
};

/// A file on a disk that can be full.
#[derive(Debug)]
struct Disk {
    file: FileBackend,
    full: Arc<AtomicBool>,
}

impl Disk {
    fn check(&self) -> io::Result<()> {
        match self.full.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.check()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.check()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.check()?;
        self.file.write(offset, data)
    }

    fn close(&self) -> Result<(), io::Error> {
        self.file.close()
    }
}

fn on_disk(path: PathBuf, full: &Arc<AtomicBool>) -> MemberState {
    let (full, file) = (Arc::clone(full), path.clone());
    let database = Durable::new(move || {
        let options = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&file)
            .unwrap();
        let disk = Disk {
            file: FileBackend::new(options).map_err(|error| explain(&file, error))?,
            full: Arc::clone(&full),
        };
        Database::builder()
            .create_with_backend(disk)
            .map_err(|error| explain(&file, error))
    })
    .unwrap();
    database
        .write(|transaction| initialise(transaction, &path, &identity()))
        .unwrap();
    MemberState {
        database,
        identity: identity(),
    }
}

#[test]
fn a_disk_that_was_full_and_is_free_again_is_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicBool::new(false));
    let state = on_disk(directory.path().join("state.redb"), &full);
    state
        .page(&[requested(1)], &[], cursor(1), &nobody)
        .unwrap();
    assert!(vote(&state, draft_of(computation(1), 1, 1)));
    full.store(true, Ordering::Relaxed);
    for number in 2..5 {
        let failed = state
            .page(&[registered(2)], &[], cursor(number), &nobody)
            .unwrap_err();
        assert!(failed.is_transient(), "{failed:?}");
    }
    full.store(false, Ordering::Relaxed);
    assert_eq!(state.open_gates().unwrap(), [GATE]);
    assert_eq!(state.trail().unwrap(), [cursor(1)]);
    let signals = state
        .page(&[registered(2)], &[], cursor(2), &nobody)
        .unwrap();
    assert_eq!(signals, [Signal::Resolved(GATE)]);
    assert!(
        !vote(&state, draft_of(computation(1), 1, 2)),
        "what was signed before is still known"
    );
}
