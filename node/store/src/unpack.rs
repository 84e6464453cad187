//! Reading content archives, CAR v1 and v2, block by block.
//!
//! An [`Unpacker`] reads from any stream and never holds more than one block. It hashes each block. What surrounds the
//! blocks in version 2 (a fixed header, an index) is passed over: it can be computed again from the blocks.
//!
//! An archive comes from anybody, so header, CIDs and blocks have bounds, and an error says at which byte of the
//! archive it is. [`import_car`] puts the blocks into a store in groups, and pins the roots only at the end: an archive
//! that breaks off leaves blocks and no pins.

use crate::{
    block::MAX_BLOCK_BYTES,
    inventory::{BlockKey, Pin},
    Block, BlockStore, StoreError, COMMIT_BYTES,
};
use bytes::Bytes;
use cid::Cid;
use serde::Deserialize;
use std::{io, sync::Arc};
use tokio::io::{AsyncRead, AsyncReadExt, BufReader};

/// Longest header of an archive, in bytes: room for some 25,000 roots.
pub const MAX_CAR_HEADER_BYTES: u64 = 1 << 20;

/// Most bytes of a CID in an archive.
const MAX_CID_BYTES: u64 = 128;

/// Bytes of the header of version 2 behind its first section.
const V2_HEADER_BYTES: usize = 40;

/// Bytes of the first section of version 2, with its length.
const V2_PRAGMA_BYTES: u64 = 11;

/// The multihash code of content that is its own hash.
const IDENTITY: u64 = 0;

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// What was imported from an archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// The roots that its header names.
    pub roots: Vec<Cid>,
    /// How many blocks it had.
    pub blocks: u64,
    /// Bytes in them.
    pub bytes: u64,
}

/// The header of an archive. One of version 2 names no roots, and is followed by an archive of version 1, which does.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    #[serde(default)]
    roots: Option<Vec<Cid>>,
    version: u64,
}

/// Reads the blocks of an archive.
pub struct Unpacker<R> {
    input: BufReader<R>,
    /// Bytes that were read.
    at: u64,
    /// Where the blocks end, in version 2.
    end: Option<u64>,
    roots: Vec<Cid>,
}

impl<R: AsyncRead + Unpin> Unpacker<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`StoreError::Archive`], [`StoreError::Input`].
    pub async fn open(input: R) -> Result<Self, StoreError> {
        let mut unpacker = Self {
            input: BufReader::with_capacity(BUFFER_BYTES, input),
            at: 0,
            end: None,
            roots: Vec::new(),
        };
        let mut header = unpacker.header().await?;
        if header.version == 2 {
            unpacker.enter_version_2().await?;
            header = unpacker.header().await?;
        }
        if header.version != 1 {
            let reason = format!("its version is {}, and 1 and 2 are known", header.version);
            return Err(unpacker.wrong(reason));
        }
        unpacker.roots = header.roots.unwrap_or_default();
        Ok(unpacker)
    }

    /// The roots that the header names.
    pub fn roots(&self) -> &[Cid] {
        &self.roots
    }

    /// The next block, hashed; `None` at the end. Blocks whose CID holds the content itself are passed over.
    ///
    /// # Errors
    /// [`StoreError::Archive`], [`StoreError::Input`]; [`StoreError::Cid`] for a block that does not hash to its CID, or
    /// whose hash or codec Rings does not accept; [`StoreError::TooLarge`].
    pub async fn next(&mut self) -> Result<Option<Block>, StoreError> {
        loop {
            let Some(length) = self.length().await? else {
                return Ok(None);
            };
            if length == 0 || length > MAX_BLOCK_BYTES as u64 + MAX_CID_BYTES {
                return Err(self.wrong(format!("a section of {length} bytes")));
            }
            let section = self.take(length as usize).await?;
            let mut rest = &section[..];
            let cid = Cid::read_bytes(&mut rest)
                .map_err(|error| self.wrong(format!("a section without a CID ({error})")))?;
            if cid.hash().code() == IDENTITY {
                continue;
            }
            let data = Bytes::copy_from_slice(rest);
            return Block::new(cid, data).map(Some);
        }
    }

    /// Reads what follows the blocks, so that whoever sends it is not interrupted.
    ///
    /// # Errors
    /// [`StoreError::Input`].
    pub async fn finish(mut self) -> Result<(), StoreError> {
        tokio::io::copy(&mut self.input, &mut tokio::io::sink())
            .await
            .map(drop)
            .map_err(StoreError::Input)
    }

    async fn header(&mut self) -> Result<Header, StoreError> {
        let Some(length) = self.length().await? else {
            return Err(self.wrong("it is empty"));
        };
        if length == 0 || length > MAX_CAR_HEADER_BYTES {
            return Err(self.wrong("it does not begin with the header of a CAR archive"));
        }
        let bytes = self.take(length as usize).await?;
        serde_ipld_dagcbor::from_slice(&bytes)
            .map_err(|_| self.wrong("it does not begin with the header of a CAR archive"))
    }

    /// Goes to the blocks, which are an archive of version 1 of their own.
    async fn enter_version_2(&mut self) -> Result<(), StoreError> {
        let header = self.take(V2_HEADER_BYTES).await?;
        let number = |from: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&header[from..from + 8]);
            u64::from_le_bytes(bytes)
        };
        let (offset, size) = (number(16), number(24));
        let earliest = V2_PRAGMA_BYTES + V2_HEADER_BYTES as u64;
        if offset < earliest || size == 0 || offset.checked_add(size).is_none() {
            return Err(self.wrong("its header of version 2 names no place for the blocks"));
        }
        let gap = offset - self.at;
        let skipped = tokio::io::copy(&mut (&mut self.input).take(gap), &mut tokio::io::sink())
            .await
            .map_err(StoreError::Input)?;
        self.at += skipped;
        if skipped < gap {
            return Err(self.wrong("it ends before its blocks"));
        }
        self.end = Some(offset + size);
        Ok(())
    }

    /// The length of the next section; `None` at the end.
    async fn length(&mut self) -> Result<Option<u64>, StoreError> {
        let mut value = 0u64;
        for index in 0..10 {
            if self.end.is_some_and(|end| self.at >= end) {
                return self.ended(index);
            }
            let byte = match self.input.read_u8().await {
                Ok(byte) => byte,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return match self.end {
                        None => self.ended(index),
                        Some(_) => Err(self.wrong("it ends within its blocks")),
                    }
                }
                Err(error) => return Err(StoreError::Input(error)),
            };
            self.at += 1;
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Ok(Some(value));
            }
        }
        Err(self.wrong("a length of more than 64 bits"))
    }

    fn ended(&self, index: u32) -> Result<Option<u64>, StoreError> {
        match index {
            0 => Ok(None),
            _ => Err(self.wrong("it ends within a length")),
        }
    }

    /// Reads exactly this many bytes of the archive.
    async fn take(&mut self, length: usize) -> Result<Vec<u8>, StoreError> {
        if self.end.is_some_and(|end| self.at + length as u64 > end) {
            return Err(self.wrong("a section goes beyond the place of the blocks"));
        }
        let mut bytes = vec![0; length];
        match self.input.read_exact(&mut bytes).await {
            Ok(_) => {
                self.at += length as u64;
                Ok(bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.wrong("it ends within a section"))
            }
            Err(error) => Err(StoreError::Input(error)),
        }
    }

    fn wrong(&self, reason: impl Into<Box<str>>) -> StoreError {
        StoreError::Archive {
            at: self.at,
            reason: reason.into(),
        }
    }
}

