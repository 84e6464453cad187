//! Worker processes for the commands that run programs themselves: `rings verify` and `rings run --dry`.

use super::failure::{Context, Failure, Status};
use rings_compute::{Pool, PoolConfig};
use std::{
    env,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread::available_parallelism,
    time::Duration,
};

/// Wall-clock time of one run, which only ends what its fuel does not.
const WALL_LIMIT: Duration = Duration::from_secs(3600);

/// A pool of workers of this program, one for each core, with the user's cache of compiled modules.
///
/// # Errors
/// When this program's own file cannot be found.
pub fn open() -> Result<Pool, Failure> {
    let program = env::current_exe().context(Status::Internal, "cannot find this program")?;
    Ok(Pool::new(PoolConfig {
        command: (program, vec!["worker".into()]),
        workers: available_parallelism().map_or(1, NonZeroUsize::get),
        cache: cache(),
        wall_limit: WALL_LIMIT,
        compile_limit: WALL_LIMIT,
    }))
}

/// Compiled modules of this user; none when there is no home.
fn cache() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    base.map(|base| base.join(Path::new("rings/modules")))
}
