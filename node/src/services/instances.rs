//! The instances of a ring's directory: `instances/HASH.json` with the values of a configuration and the salt, for its owner only.

use crate::{
    exit::{Context, ExitError, ExitStatus},
    input::read_text,
    ringdir::{private_directory, replace, RingDir},
};
use cid::Cid;
use rings_process::{
    data::{Data, Fields},
    document::Document,
    instance::Instance,
    service::Service,
};
use rings_protocol::Digest;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Instances of one directory at most.
const MAX_FILES: usize = 10_000;

fn instances(dir: &RingDir) -> PathBuf {
    dir.root().join("instances")
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

/// All instances, in the order of their hashes.
///
/// # Errors
/// When the directory cannot be read.
pub fn all(dir: &RingDir) -> Result<Vec<(Digest, Instance)>, ExitError> {
    let names = names(&instances(dir))?;
    let hashes = names.iter().filter_map(|name| name.parse::<Digest>().ok());
    hashes.map(|hash| Ok((hash, get(dir, hash)?))).collect()
}

/// The hashes of the instances of a service.
///
/// # Errors
/// When the directory cannot be read.
pub fn of_service(dir: &RingDir, service: Cid) -> Result<Vec<Digest>, ExitError> {
    let all = all(dir)?.into_iter();
    let of_service = all.filter(|(_, instance)| instance.service == service);
    Ok(of_service.map(|(hash, _)| hash).collect())
}

/// The values of the configuration: those that the service names, and no others.
///
/// # Errors
/// Status 2 when they are others, or cannot be read.
pub fn values(path: Option<&Path>, service: &Service) -> Result<Fields, ExitError> {
    let fields = match path {
        None => Fields::new(),
        Some(path) => {
            let shown = path.display();
            let text = read_text(path)?;
            // What the decoder says could show a value.
            match serde_json::from_str(&text) {
                Ok(Data::Map(fields)) => fields,
                _ => return Err(ExitError::usage(format!("{shown} is no JSON object of names and values (without fractions); write {{\"name\": value}}"))),
            }
        }
    };
    if let Some(missing) = service
        .config
        .iter()
        .find(|name| !fields.contains_key(*name))
    {
        return Err(ExitError::usage(format!(
            "the configuration has no value for {missing}; give it in a file with --config"
        )));
    }
    match fields.keys().find(|name| !service.config.contains(*name)) {
        Some(other) => Err(ExitError::usage(format!(
            "the service has no configuration {other}; remove it from the file"
        ))),
        None => Ok(fields),
    }
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