/// Puts the blocks of an archive into a store. They are durable when it returns. With `keep`, its roots are pinned with all
/// below them, and if it names none, each of its blocks is: they were added by a person.
///
/// # Errors
/// As [`Unpacker::open`] and [`Unpacker::next`], and those of the store. What came before the fault is in the store then,
/// and is not pinned by its roots.
pub async fn import_car(
    store: Arc<dyn BlockStore>,
    input: impl AsyncRead + Unpin,
    keep: bool,
) -> Result<Unpacked, StoreError> {
    let _lease = store.lease();
    let mut unpacker = Unpacker::open(input).await?;
    let mut import = Import {
        pins_each: keep && unpacker.roots().is_empty(),
        store,
        pending: Vec::new(),
        pending_bytes: 0,
        done: Unpacked {
            roots: unpacker.roots().to_vec(),
            ..Unpacked::default()
        },
    };
    while let Some(block) = unpacker.next().await? {
        import.add(block).await?;
    }
    import.commit().await?;
    unpacker.finish().await?;
    if keep {
        let roots = import.done.roots.iter();
        // A root that holds its content itself needs no pin.
        let roots = roots.filter_map(|root| BlockKey::of(root).ok());
        import.pin(roots.collect(), true).await?;
    }
    Ok(import.done)
}

/// Blocks on their way into a store.
struct Import {
    store: Arc<dyn BlockStore>,
    /// Whether each block is pinned by itself, because the archive names no roots.
    pins_each: bool,
    /// Blocks that are not stored yet.
    pending: Vec<Block>,
    pending_bytes: usize,
    done: Unpacked,
}

impl Import {
    async fn add(&mut self, block: Block) -> Result<(), StoreError> {
        self.done.blocks += 1;
        self.done.bytes += block.data().len() as u64;
        self.pending_bytes += block.data().len();
        self.pending.push(block);
        match self.pending_bytes >= COMMIT_BYTES || self.pending.len() >= 4096 {
            true => self.commit().await,
            false => Ok(()),
        }
    }

    /// Puts what has been collected, and pins each block if that is wanted.
    async fn commit(&mut self) -> Result<(), StoreError> {
        self.pending_bytes = 0;
        let blocks = std::mem::take(&mut self.pending);
        if blocks.is_empty() {
            return Ok(());
        }
        let keys: Vec<_> = blocks
            .iter()
            .map(|block| BlockKey::of(block.cid()))
            .collect::<Result<_, _>>()?;
        self.store.put(blocks).await?;
        match self.pins_each {
            true => self.pin(keys, false).await,
            false => Ok(()),
        }
    }

