//! The instances and processes of a ring's directory: `instances/HASH.json` with the values of a configuration and the salt, for
//! its owner only, and `processes/CID.json` with the instances that a process is for.

use crate::{
    exit::{Context, ExitError, ExitStatus},
    ringdir::{private_directory, replace, RingDir},
};
use cid::Cid;
use rings_process::{document::Document, instance::Instance};
use rings_protocol::Digest;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Instances, or processes, of one directory at most.
const MAX_FILES: usize = 10_000;

/// A process that was created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Created {
    /// Version of this file.
    pub version: u32,
    /// The process.
    pub process: String,
    /// The instance of each of its services.
    pub instances: BTreeMap<String, Digest>,
}

/// Version of [`Created`].
pub const VERSION: u32 = 1;

fn instances(dir: &RingDir) -> PathBuf {
    dir.root().join("instances")
}

fn processes(dir: &RingDir) -> PathBuf {
    dir.root().join("processes")
}

/// Keeps an instance, and gives its hash.
///
/// # Errors
/// When it cannot be written.
pub fn keep(dir: &RingDir, instance: &Instance) -> Result<Digest, ExitError> {
    let told = |error: rings_process::document::DocumentError| ExitError::usage(error.to_string());
    let (hash, bytes) = (
        instance.hash().map_err(told)?,
        instance.to_bytes().map_err(told)?,
    );
    private_directory(&instances(dir))?;
    replace(&instances(dir).join(format!("{hash}.json")), &bytes)?;
    Ok(hash)
}

/// The instance with this hash.
///
/// # Errors
/// Status 2 when it is not here, or was changed.
pub fn get(dir: &RingDir, hash: Digest) -> Result<Instance, ExitError> {
    let path = instances(dir).join(format!("{hash}.json"));
    let what = format!(
        "there is no instance {hash} in {}; `rings service deploy` makes one",
        dir.root().display()
    );
    let bytes = fs::read(&path).context(ExitStatus::Usage, what)?;
    let instance = Instance::from_bytes(&bytes).ok();
    instance
        .filter(|instance| instance.hash().ok() == Some(hash))
        .ok_or_else(|| {
            ExitError::usage(format!(
                "{} is not what its name says: it was changed; put it back from a backup",
                path.display()
            ))
        })
}

/// The hashes of the instances of a service.
///
/// # Errors
/// When the directory cannot be read.
pub fn of_service(dir: &RingDir, service: Cid) -> Result<Vec<Digest>, ExitError> {
    let mut found = Vec::new();
    for name in names(&instances(dir))? {
        let Ok(hash) = name.parse::<Digest>() else {
            continue;
        };
        if get(dir, hash)?.service == service {
            found.push(hash);
        }
    }
    Ok(found)
}

/// Keeps that a process was created.
///
/// # Errors
/// When it cannot be written.
pub fn create(dir: &RingDir, created: &Created) -> Result<(), ExitError> {
    let text = serde_json::to_string(created);
    let text =
        text.map_err(|error| ExitError::internal("the process cannot be written").because(error))?;
    private_directory(&processes(dir))?;
    replace(
        &processes(dir).join(format!("{}.json", created.process)),
        text.as_bytes(),
    )
}

/// The processes that were created, in the order of their names.
///
/// # Errors
/// When one of the files is none.
pub fn created(dir: &RingDir) -> Result<Vec<Created>, ExitError> {
    let mut found = Vec::new();
    for name in names(&processes(dir))? {
        let path = processes(dir).join(format!("{name}.json"));
        let wrong = format!(
            "{} is no process; delete it, and create the process again",
            path.display()
        );
        let bytes = fs::read(&path).context(ExitStatus::Usage, wrong.as_str())?;
        let created: Created = serde_json::from_slice(&bytes)
            .map_err(|error| ExitError::usage(wrong).because(error))?;
        found.push(created);
    }
    Ok(found)
}

/// The names of the JSON files in a directory, without their ends, in order; none where it is missing.
fn names(directory: &Path) -> Result<Vec<String>, ExitError> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Ok(Vec::new());
    };
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names
        .filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()))
        .collect();
    names.sort();
    match names.len() > MAX_FILES {
        true => Err(ExitError::usage(format!(
            "{} has more than {MAX_FILES} files; use another DIR",
            directory.display()
        ))),
        false => Ok(names),
    }
}
