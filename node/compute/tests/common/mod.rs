//! What the tests of the pool share.

use bytes::Bytes;
use futures::{stream, Stream};
use rings_compute::{Limits, Outcome, Pool, PoolConfig, Task};
use rings_protocol::Digest;
use sha2::{Digest as _, Sha256};
use std::{io, path::PathBuf, time::Duration};

/// Generous, because the machine may be busy with other tests.
pub const WALL_LIMIT: Duration = Duration::from_secs(120);

/// A pool of real worker processes.
pub fn pool(workers: usize) -> Pool {
    pool_with(workers, None, WALL_LIMIT)
}

/// A pool of real worker processes, with a cache.
pub fn pool_with(workers: usize, cache: Option<PathBuf>, wall_limit: Duration) -> Pool {
    Pool::new(PoolConfig {
        command: (env!("CARGO_BIN_EXE_rings-worker").into(), vec![]),
        workers,
        cache,
        wall_limit,
    })
}

/// A task with limits that are not in the way.
pub fn task(module: &[u8]) -> Task {
    Task {
        module: Digest(Sha256::digest(module).into()),
        program: "program.wasm".into(),
        args: vec![],
        limits: Limits {
            fuel: 10_000_000_000,
            memory: 64 << 20,
        },
        time: 1_700_000_000,
        seed: [1; 32],
    }
}

/// An input in pieces of 100,000 bytes.
pub fn input(bytes: &[u8]) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin {
    let pieces: Vec<_> = bytes
        .chunks(100_000)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    stream::iter(pieces)
}

/// Runs a task that this machine can complete.
pub async fn run(pool: &Pool, task: &Task, module: &[u8], bytes: &[u8]) -> (Outcome, Vec<u8>) {
    let mut output = Vec::new();
    let module = Bytes::copy_from_slice(module);
    let outcome = pool
        .run(task, module, input(bytes), &mut output)
        .await
        .unwrap();
    (outcome, output)
}
