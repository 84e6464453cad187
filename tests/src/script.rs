//! Scripts for Node.js in this source tree, with the packages that their lock file names.
//!
//! The packages are installed into the tool cache once, by the lock file's hash. The scripts are copied beside them, since a script finds
//! packages by where it lies itself.

use super::{
    call::Call,
    tools::{cache, repository},
    wait::LONG,
};
use rings_protocol::cids::sha256;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

/// Bytes of a hash in a name.
const SHORT: usize = 8;
/// Time for all packages to be fetched.
const FETCH_LIMIT: Duration = Duration::from_secs(300);

/// A call of the script `name` in `folder` of the source tree.
pub fn script(folder: &str, name: &str) -> Call {
    let place = installed(&repository().join(folder));
    Call::of("node").arg(place.join(name)).limit(2 * LONG)
}

/// The directory with the scripts of `folder`, from which they find their packages.
fn installed(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap().to_str().unwrap();
    let lock_file = fs::read(folder.join("package-lock.json")).unwrap();
    let packages = cache().join(format!("{name}-{}", short(&lock_file)));
    fs::create_dir_all(&packages).unwrap();
    let lock = File::create(packages.join("lock")).unwrap();
    lock.lock().unwrap();
    if !packages.join("node_modules/.package-lock.json").exists() {
        for file in ["package.json", "package-lock.json"] {
            fs::copy(folder.join(file), packages.join(file)).unwrap();
        }
        let npm = Call::of("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        npm.current_dir(&packages).limit(FETCH_LIMIT).ok();
    }
    copied(&scripts(folder), &packages)
}

/// The scripts of a folder: name and content.
fn scripts(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "mjs"))
        .collect();
    files.sort_unstable();
    let read = |path: PathBuf| (path.file_name().unwrap().into(), fs::read(&path).unwrap());
    files.into_iter().map(read).collect()
}

/// Writes the scripts into a directory below `packages` that is named by what is in them.
fn copied(scripts: &[(PathBuf, Vec<u8>)], packages: &Path) -> PathBuf {
    let all: Vec<u8> = scripts
        .iter()
        .flat_map(|(_, content)| content.clone())
        .collect();
    let place = packages.join(short(&all));
    fs::create_dir_all(&place).unwrap();
    for (name, content) in scripts {
        fs::write(place.join(name), content).unwrap();
    }
    place
}

fn short(content: &[u8]) -> String {
    hex::encode(&sha256(content).0[..SHORT])
}
