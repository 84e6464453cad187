//! Small files that only their owner can read: keys, passwords, tokens. A file that others can read is refused. A new
//! one is written whole or not at all, and never in place of one that is there.

use super::error::{malformed, unwritten, KeystoreError};
use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::Path,
};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

/// The name of a file that stands for standard input.
const STANDARD_INPUT: &str = "-";
/// Largest file of a key or password that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;
/// Permission bits that let other users read or write a file.
const OTHERS: u32 = 0o077;

/// Writes a new file of mode 0600, whole or not at all.
///
/// # Errors
/// [`KeystoreError::Exists`], [`KeystoreError::Write`].
pub fn write_secret(path: &Path, content: &[u8]) -> Result<(), KeystoreError> {
    let write = || {
        let mut file = NamedTempFile::new_in(directory(path))?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist_noclobber(path).map_err(|error| error.error)
    };
    match write() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(KeystoreError::Exists { path: path.into() })
        }
        Err(source) => Err(unwritten(path, source)),
    }
}

/// Reads a small file that only its owner can read, or standard input if `path` is `-`.
///
/// # Errors
/// [`KeystoreError::Read`], [`KeystoreError::Permissions`], [`KeystoreError::Form`].
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, KeystoreError> {
    let failed = |source| KeystoreError::Read {
        path: path.into(),
        source,
    };
    let mut text = Zeroizing::new(String::with_capacity(4096));
    if path == Path::new(STANDARD_INPUT) {
        let read = io::stdin().take(MAX_FILE).read_to_string(&mut text);
        return read.map_err(failed).map(|_| text);
    }
    let mut file = File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if found.is_dir() {
        // Its mode is nothing to complain about.
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    let mode = found.mode() & 0o777;
    if mode & OTHERS != 0 {
        let path = path.into();
        return Err(KeystoreError::Permissions { path, mode });
    }
    let read = (&mut file).take(MAX_FILE + 1).read_to_string(&mut text);
    match read.map_err(failed)? {
        length if length as u64 > MAX_FILE => Err(malformed(path, "it is too long")),
        _ => Ok(text),
    }
}

/// The directory that `path` is in.
fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
