//! Why a file is not a program of the profile. The texts are for the program's author: they say what to change, and are
//! part of no result.

use crate::{reserved::RESERVED, wasi::WASI_MODULE};

/// Why a file is not a program of the profile. The texts are for people and not part of any result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Not WebAssembly at all.
    #[error("not a WASM module: the file does not begin with \\0asm; compile the program for wasm32-wasip1")]
    NotWasm,
    /// A component, as `wasm32-wasip2` makes them.
    #[error("a WASM component; rings run modules: compile the program for wasm32-wasip1")]
    Component,
    /// WebAssembly, but malformed.
    #[error("not a valid WASM module: {message} (at byte {offset})")]
    Invalid {
        /// What is wrong.
        message: String,
        /// Where, from the start of the file.
        offset: usize,
    },
    /// Uses proposals that are not in the profile.
    #[error("uses {}, which the profile leaves out; compile without", .names.join(" and "))]
    Proposal {
        /// Names of the proposals.
        names: Vec<&'static str>,
    },
    /// Larger than the profile allows.
    #[error("has {found} {what}; at most {limit} are accepted")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// Imports something that WASI preview 1 lacks.
    #[error("imports {module}.{name}, which WASI preview 1 lacks")]
    Import {
        /// The module's name in the import.
        module: String,
        /// The import's name.
        name: String,
    },
    /// Imports a function of WASI preview 1 with another type.
    #[error("imports {WASI_MODULE}.{name} with the wrong type {found}; it is {expected}")]
    ImportType {
        /// The function's name.
        name: String,
        /// Its type in WASI preview 1.
        expected: String,
        /// The type of the import.
        found: String,
    },
    /// No function `_start` is exported: a library, not a command.
    #[error(
        "exports no function _start without parameters and results; build a command, not a library"
    )]
    Start,
    /// Exports a name that is reserved for the host.
    #[error("exports {name}; names that begin with \"{RESERVED}\" are the host's: choose another")]
    Reserved {
        /// The name.
        name: String,
    },
    /// No memory is exported as `memory`.
    #[error("exports no memory named \"memory\"")]
    Memory,
}

/// Refuses more than `limit` of something.
pub(crate) fn bounded(what: &'static str, found: u64, limit: u64) -> Result<(), ProfileError> {
    if found > limit {
        return Err(ProfileError::TooLarge { what, found, limit });
    }
    Ok(())
}
