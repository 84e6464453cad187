//! The file that `--next-state` names: all of the state, or what was there before.

use crate::cli::failure::{Context, Failure, Status};
use std::{
    io::Write,
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// A state that is being written, beside the file that it will replace.
#[derive(Debug)]
pub struct NextState {
    path: PathBuf,
    file: NamedTempFile,
}

impl NextState {
    /// Nothing yet.
    ///
    /// # Errors
    /// Status 2 when no file can be made there.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let file = NamedTempFile::new_in(directory.unwrap_or(Path::new(".")));
        Ok(Self {
            file: file.context(Status::Usage, unwritten(path))?,
            path: path.into(),
        })
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.file.write_all(bytes);
        written.context(Status::Unavailable, unwritten(&self.path))
    }

    /// Puts it in place of what was there.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn keep(self) -> Result<(), Failure> {
        let synced = self.file.as_file().sync_all();
        synced.context(Status::Unavailable, unwritten(&self.path))?;
        let kept = self.file.persist(&self.path).map_err(|error| error.error);
        kept.context(Status::Unavailable, unwritten(&self.path))?;
        Ok(())
    }
}

fn unwritten(path: &Path) -> String {
    format!(
        "cannot write the next state to {}; name another file",
        path.display()
    )
}
