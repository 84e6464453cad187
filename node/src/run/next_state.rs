//! The file that `--next-state` names. It gets the whole state, or stays as it was.

use super::content::{check_place, is_standard};
use crate::{
    exit::{Context, ExitError, ExitStatus},
    out::Out,
};
use std::{
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

/// Bytes of a state that are copied to standard output at once.
const COPIED_BYTES: usize = 256 * 1024;

/// A state that is being written, beside the file that it will replace.
#[derive(Debug)]
pub struct NextState {
    path: PathBuf,
    file: NamedTempFile,
    out: Out,
}

/// Checks that a state can be written there, before anything is done.
///
/// # Errors
/// Status 2 when it cannot.
pub fn check(path: &Path) -> Result<(), ExitError> {
    check_place(path).context(ExitStatus::Usage, unwritten(path))
}

impl NextState {
    /// Nothing yet. For `-`, which is standard output, the state is kept in a temporary file until all of it is there.
    ///
    /// # Errors
    /// Status 2 when no file can be made there.
    pub fn create(path: &Path, out: Out) -> Result<Self, ExitError> {
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let file = match is_standard(path) {
            true => NamedTempFile::new(),
            false => NamedTempFile::new_in(directory.unwrap_or(Path::new("."))),
        };
        Ok(Self {
            file: file.context(ExitStatus::Usage, unwritten(path))?,
            path: path.into(),
            out,
        })
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ExitError> {
        let written = self.file.write_all(bytes);
        written.context(ExitStatus::Unavailable, unwritten(&self.path))
    }

    /// Puts it in place of what was there.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn keep(mut self) -> Result<(), ExitError> {
        if is_standard(&self.path) {
            return self.show();
        }
        let synced = self.file.as_file().sync_all();
        synced.context(ExitStatus::Unavailable, unwritten(&self.path))?;
        let kept = self.file.persist(&self.path).map_err(|error| error.error);
        kept.context(ExitStatus::Unavailable, unwritten(&self.path))?;
        Ok(())
    }

    fn show(&mut self) -> Result<(), ExitError> {
        let unread = "cannot read the next state, which was kept in a temporary file";
        let file = self.file.as_file_mut();
        file.seek(SeekFrom::Start(0))
            .context(ExitStatus::Internal, unread)?;
        let mut buffer = vec![0; COPIED_BYTES];
        loop {
            match file
                .read(&mut buffer)
                .context(ExitStatus::Internal, unread)?
            {
                0 => return Ok(()),
                length => self.out.bytes(&buffer[..length])?,
            }
        }
    }
}

fn unwritten(path: &Path) -> String {
    format!(
        "cannot write the next state to {}; name another file",
        path.display()
    )
}
