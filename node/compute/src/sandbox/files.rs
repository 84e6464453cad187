//! Landlock: only files of the cache of compiled modules can be opened, and there is no TCP.
//!
//! Landlock has no rights for looking at a path without opening it: a worker can still learn with `stat` whether a file
//! exists, how large it is, and when it was changed. Other things that Landlock does not restrict (owner, mode, times and
//! extended attributes of paths, `chdir`) are refused by seccomp.

use super::guard::Guard;
use landlock::{
    Access, AccessFs, AccessNet, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, ABI,
};
use std::path::Path;

/// The newest version whose rights are asked for; an older kernel gives those that it knows.
const NEWEST: ABI = ABI::V6;

/// Confines this thread, and those that it starts, to reading the files in `cache`.
pub(super) fn confine(cache: Option<&Path>) -> Guard {
    match restrict(cache) {
        Ok(RulesetStatus::FullyEnforced) => Guard::Full,
        Ok(RulesetStatus::PartiallyEnforced) => Guard::Partial,
        Ok(RulesetStatus::NotEnforced) => absent("the kernel lacks Landlock"),
        Err(error) => absent(&error.to_string()),
    }
}

fn absent(why: &str) -> Guard {
    Guard::Absent { why: why.into() }
}

fn restrict(cache: Option<&Path>) -> Result<RulesetStatus, RulesetError> {
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    // If the directory does not exist, no cache is used.
    if let Some(directory) = cache.and_then(|cache| PathFd::new(cache).ok()) {
        rules = rules.add_rule(PathBeneath::new(directory, kept()))?;
    }
    Ok(rules.restrict_self()?.ruleset)
}

/// The rights that a worker has in the cache's directory: list and read. It must not write, so that a program cannot
/// change what other workers run.
fn kept() -> BitFlags<AccessFs> {
    AccessFs::ReadDir | AccessFs::ReadFile
}
