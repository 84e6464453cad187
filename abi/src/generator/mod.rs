//! Makes the files in `json/` from the sources in `contracts/`.

mod artifact;
mod compile;
mod error;
mod errors;

pub use artifact::{check, write, Artifact};
pub use compile::{compile, CONTRACTS};
pub use error::GenerateError;

use std::path::{Path, PathBuf};

/// The top of the project.
pub fn project() -> PathBuf {
    let crate_directory = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_directory
        .parent()
        .unwrap_or(crate_directory)
        .to_path_buf()
}

/// The compiler to use: `$SOLC_PATH`, else `solc` on the path.
pub fn solc() -> PathBuf {
    std::env::var_os("SOLC_PATH").map_or_else(|| PathBuf::from("solc"), PathBuf::from)
}
