//! The directory of one member.

use super::disk::private_directory;
use crate::exit::ExitError;
use std::path::PathBuf;

/// The directory of one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDir {
    pub(super) root: PathBuf,
}

impl MemberDir {
    /// Makes the directory, for its owner only.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(&self) -> Result<(), ExitError> {
        private_directory(&self.root)
    }

    /// Whether the member is one of this machine.
    pub fn exists(&self) -> bool {
        self.root.is_dir()
    }

    /// Its configuration.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// Its key.
    pub fn keystore(&self) -> PathBuf {
        self.root.join("key.json")
    }

    /// The password of its key.
    pub fn password(&self) -> PathBuf {
        self.root.join("password")
    }

    /// The log file of its process.
    pub fn log(&self) -> PathBuf {
        self.root.join("node.log")
    }

    /// The directory of its databases.
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Locked by the running member; it holds the process id.
    pub fn lock(&self) -> PathBuf {
        self.data().join("lock")
    }
}
