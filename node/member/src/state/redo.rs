//! The redo log: a round is durable by one short write at the end of a file, and its pages are written later.
//!
//! A durable transaction of the database writes ten pages all over its file. What a round changes fits a record of one page.
//! So [`Durable::write_recorded`](super::database::Durable::write_recorded) writes that record and syncs it, and commits to the
//! database without a sync: readers see the round at once, and its pages become durable with the next durable transaction of
//! anybody. After a crash the database comes back as it was at its last durable transaction, and [`RedoLog::records`] gives
//! the rounds that followed, in order; they are carried out again before anybody reads.
//!
//! The file has a fixed length and was written once in full, so that a sync changes no metadata of the file system. When it
//! is full, one round is written by a durable transaction, and the next record begins at the front again: records have
//! numbers without a gap, and the database holds the number of the last one that is in it, so what an earlier pass
//! left behind is never taken for something new. A record that was torn has a wrong checksum; nobody was told of its round.

use rings_protocol::cids::sha256;
use rings_store::Disk;
use std::{io, sync::Arc};

/// Bytes of the file. What is in it is carried out again when the database is opened after a crash, in some milliseconds.
pub(super) const REDO_BYTES: u64 = 1 << 20;
/// The longest record. Beyond it the pages cost little more, and would only be written after the same bytes here.
const MAX_RECORD_BYTES: usize = 64 << 10;
/// Names the database whose changes these are; a copy of it gets another name.
pub(super) type RedoName = [u8; 16];

const LENGTH_BYTES: usize = 4;
const NUMBER_BYTES: usize = 8;
const CHECKSUM_BYTES: usize = 16;
const HEADER_BYTES: usize = LENGTH_BYTES + NUMBER_BYTES + CHECKSUM_BYTES;

/// The file, and where its next record begins.
#[derive(Debug)]
pub(super) struct RedoLog {
    disk: Arc<dyn Disk>,
    end: u64,
    /// When the database holds the round of this number, the next record begins at the front.
    full_until: Option<u64>,
}

/// What one round changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub number: u64,
    pub changes: Vec<u8>,
}

impl RedoLog {
    /// On this disk, which is given its length.
    pub fn new(disk: Arc<dyn Disk>) -> io::Result<Self> {
        let length = disk.len()?;
        if length < REDO_BYTES {
            // Zeros that are written, so that the blocks of the file are there.
            let missing = usize::try_from(REDO_BYTES - length).unwrap_or_default();
            disk.write(length, &vec![0; missing])?;
            disk.sync()?;
        }
        Ok(Self {
            disk,
            end: 0,
            full_until: None,
        })
    }

    /// Writes the record of round `number`, durably, if there is room. If there is none, the round is to be written by a durable
    /// transaction. `before` is the number that the database holds.
    pub fn write(
        &mut self,
        name: &RedoName,
        before: u64,
        record: &Record,
    ) -> io::Result<IsWritten> {
        if self.full_until.take().is_some_and(|full| before >= full) {
            self.end = 0;
        }
        let bytes = encode(name, record);
        if bytes.len() > MAX_RECORD_BYTES || self.end + bytes.len() as u64 > REDO_BYTES {
            self.full_until = Some(record.number);
            return Ok(IsWritten::NoRoom);
        }
        // What a failed write leaves is overwritten, or has the number of a round that the database holds.
        let written = self.disk.write(self.end, &bytes);
        if let Err(error) = written.and_then(|()| self.disk.sync()) {
            self.full_until = Some(record.number);
            return Err(error);
        }
        self.end += bytes.len() as u64;
        Ok(IsWritten::Durable)
    }

    /// All rounds are durable in the database: the next record begins at the front.
    pub fn restart(&mut self) {
        self.end = 0;
        self.full_until = None;
    }

    /// The records from the front on, as far as one follows the other.
    pub fn records(&self, name: &RedoName) -> io::Result<Vec<Record>> {
        let mut bytes = vec![0; usize::try_from(REDO_BYTES).unwrap_or_default()];
        self.disk.read(0, &mut bytes)?;
        let (mut records, mut rest): (Vec<Record>, _) = (Vec::new(), bytes.as_slice());
        while let Some((record, behind)) = decode(name, rest) {
            let is_next = records
                .last()
                .is_none_or(|last| record.number == last.number.wrapping_add(1));
            if !is_next {
                break;
            }
            records.push(record);
            rest = behind;
        }
        Ok(records)
    }
}

/// Whether a record was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IsWritten {
    /// It is on disk.
    Durable,
    /// The file is full.
    NoRoom,
}

fn encode(name: &RedoName, record: &Record) -> Vec<u8> {
    let length = u32::try_from(record.changes.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER_BYTES + record.changes.len());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&record.number.to_be_bytes());
    bytes.extend_from_slice(&checksum(name, record.number, &record.changes));
    bytes.extend_from_slice(&record.changes);
    bytes
}

fn decode<'a>(name: &RedoName, bytes: &'a [u8]) -> Option<(Record, &'a [u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_BYTES>()?;
    let (number, rest) = rest.split_first_chunk::<NUMBER_BYTES>()?;
    let (sum, rest) = rest.split_first_chunk::<CHECKSUM_BYTES>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (changes, rest) = rest.split_at_checked(length)?;
    let number = u64::from_be_bytes(*number);
    let record = Record {
        number,
        changes: changes.to_vec(),
    };
    (checksum(name, number, changes) == *sum).then_some((record, rest))
}

/// The length is in it by the bytes that follow the number.
fn checksum(name: &RedoName, number: u64, changes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let all = [name.as_slice(), &number.to_be_bytes(), changes].concat();
    let mut sum = [0; CHECKSUM_BYTES];
    sum.copy_from_slice(&sha256(&all).0[..CHECKSUM_BYTES]);
    sum
}
