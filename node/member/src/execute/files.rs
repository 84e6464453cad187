//! Files by CID, checked from the root to the last leaf before anything is run on them.
//!
//! [`Files`] reads the operation, the program and the inputs of a gate, and fetches what is missing. Whether a file is
//! well formed is the same for everybody, so a malformed one is a failure of the program that members vote on
//! (`Stop::Failed`); a block that cannot be found is an error of now, and no vote follows. Checking costs reads of the
//! disk: for inputs the operation's fuel pays, by the number of blocks; operation and program, for which no fuel pays,
//! have fixed bounds.

use super::{
    error::ExecuteError,
    remembered::Remembered,
    stop::{malformed, out_of_fuel, Stop},
};
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use futures::{
    stream::{self, BoxStream},
    StreamExt, TryStreamExt,
};
use rings_compute::{ComputeError, ModuleBytes, ModuleSource, BLOCK_FUEL, MAX_MODULE_BYTES};
use rings_protocol::Digest;
use rings_store::{
    file_size, read_file, read_small_file, BlockSource, ErrorClass, FileChecker, FileShape,
    Imported, StoreError,
};
use sha2::{Digest as _, Sha256};
use std::{io, sync::Arc};

/// Most blocks of an operation's file. Equal ones count each time, because they are read each time: a few blocks can repeat to make a
/// file of millions. No fuel pays for this, unlike for the blocks of the program and the inputs. A file of `ipfs add` has one block
/// for each 256 KiB.
const MAX_OPERATION_BLOCKS: u64 = 1024;
/// Operations whose bytes are remembered; each has at most 128 KiB.
const OPERATIONS: usize = 64;
/// Programs whose digests are remembered.
const PROGRAMS: usize = 1024;

/// A source of blocks, and the files in it that have been checked.
pub struct Files {
    source: Arc<dyn BlockSource>,
    checker: FileChecker,
    /// The bytes of operations. The same operation is asked for again and again.
    operations: Remembered<Bytes>,
    /// The sha2-256 of programs.
    programs: Remembered<Digest>,
}

/// An input: a file that was checked, so that all its blocks are here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input {
    cid: Cid,
    /// How many blocks it has: all nodes of its graph.
    blocks: u64,
}

impl Files {
    /// Files in the blocks of `source`.
    pub fn new(source: Arc<dyn BlockSource>) -> Self {
        Self {
            checker: FileChecker::new(Arc::clone(&source)),
            operations: Remembered::new(OPERATIONS),
            programs: Remembered::new(PROGRAMS),
            source,
        }
    }

    /// The whole of the file of an operation, which must not be longer than `limit` bytes.
    pub(super) async fn operation(&self, cid: Cid, limit: u32) -> Result<Bytes, Stop> {
        if let Some(bytes) = self.operations.get(&cid) {
            return Ok(bytes);
        }
        let what = "operation";
        let shape = self.check_small(cid, limit, what, MAX_OPERATION_BLOCKS);
        if shape.await?.is_none() {
            let wrong = format!("the {what} has more than {MAX_OPERATION_BLOCKS} blocks");
            return Err(Stop::Failed(malformed(&wrong, None)));
        }
        let read = read_small_file(Arc::clone(&self.source), cid, limit).await;
        let bytes = Bytes::from(read.map_err(|error| not_a_file(error, what))?);
        self.operations.remember(cid, bytes.clone());
        Ok(bytes)
    }

    /// The program of an operation: fetched and hashed whole, and not kept in memory. `fuel` pays for its blocks.
    ///
    /// With `is_each`, a failure for want of fuel is that of the first input: none of the runs can be paid.
    pub(super) async fn program(
        &self,
        cid: Cid,
        fuel: u64,
        is_each: bool,
    ) -> Result<Program, Stop> {
        let what = "program";
        let paid = fuel / BLOCK_FUEL;
        let shape = self.check_small(cid, MAX_MODULE_BYTES as u32, what, paid);
        let unpaid = || Stop::Failed(out_of_fuel(is_each.then_some(0)));
        let shape = shape.await?.ok_or_else(unpaid)?;
        Ok(Program {
            source: Arc::clone(&self.source),
            cid,
            bytes: shape.bytes,
            digest: self.program_digest(cid).await?,
            blocks: shape.blocks,
        })
    }

