//! The WebAssembly proposals that are on and off: one list, from which the engine, the check and the profile's name are
//! made.
//!
//! A proposal is on only if compilers for `wasm32-wasip1` emit it and it cannot make two machines differ. Relaxed SIMD
//! and threads can. A change of the list is a change of the profile.

use wasmparser::WasmFeatures;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proposal_is_both_on_and_off() {
        for (name, flag) in PROPOSALS_OFF {
            assert!(!features().intersects(*flag), "{name}");
        }
    }
}
