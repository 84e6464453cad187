use super::{artifact::Artifact, error::GenerateError, errors::add_errors_of_callees};
use ethers_solc::Solc;
use serde_json::{json, Map, Value};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The contracts that have a file in `json/`.
pub const CONTRACTS: [&str; 6] = ["Account", "Engine", "Gate", "Registry", "Ring", "Scope"];
const SOURCES: &str = "contracts/src";

/// Compiles the contracts under `project` with the compiler at `solc`.
///
/// # Errors
/// If a source cannot be read, the compiler cannot be run, or the contracts do not compile.
pub fn compile(project: &Path, solc: &Path) -> Result<Vec<Artifact>, GenerateError> {
    let input = standard_json(project)?;
    let output: Value = Solc::new(solc)
        .with_base_path(project)
        .compile_as(&input)
        .map_err(|source| GenerateError::Solc {
            path: solc.to_path_buf(),
            source: Box::new(source),
        })?;
    refuse_errors(&output)?;
    let mut artifacts = CONTRACTS
        .iter()
        .map(|name| artifact(&output, name))
        .collect::<Result<Vec<Artifact>, GenerateError>>()?;
    add_errors_of_callees(&mut artifacts);
    Ok(artifacts)
}

/// What the compiler is given. The settings are those of `foundry.toml`, so that both give the same bytecode.
fn standard_json(project: &Path) -> Result<Value, GenerateError> {
    let mut sources = Map::new();
    add_sources(project, Path::new(SOURCES), &mut sources)?;
    Ok(json!({
        "language": "Solidity",
        "sources": sources,
        "settings": {
            "remappings": ["solady/=contracts/node_modules/solady/"],
            "optimizer": { "enabled": true, "runs": 200 },
            "evmVersion": "cancun",
            "viaIR": false,
            "metadata": { "bytecodeHash": "none", "appendCBOR": false },
            "outputSelection": { "*": { "*": ["abi", "evm.bytecode.object"] } },
        },
    }))
}

/// Adds the Solidity files under `directory`; its libraries the compiler reads itself.
fn add_sources(
    project: &Path,
    directory: &Path,
    sources: &mut Map<String, Value>,
) -> Result<(), GenerateError> {
    let path = project.join(directory);
    for entry in fs::read_dir(&path).map_err(|source| GenerateError::File {
        path: path.clone(),
        source,
    })? {
        let entry = entry.map_err(|source| GenerateError::File {
            path: path.clone(),
            source,
        })?;
        let name = directory.join(entry.file_name());
        if entry.path().is_dir() {
            add_sources(project, &name, sources)?;
        } else if name.extension().is_some_and(|extension| extension == "sol") {
            sources.insert(
                name.display().to_string(),
                json!({ "content": read(entry.path())? }),
            );
        }
    }
    Ok(())
}

fn read(path: PathBuf) -> Result<String, GenerateError> {
    fs::read_to_string(&path).map_err(|source| GenerateError::File { path, source })
}

fn refuse_errors(output: &Value) -> Result<(), GenerateError> {
    let messages: Vec<&str> = output["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|error| error["severity"] == "error")
        .filter_map(|error| error["formattedMessage"].as_str())
        .collect();
    if messages.is_empty() {
        return Ok(());
    }
    Err(GenerateError::Compile(messages.join("\n")))
}

fn artifact(output: &Value, name: &str) -> Result<Artifact, GenerateError> {
    let contract = &output["contracts"][format!("{SOURCES}/{name}.sol")][name];
    let bytecode = contract["evm"]["bytecode"]["object"]
        .as_str()
        .filter(|bytecode| !bytecode.is_empty())
        .ok_or_else(|| GenerateError::Missing(name.to_string()))?;
    Ok(Artifact {
        contract_name: name.to_string(),
        abi: contract["abi"].clone(),
        bytecode: format!("0x{bytecode}"),
    })
}
