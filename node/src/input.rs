//! Small files that are read whole.

use super::{
    exit::{Context, ExitError, ExitStatus},
    run::content::is_standard,
};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// The bytes of a file, or of standard input (`-`).
///
/// # Errors
/// Status 2 when it cannot be read, or has more than `most` bytes.
pub fn read_bounded(path: &Path, most: usize) -> Result<Vec<u8>, ExitError> {
    if path.is_dir() {
        let what = format!("{} is a directory; name a file", path.display());
        return Err(ExitError::usage(what));
    }
    let (name, read) = match is_standard(path) {
        true => ("standard input".to_owned(), bounded(io::stdin(), most)),
        false => (
            path.display().to_string(),
            File::open(path).and_then(|file| bounded(file, most)),
        ),
    };
    let bytes = read.context(
        ExitStatus::Usage,
        format!("cannot read {name}; check the path"),
    )?;
    match bytes.len() > most {
        true => Err(ExitError::usage(format!(
            "{name} has more than {most} bytes, and no such file has"
        ))),
        false => Ok(bytes),
    }
}

fn bounded(file: impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
