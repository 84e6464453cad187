//! Opening the database file, and what may be wrong with it.
//!
//! A new database is made under another name and gets its own when it is whole, so a crash never leaves a file that
//! looks damaged. A file of another kind, of another program, of a later format or of another user is refused with the
//! reason, and never changed. Only the owner can read it. After a crash redb checks the file by itself, which is logged
//! with its progress.

use super::{
    database::{check_format, from_io, initialise, is_blank, DatabaseError},
    pins::upgrade,
};
use crate::{
    disk::{Backend, Disk},
    StoreError,
};
use redb::{Builder, Database};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bytes that the database may keep in memory. Small, since blocks are large, seldom read twice in a row,
/// and the operating system caches the file as well.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// What a redb file begins with.
const MAGIC: &[u8] = b"redb";

/// Only the owner reads and writes it.
const MODE: u32 = 0o600;

/// Opens the database at `path`, and makes it if nothing is there.
pub(super) fn open(path: &Path) -> Result<Database, StoreError> {
    let said = |error| from_io(error, path);
    let file = match open_existing(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create(path)?;
            open_existing(path).map_err(said)?
        }
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            return Err(foreign(path, "a directory"))
        }
        opened => opened.map_err(said)?,
    };
    check_owner(path, &file)?;
    check_magic(path, &file)?;
    let database = builder(path)
        .create_file(file)
        .map_err(|error| DatabaseError::from(error).into_error(path))?;
    prepare(&database).map_err(|failure| failure.into_error(path))?;
    Ok(database)
}

/// Opens the database on a [`Disk`] instead of a file, and makes it if the disk is empty.
pub(super) fn open_on(disk: &Arc<dyn Disk>, path: &Path) -> Result<Database, StoreError> {
    let failed = |failure: DatabaseError| failure.into_error(path);
    let is_new = disk.is_empty().map_err(|error| from_io(error, path))?;
    let database = builder(path)
        .create_with_backend(Backend(Arc::clone(disk)))
        .map_err(|error| failed(error.into()))?;
    // Without a file of its own there is no rename that shows a whole database only.
    if is_new || is_blank(&database).map_err(failed)? {
        initialise(&database).map_err(failed)?;
    }
    prepare(&database).map_err(failed)?;
    Ok(database)
}

/// Refuses a database of another program, and brings one of an earlier format up to date.
fn prepare(database: &Database) -> Result<(), DatabaseError> {
    check_format(database)?;
    upgrade(database)
}

fn open_existing(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(path)
}

/// redb's settings. After a crash it checks the whole file, which may take long, so it is told how far it is.
fn builder(path: &Path) -> Builder {
    let mut builder = Builder::new();
    let shown = path.display().to_string();
    builder.set_cache_size(CACHE_BYTES).set_repair_callback(move |repair| {
        let percent = (repair.progress() * 100.0) as u32;
        tracing::info!(path = %shown, percent, "the block database was not closed in order; checking it");
    });
    builder
}

/// Makes the database under another name and gives it its own when it is whole, so that a crash here leaves
/// nothing that looks like a damaged database.
fn create(path: &Path) -> Result<(), StoreError> {
    let new = new_path(path);
    let said = |error| from_io(error, path);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(said(error)),
        _ => {}
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(&new)
        .map_err(said)?;
    let database = builder(path)
        .create_file(file)
        .map_err(|error| DatabaseError::from(error).into_error(path))?;
    initialise(&database).map_err(|failure| failure.into_error(path))?;
    drop(database);
    fs::rename(&new, path)
        .and_then(|()| sync_directory(path))
        .map_err(said)
}

fn new_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Refuses another user's database, even where the permissions would allow it (as root): its owner could no longer read
/// what we wrote.
fn check_owner(path: &Path, file: &File) -> Result<(), StoreError> {
    let owner = file.metadata().map_err(|error| from_io(error, path))?.uid();
    let user = rustix::process::geteuid().as_raw();
    if owner != user {
        return Err(StoreError::ForeignOwner {
            path: path.to_path_buf(),
            owner,
            user,
        });
    }
    Ok(())
}

/// Looks at the first bytes before redb does, so that another kind of file is named as such and is not touched.
fn check_magic(path: &Path, mut file: &File) -> Result<(), StoreError> {
    let mut start = [0; MAGIC.len()];
    match file.read_exact(&mut start) {
        Ok(()) if start == MAGIC => Ok(()),
        Ok(()) => Err(foreign(path, "another kind of file")),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(foreign(path, "another kind of file"))
        }
        Err(error) => Err(from_io(error, path)),
    }
}

fn foreign(path: &Path, what: &'static str) -> StoreError {
    StoreError::ForeignDatabase {
        path: path.to_path_buf(),
        what,
    }
}
