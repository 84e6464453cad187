//! A file with the section `[connectors]` alone: for members that are made anew, and for a process on one machine.

use super::{
    error::ConfigError,
    keys::ConnectorsSection,
    node_config::ConnectorsConfig,
    resolve::connectors,
    values::{List, NamedProgram},
};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The section, with absolute paths.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectorsFile {
    /// `[connectors]`
    pub connectors: ConnectorsSection,
}

impl ConnectorsFile {
    /// Reads a file. Relative paths in it are relative to its directory.
    ///
    /// # Errors
    /// [`ConfigError`], which names file and line.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unread = |source| ConfigError::Read {
            path: path.into(),
            source,
        };
        let text = match path == Path::new("-") {
            true => std::io::read_to_string(std::io::stdin()),
            false => std::fs::read_to_string(path),
        };
        let text = text.map_err(unread)?;
        let mut file: Self =
            toml::from_str(&text).map_err(|error| ConfigError::in_file(&text, path, &error))?;
        let beside = std::path::absolute(path).map_err(unread)?;
        let beside = beside.parent().unwrap_or(Path::new("/"));
        let section = &mut file.connectors;
        section.instances = section.instances.take().map(|path| beside.join(path));
        if let Some(List(programs)) = &mut section.programs {
            for program in programs {
                let (name, path) = program.parts();
                let named = format!("{name}={}", beside.join(PathBuf::from(path)).display());
                // It was of this form before.
                if let Ok(absolute) = NamedProgram::try_from(named) {
                    *program = absolute;
                }
            }
        }
        Ok(file)
    }

    /// What external tasks may use.
    pub fn config(self) -> ConnectorsConfig {
        connectors(self.connectors, Path::new("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_beside_the_file_and_other_sections_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("connectors.toml");
        let text = "[connectors]\nprograms = [\"mail=bin/mail\", \"sms=/opt/sms\"]\nhosts = [\"a.example:8443\"]\n";
        std::fs::write(&path, text).unwrap();
        let config = ConnectorsFile::load(&path).unwrap().config();
        assert_eq!(config.programs["mail"], home.path().join("bin/mail"));
        assert_eq!(config.programs["sms"], Path::new("/opt/sms"));
        assert_eq!(
            (config.hosts.as_slice(), config.at_once),
            (["a.example:8443".to_owned()].as_slice(), 8)
        );
        for (wrong, told) in [
            ("[chain]\nrpc = \"x\"\n", "unknown field"),
            (
                "[connectors]\nprograms = [\"mail\"]\n",
                "a name and the path of a program",
            ),
            (
                "[connectors]\nhosts = [\"https://a.example\"]\n",
                "the name of a host",
            ),
            ("[connectors]\nat_once = 0\n", "a number from 1 to 64"),
        ] {
            std::fs::write(&path, wrong).unwrap();
            let error = ConnectorsFile::load(&path).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
