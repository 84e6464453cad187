//! Finds the programs: ours, the chain, the store, and the WASM programs that rings run.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::SystemTime,
};

/// One of our programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `rings`, as users have it.
    Honest,
    /// `rings-faulty`, whose member votes wrongly.
    Faulty,
}

impl Program {
    /// Where it is. `rings` is built if it is missing or older than what it is made of.
    pub fn path(self) -> PathBuf {
        static BUILT: OnceLock<()> = OnceLock::new();
        BUILT.get_or_init(build_if_needed);
        match self {
            Self::Honest => release().join("rings"),
            Self::Faulty => release().join("rings-faulty"),
        }
    }
}

/// Where `rings-forwarder` is, which makes a port mapping.
pub fn forwarder() -> PathBuf {
    release().join("rings-forwarder")
}

/// Cargo keeps this test and `rings-faulty` fresh, but not the `rings` of another package.
fn build_if_needed() {
    let rings = modified(&release().join("rings"));
    if rings.is_some() && rings >= newest_library() {
        return;
    }
    // Both packages, so that their dependencies have the features that they have in this test.
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "-p",
            "rings",
            "-p",
            "rings-tests",
            "--bin",
            "rings",
        ])
        .current_dir(repository())
        .env("CARGO_TARGET_DIR", target())
        .status()
        .expect("cargo runs");
    assert!(status.success(), "rings cannot be built: {status}");
}

/// When what `rings` is linked from was last built.
fn newest_library() -> Option<SystemTime> {
    let files = fs::read_dir(release().join("deps")).unwrap().flatten();
    let is_library = |name: &str| name.starts_with("librings-") && name.ends_with(".rlib");
    let libraries = files.filter(|file| file.file_name().to_str().is_some_and(is_library));
    libraries.filter_map(|file| modified(&file.path())).max()
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|data| data.modified()).ok()
}

/// The directory of the profile in which this test was built.
fn release() -> PathBuf {
    let test = env::current_exe().unwrap();
    let place = test.parent().unwrap();
    match place.ends_with("deps") {
        true => place.parent().unwrap().to_owned(),
        false => place.to_owned(),
    }
}

/// Cargo's target directory.
pub(crate) fn target() -> PathBuf {
    release().parent().unwrap().to_owned()
}

/// The top of the source tree.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// The example program of this name, as a `.wasm` file. The examples are built once.
pub fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let place = BUILT.get_or_init(|| {
        let examples = repository().join("examples");
        let status = Command::new(examples.join("build")).status().unwrap();
        assert!(status.success(), "examples/build: {status}");
        examples.join("target/wasm32-wasip1/release")
    });
    let file = place.join(name).with_extension("wasm");
    assert!(file.is_file(), "there is no example {name}");
    file
}

/// A tool whose `--version` fits: the one that `variable` names, on PATH, or where the scripts put it.
pub(crate) fn tool(name: &str, variable: &str, fits: impl Fn(&str) -> bool) -> PathBuf {
    if let Some(named) = env::var_os(variable) {
        return named.into();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).chain([cache().join("bin")]);
    let mut candidates = places.map(|place| place.join(name));
    let found = candidates.find(|file| {
        let version = Command::new(file).arg("--version").output();
        version.is_ok_and(|output| fits(&String::from_utf8_lossy(&output.stdout)))
    });
    found.unwrap_or_else(|| {
        panic!("no fitting {name} found; run ./anvil-scripts/test, which installs it")
    })
}

/// Where the scripts put tools.
pub(crate) fn cache() -> PathBuf {
    if let Some(tools) = env::var_os("RINGS_TOOLS") {
        return tools.into();
    }
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(home);
    cache.unwrap_or_default().join("rings/tools")
}
