//! Packs: how small blocks of DAG-CBOR are kept, which are nearly all nodes of logs.
//!
//! In a B-tree by digest, a node of some hundred bytes would take up half as much again, because the leaves of such a tree are two
//! thirds full, and nodes that came one after the other would lie in a page each. So they are put one behind the other into packs
//! of a few pages, in the order in which they come, and an index leads from the beginning of a digest to pack and place. It all
//! changes in the transaction of the put, so there is nothing to recover after a crash.
//!
//! Nodes of a log resemble each other: a block is compressed (LZ4) with the first block of its pack as the dictionary, and
//! stays as it is where that saves nothing. So a single block can be read with the first one, and no other.
//!
//! A pack does not hold the digests. Whoever reads a block hashes it, and compares with the beginning in the index: if that
//! differs, the copy is damaged; if not, it is the block that was looked for, or another that begins alike.
//! `packing.rs` writes them.

use super::entry::Entry;
use crate::block::{Key, KEY_BYTES};
use redb::{
    ReadOnlyTable, ReadTransaction, ReadableTable, StorageError, TableDefinition, TableError,
};
use rings_protocol::cids::{sha256, DAG_CBOR};
use std::ops::RangeInclusive;

/// The longest block that goes into a pack.
pub(super) const MAX_PACKED_BYTES: usize = 4 * 1024;
/// Bytes of a pack: four pages, less room for the key and the header of a page.
pub(super) const PACK_BYTES: usize = 16 * 1024 - 128;

/// Bytes of a digest in the index.
const BEGINNING_BYTES: usize = 8;
/// The beginning of a digest, the number of a pack, and the place in it (big-endian).
pub(super) type PlaceKey = [u8; BEGINNING_BYTES + 4 + 2];

/// Number → the blocks: four bytes that count those that are left, then one [`Entry`] after the other.
pub(super) const PACKS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("rings-store.packs");
/// Where the blocks are.
pub(super) const PLACES: TableDefinition<'_, &PlaceKey, ()> =
    TableDefinition::new("rings-store.places");

/// Bytes at the beginning of a pack: how many bytes of entries are still wanted.
pub(super) const HEADER_BYTES: usize = 4;

/// Where a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub beginning: [u8; BEGINNING_BYTES],
    pub pack: u32,
    pub offset: u16,
}

impl Place {
    pub fn key(self) -> PlaceKey {
        let mut key = [0; BEGINNING_BYTES + 6];
        key[..BEGINNING_BYTES].copy_from_slice(&self.beginning);
        key[BEGINNING_BYTES..BEGINNING_BYTES + 4].copy_from_slice(&self.pack.to_be_bytes());
        key[BEGINNING_BYTES + 4..].copy_from_slice(&self.offset.to_be_bytes());
        key
    }

    fn of(key: &PlaceKey) -> Self {
        let [a, b, c, d, e, f, g, h, pack @ .., high, low] = *key;
        Self {
            beginning: [a, b, c, d, e, f, g, h],
            pack: u32::from_be_bytes(pack),
            offset: u16::from_be_bytes([high, low]),
        }
    }
}

/// What was found at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// The block, with its name.
    Whole(Key, Vec<u8>),
    /// A block of so many bytes whose digest begins so was there; its bytes are not what they were.
    Damaged(usize),
}

impl Found {
    /// The bytes of the block; nothing, which is no block, if they are damaged.
    pub fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Whole(_, bytes) => bytes,
            Self::Damaged(_) => Vec::new(),
        }
    }

    /// How many bytes it has.
    pub fn length(&self) -> usize {
        match self {
            Self::Whole(_, bytes) => bytes.len(),
            Self::Damaged(length) => *length,
        }
    }
}

/// Whether a block of this name and length goes into a pack.
pub(super) fn is_packed(key: &Key, length: usize) -> bool {
    may_be_packed(key) && length <= MAX_PACKED_BYTES
}

/// Whether a block of this name can be in a pack.
pub(super) fn may_be_packed(key: &Key) -> bool {
    u64::from(key[0]) == DAG_CBOR
}

pub(super) fn beginning(key: &Key) -> [u8; BEGINNING_BYTES] {
    let mut beginning = [0; BEGINNING_BYTES];
    beginning.copy_from_slice(&key[1..=BEGINNING_BYTES]);
    beginning
}

/// The first and the last place that blocks of this beginning may have.
fn alike(beginning: [u8; BEGINNING_BYTES]) -> RangeInclusive<PlaceKey> {
    let place = |pack, offset| Place {
        beginning,
        pack,
        offset,
    };
    place(0, 0).key()..=place(u32::MAX, u16::MAX).key()
}

/// The name of these bytes.
pub(super) fn name_of(data: &[u8]) -> Key {
    let mut key = [0; KEY_BYTES];
    key[0] = DAG_CBOR as u8;
    key[1..].copy_from_slice(&sha256(data).0);
    key
}

/// The number of a pack, and what is in it.
pub(super) type Pack = (u32, Vec<u8>);

/// The packs as they are in a transaction.
pub(super) struct View<'t, P, I> {
    pub packs: &'t P,
    pub places: &'t I,
    /// The pack at the end, where it is newer than the table.
    pub tail: Option<&'t Pack>,
}

