//! The files of a member's databases: how they are made, and whose they are.

use super::{
    database::Durable,
    error::{is_full, StateError},
    tables::{CACHE_BYTES, META},
};
use redb::{Database, DatabaseError, ReadableTable, StorageError, WriteTransaction};
use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

/// Opens the database in the file `path`. `initialise` refuses one that is another's, and gives a new one its tables.
///
/// A new one is made under another name and gets its own when it is whole, so that a crash leaves nothing that looks like a
/// damaged database.
pub(super) fn open_or_make(
    path: &Path,
    initialise: impl Fn(&WriteTransaction) -> Result<(), StateError>,
) -> Result<Durable, StateError> {
    if !fs::metadata(path).is_ok_and(|file| file.len() > 0) {
        make(path, &initialise)?;
    }
    let database = in_file(path)?;
    database.write(initialise)?;
    Ok(database)
}

fn in_file(path: &Path) -> Result<Durable, StateError> {
    let file = path.to_path_buf();
    Durable::new(move || {
        Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(&file)
            .map_err(|error| explain(&file, error))
    })
}

fn make(
    path: &Path,
    initialise: impl Fn(&WriteTransaction) -> Result<(), StateError>,
) -> Result<(), StateError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let failed = |error: io::Error| explain(path, DatabaseError::Storage(StorageError::Io(error)));
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let database = in_file(&new)?;
    database.write(initialise)?;
    drop(database);
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    fs::rename(&new, path)
        .and_then(|()| File::open(parent)?.sync_all())
        .map_err(failed)
}

pub(super) fn explain(path: &Path, error: DatabaseError) -> StateError {
    let path = path.to_path_buf();
    match error {
        DatabaseError::DatabaseAlreadyOpen => StateError::Locked { path },
        DatabaseError::Storage(redb::StorageError::Io(io)) => match io.kind() {
            ErrorKind::PermissionDenied => StateError::Denied { path },
            kind if is_full(kind) => StateError::DiskFull,
            _ => StateError::Corrupt {
                path,
                source: io.into(),
            },
        },
        other => StateError::Corrupt {
            path,
            source: other.into(),
        },
    }
}

/// Writes into a new database whose it is, and refuses one that is another's.
pub(super) fn claim(
    transaction: &WriteTransaction,
    path: &Path,
    key: &str,
    wanted: String,
) -> Result<(), StateError> {
    let mut meta = transaction.open_table(META)?;
    let found = meta
        .get(key)?
        .map(|bytes| String::from_utf8_lossy(bytes.value()).into_owned());
    match found {
        Some(found) if found != wanted => Err(StateError::Foreign {
            path: path.into(),
            found,
            wanted,
        }),
        Some(_) => Ok(()),
        None => {
            meta.insert(key, wanted.as_bytes())?;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_an_interrupted_start_is_no_damage() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("some.redb");
        let claimed = |whose: &str| {
            open_or_make(&path, |transaction| {
                claim(transaction, &path, "whose", whose.into())
            })
        };
        fs::write(directory.path().join("some.redb.new"), "half of it").unwrap();
        fs::write(&path, "").unwrap();
        drop(claimed("mine").unwrap());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        let foreign = claimed("yours").err();
        assert!(
            matches!(foreign, Some(StateError::Foreign { .. })),
            "{foreign:?}"
        );
        claimed("mine").unwrap();
    }
}
