//! The profile: which WebAssembly a program may use, how it is compiled, and what that is called.
//!
//! One list says which proposals are on. The engine, the check before publication and the
//! engine's identity are all made from it.

use crate::{
    stack::{FRAME_COST, LEAF_COST, VALUE_COST},
    wasi,
};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use wasmtime::{Config, OperatorCost, OptLevel, WasmFeatures};

/// The exact version of the engine. Fuel and the depth of the stack rest on it.
pub const WASMTIME_VERSION: &str = "48.0.8";

/// Largest module, in bytes.
pub const MAX_MODULE_BYTES: usize = 64 << 20;
/// Most functions that a module may define.
pub const MAX_FUNCTIONS: usize = 100_000;
/// Largest body of one function, in bytes.
pub const MAX_FUNCTION_BYTES: usize = 1 << 20;
/// Most locals of one function, parameters not counted.
pub const MAX_FUNCTION_LOCALS: u32 = 20_000;
/// Deepest nesting of `if` and `loop` in one function: the compiler's time grows with its square. (Plain blocks
/// are not counted; compilers make thousands of them for one `switch`.)
pub const MAX_NESTING: usize = 1_000;
/// Most values that all blocks of one function take and give.
pub const MAX_PASSED_VALUES: u64 = 100_000;
/// Most of a function's locals, parameters counted, times its deepest nesting: what makes the compiler slow is both together, for each loop may
/// change each local.
pub const MAX_NESTED_LOCALS: u64 = 100_000;
/// Most labels of one `br_table`: what the compiler can do.
pub const MAX_LABELS: u32 = 65_520;
/// Most elements of all tables together.
pub const MAX_TABLE_ELEMENTS: u64 = 1_000_000;
/// Most stack that any operation can grant, in bytes as the program's own counter counts them.
pub const MAX_STACK: u64 = 16 << 20;
/// The machine's stack behind it, in bytes. No frame is as large as four times what it costs, so that a program ends
/// by its counter; should one not, this machine has failed, and not the program.
pub(crate) const MACHINE_STACK: usize = 4 * MAX_STACK as usize;
/// Most linear memory that any program can have: what 32-bit addresses reach.
pub(crate) const MAX_MEMORY: u64 = 1 << 32;
/// Fuel for `memory.grow`, in addition to [`GROW_PAGE_FUEL`]: it is a system call.
const GROW_FUEL: u8 = 200;
/// Fuel for each page of 64 KiB that is asked of `memory.grow`: the kernel has to clear it.
const GROW_PAGE_FUEL: u8 = 64;
/// What the code is compiled for, on x86-64: every such processor since 2009 has it.
#[cfg(target_arch = "x86_64")]
const CPU: &str = "x86-64-v2";
/// What the code is compiled for: the architecture's base, nothing that this machine has beyond it.
#[cfg(not(target_arch = "x86_64"))]
const CPU: &str = std::env::consts::ARCH;

type Proposal = (&'static str, WasmFeatures);

/// Proposals that programs may use: what compilers for `wasm32-wasip1` emit, and nothing more.
pub(crate) const PROPOSALS_ON: &[Proposal] = &[
    ("floating point", WasmFeatures::FLOATS),
    ("mutable globals", WasmFeatures::MUTABLE_GLOBAL),
    (
        "saturating float-to-int",
        WasmFeatures::SATURATING_FLOAT_TO_INT,
    ),
    ("sign extension", WasmFeatures::SIGN_EXTENSION),
    ("reference types", WasmFeatures::REFERENCE_TYPES),
    ("multi-value", WasmFeatures::MULTI_VALUE),
    ("bulk memory", WasmFeatures::BULK_MEMORY),
    ("fixed-width SIMD", WasmFeatures::SIMD),
    (
        "extended constant expressions",
        WasmFeatures::EXTENDED_CONST,
    ),
];

/// Proposals that are known and off, by the names that refusals use.
pub(crate) const PROPOSALS_OFF: &[Proposal] = &[
    ("relaxed SIMD", WasmFeatures::RELAXED_SIMD),
    ("threads", WasmFeatures::THREADS),
    (
        "shared-everything threads",
        WasmFeatures::SHARED_EVERYTHING_THREADS,
    ),
    ("tail calls", WasmFeatures::TAIL_CALL),
    ("multiple memories", WasmFeatures::MULTI_MEMORY),
    ("exceptions", WasmFeatures::EXCEPTIONS),
    ("legacy exceptions", WasmFeatures::LEGACY_EXCEPTIONS),
    ("64-bit memory", WasmFeatures::MEMORY64),
    (
        "typed function references",
        WasmFeatures::FUNCTION_REFERENCES,
    ),
    ("memory control", WasmFeatures::MEMORY_CONTROL),
    ("external references", WasmFeatures::GC_TYPES),
    ("garbage collection", WasmFeatures::GC),
    ("custom page sizes", WasmFeatures::CUSTOM_PAGE_SIZES),
    ("stack switching", WasmFeatures::STACK_SWITCHING),
    ("wide arithmetic", WasmFeatures::WIDE_ARITHMETIC),
    ("custom descriptors", WasmFeatures::CUSTOM_DESCRIPTORS),
    ("compact imports", WasmFeatures::COMPACT_IMPORTS),
    ("component model", WasmFeatures::COMPONENT_MODEL),
];

/// Names of the WebAssembly proposals that programs may use.
pub fn proposals() -> impl Iterator<Item = &'static str> {
    PROPOSALS_ON.iter().map(|(name, _)| *name)
}

