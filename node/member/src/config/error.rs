//! Why a configuration is refused. Each error names the file and line, or the variable, and what was expected there.

use std::path::{Path, PathBuf};

/// An environment variable whose name begins as those of this program do, and which the program does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownVariable {
    /// Its name.
    pub name: String,
    /// The name that may have been meant.
    pub meant: Option<String>,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}; give its path with --config", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML, has an unknown key, or a value that is not of its type.
    #[error("{}:{line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// An environment variable has a value that is not of its type.
    #[error("the environment variable {name}: {reason}")]
    Environment {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An environment variable begins with `RINGS_` and is unknown.
    #[error("the environment variable {name} is unknown{}; correct it, or unset it", meant.as_ref().map_or(String::new(), |meant| format!(", and {meant} may be meant")))]
    UnknownVariable {
        /// Its name.
        name: String,
        /// The name that may have been meant.
        meant: Option<String>,
    },
    /// A key that has no default is neither in the file nor in the environment.
    #[error("{}: [{section}] {key} is missing; write it there or set {name}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The section.
        section: &'static str,
        /// The key.
        key: &'static str,
        /// The environment variable that can give it instead.
        name: String,
    },
    /// More providers of the chain must agree than there are.
    #[error("{}: [chain] agree = {agree}, and rpc names {providers} provider{}; name more of them, or lower it", path.display(), if *providers == 1 { "" } else { "s" })]
    TooFewProviders {
        /// The file.
        path: PathBuf,
        /// How many must agree.
        agree: usize,
        /// How many there are.
        providers: usize,
    },
    /// A certificate without a key, or the other way round.
    #[error("{}: [{section}] {has} is set and {lacks} is not; a certificate needs both; write it there or set {name}", path.display())]
    HalfOfTls {
        /// The file.
        path: PathBuf,
        /// The section.
        section: &'static str,
        /// The key that is set.
        has: &'static str,
        /// The key that is not.
        lacks: &'static str,
        /// The environment variable that can give it.
        name: String,
    },
    /// The key is here, and a signer has it.
    #[error("{}: [key] and [signer] are both set; leave one of them out: the key is on this machine, or a signer has it", path.display())]
    KeyAndSigner {
        /// The file.
        path: PathBuf,
    },
    /// A private ring, and no key that unwraps.
    #[error("{}: [ring] readers and [signer] are both set; the keys of a private ring are wrapped to the member's key, and a signer unwraps nothing: use [key] in this ring", path.display())]
    ReadersNeedKey {
        /// The file.
        path: PathBuf,
    },
}

impl From<UnknownVariable> for ConfigError {
    fn from(UnknownVariable { name, meant }: UnknownVariable) -> Self {
        Self::UnknownVariable { name, meant }
    }
}

impl ConfigError {
    /// What is wrong in a TOML text, with its line.
    pub(super) fn in_file(text: &str, path: &Path, error: &toml::de::Error) -> Self {
        let offset = error.span().map_or(0, |span| span.start).min(text.len());
        let before = &text.as_bytes()[..offset];
        Self::Line {
            path: path.into(),
            line: 1 + before.iter().filter(|byte| **byte == b'\n').count(),
            reason: error.message().replace('\n', ", "),
        }
    }
}
