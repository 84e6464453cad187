//! The redo log alone: what is found in it after it was written in passes, and torn.

use super::redo::{IsWritten, Record, RedoLog, RedoName, REDO_BYTES};
use rings_store::Disk;
use std::{
    io,
    sync::{Arc, Mutex},
};

const NAME: RedoName = [7; 16];

/// Bytes in memory.
#[derive(Debug, Default)]
struct Memory(Mutex<Vec<u8>>);

impl Disk for Memory {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let from = offset as usize;
        out.copy_from_slice(&self.0.lock().unwrap()[from..from + out.len()]);
        Ok(())
    }
    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.lock().unwrap().resize(length as usize, 0);
        Ok(())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let (mut bytes, from) = (self.0.lock().unwrap(), offset as usize);
        let length = bytes.len().max(from + data.len());
        bytes.resize(length, 0);
        bytes[from..from + data.len()].copy_from_slice(data);
        Ok(())
    }
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

fn record(number: u64, length: usize) -> Record {
    Record {
        number,
        changes: vec![number as u8; length],
    }
}

fn log() -> (Arc<Memory>, RedoLog) {
    let disk = Arc::new(Memory::default());
    let log = RedoLog::new(Arc::clone(&disk) as Arc<dyn Disk>).unwrap();
    (disk, log)
}

fn numbers(log: &RedoLog) -> Vec<u64> {
    let records = log.records(&NAME).unwrap();
    records.iter().map(|record| record.number).collect()
}

#[test]
fn records_come_back_in_order_and_only_to_their_database() {
    let (disk, mut log) = log();
    assert_eq!(disk.len().unwrap(), REDO_BYTES);
    for number in 5..8 {
        let written = log.write(&NAME, number - 1, &record(number, 100));
        assert_eq!(written.unwrap(), IsWritten::Durable);
    }
    assert_eq!(log.records(&NAME).unwrap()[1], record(6, 100));
    assert_eq!(numbers(&log), [5, 6, 7]);
    assert!(
        log.records(&[8; 16]).unwrap().is_empty(),
        "another database"
    );
    let again = RedoLog::new(disk).unwrap();
    assert_eq!(numbers(&again), [5, 6, 7]);
}

#[test]
fn what_an_earlier_pass_left_is_never_new() {
    let (_, mut log) = log();
    let length = REDO_BYTES as usize / 32;
    let mut number = 0;
    while log
        .write(&NAME, number, &record(number + 1, length))
        .unwrap()
        == IsWritten::Durable
    {
        number += 1;
    }
    assert_eq!(number, 31, "so many have room");
    assert_eq!(numbers(&log), (1..32).collect::<Vec<_>>());
    // The round for which there was no room failed in the database too: nothing is overwritten.
    let small = log.write(&NAME, number, &record(number + 1, 9)).unwrap();
    assert_eq!(small, IsWritten::Durable);
    assert_eq!(numbers(&log).last(), Some(&32));
    number += 1;
    let full = log.write(&NAME, number, &record(number + 1, length));
    assert_eq!(full.unwrap(), IsWritten::NoRoom);
    number += 1;
    // That one is durable in the database, and with it all before it.
    for _ in 0..2 {
        let next = log.write(&NAME, number, &record(number + 1, length));
        assert_eq!(next.unwrap(), IsWritten::Durable);
        number += 1;
    }
    assert_eq!(
        numbers(&log),
        [34, 35],
        "3, of the same length, stands behind"
    );
}

#[test]
fn a_torn_record_ends_the_log() {
    let (disk, mut log) = log();
    for number in 1..=3 {
        log.write(&NAME, number - 1, &record(number, 50)).unwrap();
    }
    // A byte of the second.
    disk.write(28 + 50 + 28 + 7, &[0]).unwrap();
    assert_eq!(numbers(&log), [1]);
    disk.write(3, &[0xff]).unwrap();
    assert_eq!(numbers(&log), [] as [u64; 0]);
}

#[test]
fn a_long_round_is_not_written_twice() {
    let (_, mut log) = log();
    assert_eq!(
        log.write(&NAME, 0, &record(1, 1 << 17)).unwrap(),
        IsWritten::NoRoom
    );
    let next = log.write(&NAME, 1, &record(2, 10)).unwrap();
    assert_eq!((next, numbers(&log)), (IsWritten::Durable, vec![2]));
}
