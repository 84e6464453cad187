//! What a run costs when everything is warm: in this process, and in a worker.

use bytes::Bytes;
use criterion::{criterion_group, criterion_main, Criterion};
use futures::stream;
use rings_compute::{Limits, Local, Pool, PoolConfig, Task, MAX_STACK};
use rings_protocol::Digest;
use sha2::{Digest as _, Sha256};
use std::{io, time::Duration};

/// Reads its input and writes a line.
const PROGRAM: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 16)
    (data (i32.const 16) "hello from a ring\n")
    (func (export "_start")
        (i32.store (i32.const 0) (i32.const 1024))
        (i32.store (i32.const 4) (i32.const 4096))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.store (i32.const 0) (i32.const 16))
        (i32.store (i32.const 4) (i32.const 18))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// A failed set-up ends the bench with its error.
type Setup<T> = Result<T, Box<dyn std::error::Error>>;

fn task(module: &[u8]) -> Task {
    Task {
        module: Digest(Sha256::digest(module).into()),
        program: "hello".into(),
        args: vec![],
        limits: Limits {
            fuel: 1_000_000,
            memory: 64 << 20,
            output: u64::MAX,
            stack: MAX_STACK,
        },
        time: 0,
        seed: [0; 32],
        state: false,
        blocks: 0,
    }
}

fn in_process(c: &mut Criterion, module: &[u8]) -> Setup<()> {
    let (mut local, task) = (Local::new()?, task(module));
    local.run(&task, module, io::empty(), io::sink())?;
    c.bench_function("warm run in this process", |b| {
        b.iter(|| {
            local
                .run(&task, module, &b"some input"[..], io::sink())
                .is_ok()
        })
    });
    Ok(())
}

fn in_worker(c: &mut Criterion, module: &[u8]) -> Setup<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let pool = Pool::new(PoolConfig {
        command: (env!("CARGO_BIN_EXE_rings-worker").into(), vec![]),
        workers: 1,
        cache: None,
        wall_limit: Duration::from_secs(60),
        input_limit: Duration::from_secs(60),
        compile_limit: Duration::from_secs(60),
    });
    let (task, bytes) = (task(module), Bytes::copy_from_slice(module));
    let once = || async {
        let input = stream::iter([Ok(Bytes::from_static(b"some input"))]);
        let mut output = Vec::new();
        let outcome = pool.run(&task, bytes.clone(), input, &mut output).await?;
        Ok::<_, rings_compute::ComputeError>((outcome, output))
    };
    let (outcome, output) = runtime.block_on(once())?;
    assert_eq!((outcome.result, output.len()), (Ok(()), 18));
    c.bench_function("warm run in a worker", |b| {
        b.iter(|| runtime.block_on(once()).is_ok())
    });
    runtime.block_on(pool.shutdown());
    Ok(())
}

fn benches(c: &mut Criterion) {
    let mut run = || -> Setup<()> {
        let module = wat::parse_str(PROGRAM)?;
        in_process(c, &module)?;
        in_worker(c, &module)
    };
    if let Err(error) = run() {
        panic!("the bench could not be set up: {error}");
    }
}

criterion_group! {
    name = warm;
    config = Criterion::default().sample_size(50).without_plots();
    targets = benches
}
criterion_main!(warm);
