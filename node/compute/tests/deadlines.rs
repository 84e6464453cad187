//! Everything that a run waits for has a limit, and what fails again and again is not tried for ever.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic as the tests do.

mod common;

use async_trait::async_trait;
use bytes::Bytes;
use common::{input, pool_with, program, run, start, task, WALL_LIMIT};
use futures::stream;
use rings_compute::{ComputeError, HashedOutput, Opinion, OutputSink, Pool, PoolConfig, Reason};
use std::{
    fs::{self, File},
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

/// A limit that is reached in a test.
const SHORT: Duration = Duration::from_secs(2);

/// Reads a byte and writes it.
const ECHO: &str =
    "(i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 1))
    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $put (i32.const 100) (i32.const 1))";

fn config(cache: Option<PathBuf>) -> PoolConfig {
    PoolConfig {
        command: (env!("CARGO_BIN_EXE_rings-worker").into(), vec![]),
        workers: 1,
        cache,
        wall_limit: WALL_LIMIT,
        input_limit: WALL_LIMIT,
        compile_limit: WALL_LIMIT,
    }
}

#[tokio::test]
async fn input_that_never_comes_frees_the_worker() {
    let pool = Pool::new(PoolConfig {
        input_limit: SHORT,
        ..config(None)
    });
    let module = start(ECHO);
    run(&pool, &task(&module), &module, b"x").await;
    let worker = pool.idle_workers();
    let (source, mut output) = (Bytes::from(module.clone()), Vec::new());
    let never = stream::pending::<io::Result<Bytes>>();
    let task = task(&module);
    let late = pool
        .run(&task, source, never, &mut output)
        .await
        .unwrap_err();
    assert!(matches!(late, ComputeError::InputTimeout { .. }), "{late}");
    assert!(late.is_transient());
    // The same worker goes on.
    assert_eq!(pool.idle_workers(), worker);
    assert_eq!(run(&pool, &task, &module, b"y").await.1, b"y");
    pool.shutdown().await;
}

/// Takes nothing, for ever.
struct Stuck;

#[async_trait]
impl OutputSink for Stuck {
    async fn write(&mut self, _: Bytes) -> io::Result<()> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn output_that_is_never_taken_frees_the_place() {
    let pool = Pool::new(PoolConfig {
        input_limit: SHORT,
        ..config(None)
    });
    let module = start(ECHO);
    let source = Bytes::from(module.clone());
    let late = pool
        .run(&task(&module), source, input(b"x"), &mut Stuck)
        .await;
    let late = late.unwrap_err();
    assert!(matches!(late, ComputeError::Output(_)), "{late}");
    assert_eq!(run(&pool, &task(&module), &module, b"y").await.1, b"y");
    pool.shutdown().await;
}

#[tokio::test]
async fn a_second_opinion_that_comes_too_late_is_none_and_the_result_stands() {
    // The compiler makes one addition of the hundred, the interpreter none: it needs a hundred times as long.
    let sums = "i64.const 1 i64.add ".repeat(100);
    let module = start(&format!(
        "(local $i i64) (loop $more
            (local.get $i) {sums} (local.set $i)
            (br_if $more (i64.lt_u (local.get $i) (i64.const 40000000000))))
        (call $show (i32.wrap_i64 (local.get $i)))"
    ));
    let pool = Pool::new(PoolConfig {
        wall_limit: Duration::from_secs(6),
        ..config(None)
    });
    let (mut kept, source) = (Vec::new(), Bytes::from(module.clone()));
    let mut output = HashedOutput::new(&mut kept);
    let mut task = task(&module);
    task.limits.fuel = 1_000_000_000_000;
    let outcome = pool
        .run(&task, source.clone(), input(b""), &mut output)
        .await
        .unwrap();
    assert_eq!(outcome.result, Ok(()));
    let first = output.witness(outcome);
    let opinion = pool
        .second_opinion(&task, source, input(b""), &first)
        .await
        .unwrap();
    assert!(matches!(opinion, Opinion::Silent { .. }), "{opinion}");
    pool.shutdown().await;
}

#[tokio::test]
async fn a_lock_that_is_never_released_holds_nobody_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let module = start(ECHO);
    // Where the lock is, is seen from a module that is compiled.
    let pool = pool_with(1, Some(directory.path().into()), WALL_LIMIT);
    run(&pool, &task(&module), &module, b"x").await;
    pool.shutdown().await;
    let kept = fs::read_dir(directory.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let name = kept.file_name().unwrap().to_str().unwrap().to_owned();
    let start: Vec<_> = name.split('.').take(2).collect();
    fs::remove_file(&kept).unwrap();
    let lock = File::create(directory.path().join(start.join(".") + ".lock")).unwrap();
    lock.lock().unwrap();
    let pool = Pool::new(PoolConfig {
        compile_limit: SHORT,
        ..config(Some(directory.path().into()))
    });
    let began = Instant::now();
    assert_eq!(run(&pool, &task(&module), &module, b"y").await.1, b"y");
    assert!(began.elapsed() >= SHORT, "{:?}", began.elapsed());
    // It was compiled into the cache all the same.
    assert!(kept.exists());
    drop(lock);
    pool.shutdown().await;
}

