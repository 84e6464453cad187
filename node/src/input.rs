//! Small files that are read whole; `-` is standard input.

use super::{
    exit::{Context, ExitError, ExitStatus},
    run::content::is_standard,
};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

/// Most bytes of a text: lists of members, events, values.
const MOST_TEXT: usize = 64 << 20;

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

/// The text of a file, or of standard input (`-`).
///
/// # Errors
/// Status 2 when it cannot be read, is no text, or has more than [`MOST_TEXT`] bytes.
pub fn read_text(path: &Path) -> Result<String, ExitError> {
    let text = String::from_utf8(read_bounded(path, MOST_TEXT)?);
    text.context(
        ExitStatus::Usage,
        format!("{} is no text; check the path", path.display()),
    )
}

fn bounded(file: impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_or_no_text_is_a_mistake_of_usage() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "a text").unwrap();
        assert_eq!(read_text(&path).unwrap(), "a text");
        assert!(read_bounded(&path, 3).is_err());
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        for (wrong, told) in [
            (path.as_path(), "no text"),
            (directory.path(), "is a directory; name a file"),
            (Path::new("/nonexistent"), "cannot read /nonexistent"),
        ] {
            let failure = read_text(wrong).unwrap_err();
            assert_eq!(failure.status(), ExitStatus::Usage);
            assert!(failure.to_string().contains(told), "{failure}");
        }
    }
}
