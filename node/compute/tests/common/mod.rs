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

/// A command that copies its input to its output, 4 KiB at a time.
pub const COPY: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (loop $more
            (i32.store (i32.const 0) (i32.const 1024))
            (i32.store (i32.const 4) (i32.const 4096))
            (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
            (i32.store (i32.const 4) (i32.load (i32.const 8)))
            (if (i32.load (i32.const 8)) (then
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                (br $more))))))"#;

/// A command that never ends.
pub const SPIN: &str =
    r#"(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))"#;

/// The bytes of a module written as text.
pub fn module(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}