/// A module whose compiling needs more memory than [`poor`] has.
fn hungry() -> Vec<u8> {
    let sum = "(local.set 0 (i64.mul (local.get 0) (i64.add (local.get 1) (i64.const 77))))";
    let function = format!(
        "(func (param i64) (result i64) (local i64) {} (local.get 0))",
        sum.repeat(32_000)
    );
    program(&format!(
        r#"{} (func (export "_start"))"#,
        function.repeat(2)
    ))
}

/// A pool whose processes have little memory.
fn poor(cache: Option<PathBuf>) -> Pool {
    // One thread: how many functions are compiled at once would depend on the machine. The stack of a run is 260 MiB of it.
    let script = r#"ulimit -d 330000; RAYON_NUM_THREADS=1 exec "$0""#;
    Pool::new(PoolConfig {
        command: (
            "/bin/sh".into(),
            vec![
                "-c".into(),
                script.into(),
                env!("CARGO_BIN_EXE_rings-worker").into(),
            ],
        ),
        ..config(cache)
    })
}

#[tokio::test]
async fn a_module_that_a_compiler_died_of_twice_is_declined_in_sight() {
    let directory = tempfile::tempdir().unwrap();
    let (hungry, good) = (hungry(), start(ECHO));
    for cache in [Some(directory.path().to_owned()), None] {
        let pool = poor(cache);
        let attempt = async || {
            let source = Bytes::from(hungry.clone());
            let ran = pool
                .run(&task(&hungry), source, input(b""), &mut Vec::new())
                .await;
            ran.unwrap_err()
        };
        let first = attempt().await;
        assert!(matches!(first, ComputeError::Died { .. }), "{first}");
        assert!(first.is_transient());
        attempt().await;
        let third = attempt().await;
        assert!(
            matches!(third, ComputeError::CompilerDied { .. }),
            "{third}"
        );
        assert!(third.is_declined());
        assert_eq!(run(&pool, &task(&good), &good, b"x").await.1, b"x");
        pool.shutdown().await;
    }
}

/// Notes that it was told to discard what it got.
#[derive(Default)]
struct Discarding {
    got: usize,
    discarded: bool,
}

#[async_trait]
impl OutputSink for Discarding {
    async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        self.got += bytes.len();
        Ok(())
    }

    async fn discard(&mut self) {
        self.discarded = true;
    }
}

#[tokio::test]
async fn output_of_a_run_that_fails_is_discarded_and_that_of_others_is_not() {
    let pool = Pool::new(config(None));
    let ended = async |module: Vec<u8>| {
        let mut sink = Discarding::default();
        let mut output = HashedOutput::new(&mut sink);
        let source = Bytes::from(module.clone());
        let outcome = pool
            .run(&task(&module), source, input(b""), &mut output)
            .await;
        (
            outcome.unwrap().result.err().map(|failure| failure.reason),
            sink,
        )
    };
    let write = "(loop $more (call $put (i32.const 0) (i32.const 60000))
        (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20))))";
    let (reason, sink) = ended(start(&format!("(local $i i32) {write}"))).await;
    assert_eq!((reason, sink.got, sink.discarded), (None, 1_200_000, false));
    let (reason, sink) = ended(start(&format!(
        "(local $i i32) {write} (call $proc_exit (i32.const 3))"
    )))
    .await;
    assert_eq!(reason, Some(Reason::Exit { code: 3 }));
    assert!(sink.got > 0 && sink.discarded);
    pool.shutdown().await;
}

#[tokio::test]
async fn a_module_is_prepared_once_and_one_outside_the_profile_is_checked_once() {
    let directory = tempfile::tempdir().unwrap();
    let pool = Pool::new(config(Some(directory.path().into())));
    let (good, bad) = (start(ECHO), b"\0asm\x01\0\0\0".to_vec());
    for module in [&good, &bad] {
        let source = Bytes::from(module.clone());
        pool.prepare(&task(module), source).await.unwrap();
    }
    // Neither needs the module's bytes again.
    let ran = |module: Vec<u8>| {
        let pool = &pool;
        async move {
            let mut output = Vec::new();
            let outcome = pool
                .run(&task(&module), Gone, input(b"x"), &mut output)
                .await;
            (outcome.unwrap().result, output)
        }
    };
    assert_eq!(ran(good).await, (Ok(()), b"x".to_vec()));
    let (outside, _) = ran(bad).await;
    assert_eq!(outside.unwrap_err().reason, Reason::Input);
    pool.shutdown().await;
}

/// A module that cannot be loaded.
struct Gone;

#[async_trait]
impl rings_compute::ModuleSource for Gone {
    async fn load(&self) -> Result<rings_compute::ModuleBytes, ComputeError> {
        Err(ComputeError::module("it is gone"))
    }
}
