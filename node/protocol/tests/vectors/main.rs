//! The vectors of the log format in `tests/vectors/log`: what another implementation must read, and what it must refuse.
//!
//! They are made here, from fixed keys, and compared with the committed files. `RINGS_REGENERATE=1` writes the files, and
//! the seeds for the fuzz targets with them. A last test lets an implementation in JavaScript check them all.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic as the tests do.

mod logs;
mod other;
mod packages;
mod private;
mod ringlogs;
mod sync;
mod vector;

use packages::{installed, run};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use vector::{File, Vector};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn folder() -> PathBuf {
    root().join("tests/vectors/log")
}

fn files() -> Vec<File> {
    vec![
        logs::nodes(),
        logs::proofs(),
        logs::forks(),
        logs::skips(),
        ringlogs::entries(),
        ringlogs::headers(),
        ringlogs::nodes(),
        ringlogs::proofs(),
        other::digests(),
        other::messages(),
        other::requests(),
        private::sealed(),
        private::proofs(),
        private::wraps(),
        sync::messages(),
    ]
}

fn regenerates() -> bool {
    std::env::var_os("RINGS_REGENERATE").is_some()
}

/// The committed file, written first when that is asked for.
fn committed(path: &Path, bytes: &[u8]) -> Vec<u8> {
    if regenerates() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_committed_vectors_are_what_this_program_makes() {
    for file in files() {
        let text = file.to_json();
        let path = folder().join(format!("{}.json", file.name));
        let held = committed(&path, text.as_bytes());
        assert!(
            held == text.as_bytes(),
            "{} differs: RINGS_REGENERATE=1 writes it again",
            path.display()
        );
    }
}

#[test]
fn the_seeds_of_the_fuzz_targets_are_the_vectors() {
    for file in files() {
        let Some(target) = file.fuzzed else { continue };
        for Vector { name, bytes, .. } in &file.vectors {
            let name = format!("{}-{name}", file.name);
            let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
            let path = root().join("fuzz/corpus").join(target).join(name);
            assert!(committed(&path, bytes) == *bytes, "{}", path.display());
        }
    }
}

#[test]
fn no_two_seeds_have_one_name_and_none_is_left_over() {
    for target in fs::read_dir(root().join("fuzz/corpus")).unwrap() {
        let target = target.unwrap();
        let held = fs::read_dir(target.path()).unwrap().count();
        let of = files().into_iter();
        let of = of.filter(|file| file.fuzzed == target.file_name().to_str());
        let made: usize = of.map(|file| file.vectors.len()).sum();
        assert_eq!(held, made, "{}", target.path().display());
    }
}

#[test]
fn there_are_enough_of_them_good_and_bad() {
    let all: Vec<_> = files().into_iter().flat_map(|file| file.vectors).collect();
    let bad = all.iter().filter(|vector| vector.error.is_some()).count();
    assert!(
        all.len() >= 60 && bad >= 30,
        "{} with {bad} bad ones",
        all.len()
    );
}

/// It reads with @ipld/dag-cbor, hashes with viem, and knows nothing of this program.
#[test]
fn an_implementation_in_javascript_agrees() {
    let place = installed(&folder(), "log-vectors");
    let script = format!("check-{}.mjs", std::process::id());
    fs::copy(folder().join("check.mjs"), place.join(&script)).unwrap();
    let said = run(
        Command::new("node")
            .arg(&script)
            .arg(folder().canonicalize().unwrap()),
        &place,
    );
    fs::remove_file(place.join(script)).unwrap();
    let count: usize = files().iter().map(|file| file.vectors.len()).sum();
    assert!(said.contains(&format!("{count} vectors agree")), "{said}");
}
