//! Reads a configuration: the file, the environment on top, the defaults, and what follows from other keys.

use super::{
    error::ConfigError,
    keys::{unknown_variable, ConfigFile},
    node_config::NodeConfig,
    resolve::resolve,
};
use std::path::Path;

impl NodeConfig {
    /// Reads `path`, or standard input if it is `-`, with the environment of this process on top.
    ///
    /// # Errors
    /// [`ConfigError`], which names file and line, or the variable.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        if let Some(unknown) = unknown_variable(names) {
            return Err(unknown.into());
        }
        let text = match path == Path::new("-") {
            true => std::io::read_to_string(std::io::stdin()),
            false => std::fs::read_to_string(path),
        };
        let text = text.map_err(|source| ConfigError::Read {
            path: path.into(),
            source,
        })?;
        Self::parse(&text, path, |name| std::env::var(name).ok())
    }

    /// Reads `text`, the content of `path`, with the variables that `environment` gives on top.
    ///
    /// # Errors
    /// As [`NodeConfig::load`].
    pub fn parse(
        text: &str,
        path: &Path,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut file: ConfigFile =
            toml::from_str(text).map_err(|error| ConfigError::in_file(text, path, &error))?;
        file.overlay(&environment)?;
        file.fill_defaults();
        resolve(file, path)
    }
}
