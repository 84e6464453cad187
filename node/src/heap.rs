//! How the C library gives memory to a member, which runs for months.
//!
//! By default glibc has a heap for each of eight threads of a core, and once a large block was freed it takes further ones
//! from those heaps, which hardly ever shrink. A member that has fetched a file of large blocks then keeps two or three
//! times the memory that it needs (measured with 60 blocks of 2 MiB: 57 to 97 MiB above the idle size, and 26 to 39 with
//! the settings below). glibc reads its settings when a process starts, so [`settle`] starts the program once more in
//! the place of this process. Whoever sets one of them in the environment keeps it.

use std::{env, io, os::unix::process::CommandExt, process::Command};

/// What is set: two heaps, blocks from 1 MiB on of their own, and at most 1 MiB that is kept free at the end of a heap.
const SETTINGS: [(&str, &str); 3] = [
    ("MALLOC_ARENA_MAX", "2"),
    ("MALLOC_MMAP_THRESHOLD_", "1048576"),
    ("MALLOC_TRIM_THRESHOLD_", "1048576"),
];

/// Starts this program again, with these settings, unless all of them are there. It must be called before anything is opened
/// or any thread begins, and returns only if nothing is to be done or it failed.
///
/// # Errors
/// When the program cannot be started, for example because its file was replaced. A member works nevertheless.
pub fn settle() -> io::Result<()> {
    let missing = missing(|name| env::var_os(name).is_some());
    match missing.is_empty() || !cfg!(target_env = "gnu") {
        true => Ok(()),
        false => Err(start_again(&missing)),
    }
}

/// The settings that the environment does not have.
fn missing(is_set: impl Fn(&str) -> bool) -> Vec<(&'static str, &'static str)> {
    let settings = SETTINGS.into_iter();
    settings.filter(|(name, _)| !is_set(name)).collect()
}

/// Returns only if it failed.
fn start_again(settings: &[(&str, &str)]) -> io::Error {
    let program = match env::current_exe() {
        Ok(program) => program,
        Err(error) => return error,
    };
    let mut given = env::args_os();
    let name = given.next().unwrap_or_default();
    let mut again = Command::new(program);
    again.arg0(name).args(given).envs(settings.iter().copied());
    again.exec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_has_set_stays_and_nothing_is_set_twice() {
        assert_eq!(missing(|_| false), SETTINGS);
        let others = missing(|name| name == "MALLOC_ARENA_MAX");
        assert_eq!(others, SETTINGS[1..]);
        assert!(missing(|_| true).is_empty(), "else it would start for ever");
    }
}
