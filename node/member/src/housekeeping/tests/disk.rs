//! A disk that fails: the k-th operation is not done, or done by half, or the machine dies there.
//!
//! What was written since the last sync may be lost, all of it or any part: after a crash the disk has what was synced, and
//! of the rest what a seed says.

use std::{
    fmt, io,
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc, Mutex, MutexGuard, PoisonError,
    },
};

/// What happens at the k-th operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The machine dies: nothing works from then on, and what was not synced is lost, in part or in whole.
    Kill,
    /// The operation fails with an input/output error.
    Eio,
    /// There is no room, and a moment later there is.
    Full,
    /// Half of a write is done, and then it fails.
    Short,
}

pub const FAULTS: [Fault; 4] = [Fault::Kill, Fault::Eio, Fault::Full, Fault::Short];

/// Counts the operations of several disks, and says when one of them fails.
#[derive(Debug)]
pub struct Plan {
    fault: Fault,
    at: u64,
    done: AtomicU64,
}

impl Plan {
    /// The operation with this number fails.
    pub fn new(fault: Fault, at: u64) -> Arc<Self> {
        let done = AtomicU64::new(0);
        Arc::new(Self { fault, at, done })
    }

    /// Nothing fails.
    pub fn harmless() -> Arc<Self> {
        Self::new(Fault::Eio, u64::MAX)
    }

    /// How many writes, syncs and changes of length there were.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }

    /// Whether the fault has happened.
    pub fn has_struck(&self) -> bool {
        self.done() > self.at
    }

    /// Whether its fault is the death of the machine.
    pub fn kills(&self) -> bool {
        self.fault == Fault::Kill
    }

    fn is_dead(&self) -> bool {
        self.kills() && self.has_struck()
    }

    /// The fault that this operation has.
    fn next(&self) -> Option<Fault> {
        let number = self.done.fetch_add(1, Ordering::SeqCst);
        match (number == self.at, self.fault) {
            (true, fault) => Some(fault),
            (false, Fault::Kill) if number > self.at => Some(Fault::Kill),
            (false, _) => None,
        }
    }
}

#[derive(Debug, Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

#[derive(Default)]
struct Content {
    /// What readers see.
    seen: Vec<u8>,
    /// What survives a crash for certain.
    durable: Vec<u8>,
    /// What was done since the last sync.
    pending: Vec<Change>,
}

/// A disk in memory.
#[derive(Clone)]
pub struct SimulatedDisk {
    content: Arc<Mutex<Content>>,
    plan: Arc<Plan>,
}

impl fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimulatedDisk")
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Length(length) => bytes.resize(*length as usize, 0),
        Change::Write(offset, data) => {
            let (from, to) = (*offset as usize, *offset as usize + data.len());
            if bytes.len() < to {
                bytes.resize(to, 0);
            }
            bytes[from..to].copy_from_slice(data);
        }
    }
}

impl SimulatedDisk {
    /// An empty disk.
    pub fn new(plan: &Arc<Plan>) -> Self {
        Self {
            content: Arc::default(),
            plan: Arc::clone(plan),
        }
    }

    /// The disk as it is after the machine was started again: what was synced, and of the rest what `seed` says.
    pub fn after_a_crash(&self, plan: &Arc<Plan>, seed: u64) -> Self {
        let content = self.content();
        let mut bytes = content.durable.clone();
        let mut random = seed;
        for change in &content.pending {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            match (random >> 33) % 3 {
                0 => {}
                1 => apply(&mut bytes, change),
                _ => match change {
                    // Torn in the middle.
                    Change::Write(offset, data) => {
                        let half = data[..data.len() / 2].to_vec();
                        apply(&mut bytes, &Change::Write(*offset, half));
                    }
                    // A file system keeps the length or does not.
                    length => apply(&mut bytes, length),
                },
            }
        }
        Self::holding(bytes, plan)
    }

    /// The disk as another process sees it: the machine goes on.
    pub fn after_a_restart(&self, plan: &Arc<Plan>) -> Self {
        let content = self.content();
        Self::holding(content.seen.clone(), plan)
    }

    /// A disk on which all of this is durable.
    fn holding(bytes: Vec<u8>, plan: &Arc<Plan>) -> Self {
        let content = Content {
            seen: bytes.clone(),
            durable: bytes,
            pending: Vec::new(),
        };
        Self {
            content: Arc::new(Mutex::new(content)),
            plan: Arc::clone(plan),
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: Change) -> io::Result<()> {
        let fault = self.plan.next();
        let done = match (&change, fault) {
            (change, None) => Some(change.clone()),
            (Change::Write(offset, data), Some(Fault::Short)) => {
                Some(Change::Write(*offset, data[..data.len() / 2].to_vec()))
            }
            _ => None,
        };
        if let Some(done) = done {
            let mut content = self.content();
            apply(&mut content.seen, &done);
            content.pending.push(done);
        }
        fault.map_or(Ok(()), |fault| Err(error(fault)))
    }
}

fn error(fault: Fault) -> io::Error {
    match fault {
        Fault::Kill => io::Error::other("the machine is dead"),
        Fault::Eio => io::Error::from_raw_os_error(5),
        Fault::Full | Fault::Short => io::ErrorKind::StorageFull.into(),
    }
}

impl rings_store::Disk for SimulatedDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.content().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.plan.is_dead() {
            return Err(error(Fault::Kill));
        }
        let content = self.content();
        let (from, to) = (offset as usize, offset as usize + out.len());
        let found = content.seen.get(from..to);
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(Change::Length(length))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(offset, data.to_vec()))
    }

    fn sync(&self) -> io::Result<()> {
        if let Some(fault) = self.plan.next() {
            return Err(error(fault));
        }
        let mut content = self.content();
        content.durable = content.seen.clone();
        content.pending.clear();
        Ok(())
    }
}

/// The same for the state database.
impl redb::StorageBackend for SimulatedDisk {
    fn len(&self) -> io::Result<u64> {
        rings_store::Disk::len(self)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        rings_store::Disk::read(self, offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        rings_store::Disk::set_len(self, length)
    }

    fn sync_data(&self) -> io::Result<()> {
        rings_store::Disk::sync(self)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        rings_store::Disk::write(self, offset, data)
    }
}
