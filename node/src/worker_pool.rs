//! Worker processes for the commands that run programs themselves: `rings verify` and `rings run --dry`.

use super::exit::{Context, ExitError, ExitStatus};
use rings_compute::{PoolConfig, Pools};
use std::{
    env,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread::available_parallelism,
    time::Duration,
};

/// Wall-clock time of one run. It only stops runs that do not end by their fuel.
const WALL_LIMIT: Duration = Duration::from_secs(3600);

/// A pool of workers of this program, one for each core, with the user's cache of compiled modules.
///
/// # Errors
/// When this program's own file cannot be found, or does not start.
pub async fn open() -> Result<Pools, ExitError> {
    let program = env::current_exe().context(ExitStatus::Internal, "cannot find this program")?;
    let config = PoolConfig {
        command: (program, vec!["worker".into()]),
        workers: available_parallelism().map_or(1, NonZeroUsize::get),
        cache: cache(),
        wall_limit: WALL_LIMIT,
        input_limit: WALL_LIMIT,
        compile_limit: WALL_LIMIT,
    };
    Ok(Pools::start(config, &[]).await?)
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