    /// The sha2-256 of a program's bytes, which are read and hashed once.
    async fn program_digest(&self, cid: Cid) -> Result<Digest, Stop> {
        if let Some(digest) = self.programs.get(&cid) {
            return Ok(digest);
        }
        let mut content = read_file(Arc::clone(&self.source), cid);
        let mut hash = Sha256::new();
        while let Some(piece) = content.next().await {
            hash.update(piece.map_err(|error| not_a_file(error, "program"))?);
        }
        let digest = Digest(hash.finalize().into());
        self.programs.remember(cid, digest);
        Ok(digest)
    }

    /// Checks a file that is read whole: its length as the root says, then all of it. The answer is what it is made of, if reading it takes
    /// at most that many blocks.
    async fn check_small(
        &self,
        cid: Cid,
        limit: u32,
        what: &str,
        most_blocks: u64,
    ) -> Result<Option<FileShape>, Stop> {
        let size = file_size(&*self.source, cid).await;
        if size.map_err(|error| not_a_file(error, what))? > u64::from(limit) {
            let wrong = format!("the {what} has more than {limit} bytes");
            return Err(Stop::Failed(malformed(&wrong, None)));
        }
        let checked = self.checker.check(cid, most_blocks).await;
        checked.map_err(|error| not_a_file(error, what))
    }

    /// Fetches what is missing of these files, and checks all of them, one after the other, until there are more blocks
    /// than `fuel` pays for beside those of `program`: those of each file (`is_each`), or of all together.
    ///
    /// With `is_each`, a failure names the place of the input.
    pub(super) async fn inputs(
        &self,
        cids: &[Cid],
        program: &Program,
        fuel: u64,
        is_each: bool,
    ) -> Result<Vec<Input>, Stop> {
        let mut paid = (fuel / BLOCK_FUEL).saturating_sub(program.blocks);
        let mut inputs = Vec::with_capacity(cids.len());
        for (number, cid) in (0..).zip(cids) {
            let number = is_each.then_some(number);
            let checked = self.checker.check(*cid, paid).await;
            let checked =
                checked.map_err(|error| unreadable(error, "an input is not a file", number))?;
            let shape = checked.ok_or_else(|| Stop::Failed(out_of_fuel(number)))?;
            if !is_each {
                paid = paid.saturating_sub(shape.blocks);
            }
            inputs.push(Input {
                cid: *cid,
                blocks: shape.blocks,
            });
        }
        Ok(inputs)
    }

    /// The bytes of all inputs, one after the other.
    pub(super) fn content(&self, inputs: &[Input]) -> BoxStream<'static, Result<Bytes, io::Error>> {
        let source = Arc::clone(&self.source);
        stream::iter(inputs.to_vec())
            .map(move |input| read_file(Arc::clone(&source), input.cid))
            .flatten()
            .map_err(io::Error::other)
            .boxed()
    }

    /// A file that was made here needs no check.
    pub(super) fn remember(&self, imported: &Imported) {
        self.checker.remember(imported.cid, imported.shape());
    }
}

/// A program: a file whose blocks are here. Several wait for their turns at a compiler, and each may be large, so its bytes are
/// read when they are needed.
#[derive(Clone)]
pub(super) struct Program {
    source: Arc<dyn BlockSource>,
    cid: Cid,
    bytes: u64,
    digest: Digest,
    /// As those of an [`Input`].
    blocks: u64,
}

impl Program {
    /// The sha2-256 of its bytes.
    pub(super) fn digest(&self) -> Digest {
        self.digest
    }
}

#[async_trait]
impl ModuleSource for Program {
    async fn load(&self) -> Result<ModuleBytes, ComputeError> {
        let content = read_file(Arc::clone(&self.source), self.cid);
        let pieces = content.map_err(ComputeError::module).boxed();
        Ok(ModuleBytes::new(self.bytes, pieces))
    }
}

/// How many blocks the program and the inputs have together.
pub(super) fn blocks(program: &Program, inputs: &[Input]) -> u64 {
    inputs.iter().fold(program.blocks, |sum, input| {
        input.blocks.saturating_add(sum)
    })
}

/// As [`unreadable`], for a file that is `what`.
fn not_a_file(error: StoreError, what: &str) -> Stop {
    unreadable(error, &format!("the {what} is not a file"), None)
}

/// If it is not a file, it is malformed, for ever and for everybody. If it cannot be read now, that is an error of this
/// machine.
fn unreadable(error: StoreError, wrong: &str, input: Option<u64>) -> Stop {
    match error.class() {
        ErrorClass::Invalid => Stop::Failed(malformed(wrong, input)),
        _ => ExecuteError::Store(error).into(),
    }
}
