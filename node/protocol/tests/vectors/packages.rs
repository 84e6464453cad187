//! Packages of npm that a second implementation needs, in the tool cache. The client's tests use this file too.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Installs what the lock file in `folder` names, once for each content of it, and says where.
pub fn installed(folder: &Path, name: &str) -> PathBuf {
    let lock = fs::read(folder.join("package-lock.json")).unwrap();
    let hash = hex::encode(&rings_protocol::cids::sha256(&lock).0[..8]);
    let home = || Path::new(&env::var_os("HOME").unwrap()).join(".cache");
    let cache = env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from);
    let tools = env::var_os("RINGS_TOOLS").map_or(cache.join("rings/tools"), PathBuf::from);
    let place = tools.join(format!("{name}-{hash}"));
    if !place.join("node_modules/.package-lock.json").exists() {
        fs::create_dir_all(&place).unwrap();
        for name in ["package.json", "package-lock.json"] {
            fs::copy(folder.join(name), place.join(name)).unwrap();
        }
        let args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
        run(Command::new("npm").args(args), &place);
    }
    place
}

/// What a command says on its standard output.
///
/// # Panics
/// When it fails.
pub fn run(command: &mut Command, at: &Path) -> String {
    let output = command.current_dir(at).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {out}{err}");
    out
}
