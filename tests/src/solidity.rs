//! Contracts of examples, compiled by the compiler that the test command installs.

use super::Call;
use serde_json::{json, Value};
use std::{env, fs, path::Path};

/// The code that deploys each of these contracts of a file, in hexadecimal with `0x`.
///
/// # Panics
/// When the file does not compile, or lacks one of them.
pub fn compile<const N: usize>(path: &Path, contracts: [&str; N]) -> [String; N] {
    let asked = json!({
        "language": "Solidity",
        "sources": { "file": { "content": fs::read_to_string(path).unwrap() } },
        "settings": {
            "evmVersion": "cancun",
            "outputSelection": { "*": { "*": ["evm.bytecode.object"] } },
        },
    });
    let solc = env::var_os("RINGS_SOLC").unwrap_or("solc".into());
    let compiled = Call::of(solc)
        .arg("--standard-json")
        .stdin(asked.to_string());
    let compiled: Value = serde_json::from_slice(&compiled.ok()).unwrap();
    contracts.map(|name| {
        let code = &compiled["contracts"]["file"][name]["evm"]["bytecode"]["object"];
        format!(
            "0x{}",
            code.as_str().unwrap_or_else(|| panic!("{compiled:#}"))
        )
    })
}
