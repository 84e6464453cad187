//! Putting a backup back.
//!
//! A backup is a tar archive: a description, archives of blocks, and the state database of each member ([`restore`]
//! takes one member's part). It goes only into a directory without data, because what is there is newer than any
//! backup. Blocks go straight into the store. The state goes into a temporary file, which gets its name at the very
//! end, so a restore that was interrupted can be begun again and no member ever starts with half of it. The state is
//! marked as a copy: the member signs nothing before the others have said where its log ends (`core/recovery.rs`).

use super::{
    backup::{
        BackupEnd, BackupOf, BLOCKS_PREFIX, CLIENTS_ENTRY, END_ENTRY, FIRST_VERSION, MEMBER_ENTRY,
        STATE_ENTRY, VERSION,
    },
    tar::{TarEntry, TarError, TarReader},
};
use crate::opened::{CLIENTS, STATE};
use rings_store::{import_car, BlockStore, StoreConfig, StoreError};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::NamedTempFile;
use tokio::io::AsyncRead;

/// Longest description in a backup, in bytes.
const MAX_JSON_BYTES: u64 = 64 * 1024;
/// Longest archive of blocks in a backup, in bytes: a page of the inventory, and the largest block beyond it.
const MAX_ARCHIVE_BYTES: u64 = 32 << 20;

/// What was put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Whose it is.
    pub of: BackupOf,
    /// What came of blocks.
    pub end: BackupEnd,
}

/// Why a backup was not put back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A member has data there.
    #[error("{path} has data of a member, which is newer than any backup; move it away if it is damaged, then try again")]
    InUse {
        /// The data directory.
        path: PathBuf,
    },
    /// The archive.
    #[error("the backup cannot be used: {0}")]
    Tar(#[from] TarError),
    /// Something in it does not fit.
    #[error("the backup is not whole or not of Rings ({reason}); use another one")]
    Content {
        /// What is wrong.
        reason: String,
    },
    /// The blocks cannot be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The directory cannot be written.
    #[error("{path} cannot be written; check its owner and the disk")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Puts a member's part of a backup back into the data directory `data`, where none may be: `of` was read already, and what
/// follows is read until its end. Blocks go to `blocks`. The state comes last and whole, so that what was interrupted is
/// begun again, and no member starts with a part.
///
/// # Errors
/// [`RestoreError`].
pub async fn restore<R: AsyncRead + Unpin>(
    tar: &mut TarReader<R>,
    first: &TarEntry,
    data: &Path,
    blocks: Option<&StoreConfig>,
) -> Result<Restored, RestoreError> {
    let of = read_description(tar, first).await?;
    let failed = |path: &Path| {
        let path = path.to_path_buf();
        move |source| RestoreError::File { path, source }
    };
    if fs::metadata(data.join(STATE)).is_ok_and(|file| file.len() > 0) {
        let path = data.to_path_buf();
        return Err(RestoreError::InUse { path });
    }
    fs::create_dir_all(data).map_err(failed(data))?;
    let embedded = StoreConfig::Embedded {
        path: data.join("blocks.redb"),
    };
    let store = rings_store::open(blocks.unwrap_or(&embedded)).await?;
    let mut files = Databases {
        clients: None,
        state: None,
        place: data,
    };
    let end = read_rest(tar, &mut files, &store).await?;
    drop(store);
    // What is named first is on disk before what comes next.
    for (file, name) in [(files.clients, CLIENTS), (files.state, STATE)] {
        let path = data.join(name);
        if let Some(file) = file {
            file.as_file().sync_all().map_err(failed(&path))?;
            let named = file.persist(&path).map_err(|error| error.error);
            named.map_err(failed(&path))?;
            let directory = fs::File::open(data).and_then(|directory| directory.sync_all());
            directory.map_err(failed(data))?;
        }
    }
    Ok(Restored { of, end })
}

async fn read_description<R: AsyncRead + Unpin>(
    tar: &mut TarReader<R>,
    first: &TarEntry,
) -> Result<BackupOf, RestoreError> {
    if base(&first.name) != MEMBER_ENTRY {
        return Err(wrong(format!(
            "{} where {MEMBER_ENTRY} should be",
            first.name
        )));
    }
    let of: BackupOf = parse(&tar.content(first, MAX_JSON_BYTES).await?)?;
    match of.version {
        FIRST_VERSION..=VERSION => Ok(of),
        version => Err(wrong(format!(
            "it has version {version}, and this program knows {VERSION}"
        ))),
    }
}

/// The databases that were read, under names of their own.
struct Databases<'a> {
    clients: Option<NamedTempFile>,
    state: Option<NamedTempFile>,
    /// Where they are.
    place: &'a Path,
}

impl Databases<'_> {
    async fn read<R: AsyncRead + Unpin>(
        &self,
        tar: &mut TarReader<R>,
    ) -> Result<NamedTempFile, RestoreError> {
        let named = NamedTempFile::new_in(self.place).map_err(TarError::Io)?;
        let file = named.reopen().map_err(TarError::Io)?;
        let mut file = tokio::fs::File::from_std(file);
        tar.copy(&mut file).await?;
        let flushed = tokio::io::AsyncWriteExt::flush(&mut file).await;
        flushed.map_err(TarError::Io)?;
        Ok(named)
    }
}

/// Reads until the end of the member's part.
async fn read_rest<R: AsyncRead + Unpin>(
    tar: &mut TarReader<R>,
    files: &mut Databases<'_>,
    store: &Arc<dyn BlockStore>,
) -> Result<BackupEnd, RestoreError> {
    let mut found = BackupEnd::default();
    loop {
        let entry = tar.next().await?;
        let entry = entry.ok_or_else(|| wrong("it has no end".into()))?;
        if base(&entry.name) == STATE_ENTRY {
            files.state = Some(files.read(tar).await?);
        } else if base(&entry.name) == CLIENTS_ENTRY {
            files.clients = Some(files.read(tar).await?);
        } else if entry.name.contains(BLOCKS_PREFIX) {
            let archive = tar.content(&entry, MAX_ARCHIVE_BYTES).await?;
            let unpacked = import_car(Arc::clone(store), &archive[..], false).await?;
            found.blocks += unpacked.blocks;
            found.bytes += unpacked.bytes;
        } else if base(&entry.name) == END_ENTRY {
            let end: BackupEnd = parse(&tar.content(&entry, MAX_JSON_BYTES).await?)?;
            return match files.state.is_some() && end == found {
                true => Ok(end),
                false => Err(wrong(format!(
                    "{} blocks came of {}",
                    found.blocks, end.blocks
                ))),
            };
        } else {
            return Err(wrong(format!("an entry {} that is not known", entry.name)));
        }
    }
}

/// The name without the directory of the member.
fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or_default()
}

fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, RestoreError> {
    serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))
}

fn wrong(reason: String) -> RestoreError {
    RestoreError::Content { reason }
}
