//! Files of a ring's directory: made private, replaced whole, read at their end.

use crate::exit::{Context, ExitError, ExitStatus};
use std::{fs, io::Write, path::Path};
use tempfile::NamedTempFile;

/// Makes a directory that only its owner can read.
///
/// # Errors
/// When it cannot be made.
pub fn private_directory(path: &Path) -> Result<(), ExitError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.context(
        ExitStatus::Usage,
        format!(
            "cannot make the directory {}; name another with --dir",
            path.display()
        ),
    )
}

/// Replaces a file, whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), ExitError> {
    let write = || {
        let directory = path.parent().unwrap_or(Path::new("."));
        let mut file = NamedTempFile::new_in(directory)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error).map(drop)
    };
    write().context(
        ExitStatus::Unavailable,
        format!(
            "cannot write {}; check the disk's free space",
            path.display()
        ),
    )
}

/// The end of a log file, for an error message: the error that it ends with, or else its last lines as one.
pub fn log_end(path: &Path) -> String {
    const LINES: usize = 3;
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let error = lines.last().and_then(|line| line.strip_prefix("error: "));
    if let Some(error) = error {
        return error.to_owned();
    }
    match lines.len() {
        0 => "it wrote nothing".into(),
        count => lines[count.saturating_sub(LINES)..].join(" | "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_one_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        assert_eq!(log_end(&path), "it wrote nothing");
        fs::write(&path, "a\nb\n\nc\nd\n").unwrap();
        assert_eq!(log_end(&path), "b | c | d");
        fs::write(&path, "a\nerror: no luck\n").unwrap();
        assert_eq!(log_end(&path), "no luck");
    }
}
