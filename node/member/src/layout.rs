//! The version of a data directory: what is in it, and how.
//!
//! A file names the version, and the program that wrote it last. It is read before anything else in the directory is
//! opened ([`check`]), so that a program that does not know a later version touches nothing. An earlier version moves
//! forward by itself: the databases do so when they are opened, and the file is written after that ([`settle`]), as a
//! whole or not at all.
//!
//! Going back is refused on purpose. An earlier program would not understand what a later one has signed, and could
//! sign something that contradicts it.

use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// 3: the directory names its version. Before, only the state database did.
/// 4: copies of logs may begin at a head on chain, and a private ring's keys are kept.
/// 5: blocks of log nodes may be in the state database alone.
/// 6: the state database finds positions by the beginning of a digest.
/// 7: the last rounds may be in the redo log of the state database alone.
const FORMAT: u32 = 7;
const FILE: &str = "version";
/// This program, as it names itself in the file.
const PROGRAM: &str = concat!("rings ", env!("CARGO_PKG_VERSION"));

/// Why a data directory cannot be used by this program.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A later version wrote it.
    #[error("{path} was written by {program} in format {found}, and this is {PROGRAM}, which knows formats up to {FORMAT}: run {program} or a later version; an earlier one could sign what contradicts it")]
    Later {
        /// The data directory.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The program that wrote it.
        program: String,
    },
    /// The file that names the version is not readable.
    #[error("{path} does not name the version of its directory; restore it, or delete this one file if the directory was never used by a later version")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The file cannot be read or written.
    #[error("{path} cannot be read or written; check its owner and the disk")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    format: u32,
    program: String,
}

impl Written {
    fn by_this() -> Self {
        Self {
            format: FORMAT,
            program: PROGRAM.to_owned(),
        }
    }
}

/// Refuses a directory of a later version. To be called before anything else in it is opened.
///
/// # Errors
/// [`LayoutError`], which says which program to run.
pub(super) fn check(directory: &Path) -> Result<(), LayoutError> {
    match read(directory)? {
        Some(Written { format, program }) if format > FORMAT => Err(LayoutError::Later {
            path: directory.into(),
            found: format,
            program,
        }),
        _ => Ok(()),
    }
}

/// Writes that the directory has this version, once its databases have.
///
/// # Errors
/// [`LayoutError::File`] when it cannot be written.
pub(super) fn settle(directory: &Path) -> Result<(), LayoutError> {
    let (before, now) = (read(directory)?, Written::by_this());
    if before.as_ref() == Some(&now) {
        return Ok(());
    }
    if let Some(before) = before {
        tracing::info!(
            from = before.format,
            written_by = before.program,
            to = now.format,
            "the data directory moves forward to this version"
        );
    }
    let path = directory.join(FILE);
    write(directory, &path, &now).map_err(|source| LayoutError::File { path, source })
}

fn read(directory: &Path) -> Result<Option<Written>, LayoutError> {
    let path = directory.join(FILE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(LayoutError::File { path, source }),
    };
    let written = serde_json::from_slice(&text);
    written
        .map(Some)
        .map_err(|source| LayoutError::Malformed { path, source })
}

/// Replaces the file, whole or not at all.
fn write(directory: &Path, path: &Path, written: &Written) -> io::Result<()> {
    let mut file = NamedTempFile::new_in(directory)?;
    serde_json::to_writer(&mut file, written)?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_moves_forward_and_never_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        // One that an earlier version made names nothing.
        check(path).unwrap();
        settle(path).unwrap();
        assert_eq!(read(path).unwrap(), Some(Written::by_this()));
        check(path).unwrap();
        settle(path).unwrap();

        let later = Written {
            format: FORMAT + 1,
            program: "rings 9.9.9".into(),
        };
        write(path, &path.join(FILE), &later).unwrap();
        let refused = check(path).unwrap_err().to_string();
        assert!(
            refused.contains("run rings 9.9.9 or a later version"),
            "{refused}"
        );
        assert!(refused.contains(PROGRAM), "{refused}");
        assert_eq!(read(path).unwrap(), Some(later), "nothing was touched");
    }

    #[test]
    fn an_earlier_program_of_the_same_format_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let earlier = Written {
            format: FORMAT,
            program: "rings 0.0.1".into(),
        };
        write(path, &path.join(FILE), &earlier).unwrap();
        check(path).unwrap();
        settle(path).unwrap();
        assert_eq!(read(path).unwrap(), Some(Written::by_this()));
        fs::write(path.join(FILE), "half a fi").unwrap();
        assert!(matches!(check(path), Err(LayoutError::Malformed { .. })));
    }
}
