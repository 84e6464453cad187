//! The directory of a ring: which file is where, and `ring.json`.
//!
//! A [`RingDir`] gives the paths, a [`MemberDir`] those of one member. [`RingFile`] is the content of `ring.json`,
//! which other programs may read: chain, contracts, members with their processes. It is always replaced as a whole.
//! Files with secrets are made for their owner only.

mod accounts;
mod disk;
mod member;
mod ring_file;

use crate::exit::{Context, ExitError, ExitStatus};
use ring_file::VERSION;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub use disk::{log_end, private_directory, replace};
pub use member::MemberDir;
pub use ring_file::{ClientFile, MemberEntry, RingFile};

/// The default directory of a ring.
pub const DEFAULT_DIR: &str = ".rings";

/// The directory of a ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingDir {
    root: PathBuf,
}

impl RingDir {
    /// The directory `given`, or the default one.
    pub fn new(given: Option<PathBuf>) -> Self {
        let root = given.unwrap_or_else(|| DEFAULT_DIR.into());
        Self { root }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the directory, for its owner only.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(&self) -> Result<(), ExitError> {
        private_directory(&self.root)
    }

    /// `ring.json`.
    pub fn ring_json(&self) -> PathBuf {
        self.root.join("ring.json")
    }

    /// The bearer token of all members.
    pub fn token(&self) -> PathBuf {
        self.root.join("token")
    }

    /// The account that `rings run` uses.
    pub fn client_key(&self) -> PathBuf {
        self.root.join("client.key")
    }

    /// Locked by the one process that sends transactions from the client's account.
    pub fn client_lock(&self) -> PathBuf {
        self.root.join("client.lock")
    }

    /// Journal of the client's transactions.
    pub fn client_journal(&self) -> PathBuf {
        self.root.join("client.redb")
    }

    /// Journal of the deployment.
    pub fn deploy_journal(&self) -> PathBuf {
        self.root.join("deploy.redb")
    }

    /// Locked by the process that starts or stops something here.
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// Locked by the `rings up` that stays in the foreground.
    pub fn supervisor(&self) -> PathBuf {
        self.root.join("supervisor")
    }

    /// State and log of the chain.
    pub fn anvil(&self) -> PathBuf {
        self.root.join("anvil")
    }

    /// The directory of member `index`.
    pub fn member(&self, index: usize) -> MemberDir {
        let root = self.root.join("members").join(index.to_string());
        MemberDir { root }
    }

    /// The directories of members that are here, in order.
    pub fn member_dirs(&self) -> Vec<MemberDir> {
        let entries = fs::read_dir(self.root.join("members"));
        let names = entries.into_iter().flatten().flatten();
        let mut indices: Vec<usize> = names
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        indices.sort_unstable();
        indices
            .into_iter()
            .map(|index| self.member(index))
            .collect()
    }

    /// Whether an interrupted start has left something here.
    pub fn has_remains(&self) -> bool {
        self.anvil().exists() || self.root.join("members").exists()
    }

    /// Refuses a directory that has data of members and no `ring.json`, as `rings restore` leaves it. `rings up` writes `ring.json`
    /// before it starts a member, so no start that was interrupted leaves such a directory.
    ///
    /// # Errors
    /// Status 2 when it is one.
    pub fn refuse_data_without_ring(&self) -> Result<(), ExitError> {
        let holds = |member: &MemberDir| {
            let entries = fs::read_dir(member.data()).into_iter().flatten();
            entries.flatten().next().is_some()
        };
        let Some(member) = self.member_dirs().into_iter().find(holds) else {
            return Ok(());
        };
        let (root, data) = (self.root.display(), member.data());
        Err(ExitError::usage(format!(
            "{root} has data of members and no ring.json, as a backup has that was put back: move {} to where that member runs, or restore into the directory of the ring",
            data.display()
        )))
    }

    /// Removes the ring and nothing else: the directory itself goes if nothing else is in it.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn remove(&self) -> Result<(), ExitError> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| is_ours(&entry.file_name().to_string_lossy())) {
            let path = entry.path();
            let removed = match path.is_dir() {
                true => fs::remove_dir_all(&path),
                false => fs::remove_file(&path),
            };
            removed.context(
                ExitStatus::Usage,
                format!("cannot remove {}; check who owns it", path.display()),
            )?;
        }
        // Files of others may be there, and stay.
        fs::remove_dir(&self.root).unwrap_or_default();
        Ok(())
    }

    /// What `ring.json` says; `None` if the file does not exist.
    ///
    /// # Errors
    /// When it cannot be read, or is not one of this version.
    pub fn find(&self) -> Result<Option<RingFile>, ExitError> {
        let path = self.ring_json();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let what = format!("cannot read {}; check who owns it", path.display());
                return Err(ExitError::usage(what).because(error));
            }
        };
        let file: RingFile = serde_json::from_str(&text).map_err(|error| {
            let what = format!("{} is not a ring file; name another DIR", path.display());
            ExitError::usage(what).because(error)
        })?;
        if file.version != VERSION {
            let path = path.display();
            let found = file.version;
            return Err(ExitError::usage(format!(
                "{path} has version {found}, not {VERSION}; use the rings that wrote it"
            )));
        }
        Ok(Some(file))
    }

    /// What `ring.json` says; an error when there is no ring.
    ///
    /// # Errors
    /// As [`RingDir::find`], and when there is no ring.
    pub fn read(&self) -> Result<RingFile, ExitError> {
        if let Some(file) = self.find()? {
            return Ok(file);
        }
        self.refuse_data_without_ring()?;
        let root = self.root.display();
        Err(ExitError::usage(match self.has_remains() {
                true => format!("the start of a ring in {root} was interrupted; `rings up` starts it again"),
                false => format!("there is no ring in {root}; start one with `rings up`, or name its directory with --dir"),
            }))
    }

    /// Writes `ring.json`, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &RingFile) -> Result<(), ExitError> {
        let text = serde_json::to_string(file)
            .map_err(|error| ExitError::internal("ring.json cannot be written").because(error))?;
        replace(&self.ring_json(), format!("{text}\n").as_bytes())
    }
}

