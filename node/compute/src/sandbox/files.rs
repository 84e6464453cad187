//! Landlock: no file but those of the cache of compiled modules, and no TCP.

use super::Guard;
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
    // A cache that is not there is not used.
    if let Some(directory) = cache.and_then(|cache| PathFd::new(cache).ok()) {
        rules = rules.add_rule(PathBeneath::new(directory, kept()))?;
    }
    Ok(rules.restrict_self()?.ruleset)
}

/// What a worker does with the cache's directory: look and read. What it runs must not change what others run.
fn kept() -> BitFlags<AccessFs> {
    AccessFs::ReadDir | AccessFs::ReadFile
}
