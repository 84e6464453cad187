//! Blocks by CID, and the files that are made of them.
//!
//! A [`BlockStore`] keeps blocks: in an embedded database, or in a Kubo node; both behave the same and pass the same
//! tests. A [`Block`] can only be made by checking its hash: every block is hashed when it enters, from any source, and
//! again whenever it is read. A [`BlockSource`] is what a reader gets blocks from: a store, or a store with the network
//! behind it.
//!
//! [`import`] cuts a file into blocks as `ipfs add` does. Before a file that others name is used as an input,
//! [`check_file`] looks at all of its blocks in a fixed order and says what it is made of, or why it is not a file. The
//! answer is the same on every machine, in whatever order the blocks arrive. [`read_file`] then gives its bytes in
//! order, and [`read_car`] packs all below a root into one archive. Both go through a walk that asks for blocks ahead
//! of its reader, within bounds.
//!
//! The output of a program that still runs is a [`Draft`]: if the program fails, its blocks are removed. What else may go
//! is decided by whoever knows what the blocks are for: the embedded store has an [`Inventory`] that lists, pins and
//! removes blocks, [`mark_below`] finds what is needed, and a [`Lease`] keeps what nothing names yet.
//!
//! [`export_all`] and [`read_cars`] write archives (CAR v1), [`import_car`] reads them (v1 and v2), block by block.
//!
//! # What a caller can rely on
//!
//! * **Right bytes or none.** A block whose bytes do not hash to its CID is never given out. A damaged copy on disk is an
//!   error of its own, and putting the block again replaces it.
//! * **Durable on return.** When [`BlockStore::put`] returns, the blocks are on disk. Whoever then writes a name for them
//!   may rely on it.
//! * **No block goes while somebody needs it.** Between putting a block and naming it on disk the caller holds a
//!   [`Lease`]; a collection of the embedded store removes nothing that a lease covers.
//! * **Nobody else is asked.** [`BlockStore::get`] looks in this store only; a [`BlockSource`] may also ask the network, and
//!   [`BlockStore::seek`] that of the store.
//! * **Memory does not grow with a file.** Reading, importing and archiving hold a bounded number of blocks:
//!   [`READ_AHEAD_BLOCKS`], [`COMMIT_BYTES`].

mod archive;
mod block;
mod car;
mod check;
mod dagpb;
mod disk;
mod draft;
mod embedded;
mod error;
mod file;
mod import;
mod inventory;
mod kubo;
mod lease;
mod links;
mod mark;
mod open;
mod part;
mod protobuf;
mod store;
mod unpack;
mod walk;

pub use archive::{archive_of, export_all, MAX_CAR_ROOTS};
pub use block::{Block, MAX_BLOCK_BYTES};
pub use car::{car_header, car_section_head, read_car, read_cars, MAX_CAR_BLOCKS, MAX_CAR_DEPTH};
pub use check::{
    check_file, FileChecker, FileShape, CHECK_AHEAD_BLOCKS, COUNTED_BYTES, LARGE_CHECKS,
    MAX_FILE_BLOCKS, MAX_REMEMBERED_FILES, SMALL_CHECK_BLOCKS,
};
pub use disk::Disk;
pub use draft::{Draft, MAX_DRAFT_BLOCKS};
pub use error::{Cause, ErrorClass, StoreError};
pub use file::{file_size, read_file, read_file_from, read_small_file};
pub use import::{hash, import, Imported, Importer, CHUNK_BYTES, COMMIT_BYTES, LINKS_PER_NODE};
pub use inventory::{
    BlockKey, Inventory, Needed, Pin, Removed, Stored, PAGE_BLOCKS, PAGE_BYTES, REMOVED_AT_ONCE,
};
pub use kubo::{KUBO_SEEK_TIMEOUT, KUBO_TIMEOUT};
pub use lease::Lease;
pub use links::links;
pub use mark::{mark_below, Below, MAX_NAMED};
pub use open::{open, open_on, StoreConfig};
pub use part::{MAX_FILE_DEPTH, MAX_FILE_LINKS};
pub use store::{source, BlockSource, BlockStore, StoreSize};
pub use unpack::{import_car, Unpacked, Unpacker, MAX_CAR_HEADER_BYTES};
pub use walk::{MAX_PENDING_LINKS, READ_AHEAD_BLOCKS, READ_AHEAD_BYTES};
