//! The fuzz targets of `fuzz/`, on their corpus and on mutations of it, without cargo-fuzz.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic as the tests do.

#[allow(missing_docs)]
#[path = "../../../fuzz/src/lib.rs"]
mod targets;

use rand_chacha::{
    rand_core::{RngCore, SeedableRng},
    ChaCha8Rng,
};
use std::{fs, path::Path};

/// Mutations of each seed; `RINGS_MUTATIONS` asks for more.
const MUTATIONS: usize = 60;

fn mutations() -> usize {
    let text = std::env::var("RINGS_MUTATIONS").ok();
    text.map_or(MUTATIONS, |text| text.parse().unwrap())
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn below(random: &mut ChaCha8Rng, bound: usize) -> usize {
    (random.next_u64() % bound.max(1) as u64) as usize
}

/// Flips, cuts, doubles or joins.
fn mutate(random: &mut ChaCha8Rng, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=below(random, 3) {
        let at = below(random, bytes.len());
        match below(random, 6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << below(random, 8),
            1 if !bytes.is_empty() => bytes[at] = random.next_u32() as u8,
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.next_u32() as u8),
            4 => bytes.extend_from_slice(&other[..below(random, other.len())]),
            _ if !bytes.is_empty() => drop(bytes.remove(at)),
            _ => {}
        }
    }
    bytes
}

fn replay(target: &str, run: fn(&[u8])) {
    let (seeds, mut random) = (seeds(target), ChaCha8Rng::seed_from_u64(1));
    assert!(seeds.len() >= 10, "{target} has {} seeds", seeds.len());
    for (at, seed) in seeds.iter().enumerate() {
        run(seed);
        for _ in 0..mutations() {
            let other = &seeds[(at + 1) % seeds.len()];
            run(&mutate(&mut random, seed, other));
        }
    }
}

#[test]
fn nodes() {
    replay("node", targets::node);
}

#[test]
fn entries() {
    replay("entry", targets::entry);
}

#[test]
fn headers() {
    replay("header", targets::header);
}

#[test]
fn messages() {
    replay("message", targets::message);
}

#[test]
fn requests() {
    replay("request", targets::request);
}

#[test]
fn sealed_nodes() {
    replay("sealed", targets::sealed);
}

#[test]
fn files() {
    replay("files", targets::files);
}

#[test]
fn messages_of_sync() {
    replay("sync", targets::sync);
}
