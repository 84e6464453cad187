//! What the tests of the pool share.

#![allow(dead_code)] // Each test uses a part of it.

use bytes::Bytes;
use futures::{stream, Stream};
use rings_compute::{imports, Limits, Outcome, Pool, PoolConfig, Task, WASI_MODULE};
use rings_protocol::Digest;
use sha2::{Digest as _, Sha256};
use std::{io, path::PathBuf, time::Duration};

/// Generous, because the machine may be busy with other tests.
pub const WALL_LIMIT: Duration = Duration::from_secs(120);

/// A shell script that greets as a worker of the profile `other`: `{"profile": "other", "protocol": 1}`, as DAG-CBOR in a frame.
pub const OTHER_WORKER: &str =
    r"printf '\021\031\000\000\000\242\147profile\145other\150protocol\001'; cat >/dev/null";

/// A pool of real worker processes.
pub fn pool(workers: usize) -> Pool {
    pool_with(workers, None, WALL_LIMIT)
}

/// A pool of real worker processes, with a cache.
pub fn pool_with(workers: usize, cache: Option<PathBuf>, wall_limit: Duration) -> Pool {
    pool_that_compiles(workers, cache, wall_limit, WALL_LIMIT)
}

/// The same, with a limit for compiling.
pub fn pool_that_compiles(
    workers: usize,
    cache: Option<PathBuf>,
    wall_limit: Duration,
    compile_limit: Duration,
) -> Pool {
    Pool::new(PoolConfig {
        command: (env!("CARGO_BIN_EXE_rings-worker").into(), vec![]),
        workers,
        cache,
        wall_limit,
        input_limit: WALL_LIMIT,
        compile_limit,
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
            output: u64::MAX,
            stack: 8 << 20,
        },
        time: 1_700_000_000,
        seed: [1; 32],
        state: false,
        blocks: 0,
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

/// A command as text: all of WASI under the names of its functions, one page of memory, `$put` (pointer, length:
/// writes to standard output), `$show` (writes a number's four bytes), and `rest`.
pub fn program(rest: &str) -> Vec<u8> {
    let imports: String = imports().map(|(name, ty, _)| import(name, &ty)).collect();
    let text = format!(
        r#"(module {imports}
        (memory (export "memory") 1)
        (func $put (param i32 i32)
            (i32.store (i32.const 60000) (local.get 0))
            (i32.store (i32.const 60004) (local.get 1))
            (drop (call $fd_write (i32.const 1) (i32.const 60000) (i32.const 1) (i32.const 60008))))
        (func $show (param i32)
            (i32.store (i32.const 60012) (local.get 0))
            (call $put (i32.const 60012) (i32.const 4)))
        {rest})"#
    );
    wat::parse_str(text).unwrap()
}

/// A command whose `_start` has that body.
pub fn start(body: &str) -> Vec<u8> {
    program(&format!(r#"(func (export "_start") {body})"#))
}

fn import(name: &str, ty: &str) -> String {
    let (params, results) = ty.split_once(" -> ").unwrap();
    let list = |what: &str, types: &str| types.replacen('(', &format!("({what} "), 1);
    let ty = list("param", params) + &list("result", results);
    format!(r#"(import "{WASI_MODULE}" "{name}" (func ${name} {ty}))"#)
}
