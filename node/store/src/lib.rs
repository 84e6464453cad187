//! Blocks by CID, and the files that are made of them.
//!
//! A [`BlockStore`] keeps blocks: in an embedded database, or in a Kubo node; both do the same, and pass the
//! same tests. A [`Block`] has been hashed, or there is none: every block is hashed when it enters, from
//! whatever source, and again whenever it is read. [`import`] cuts a file into blocks as `ipfs add` does,
//! [`read_file`] puts it together again from a [`BlockSource`], and [`read_car`] packs all below a root into
//! one archive.

mod block;
mod car;
mod dagpb;
mod embedded;
mod error;
mod file;
mod import;
mod kubo;
mod links;
mod protobuf;
mod store;
mod walk;

pub use block::{Block, MAX_BLOCK_BYTES};
pub use car::{read_car, MAX_CAR_BLOCKS, MAX_CAR_DEPTH};
pub use error::{Cause, ErrorClass, StoreError};
pub use file::{file_size, read_file, MAX_FILE_DEPTH};
pub use import::{hash, import, Imported, Importer, CHUNK_BYTES, COMMIT_BYTES, LINKS_PER_NODE};
pub use kubo::KUBO_TIMEOUT;
pub use links::links;
pub use store::{open, source, BlockSource, BlockStore, StoreConfig, StoreSize};
pub use walk::{MAX_PENDING_LINKS, READ_AHEAD_BLOCKS, READ_AHEAD_BYTES};