/// Whether a ring has a file or directory of this name in its directory.
fn is_ours(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "ring.json",
        "members",
        "token",
        "tokens",
        "client.key",
        "client.lock",
        "lock",
        "supervisor",
        "anvil",
        "modules",
        "instances",
        "processes",
    ];
    let is_journal = name.ends_with(".redb")
        && ["client", "deploy", "keeper-"]
            .iter()
            .any(|start| name.starts_with(start));
    NAMES.contains(&name) || is_journal
}

#[cfg(test)]
mod tests {
    use super::{ring_file::example, *};

    #[test]
    fn the_file_has_the_names_of_the_interface_and_reads_back() {
        let directory = tempfile::tempdir().unwrap();
        let dir = RingDir::new(Some(directory.path().into()));
        assert_eq!(dir.find().unwrap(), None);
        dir.write(&example()).unwrap();
        assert_eq!(dir.read().unwrap(), example());
        let json: serde_json::Value =
            serde_json::from_slice(&fs::read(dir.ring_json()).unwrap()).unwrap();
        for key in [
            "version", "chainId", "rpcUrl", "engine", "scope", "ring", "members",
        ] {
            assert!(!json[key].is_null(), "{key}");
        }
        for key in ["address", "peerId", "rpcUrl", "pid"] {
            assert!(!json["members"][0][key].is_null(), "{key}");
        }
    }

    #[test]
    fn only_the_ring_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let dir = RingDir::new(Some(directory.path().join("ring")));
        dir.member(0).create().unwrap();
        dir.write(&example()).unwrap();
        for name in ["client.redb", "notes.txt"] {
            fs::write(dir.root().join(name), "x").unwrap();
        }
        dir.remove().unwrap();
        let left: Vec<_> = fs::read_dir(dir.root()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].file_name(), "notes.txt");
        fs::remove_file(left[0].path()).unwrap();
        dir.remove().unwrap();
        assert!(!dir.root().exists());
    }

    #[test]
    fn the_start_that_was_interrupted_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let dir = RingDir::new(Some(directory.path().into()));
        dir.member(0).create().unwrap();
        let error = dir.read().unwrap_err().to_string();
        assert!(error.contains("interrupted"), "{error}");
        assert_eq!(dir.member_dirs(), [dir.member(0)]);
    }

    #[test]
    fn what_is_no_ring_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let dir = RingDir::new(Some(directory.path().into()));
        let absent = dir.read().unwrap_err();
        assert!(absent.to_string().contains("`rings up`"), "{absent}");
        fs::write(dir.ring_json(), "{}").unwrap();
        assert_eq!(dir.read().unwrap_err().status(), ExitStatus::Usage);
        let later = serde_json::to_string(&RingFile {
            version: 9,
            ..example()
        })
        .unwrap();
        fs::write(dir.ring_json(), later).unwrap();
        let error = dir.read().unwrap_err().to_string();
        assert!(error.contains("version 9"), "{error}");
    }
}
