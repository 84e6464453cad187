//! Chance that can be repeated, and the seeds with which a run failed.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    thread,
};

/// The variable that asks for one seed.
const SEED: &str = "RINGS_PERTURB_SEED";

/// A generator of numbers that follow from its seed alone.
#[derive(Debug, Clone)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The numbers of this seed.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0.gen_range(0..limit)
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// 32 bytes.
    pub fn bytes(&mut self) -> [u8; 32] {
        self.0.gen()
    }
}

/// A file of seeds, one a line: with each of them a run has failed once.
#[derive(Debug)]
pub struct Seeds {
    path: PathBuf,
}

impl Seeds {
    /// The seeds in this file of the crate.
    pub fn of(file: &str) -> Self {
        Self {
            path: Path::new(env!("CARGO_MANIFEST_DIR")).join(file),
        }
    }

    /// The seeds to run with: the one that the environment names; else the one that failed last, if any did. A long run
    /// has a new one besides, and so has a run without any that failed.
    pub fn plan(&self, is_long: bool) -> Vec<u64> {
        if let Ok(named) = env::var(SEED) {
            return vec![named.parse().expect("a seed is a number")];
        }
        let last = self.kept().last().copied();
        let new = (is_long || last.is_none()).then(fresh);
        last.into_iter().chain(new).collect()
    }

    fn kept(&self) -> Vec<u64> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| line.trim().parse().ok()).collect()
    }

    /// Says which seed runs, and keeps it when the test fails while the guard is held.
    pub fn watch(&self, seed: u64) -> Watched<'_> {
        eprintln!("seed {seed}; {SEED}={seed} repeats it");
        Watched { seeds: self, seed }
    }

    fn keep(&self, seed: u64) {
        if self.kept().contains(&seed) {
            return;
        }
        let file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.path);
        let written = file.and_then(|mut file| writeln!(file, "{seed}"));
        match written {
            Ok(()) => eprintln!("seed {seed} failed; it is kept in {}", self.path.display()),
            Err(error) => eprintln!("seed {seed} failed; it cannot be kept: {error}"),
        }
    }
}

/// A run with a seed.
#[derive(Debug)]
pub struct Watched<'a> {
    seeds: &'a Seeds,
    seed: u64,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.seeds.keep(self.seed);
        }
    }
}

fn fresh() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_nanos() as u64 & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself() {
        let numbers = |seed| {
            let mut random = Random::new(seed);
            [random.bytes(), random.bytes()]
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
    }

    #[test]
    fn a_seed_that_failed_is_kept_once() {
        let dir = tempfile::tempdir().unwrap();
        let seeds = Seeds {
            path: dir.path().join("seeds"),
        };
        seeds.keep(3);
        seeds.keep(3);
        seeds.keep(4);
        assert_eq!(seeds.kept(), [3, 4]);
        assert_eq!(seeds.plan(false), [4]);
        let long = seeds.plan(true);
        assert_eq!((long.len(), long[0]), (2, 4));
    }
}
