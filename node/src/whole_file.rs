//! Files that are there whole or not at all: archives, proofs, accusations.

use super::{
    exit::{Context, ExitError, ExitStatus},
    out::Out,
    run::content::{check_place, is_standard},
};
use std::{
    fs::Permissions,
    io::{self, IsTerminal, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tempfile::{Builder, NamedTempFile};

/// A file that is being written, beside the one that it will replace, or standard output (`-`).
#[derive(Debug)]
pub struct WholeFile {
    /// What it is, for messages.
    what: &'static str,
    out: Out,
    to: Option<(PathBuf, NamedTempFile)>,
}

/// Checks that a file can be written there, before anything is done. Nothing but text goes to a terminal.
///
/// # Errors
/// Status 2 when it cannot.
pub fn check(path: &Path, what: &'static str) -> Result<(), ExitError> {
    if is_standard(path) && io::stdout().is_terminal() {
        return Err(ExitError::usage(format!(
            "{what} is no text for a terminal; name a file"
        )));
    }
    check_place(path).context(ExitStatus::Usage, unwritten(path, what))
}

impl WholeFile {
    /// Nothing yet.
    ///
    /// # Errors
    /// Status 2 when no file can be made there.
    pub fn create(path: &Path, what: &'static str, out: Out) -> Result<Self, ExitError> {
        if is_standard(path) {
            return Ok(Self {
                what,
                out,
                to: None,
            });
        }
        let directory = path.parent();
        let directory = directory.filter(|parent| !parent.as_os_str().is_empty());
        // It is for others too, so the usual permissions hold, and not those of a temporary file.
        let file = Builder::new()
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory.unwrap_or(Path::new(".")));
        let file = file.context(ExitStatus::Usage, unwritten(path, what))?;
        Ok(Self {
            what,
            out,
            to: Some((path.into(), file)),
        })
    }

    /// All of it at once.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(path: &Path, what: &'static str, bytes: &[u8], out: Out) -> Result<(), ExitError> {
        let mut file = Self::create(path, what, out)?;
        file.write(bytes)?;
        file.keep()
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), ExitError> {
        match &mut self.to {
            None => self.out.bytes(bytes),
            Some((path, file)) => file
                .write_all(bytes)
                .context(ExitStatus::Unavailable, unwritten(path, self.what)),
        }
    }

    /// Puts it in place of what was there.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn keep(self) -> Result<(), ExitError> {
        let Some((path, file)) = self.to else {
            return Ok(());
        };
        let kept = file.as_file().sync_all();
        let kept = kept.and_then(|()| file.persist(&path).map_err(|error| error.error));
        let kept = kept.context(ExitStatus::Unavailable, unwritten(&path, self.what));
        kept.map(drop)
    }
}

fn unwritten(path: &Path, what: &str) -> String {
    format!(
        "cannot write {what} to {}; name another file",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_was_there_stays_until_all_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "before").unwrap();
        let out = Out::new(true, false);
        let mut file = WholeFile::create(&path, "a file", out).unwrap();
        file.write(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"before");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        WholeFile::put(&path, "a file", b"after", out).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"after");
        let missing = directory.path().join("no/such/place");
        let failure = check(&missing, "a file").unwrap_err();
        assert_eq!(failure.status(), ExitStatus::Usage);
        assert!(failure.to_string().contains("no/such/place"), "{failure}");
    }
}
