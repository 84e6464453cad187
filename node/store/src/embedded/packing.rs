//! Writing packs: blocks are added behind the others, and a pack that is half empty is dissolved: what is left of it goes to the
//! end.

use super::{
    entry::{encode, Entry},
    packs::{
        beginning, name_of, Found, Pack, Place, PlaceKey, View, HEADER_BYTES, PACKS, PACK_BYTES,
        PLACES,
    },
};
use crate::block::Key;
use redb::{ReadableTable, StorageError, Table, WriteTransaction};

/// The packs, to be changed in one write transaction. The pack at the end stays in memory until [`Packing::end`].
pub(super) struct Packing<'a> {
    packs: Table<'a, u32, &'static [u8]>,
    places: Table<'a, &'static PlaceKey, ()>,
    tail: Pack,
    is_changed: bool,
}

impl<'a> Packing<'a> {
    pub fn open(transaction: &'a WriteTransaction) -> Result<Self, redb::Error> {
        let packs = transaction.open_table(PACKS)?;
        let tail = packs
            .last()?
            .map(|(number, pack)| (number.value(), pack.value().to_vec()));
        Ok(Self {
            packs,
            places: transaction.open_table(PLACES)?,
            tail: tail.unwrap_or_else(|| (0, empty())),
            is_changed: false,
        })
    }

    /// The block, if it is in a pack.
    pub fn find(&self, key: &Key) -> Result<Option<Found>, StorageError> {
        Ok(self.locate(key)?.map(|(_, found)| found))
    }

    fn locate(&self, key: &Key) -> Result<Option<(Place, Found)>, StorageError> {
        let view = View {
            packs: &self.packs,
            places: &self.places,
            tail: Some(&self.tail),
        };
        view.locate(key, &mut None)
    }

    /// Adds a block, which must not be in a pack, behind the others.
    pub fn add(&mut self, key: &Key, data: &[u8]) -> Result<(), StorageError> {
        let mut entry = encode(data, self.dictionary());
        if self.tail.1.len() + entry.len() > PACK_BYTES {
            self.end()?;
            self.tail = (self.tail.0.wrapping_add(1), empty());
            entry = encode(data, None);
        }
        let (number, pack) = &mut self.tail;
        let place = Place {
            beginning: beginning(key),
            pack: *number,
            // A pack is shorter than 64 KiB.
            offset: pack.len() as u16,
        };
        pack.extend_from_slice(&entry);
        change_left(pack, entry.len() as i64);
        self.is_changed = true;
        self.places.insert(&place.key(), ())?;
        Ok(())
    }

    /// Takes a block out, if it is in a pack. Says how many bytes it had.
    pub fn remove(&mut self, key: &Key) -> Result<Option<usize>, StorageError> {
        let Some((place, found)) = self.locate(key)? else {
            return Ok(None);
        };
        self.places.remove(&place.key())?;
        if place.pack == self.tail.0 {
            take_out(&mut self.tail.1, place);
            self.is_changed = true;
        } else {
            let pack = self.packs.get(place.pack)?;
            let pack = pack.map(|pack| pack.value().to_vec());
            if let Some(mut pack) = pack {
                take_out(&mut pack, place);
                self.put_back(place.pack, pack)?;
            }
        }
        Ok(Some(found.length()))
    }

    /// Writes a pack that lost a block. One that is less than half full is dissolved.
    fn put_back(&mut self, number: u32, pack: Vec<u8>) -> Result<(), StorageError> {
        if left(&pack) >= PACK_BYTES / 2 {
            self.packs.insert(number, pack.as_slice())?;
            return Ok(());
        }
        self.packs.remove(number)?;
        let mut offset = HEADER_BYTES;
        while let Some(entry) = Entry::at(&pack, offset) {
            let first = Entry::at(&pack, HEADER_BYTES).unwrap_or(entry);
            if let Some(data) = entry.content(first.stored) {
                let key = name_of(&data);
                let place = Place {
                    beginning: beginning(&key),
                    pack: number,
                    offset: offset as u16,
                };
                let is_left = self.places.remove(&place.key())?.is_some();
                if is_left {
                    self.add(&key, &data)?;
                }
            }
            offset = entry.end;
        }
        Ok(())
    }

    /// Writes the pack at the end.
    pub fn end(&mut self) -> Result<(), StorageError> {
        if !std::mem::take(&mut self.is_changed) {
            return Ok(());
        }
        let (number, pack) = &self.tail;
        match left(pack) {
            0 => drop(self.packs.remove(number)?),
            _ => drop(self.packs.insert(number, pack.as_slice())?),
        }
        Ok(())
    }

    /// The first block of the pack at the end.
    fn dictionary(&self) -> Option<&[u8]> {
        Entry::at(&self.tail.1, HEADER_BYTES).map(|first| first.stored)
    }
}

/// A pack without blocks.
fn empty() -> Vec<u8> {
    vec![0; HEADER_BYTES]
}

/// Bytes of the entries that somebody may still read.
fn left(pack: &[u8]) -> usize {
    let count = pack.first_chunk::<HEADER_BYTES>().copied();
    count.map_or(0, |count| u32::from_be_bytes(count) as usize)
}

fn change_left(pack: &mut [u8], change: i64) {
    let now = (left(pack) as i64 + change).max(0) as u32;
    if let Some(count) = pack.first_chunk_mut::<HEADER_BYTES>() {
        *count = now.to_be_bytes();
    }
}

/// The bytes stay, as the first block is the dictionary of the others, and the others have places.
fn take_out(pack: &mut [u8], place: Place) {
    let offset = usize::from(place.offset);
    let length = Entry::at(pack, offset).map_or(0, |entry| entry.end - offset);
    change_left(pack, -(length as i64));
}