/// Names of the WebAssembly proposals that are known and refused.
pub fn proposals_off() -> impl Iterator<Item = &'static str> {
    PROPOSALS_OFF.iter().map(|(name, _)| *name)
}

/// The features that are on, as one set.
pub(crate) fn features() -> WasmFeatures {
    PROPOSALS_ON
        .iter()
        .fold(WasmFeatures::empty(), |set, (_, flag)| set | *flag)
}

/// The engine's configuration. Everything that can change a program's bytes, fuel or failure is set
/// here, so that no default of a later version slips in.
///
/// # Errors
/// When the engine does not know this machine's architecture.
pub(crate) fn config() -> wasmtime::Result<Config> {
    let mut config = Config::new();
    config.target(&target())?;
    fix_cpu(&mut config);
    config.wasm_features(WasmFeatures::all(), false);
    config.wasm_features(features(), true);
    config
        .consume_fuel(true)
        .operator_cost(operator_cost())
        .cranelift_nan_canonicalization(true)
        .cranelift_opt_level(OptLevel::Speed)
        .relaxed_simd_deterministic(true)
        .max_wasm_stack(MACHINE_STACK)
        .async_stack_size(MACHINE_STACK) // which must not be less, though nothing is asynchronous here
        .memory_reservation(MAX_MEMORY)
        .memory_may_move(false)
        .memory_init_cow(true)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .parallel_compilation(true);
    Ok(config)
}

/// The triple, named so that the engine does not ask which extensions this machine's processor has.
fn target() -> String {
    let system = match std::env::consts::OS {
        "macos" => "apple-darwin",
        _ => "unknown-linux-gnu",
    };
    format!("{}-{system}", std::env::consts::ARCH)
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // The setter is unsafe because a processor may lack what it switches on.
fn fix_cpu(config: &mut Config) {
    // SAFETY: the engine compares the flags of each module with the processor before it is loaded,
    // and refuses to run it where one is missing.
    unsafe { config.cranelift_flag_enable(CPU) };
}

#[cfg(not(target_arch = "x86_64"))]
fn fix_cpu(_: &mut Config) {}

fn operator_cost() -> OperatorCost {
    let mut cost = OperatorCost::new();
    cost.MemoryGrow = GROW_FUEL;
    cost.TableGrow = GROW_FUEL;
    cost.variable.memory_grow_per_page = GROW_PAGE_FUEL;
    cost
}

/// Names the engine: its exact version, the architecture, and a hash of everything in the profile that can
/// change a result. Two nodes with the same identity get the same bytes.
pub fn engine_id() -> String {
    let hash = Sha256::digest(description().as_bytes());
    let short: String = hash.iter().take(8).fold(String::new(), |mut text, byte| {
        text.push_str(&hex_byte(*byte));
        text
    });
    format!(
        "wasmtime-{WASMTIME_VERSION}-{}-{short}",
        std::env::consts::ARCH
    )
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| hex_byte(*byte)).collect()
}

fn hex_byte(byte: u8) -> String {
    format!("{byte:02x}")
}

/// The profile as text, one line each. Its hash is the configuration's hash.
fn description() -> String {
    let mut text = format!(
        "wasmtime {WASMTIME_VERSION}\ncpu {CPU}\nnan canonical\nopt speed\n\
         stack {MAX_STACK} frame {FRAME_COST} value {VALUE_COST} leaf {LEAF_COST}\n\
         module {MAX_MODULE_BYTES} functions {MAX_FUNCTIONS} body {MAX_FUNCTION_BYTES} \
         locals {MAX_FUNCTION_LOCALS} nesting {MAX_NESTING} nested locals {MAX_NESTED_LOCALS} passed {MAX_PASSED_VALUES} labels {MAX_LABELS} tables {MAX_TABLE_ELEMENTS}\n\
         fuel grow {GROW_FUEL} page {GROW_PAGE_FUEL} call {} byte {}\nwasi {}\n",
        wasi::CALL_FUEL,
        wasi::BYTE_FUEL,
        wasi::VERSION,
    );
    for (name, _) in PROPOSALS_ON {
        // Writing to a String cannot fail; the result is looked at all the same.
        if writeln!(text, "on {name}").is_err() {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_version_is_the_one_in_the_lock_file() {
        let lock = include_str!("../../../Cargo.lock");
        let entry = format!("name = \"wasmtime\"\nversion = \"{WASMTIME_VERSION}\"\n");
        assert!(lock.contains(&entry));
    }

    // Members on different identities are told apart by it. Whoever changes the profile, the engine's version or what a host
    // function answers or costs changes this line on purpose, and the golden table with it if a row differs.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_identity_is_what_it_was() {
        assert_eq!(engine_id(), "wasmtime-48.0.8-x86_64-16eb89bc844259c6");
    }

    #[test]
    fn no_proposal_is_both_on_and_off() {
        for (name, flag) in PROPOSALS_OFF {
            assert!(!features().intersects(*flag), "{name}");
        }
    }

    #[test]
    fn the_engine_accepts_the_configuration() {
        let engine = wasmtime::Engine::new(&config().unwrap()).unwrap();
        assert!(wasmtime::Module::new(&engine, "(module)".as_bytes()).is_err()); // no text format
        assert!(wasmtime::Module::new(&engine, wat::parse_str("(module)").unwrap()).is_ok());
    }

    #[test]
    fn the_identity_names_version_and_architecture() {
        let id = engine_id();
        let start = format!("wasmtime-{WASMTIME_VERSION}-{}-", std::env::consts::ARCH);
        assert!(id.starts_with(&start), "{id}");
        assert_eq!(id.len(), start.len() + 16);
        assert_eq!(id, engine_id());
    }
}