    async fn pin(&self, keys: Vec<BlockKey>, below: bool) -> Result<(), StoreError> {
        let Some(inventory) = self.store.inventory().filter(|_| !keys.is_empty()) else {
            return Ok(());
        };
        let pins = keys.into_iter().map(|key| Pin {
            key,
            below,
            until: Pin::ALWAYS,
        });
        inventory.pin(pins.collect()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::car::{car_header, section};
    use proptest::prelude::*;
    use rings_protocol::cids::{cid_of, sha256, RAW};

    fn raw(data: &[u8]) -> Block {
        Block::new(cid_of(RAW, sha256(data)), Bytes::copy_from_slice(data)).unwrap()
    }

    fn archive(roots: &[Cid], blocks: &[Block]) -> Vec<u8> {
        let sections = blocks.iter().flat_map(section);
        let pieces: Vec<_> = [car_header(roots)].into_iter().chain(sections).collect();
        pieces.concat()
    }

    /// The same as version 2, with a gap before the blocks and something behind them.
    fn version_2(inner: &[u8], gap: usize, behind: &[u8]) -> Vec<u8> {
        let mut car = b"\x0a\xa1gversion\x02".to_vec();
        car.extend([0; 16]);
        car.extend((51 + gap as u64).to_le_bytes());
        car.extend((inner.len() as u64).to_le_bytes());
        car.extend(0u64.to_le_bytes());
        car.extend(vec![0xaa; gap]);
        car.extend(inner);
        car.extend(behind);
        car
    }

    async fn read(bytes: &[u8]) -> Result<(Vec<Cid>, Vec<Block>), StoreError> {
        let mut unpacker = Unpacker::open(bytes).await?;
        let mut blocks = Vec::new();
        while let Some(block) = unpacker.next().await? {
            blocks.push(block);
        }
        let roots = unpacker.roots().to_vec();
        unpacker.finish().await?;
        Ok((roots, blocks))
    }

    fn block_on<T>(future: impl std::future::Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[tokio::test]
    async fn both_versions_give_the_same_blocks() {
        let blocks = vec![raw(b"one"), raw(b""), raw(&[7; 300_000])];
        let roots = [*blocks[0].cid(), *blocks[2].cid()];
        let one = archive(&roots, &blocks);
        assert_eq!(read(&one).await.unwrap(), (roots.to_vec(), blocks.clone()));
        for (gap, behind) in [(0, &b""[..]), (17, b"an index")] {
            let two = version_2(&one, gap, behind);
            assert_eq!(read(&two).await.unwrap(), (roots.to_vec(), blocks.clone()));
        }
        let many: Vec<_> = (0..300u32).map(|n| *raw(&n.to_be_bytes()).cid()).collect();
        for roots in [&many[..0], &many[..24], &many[..]] {
            let empty = archive(roots, &[]);
            assert_eq!(read(&empty).await.unwrap(), (roots.to_vec(), Vec::new()));
        }
    }

    #[tokio::test]
    async fn what_is_no_archive_is_told_with_its_place() {
        let good = archive(&[], &[raw(b"one")]);
        for (bytes, at) in [
            (b"".to_vec(), 0),
            (b"hello world".to_vec(), 1),
            (good[..good.len() - 1].to_vec(), good.len() as u64 - 40),
            (version_2(&good, 0, b"")[..60].to_vec(), 0),
            ([&good[..], &[0]].concat(), good.len() as u64 + 1),
            ([&good[..], &[0xff; 11]].concat(), 0),
        ] {
            match read(&bytes).await {
                Err(StoreError::Archive { at: found, .. }) => {
                    assert!(at == 0 || found.abs_diff(at) <= 1, "{found} {at}");
                }
                other => panic!("{other:?}"),
            }
        }
        let mut damaged = good.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(matches!(read(&damaged).await, Err(StoreError::Cid(_))));
    }

    proptest! {
        #[test]
        fn any_blocks_survive(contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..20), gap in 0usize..70) {
            let blocks: Vec<_> = contents.iter().map(|content| raw(content)).collect();
            let roots: Vec<_> = blocks.iter().take(3).map(|block| *block.cid()).collect();
            let one = archive(&roots, &blocks);
            prop_assert_eq!(block_on(read(&one)).unwrap(), (roots.clone(), blocks.clone()));
            prop_assert_eq!(block_on(read(&version_2(&one, gap, &[1, 2]))).unwrap(), (roots, blocks));
        }

        #[test]
        fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..400), cut in 0usize..200) {
            drop(block_on(read(&bytes)));
            let mut good = archive(&[], &[raw(b"one"), raw(b"two")]);
            good.truncate(cut);
            drop(block_on(read(&good)));
        }
    }
}