impl<P, I> View<'_, P, I>
where
    P: ReadableTable<u32, &'static [u8]>,
    I: ReadableTable<&'static PlaceKey, ()>,
{
    /// The block and where it is. `last` is the pack that was read last.
    pub fn locate(
        &self,
        key: &Key,
        last: &mut Option<Pack>,
    ) -> Result<Option<(Place, Found)>, StorageError> {
        if !may_be_packed(key) {
            return Ok(None);
        }
        let mut damaged = None;
        for place in self.places_alike(beginning(key))? {
            match self.at(place, last)? {
                Some(found @ Found::Damaged(_)) => damaged = Some((place, found)),
                Some(Found::Whole(name, data)) if name == *key => {
                    return Ok(Some((place, Found::Whole(name, data))));
                }
                _ => {}
            }
        }
        // Without the digest nobody knows which of two that begin alike this was; there is hardly ever a second one.
        Ok(damaged)
    }

    fn places_alike(&self, beginning: [u8; BEGINNING_BYTES]) -> Result<Vec<Place>, StorageError> {
        let range = alike(beginning);
        let mut places = Vec::new();
        for entry in self
            .places
            .range::<&PlaceKey>(range.start()..=range.end())?
        {
            places.push(Place::of(entry?.0.value()));
        }
        Ok(places)
    }

    /// What is at a place.
    fn at(&self, place: Place, last: &mut Option<Pack>) -> Result<Option<Found>, StorageError> {
        if let Some((_, pack)) = self.tail.filter(|(number, _)| *number == place.pack) {
            return Ok(Some(read(pack, place)));
        }
        if last
            .as_ref()
            .is_none_or(|(number, _)| *number != place.pack)
        {
            let pack = self.packs.get(place.pack)?;
            *last = pack.map(|pack| (place.pack, pack.value().to_vec()));
        }
        Ok(last.as_ref().map(|(_, pack)| read(pack, place)))
    }

    /// The first beginning in the index that is not less than this one.
    fn first_from(
        &self,
        start: [u8; BEGINNING_BYTES],
    ) -> Result<Option<[u8; BEGINNING_BYTES]>, StorageError> {
        let start = *alike(start).start();
        let mut range = self.places.range::<&PlaceKey>(&start..)?;
        let first = range.next().transpose()?;
        Ok(first.map(|(key, _)| Place::of(key.value()).beginning))
    }
}

/// The block at a place of this pack.
fn read(pack: &[u8], place: Place) -> Found {
    let entry = Entry::at(pack, usize::from(place.offset));
    let first = Entry::at(pack, HEADER_BYTES);
    let data = entry
        .zip(first)
        .and_then(|(entry, first)| entry.content(first.stored));
    let named = data.map(|data| (name_of(&data), data));
    match named {
        Some((name, data)) if beginning(&name) == place.beginning => Found::Whole(name, data),
        _ => Found::Damaged(entry.map_or(0, |entry| entry.length)),
    }
}

/// The packs, to be read.
pub(super) struct Packs {
    packs: ReadOnlyTable<u32, &'static [u8]>,
    places: ReadOnlyTable<&'static PlaceKey, ()>,
    /// The pack that was read last: blocks that are read together usually came together.
    last: Option<Pack>,
}

type Reading<'t> =
    View<'t, ReadOnlyTable<u32, &'static [u8]>, ReadOnlyTable<&'static PlaceKey, ()>>;

impl Packs {
    pub fn open(transaction: &ReadTransaction) -> Result<Self, TableError> {
        Ok(Self {
            packs: transaction.open_table(PACKS)?,
            places: transaction.open_table(PLACES)?,
            last: None,
        })
    }

    fn view(&self) -> Reading<'_> {
        View {
            packs: &self.packs,
            places: &self.places,
            tail: None,
        }
    }

    /// The block, if it is in a pack.
    pub fn find(&mut self, key: &Key) -> Result<Option<Found>, StorageError> {
        let mut last = self.last.take();
        let found = self.view().locate(key, &mut last);
        self.last = last;
        Ok(found?.map(|(_, found)| found))
    }

    /// The first block behind another in the order of names, with its name. Damaged ones are left out, because their names are
    /// not known any more: whoever needs one finds that it is not there.
    pub fn next(&mut self, after: Option<&Key>) -> Result<Option<(Key, Vec<u8>)>, StorageError> {
        let mut start = match after {
            Some(after) if u64::from(after[0]) > DAG_CBOR => return Ok(None),
            Some(after) if u64::from(after[0]) == DAG_CBOR => beginning(after),
            _ => [0; BEGINNING_BYTES],
        };
        let mut last = self.last.take();
        while let Some(first) = self.view().first_from(start)? {
            let next = self.next_alike(first, after, &mut last)?;
            if next.is_some() {
                self.last = last;
                return Ok(next);
            }
            match u64::from_be_bytes(first).checked_add(1) {
                Some(behind) => start = behind.to_be_bytes(),
                None => break,
            }
        }
        Ok(None)
    }

    /// The first of the blocks that begin so.
    fn next_alike(
        &self,
        first: [u8; BEGINNING_BYTES],
        after: Option<&Key>,
        last: &mut Option<Pack>,
    ) -> Result<Option<(Key, Vec<u8>)>, StorageError> {
        let mut next: Option<(Key, Vec<u8>)> = None;
        for place in self.view().places_alike(first)? {
            let Some(Found::Whole(key, data)) = self.view().at(place, last)? else {
                continue;
            };
            let is_behind = after.is_none_or(|after| key > *after);
            if is_behind && next.as_ref().is_none_or(|(next, _)| key < *next) {
                next = Some((key, data));
            }
        }
        Ok(next)
    }
}
