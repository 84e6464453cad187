use super::GenerateError;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A contract as it is committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Artifact {
    /// Its name, which is also that of the file.
    pub contract_name: String,
    /// Functions, events and errors.
    pub abi: Value,
    /// The code that creates it, 0x-hex, without constructor arguments.
    pub bytecode: String,
}

impl Artifact {
    /// The file of this contract under `project`.
    fn path(&self, project: &Path) -> PathBuf {
        project
            .join("abi/json")
            .join(format!("{}.json", self.contract_name))
    }

    /// The content of the file. The compiler sorts keys, so it does not matter whether `Value` does.
    fn to_json(&self) -> String {
        let Self {
            contract_name,
            abi,
            bytecode,
        } = self;
        format!("{{\n\"contractName\": \"{contract_name}\",\n\"abi\": {abi:#},\n\"bytecode\": \"{bytecode}\"\n}}\n")
    }
}

/// Writes the files under `project`.
///
/// # Errors
/// If one cannot be written.
pub fn write(project: &Path, artifacts: &[Artifact]) -> Result<(), GenerateError> {
    for artifact in artifacts {
        let path = artifact.path(project);
        fs::write(&path, artifact.to_json())
            .map_err(|source| GenerateError::File { path, source })?;
    }
    Ok(())
}

/// Compares the files under `project` with `artifacts`.
///
/// # Errors
/// [`GenerateError::Drift`] with the contracts whose files differ or do not exist.
pub fn check(project: &Path, artifacts: &[Artifact]) -> Result<(), GenerateError> {
    let differ = |artifact: &&Artifact| {
        let committed = fs::read_to_string(artifact.path(project));
        !committed.is_ok_and(|text| text == artifact.to_json())
    };
    let drifted: Vec<String> = artifacts
        .iter()
        .filter(differ)
        .map(|artifact| artifact.contract_name.clone())
        .collect();
    if drifted.is_empty() {
        return Ok(());
    }
    Err(GenerateError::Drift(drifted))
}
