//! Recovery lines: in files, and shown to people.

use super::log_file::DIRECTORY;
use crate::{
    exit::{Context, ExitError, ExitStatus},
    out::Out,
    ringdir::replace,
};
use qrcode::{render::unicode::Dense1x2, QrCode};
use rings_client::{Domain, RecoveryLine, Secrecy};
use rings_member::keystore::{read_secret, write_secret};
use rings_protocol::Address;
use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

/// Reads a recovery line from a file that only its owner can read.
///
/// # Errors
/// Status 2 when the file cannot be used, or has no such line.
pub(super) fn read_line(path: &Path) -> Result<RecoveryLine, ExitError> {
    let text = read_secret(path)?;
    let what = format!(
        "{} has no recovery line; copy the whole line into it",
        path.display()
    );
    text.parse().context(ExitStatus::Usage, what)
}

/// Where the line of a ring is kept, beside the avatars.
pub(super) fn path(files: &Path, ring: Address) -> PathBuf {
    files.join(format!("{ring}.line"))
}

/// The line of a ring, if it is kept here.
///
/// # Errors
/// Status 2 when the file cannot be used.
pub(super) fn kept(files: &Path, ring: Address) -> Result<Option<RecoveryLine>, ExitError> {
    let path = path(files, ring);
    match path.exists() {
        true => read_line(&path).map(Some),
        false => Ok(None),
    }
}

/// Who can read the logs of a client ring: whoever has its recovery line in the directory of the ring that keeps them.
///
/// # Errors
/// Status 2 when the file cannot be used.
pub fn secrecy(root: Option<&Path>, domain: &Domain) -> Result<Secrecy, ExitError> {
    let line = match root {
        Some(root) => kept(&root.join(DIRECTORY), domain.ring)?,
        None => None,
    };
    let keys = line.map(|line| line.keys).unwrap_or_default();
    Ok(Secrecy::of(domain, &keys, None))
}

/// Keeps a line, unless there is one of this ring.
///
/// # Errors
/// Status 2 when it cannot be written.
pub(super) fn keep(files: &Path, line: &RecoveryLine) -> Result<PathBuf, ExitError> {
    let path = path(files, line.domain.ring);
    if !path.exists() {
        write_secret(&path, format!("{}\n", line.to_line()).as_bytes())?;
    }
    Ok(path)
}

/// Writes a line in place of the one that is kept: there are further keys in it.
///
/// # Errors
/// Status 5 when it cannot be written.
pub(super) fn renew(files: &Path, line: &RecoveryLine) -> Result<(), ExitError> {
    let path = path(files, line.domain.ring);
    replace(&path, format!("{}\n", line.to_line()).as_bytes())
}

/// Prints the line of a ring that is kept in a directory.
///
/// # Errors
/// Status 2 when there is none.
pub(super) fn print(root: &Path, ring: Address, out: Out) -> Result<(), ExitError> {
    let line = kept(&root.join(DIRECTORY), ring)?;
    let line = line.ok_or_else(|| {
        ExitError::usage(format!(
            "the recovery line of ring {ring} is not in {}; ask another member of the ring for it",
            root.display()
        ))
    })?;
    let text = line.to_line();
    if io::stdout().is_terminal() {
        for row in qr_code(&text) {
            out.note(row);
        }
    }
    out.line(text)
}

/// Shows a line that has just been made, on a terminal, also as a QR code. Elsewhere it is not shown, for a log of a program
/// may be read by others.
pub(super) fn show(line: &RecoveryLine, path: &Path, out: Out) {
    let (text, ring, place) = (line.to_line(), line.domain.ring, path.display());
    if !io::stderr().is_terminal() {
        return out.note(format_args!(
            "the recovery line is in {place}, and `rings ring line --ring {ring}` prints it: whoever has it can read the ring"
        ));
    }
    out.note("the recovery line: whoever has it can read the ring. Give it to its members, and keep a copy apart from your devices");
    out.note(&text);
    out.note(format_args!("it is also in {place}"));
    for row in qr_code(&text) {
        out.note(row);
    }
}

/// A QR code in rows of text; none if the text is too long for one.
fn qr_code(text: &str) -> Vec<String> {
    let Ok(code) = QrCode::new(text) else {
        return Vec::new();
    };
    let shown = code.render::<Dense1x2>().build();
    shown.lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_four_replicas_is_a_code() {
        let text = format!("rings:1?{}", "http%3A%2F%2F127.0.0.1%3A7545&".repeat(16));
        let rows = qr_code(&text);
        assert!(rows.len() > 20);
        let width = rows[0].chars().count();
        assert!(rows.iter().all(|row| row.chars().count() == width));
        assert_eq!(qr_code(&"x".repeat(9000)), Vec::<String>::new());
    }
}
