//! The worker processes of a member.

use super::config::ComputeConfig;
use rings_api::with_causes;
use rings_compute::{PoolConfig, Pools};
use std::{path::Path, sync::Arc, time::Duration};

/// Wall-clock time that a worker gets for one run. Fuel is the limit that members agree on; this one only frees a
/// worker of this machine, and the member abstains.
const WALL_LIMIT: Duration = Duration::from_secs(1800);
/// Wall-clock time that one run may wait for its input, all of which is here before it begins, and for its output. An input has at most
/// 32 GiB, or 131,072 blocks; a busy machine with a slow disk may need some minutes to read that.
const INPUT_LIMIT: Duration = Duration::from_secs(900);
/// Wall-clock time that compiling a program may take.
const COMPILE_LIMIT: Duration = Duration::from_secs(120);

pub(super) fn pool_config(config: &ComputeConfig) -> PoolConfig {
    let program = std::env::current_exe().unwrap_or_else(|_| Path::new("rings").into());
    PoolConfig {
        command: (program, vec!["worker".into()]),
        workers: config.workers,
        cache: Some(config.cache.clone()),
        wall_limit: WALL_LIMIT,
        input_limit: INPUT_LIMIT,
        compile_limit: COMPILE_LIMIT,
    }
}

/// Logs which parts of the sandbox are in force on this machine's kernel.
pub(super) async fn tell_sandbox(pools: Arc<Pools>) {
    match pools.own().sandbox().await {
        Ok(sandbox) if sandbox.is_full() => tracing::info!("programs run behind {sandbox}"),
        Ok(sandbox) => {
            tracing::warn!("programs run behind {sandbox}: a newer kernel would give more");
        }
        Err(error) => {
            let reason = with_causes(&error);
            tracing::warn!(
                reason,
                "no worker could be started; gates cannot be computed"
            );
        }
    }
}
