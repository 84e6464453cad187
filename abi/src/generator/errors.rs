//! Adds to each ABI the errors of the contracts that it calls.
//!
//! The compiler lists the errors that a contract declares. A function that calls another contract can also revert with
//! the errors of that contract, and a caller decodes them with the ABI of the contract that it called.

use super::artifact::Artifact;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Which contracts each contract calls, without catching what they revert with.
const CALLS: [(&str, &[&str]); 3] = [
    ("Engine", &["Ring", "Scope"]),
    ("Gate", &["Ring"]),
    ("Ring", &["Account", "Gate", "Scope"]),
];

/// Adds to each of `artifacts` the errors of the contracts that it calls, behind its own.
pub fn add_errors_of_callees(artifacts: &mut [Artifact]) {
    let own: BTreeMap<String, Vec<Value>> = artifacts
        .iter()
        .map(|artifact| (artifact.contract_name.clone(), errors(&artifact.abi)))
        .collect();
    for artifact in artifacts {
        let callees = callees_of(&artifact.contract_name);
        let further = callees
            .iter()
            .filter_map(|callee| own.get(*callee))
            .flatten();
        add(&mut artifact.abi, further);
    }
}

fn callees_of(contract: &str) -> &'static [&'static str] {
    CALLS
        .iter()
        .find(|(caller, _)| *caller == contract)
        .map_or(&[], |(_, callees)| callees)
}

/// Adds those of `further` that are not in `abi`.
fn add<'a>(abi: &mut Value, further: impl Iterator<Item = &'a Value>) {
    let mut known: BTreeSet<String> = errors(abi).iter().map(signature).collect();
    let Some(entries) = abi.as_array_mut() else {
        return;
    };
    for error in further {
        if known.insert(signature(error)) {
            entries.push(error.clone());
        }
    }
}

fn errors(abi: &Value) -> Vec<Value> {
    let entries = abi.as_array().into_iter().flatten();
    entries
        .filter(|entry| entry["type"] == "error")
        .cloned()
        .collect()
}

/// What an error's selector is the hash of. No error of the contracts has a struct in it.
fn signature(error: &Value) -> String {
    let inputs = error["inputs"].as_array().into_iter().flatten();
    let types: Vec<&str> = inputs.filter_map(|input| input["type"].as_str()).collect();
    format!(
        "{}({})",
        error["name"].as_str().unwrap_or_default(),
        types.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::add_errors_of_callees;
    use crate::generator::Artifact;
    use serde_json::{json, Value};

    fn artifact(name: &str, abi: Value) -> Artifact {
        Artifact {
            contract_name: name.to_string(),
            abi,
            bytecode: String::new(),
        }
    }

    fn error(name: &str, types: &[&str]) -> Value {
        let inputs: Vec<Value> = types
            .iter()
            .map(|kind| json!({ "name": "value", "type": kind }))
            .collect();
        json!({ "type": "error", "name": name, "inputs": inputs })
    }

    #[test]
    fn a_caller_gets_the_errors_of_its_callees_once() {
        let function = json!({ "type": "function", "name": "exit", "inputs": [] });
        let shared = error("Shared", &["uint256"]);
        let other = error("Shared", &["address"]);
        let mut artifacts = [
            artifact("Gate", json!([shared])),
            artifact("Ring", json!([function, shared, other])),
        ];
        add_errors_of_callees(&mut artifacts);
        assert_eq!(artifacts[0].abi, json!([shared, other]));
        assert_eq!(artifacts[1].abi, json!([function, shared, other]));
    }

    #[test]
    fn a_contract_that_calls_none_stays_as_it_is() {
        let mut artifacts = [
            artifact("Scope", json!([error("Own", &[])])),
            artifact("Ring", json!([error("Foreign", &[])])),
        ];
        add_errors_of_callees(&mut artifacts);
        assert_eq!(artifacts[0].abi, json!([error("Own", &[])]));
    }
}
