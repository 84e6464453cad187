//! How programs are compiled: the configuration of wasmtime.
//!
//! Everything that can change a program's bytes, fuel or failure is set here, so that no default of a later version of the
//! engine changes it unnoticed.

use crate::{
    bounds::{MACHINE_STACK, MAX_MEMORY},
    costs::{
        DIRECT_CALL_FUEL, DIVISION_FUEL, ENGINE_CALL_FUEL, FLOAT_FUEL, GROW_FUEL, GROW_PAGE_FUEL,
        INDIRECT_CALL_FUEL, JUMP_FUEL, LOAD_FUEL, STORE_FUEL,
    },
    features::features,
};
use wasmtime::{Config, Inlining, OperatorCost, OptLevel, WasmFeatures};

/// What the code is compiled for on x86-64: every such processor since 2009 has it.
#[cfg(target_arch = "x86_64")]
pub(crate) const CPU: &str = "x86-64-v2";
/// What the code is compiled for: the base of the architecture, without the extensions of this machine.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) const CPU: &str = std::env::consts::ARCH;

/// The engine's configuration.
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
        .compiler_inlining(Inlining::No)
        .relaxed_simd_deterministic(true)
        .max_wasm_stack(MACHINE_STACK)
        .async_stack_size(MACHINE_STACK) // must not be less, though nothing is asynchronous here
        .memory_reservation(MAX_MEMORY)
        .memory_may_move(false)
        .memory_init_cow(true)
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .parallel_compilation(true);
    Ok(config)
}

/// The target's triple. It is named so that the engine does not use extensions that only this machine's processor has.
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
    // SAFETY: the engine compares the flags of each module with the processor before it loads the module,
    // and refuses to run it where one is missing.
    unsafe { config.cranelift_flag_enable(CPU) };
}

#[cfg(not(target_arch = "x86_64"))]
fn fix_cpu(_: &mut Config) {}

/// Gives many operators the same cost.
macro_rules! set {
    ($cost:ident, $fuel:expr, $($operator:ident)*) => { $($cost.$operator = $fuel;)* };
}

/// What instructions cost. Those that are not named cost 1, and what makes no code (blocks, their ends, `drop`) nothing.
pub(crate) fn operator_cost() -> OperatorCost {
    let mut cost = OperatorCost::new();
    set!(cost, LOAD_FUEL,
        I32Load I64Load F32Load F64Load I32Load8S I32Load8U I32Load16S I32Load16U I64Load8S I64Load8U I64Load16S
        I64Load16U I64Load32S I64Load32U V128Load V128Load8x8S V128Load8x8U V128Load16x4S V128Load16x4U
        V128Load32x2S V128Load32x2U V128Load8Splat V128Load16Splat V128Load32Splat V128Load64Splat
        V128Load32Zero V128Load64Zero V128Load8Lane V128Load16Lane V128Load32Lane V128Load64Lane);
    set!(cost, STORE_FUEL,
        I32Store I64Store F32Store F64Store I32Store8 I32Store16 I64Store8 I64Store16 I64Store32 V128Store
        V128Store8Lane V128Store16Lane V128Store32Lane V128Store64Lane);
    set!(cost, FLOAT_FUEL,
        F32Add F32Sub F32Mul F32Min F32Max F64Add F64Sub F64Mul F64Min F64Max
        F32DemoteF64 F64PromoteF32 F32Ceil F32Floor F32Trunc F32Nearest F64Ceil F64Floor F64Trunc F64Nearest
        F32x4Add F32x4Sub F32x4Mul F32x4Min F32x4Max F32x4PMin F32x4PMax
        F64x2Add F64x2Sub F64x2Mul F64x2Min F64x2Max F64x2PMin F64x2PMax
        F32x4DemoteF64x2Zero F64x2PromoteLowF32x4
        F32x4Ceil F32x4Floor F32x4Trunc F32x4Nearest F64x2Ceil F64x2Floor F64x2Trunc F64x2Nearest);
    set!(cost, DIVISION_FUEL,
        I32DivS I32DivU I32RemS I32RemU I64DivS I64DivU I64RemS I64RemU
        F32Div F64Div F32Sqrt F64Sqrt F32x4Div F64x2Div F32x4Sqrt F64x2Sqrt);
    set!(cost, ENGINE_CALL_FUEL,
        RefFunc TableGet TableSet TableFill TableCopy TableInit ElemDrop MemoryFill MemoryCopy MemoryInit DataDrop);
    set!(cost, JUMP_FUEL, BrTable);
    set!(cost, DIRECT_CALL_FUEL, Call);
    set!(cost, INDIRECT_CALL_FUEL, CallIndirect);
    set!(cost, GROW_FUEL, MemoryGrow TableGrow);
    cost.variable.memory_grow_per_page = GROW_PAGE_FUEL;
    cost
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_accepts_the_configuration() {
        let engine = wasmtime::Engine::new(&config().unwrap()).unwrap();
        assert!(wasmtime::Module::new(&engine, "(module)".as_bytes()).is_err()); // no text format
        assert!(wasmtime::Module::new(&engine, wat::parse_str("(module)").unwrap()).is_ok());
    }
}
