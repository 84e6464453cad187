//! Programs of others, which `examples/build-foreign` builds.

use super::{call::Call, tools::repository};
use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::OnceLock,
};

/// A program of others, unchanged.
#[derive(Debug, Clone)]
pub struct Foreign {
    /// For a ring.
    pub wasm: PathBuf,
    /// The same program for this machine.
    pub native: PathBuf,
}

impl Foreign {
    /// What it prints here.
    ///
    /// # Panics
    /// When its status is not 0.
    pub fn natively(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        Call::of(&self.native).args(args).stdin(input).ok()
    }
}

/// The program of this name. All are built once, which takes minutes where nothing is there.
pub fn foreign(name: &str) -> Foreign {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let place = BUILT.get_or_init(build);
    let wasm = place.join("wasm").join(name).with_extension("wasm");
    let native = place.join("native").join(name);
    assert!(
        wasm.is_file() && native.is_file(),
        "there is no program {name}"
    );
    Foreign { wasm, native }
}

fn build() -> PathBuf {
    let examples = repository().join("examples");
    let mut script = Command::new(examples.join("build-foreign"));
    let status = script.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let status = status.unwrap();
    assert!(status.success(), "examples/build-foreign: {status}");
    examples.join("target/foreign")
}
