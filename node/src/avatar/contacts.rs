//! Contacts by name: how the reader calls avatars, in a file with one on each line: `0x… name`.

use crate::{
    exit::{Context, ExitError, ExitStatus},
    ringdir::replace,
};
use rings_protocol::Address;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// The contacts.
#[derive(Debug)]
pub(super) struct Contacts {
    path: PathBuf,
    names: BTreeMap<Address, String>,
}

impl Contacts {
    /// Reads the file beside the avatars; there may be none yet.
    ///
    /// # Errors
    /// Status 2 when it cannot be read.
    pub(super) fn open(files: &Path) -> Result<Self, ExitError> {
        let path = files.join("contacts");
        let what = || {
            format!(
                "{} cannot be read; write one contact a line: 0x… name",
                path.display()
            )
        };
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text.context(ExitStatus::Usage, what())?,
        };
        let mut names = BTreeMap::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (avatar, name) = line.split_once(' ').unwrap_or((line, ""));
            let avatar: Address = avatar.parse().context(ExitStatus::Usage, what())?;
            names.insert(avatar, name.trim().to_owned());
        }
        Ok(Self { path, names })
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = (Address, &str)> {
        self.names
            .iter()
            .map(|(avatar, name)| (*avatar, name.as_str()))
    }

    /// Calls an avatar so from now on.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn call(&mut self, avatar: Address, name: &str) -> Result<(), ExitError> {
        self.names.insert(avatar, name.to_owned());
        let lines = self
            .names
            .iter()
            .map(|(avatar, name)| format!("{avatar} {name}\n"));
        replace(&self.path, lines.collect::<String>().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_survive_and_a_strange_line_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (Address([1; 20]), Address([2; 20]));
        let mut contacts = Contacts::open(directory.path()).unwrap();
        contacts.call(two, "Bob the builder").unwrap();
        contacts.call(one, "alice").unwrap();
        contacts.call(two, "Bob").unwrap();
        let read = Contacts::open(directory.path()).unwrap();
        let all: Vec<_> = read.all().collect();
        assert_eq!(all, [(one, "alice"), (two, "Bob")]);
        fs::write(directory.path().join("contacts"), "bob 0x12\n").unwrap();
        let refused = Contacts::open(directory.path()).unwrap_err();
        assert_eq!(refused.status(), ExitStatus::Usage);
    }
}
