//! The profile's name: which engine and configuration computes, in one string.
//!
//! Two machines with the same profile get the same bytes, the same failure and the same fuel from the same task. So the name
//! covers everything in this crate that can change one of them. An operation names the profile that computes it, and a
//! vote the one that did.

use crate::{
    bounds::{
        MAX_AGAIN, MAX_ALIVE, MAX_COMPUTED, MAX_EFFORT, MAX_EXPORTS, MAX_FUNCTIONS,
        MAX_FUNCTION_BYTES, MAX_FUNCTION_LOCALS, MAX_FUNCTION_OPERATORS, MAX_GLOBALS, MAX_IMPORTS,
        MAX_JOINED_LOCALS, MAX_JOINS, MAX_LABELS, MAX_LABEL_ENTRIES, MAX_MODULE_BYTES,
        MAX_MOVED_VALUES, MAX_NESTED_LOCALS, MAX_NESTED_LOOPS, MAX_NESTING, MAX_SEGMENT_ELEMENTS,
        MAX_SHARES, MAX_SIGNATURE_VALUES, MAX_STACK, MAX_TABLE_ELEMENTS, MAX_TABLE_OPERATIONS,
        MAX_TYPES, MAX_VALUES,
    },
    costs::{
        BLOCK_FUEL, BYTE_FUEL, CALL_FUEL, FRAME_COST, ITEM_FUEL, LEAF_COST, OPERATOR_COST,
        VALUE_COST,
    },
    effort::EFFORT_RULES,
    engine::{operator_cost, CPU},
    features::proposals,
    versions::{WASMPARSER_VERSION, WASMTIME_VERSION},
};
use sha2::{Digest as _, Sha256};

/// To be raised when an answer or a charge of a host function changes, the rules for what is a failure, or how blocks of an input
/// are counted.
const HOST_VERSION: u32 = 6;
/// Bytes of the description's hash that the name shows.
const SHOWN: usize = 8;

/// The name of the profile that this program computes: `wasmtime-VERSION-ARCHITECTURE-HASH`.
pub fn profile() -> String {
    let hash = Sha256::digest(description().as_bytes());
    let (version, architecture) = (WASMTIME_VERSION, std::env::consts::ARCH);
    format!(
        "wasmtime-{version}-{architecture}-{}",
        hex::encode(&hash[..SHOWN])
    )
}

/// The profile as text. The name holds its hash.
fn description() -> String {
    let engine = format!(
        "wasmtime {WASMTIME_VERSION}\nwasmparser {WASMPARSER_VERSION}\ncpu {CPU}\nnan canonical\nopt speed\nhost {HOST_VERSION}\n"
    );
    let stack = format!(
        "stack {MAX_STACK} frame {FRAME_COST} value {VALUE_COST} operator {OPERATOR_COST} leaf {LEAF_COST}\n"
    );
    let calls = format!("call {CALL_FUEL} byte {BYTE_FUEL} item {ITEM_FUEL} block {BLOCK_FUEL}\n");
    let on: String = proposals().map(|name| format!("on {name}\n")).collect();
    format!(
        "{engine}{}{stack}{calls}{:?}\n{on}",
        bounds(),
        operator_cost()
    )
}

/// The bounds on modules. Each decides whether some module is a program.
fn bounds() -> String {
    let all = [
        MAX_MODULE_BYTES as u64,
        MAX_TYPES,
        MAX_SIGNATURE_VALUES,
        MAX_IMPORTS,
        MAX_EXPORTS,
        MAX_GLOBALS,
        MAX_FUNCTIONS as u64,
        MAX_TABLE_ELEMENTS,
        MAX_COMPUTED,
        MAX_SEGMENT_ELEMENTS,
        MAX_FUNCTION_BYTES as u64,
        MAX_FUNCTION_LOCALS.into(),
        MAX_FUNCTION_OPERATORS,
        MAX_NESTING as u64,
        MAX_NESTED_LOOPS,
        MAX_NESTED_LOCALS,
        MAX_JOINED_LOCALS,
        MAX_JOINS,
        MAX_MOVED_VALUES,
        MAX_LABELS.into(),
        MAX_TABLE_OPERATIONS,
        MAX_ALIVE,
        MAX_LABEL_ENTRIES,
        MAX_AGAIN,
        MAX_VALUES,
        MAX_SHARES,
        MAX_EFFORT,
        EFFORT_RULES,
    ];
    format!("bounds {all:?}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    // Members of different profiles are told apart by it. Whoever changes the profile, a library's version or what a host
    // function answers or costs changes this line on purpose, and the golden table with it if a row differs.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_name_is_what_it_was() {
        assert_eq!(profile(), "wasmtime-48.0.8-x86_64-28557901b7da8322");
    }

    #[test]
    fn the_name_holds_version_and_architecture() {
        let name = profile();
        let start = format!("wasmtime-{WASMTIME_VERSION}-{}-", std::env::consts::ARCH);
        assert!(name.starts_with(&start), "{name}");
        assert_eq!(name.len(), start.len() + 2 * SHOWN);
        assert_eq!(name, profile());
    }
}
