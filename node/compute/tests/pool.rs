//! The pool with real worker processes, healthy, killed, slow and hostile.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic as the tests do.

mod common;

use async_trait::async_trait;
use bytes::Bytes;
use common::{input, pool, pool_that_compiles, pool_with, run, task, WALL_LIMIT};
use futures::{stream, StreamExt};
use rings_compute::{
    ComputeError, Failure, Guard, HashedOutput, ModuleBytes, ModuleSource, Opinion, OutputSink,
    Pool, PoolConfig, Reason, Witnessed,
};
use sha2::{Digest as _, Sha256};
use std::{
    fs, io,
    path::Path,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, Notify};

/// A command that copies its input to its output, 4 KiB at a time.
const COPY: &str = r#"(module
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
const SPIN: &str =
    r#"(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))"#;

/// The bytes of a module written as text.
fn module(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// Counts how often it is asked.
struct Counted<'a>(Bytes, &'a AtomicUsize);

#[async_trait]
impl ModuleSource for Counted<'_> {
    async fn load(&self) -> Result<ModuleBytes, ComputeError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        Ok(self.0.clone().into())
    }
}

/// A line of `/proc/PID/status`, in KiB.
fn status_kib(pid: u32, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Waits until a child process has ended completely, without taking its exit status.
fn ended(pid: u32) {
    use rustix::process::{waitid, Pid, WaitId, WaitIdOptions};
    let id = WaitId::Pid(Pid::from_raw(pid as i32).unwrap());
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    assert!(waitid(id, options).unwrap().is_some());
}

async fn gone(pid: u32) {
    let end = Instant::now() + Duration::from_secs(20);
    while Path::new(&format!("/proc/{pid}")).exists() {
        assert!(Instant::now() < end, "{pid} is still there");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for the first input of a run, so that the run is certainly on a worker.
fn stalling(started: Arc<Notify>) -> impl futures::Stream<Item = io::Result<Bytes>> + Send + Unpin {
    Box::pin(stream::once(async move {
        started.notify_one();
        std::future::pending::<io::Result<Bytes>>().await
    }))
}

#[tokio::test]
async fn a_program_runs_in_a_worker_and_gives_the_same_each_time() {
    let (pool, copy) = (pool(1), module(COPY));
    let text = vec![b'a'; 300_000];
    let first = run(&pool, &task(&copy), &copy, &text).await;
    assert_eq!((first.0.result.clone(), &first.1), (Ok(()), &text));
    assert_eq!(first.0.output, 300_000);
    assert_eq!(run(&pool, &task(&copy), &copy, &text).await, first);
    pool.shutdown().await;
}

#[tokio::test]
async fn the_module_is_asked_for_once() {
    let (pool, copy, asked) = (pool(1), module(COPY), AtomicUsize::new(0));
    for _ in 0..3 {
        let source = Counted(copy.clone().into(), &asked);
        let outcome = pool
            .run(&task(&copy), source, input(b"x"), &mut Vec::new())
            .await;
        assert!(outcome.unwrap().result.is_ok());
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    pool.shutdown().await;
}

#[tokio::test]
async fn a_new_pool_finds_compiled_modules_on_disk_and_drops_damaged_ones() {
    let (directory, copy) = (tempfile::tempdir().unwrap(), module(COPY));
    let asked = AtomicUsize::new(0);
    let once = || async {
        let pool = pool_with(1, Some(directory.path().join("modules")), WALL_LIMIT);
        let source = Counted(copy.clone().into(), &asked);
        let mut output = Vec::new();
        let outcome = pool
            .run(&task(&copy), source, input(b"xyz"), &mut output)
            .await;
        pool.shutdown().await;
        assert_eq!(output, b"xyz");
        outcome.unwrap()
    };
    let (first, second) = (once().await, once().await);
    assert_eq!(first, second);
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    let mut files = fs::read_dir(directory.path().join("modules")).unwrap();
    let file = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    assert_eq!(once().await, first);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn pools_that_share_a_cache_compile_a_module_once() {
    let (directory, copy) = (tempfile::tempdir().unwrap(), module(COPY));
    let asked = AtomicUsize::new(0);
    let runs = (0..8).map(|_| async {
        let pool = pool_with(1, Some(directory.path().into()), WALL_LIMIT);
        let source = Counted(copy.clone().into(), &asked);
        let (mut output, task) = (Vec::new(), task(&copy));
        let ran = pool.run(&task, source, input(b"xyz"), &mut output);
        ran.await.unwrap().result.unwrap();
        assert_eq!(output, b"xyz");
        pool.shutdown().await;
    });
    futures::future::join_all(runs).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // Neither a lock nor half a file is left.
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

/// A module that makes the compiler work for seconds: a thousand values are alive all the time.
fn slow_to_compile() -> Vec<u8> {
    let each = |text: &dyn Fn(usize) -> String| (0..999).map(text).collect::<String>();
    let load = each(&|at| format!("(local.set {at} (i64.load (i32.const {})))", 8 * at));
    let product = each(&|at| {
        let next = (7 * at + 1) % 999;
        format!("(local.set {at} (i64.xor (i64.mul (local.get {at}) (local.get {next})) (local.get {next})))")
    });
    let store = each(&|at| format!("(i64.store (i32.const {}) (local.get {at}))", 8 * at));
    let function = format!(
        "(func (local {}) {load} {} {store})",
        "i64 ".repeat(999),
        product.repeat(8)
    );
    common::program(&format!(
        r#"{} (func (export "_start"))"#,
        function.repeat(8)
    ))
}

#[tokio::test]
async fn a_module_that_compiles_for_too_long_is_given_up_and_takes_no_place() {
    let directory = tempfile::tempdir().unwrap();
    let limit = Duration::from_secs(1);
    let pool = pool_that_compiles(1, Some(directory.path().into()), WALL_LIMIT, limit);
    let (copy, bomb) = (module(COPY), slow_to_compile());
    let good_task = task(&copy);
    let good = || run(&pool, &good_task, &copy, b"x");
    assert_eq!(good().await.1, b"x");
    let bomb_task = task(&bomb);
    let bombed = async || {
        let (source, mut output) = (Bytes::from(bomb.clone()), Vec::new());
        let ran = pool.run(&bomb_task, source, input(b""), &mut output);
        ran.await.unwrap_err()
    };
    // Twice it is tried. Meanwhile the one worker is free for others.
    let mut bombing = Box::pin(bombed());
    let first = tokio::select! {
        error = &mut bombing => panic!("{error}"),
        (_, output) = good() => output,
    };
    assert_eq!(first, b"x");
    let first = bombing.await;
    assert!(matches!(first, ComputeError::Timeout { .. }), "{first}");
    assert!(first.is_transient());
    let second = bombed().await;
    assert!(
        matches!(second, ComputeError::CompileTimeout { .. }),
        "{second}"
    );
    let began = Instant::now();
    let third = bombed().await;
    assert!(matches!(third, ComputeError::CompileTimeout { .. }) && !third.is_transient());
    assert!(began.elapsed() < limit, "nothing is compiled any more");
    assert_eq!(good().await.1, b"x");
    pool.shutdown().await;
}

#[tokio::test]
async fn a_state_goes_through_a_worker_and_both_engines_leave_the_same() {
    // Standard input, then the state, go to the next state; the state's length is the output.
    let text = r#"(func $copy (param $from i32) (result i32) (local $all i32)
            (loop $more
                (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 4000))
                (drop (call $fd_read (local.get $from) (i32.const 0) (i32.const 1) (i32.const 8)))
                (i32.store (i32.const 4) (i32.load (i32.const 8)))
                (drop (call $fd_write (i32.const 4) (i32.const 0) (i32.const 1) (i32.const 12)))
                (local.set $all (i32.add (local.get $all) (i32.load (i32.const 8))))
                (br_if $more (i32.load (i32.const 8))))
            (local.get $all))
        (func (export "_start") (drop (call $copy (i32.const 0))) (call $show (call $copy (i32.const 3))))"#;
    let (pool, module) = (pool(1), common::program(text));
    let mut task = task(&module);
    task.state = true;
    let state = vec![b's'; 700_000];
    let (mut output, mut next) = (Vec::new(), Vec::new());
    let mut hashed = HashedOutput::new(&mut output);
    let mut kept = HashedOutput::new(&mut next);
    let outcome = pool
        .run_with_state(
            &task,
            Bytes::from(module.clone()),
            (input(b"input "), &mut hashed),
            (input(&state), &mut kept),
        )
        .await
        .unwrap();
    let first = hashed.witness(outcome).with_state(kept);
    assert_eq!(output, 700_000u32.to_le_bytes());
    assert_eq!(next, [b"input ".as_slice(), &state].concat());
    assert_eq!(first.outcome.output, 4 + 700_006);
    let ask = |state| {
        let source = Bytes::from(module.clone());
        pool.second_opinion_with_state(&task, source, input(b"input "), state, &first)
    };
    assert_eq!(ask(input(&state)).await.unwrap(), Opinion::Agrees);
    let other = ask(input(&vec![b't'; 700_000])).await.unwrap();
    assert!(matches!(other, Opinion::Differs { .. }), "{other}");
    pool.shutdown().await;
}

#[tokio::test]
async fn compiling_leaves_nothing_in_the_worker_that_runs() {
    let large = module(&format!(
        r#"(module (memory (export "memory") 1)
            (func (param i32) (result i32) (local.get 0) {}) (func (export "_start")))"#,
        "(i32.load)".repeat(80_000)
    ));
    let directory = tempfile::tempdir().unwrap();
    let pool = pool_with(1, Some(directory.path().into()), WALL_LIMIT);
    let (first, _) = run(&pool, &task(&large), &large, b"").await;
    assert_eq!(first.result, Ok(()));
    assert_eq!(run(&pool, &task(&large), &large, b"").await.0, first);
    let resident = status_kib(pool.idle_workers()[0], "VmRSS");
    assert!(resident < 30_000, "{resident} KiB");
    pool.shutdown().await;
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_costs_only_time() {
    let (pool, copy) = (
        pool_with(1, Some("/proc/no/such/place".into()), WALL_LIMIT),
        module(COPY),
    );
    assert_eq!(run(&pool, &task(&copy), &copy, b"x").await.1, b"x");
    pool.shutdown().await;
}

/// Hashes and counts what it is given, and keeps nothing.
#[derive(Default)]
struct Hashing(Sha256, u64);

#[async_trait]
impl OutputSink for Hashing {
    async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        self.0.update(&bytes);
        self.1 += bytes.len() as u64;
        Ok(())
    }
}

#[tokio::test]
async fn a_gigabyte_streams_through_with_bounded_memory() {
    const PIECE: usize = 1_000_000;
    const PIECES: usize = 1_000;
    let (pool, copy) = (pool(1), module(COPY));
    let piece = |number: usize| Bytes::from(vec![number as u8; PIECE]);
    let pieces = Box::pin(stream::iter(0..PIECES).map(|number| Ok(piece(number))));
    let mut output = Hashing::default();
    let source = Bytes::from(copy.clone());
    let own = status_kib(std::process::id(), "VmRSS");
    let outcome = pool
        .run(&task(&copy), source, pieces, &mut output)
        .await
        .unwrap();
    assert_eq!(outcome.result, Ok(()));
    assert_eq!(output.1, (PIECE * PIECES) as u64);
    let mut expected = Sha256::new();
    (0..PIECES).for_each(|number| expected.update(piece(number)));
    assert_eq!(output.0.finalize(), expected.finalize());
    let peak = status_kib(pool.idle_workers()[0], "VmHWM");
    println!("a gigabyte through a worker: {peak} KiB resident at most");
    assert!(peak < 60_000, "{peak} KiB");
    // Other tests run in this process too; what is asserted is that nothing near a gigabyte stays.
    let grown = status_kib(std::process::id(), "VmRSS").saturating_sub(own);
    assert!(grown < 400_000, "{grown} KiB");
    pool.shutdown().await;
}

#[tokio::test]
async fn every_wall_stands_that_the_kernel_has() {
    let pool = pool(1);
    let sandbox = pool.sandbox().await.unwrap();
    println!("{sandbox}");
    let pid = pool.idle_workers()[0];
    // Asked of the kernel, for the worker only says what it believes.
    let line = |key| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(sandbox.seccomp, Guard::Full);
    assert_eq!(
        (line("Seccomp:"), line("NoNewPrivs:")),
        ("2".into(), "1".into())
    );
    assert!(sandbox.rlimits.contains(&("core".into(), 0)), "{sandbox}");
    // Asking leaves one warm worker, and asking again starts no other.
    assert_eq!(pool.sandbox().await.unwrap(), sandbox);
    assert_eq!(pool.idle_workers(), [pid]);
    pool.shutdown().await;
}

#[tokio::test]
async fn the_second_engine_is_asked_in_a_worker_and_says_what_it_thinks() {
    let (pool, copy) = (pool(1), module(COPY));
    let (task, source) = (task(&copy), Bytes::from(copy.clone()));
    let text = vec![b'a'; 300_000];
    let mut kept = Vec::new();
    let mut output = HashedOutput::new(&mut kept);
    let outcome = pool
        .run(&task, source.clone(), input(&text), &mut output)
        .await
        .unwrap();
    let first = output.witness(outcome);
    assert_eq!(kept, text);
    let opinion = |first: Witnessed| {
        let (pool, task, source, text) = (&pool, &task, source.clone(), &text);
        async move {
            let opinion = pool.second_opinion(task, source, input(text), &first).await;
            opinion.unwrap()
        }
    };
    assert_eq!(opinion(first.clone()).await, Opinion::Agrees);
    // As if the first engine had written something else.
    let mut other = first.clone();
    other.output.0[0] ^= 1;
    let differs = opinion(other).await;
    assert!(matches!(differs, Opinion::Differs { .. }), "{differs}");
    let mut spent = first.clone();
    spent.outcome.result = Err(Failure {
        reason: Reason::Fuel,
        stderr: vec![],
    });
    let silent = opinion(spent).await;
    assert!(matches!(silent, Opinion::Silent { .. }), "{silent}");
    // The worker goes on as before.
    assert_eq!(run(&pool, &task, &copy, &text).await.0, first.outcome);
    pool.shutdown().await;
}

#[tokio::test]
async fn an_idle_worker_is_small() {
    let (pool, copy) = (pool(1), module(COPY));
    run(&pool, &task(&copy), &copy, b"x").await;
    let resident = status_kib(pool.idle_workers()[0], "VmRSS");
    println!("idle worker: {resident} KiB resident");
    assert!(resident < 30_000, "{resident} KiB");
    pool.shutdown().await;
}

#[tokio::test]
async fn a_worker_has_nothing_of_its_parent() {
    let (pool, copy) = (pool(1), module(COPY));
    run(&pool, &task(&copy), &copy, b"x").await;
    let pid = pool.idle_workers()[0];
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let environment = String::from_utf8(environment).unwrap();
    for variable in environment.split_terminator('\0') {
        assert!(variable.starts_with("MALLOC_"), "{variable}");
    }
    assert_eq!(
        fs::read_link(format!("/proc/{pid}/cwd")).unwrap(),
        Path::new("/")
    );
    let open: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .map(|entry| fs::read_link(entry.unwrap().path()).unwrap())
        .filter(|target| !target.to_string_lossy().starts_with("pipe:"))
        .filter(|target| !target.to_string_lossy().contains("memfd:"))
        // It looks at its own memory there.
        .filter(|target| *target != Path::new(&format!("/proc/{pid}/status")))
        .collect();
    assert!(open.is_empty(), "{open:?}");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core"))
        .unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    // It has its own process group, so that Ctrl-C at the terminal reaches only its parent.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let group = stat.rsplit(')').next().unwrap().split_whitespace().nth(2);
    assert_eq!(group, Some(pid.to_string().as_str()));
    pool.shutdown().await;
}

#[tokio::test]
async fn a_worker_killed_in_mid_run_is_an_error_and_the_next_run_works() {
    let (pool, copy) = (Arc::new(pool(1)), module(COPY));
    run(&pool, &task(&copy), &copy, b"x").await;
    let pid = pool.idle_workers()[0];
    let started = Arc::new(Notify::new());
    let killed = tokio::spawn({
        let (pool, copy, started) = (Arc::clone(&pool), copy.clone(), Arc::clone(&started));
        async move {
            let source = Bytes::from(copy.clone());
            let input = dying(pid, started);
            pool.run(&task(&copy), source, input, &mut Vec::new()).await
        }
    });
    started.notified().await;
    match killed.await.unwrap() {
        Err(ComputeError::Died { status, .. }) => assert!(status.contains('9'), "{status}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(run(&pool, &task(&copy), &copy, b"again").await.1, b"again");
    pool.shutdown().await;
}

/// An input in whose middle the worker is killed.
fn dying(
    pid: u32,
    started: Arc<Notify>,
) -> impl futures::Stream<Item = io::Result<Bytes>> + Send + Unpin {
    Box::pin(stream::once(async move {
        kill(pid);
        started.notify_one();
        Ok(Bytes::from_static(b"too late"))
    }))
}

#[tokio::test]
async fn an_idle_worker_that_died_is_replaced() {
    let (pool, copy) = (pool(1), module(COPY));
    run(&pool, &task(&copy), &copy, b"x").await;
    let pid = pool.idle_workers()[0];
    kill(pid);
    ended(pid);
    assert_eq!(run(&pool, &task(&copy), &copy, b"y").await.1, b"y");
    pool.shutdown().await;
}

#[tokio::test]
async fn a_run_beyond_the_wall_clock_is_stopped_and_is_no_vote() {
    let (pool, spin) = (pool_with(1, None, Duration::from_millis(500)), module(SPIN));
    let mut endless = task(&spin);
    endless.limits.fuel = u64::MAX / 2;
    let started = Instant::now();
    let result = pool
        .run(&endless, Bytes::from(spin), input(b""), &mut Vec::new())
        .await;
    assert!(
        matches!(result, Err(ComputeError::Timeout { .. })),
        "{result:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(30));
    assert!(pool.idle_workers().is_empty());
    pool.shutdown().await;
}

#[tokio::test]
async fn waiting_for_input_is_not_the_workers_fault() {
    let (pool, copy) = (pool_with(1, None, Duration::from_secs(3)), module(COPY));
    run(&pool, &task(&copy), &copy, b"").await;
    let slow = Box::pin(stream::once(async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        Ok(Bytes::from_static(b"late"))
    }));
    let mut output = Vec::new();
    let outcome = pool
        .run(&task(&copy), Bytes::from(copy.clone()), slow, &mut output)
        .await;
    assert_eq!(
        (outcome.unwrap().result, output),
        (Ok(()), b"late".to_vec())
    );
    pool.shutdown().await;
}

#[tokio::test]
async fn out_of_fuel_is_a_result_and_the_worker_goes_on() {
    let (pool, spin) = (pool(1), module(SPIN));
    let mut short = task(&spin);
    short.limits.fuel = 1_000_000;
    let (first, _) = run(&pool, &short, &spin, b"").await;
    assert_eq!(first.result.clone().unwrap_err().reason, Reason::Fuel);
    assert_eq!(first.fuel, 1_000_000);
    let pid = pool.idle_workers();
    assert_eq!(run(&pool, &short, &spin, b"").await.0, first);
    assert_eq!(pool.idle_workers(), pid);
    pool.shutdown().await;
}

#[tokio::test]
async fn recursion_overflows_the_programs_stack_and_not_the_workers() {
    let deep = module(
        r#"(module (memory (export "memory") 1) (func $f (call $f)) (func (export "_start") (call $f)))"#,
    );
    let pool = pool(1);
    let (outcome, _) = run(&pool, &task(&deep), &deep, b"").await;
    let trap = "stack-overflow";
    assert_eq!(outcome.result.unwrap_err().reason, Reason::Trap { trap });
    assert_eq!(pool.idle_workers().len(), 1);
    pool.shutdown().await;
}

#[tokio::test]
async fn input_that_cannot_be_read_is_an_error_and_the_worker_goes_on() {
    let (pool, copy) = (pool(1), module(COPY));
    let broken = stream::iter([
        Ok(Bytes::from(vec![0; 600_000])),
        Err(io::Error::other("the disk is gone")),
    ]);
    let source = Bytes::from(copy.clone());
    let result = pool
        .run(&task(&copy), source, broken, &mut Vec::new())
        .await;
    assert!(matches!(result, Err(ComputeError::Input(_))), "{result:?}");
    assert_eq!(pool.idle_workers().len(), 1);
    assert_eq!(run(&pool, &task(&copy), &copy, b"fine").await.1, b"fine");
    pool.shutdown().await;
}

#[tokio::test]
async fn a_module_that_cannot_be_had_or_is_another_is_an_error() {
    struct Missing;
    #[async_trait]
    impl ModuleSource for Missing {
        async fn load(&self) -> Result<ModuleBytes, ComputeError> {
            Err(ComputeError::module("no such block"))
        }
    }
    let (pool, copy) = (pool(1), module(COPY));
    let result = pool
        .run(&task(&copy), Missing, input(b""), &mut Vec::new())
        .await;
    assert!(matches!(result, Err(ComputeError::Module(_))), "{result:?}");
    let other = Bytes::from(module(SPIN));
    let result = pool
        .run(&task(&copy), other, input(b""), &mut Vec::new())
        .await;
    assert!(
        matches!(result, Err(ComputeError::ModuleHash { .. })),
        "{result:?}"
    );
    assert_eq!(run(&pool, &task(&copy), &copy, b"fine").await.1, b"fine");
    pool.shutdown().await;
}

#[tokio::test]
async fn output_that_cannot_be_kept_ends_the_run() {
    struct Full;
    #[async_trait]
    impl OutputSink for Full {
        async fn write(&mut self, _: Bytes) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }
    let (pool, copy) = (pool(1), module(COPY));
    let source = Bytes::from(copy.clone());
    let result = pool
        .run(&task(&copy), source, input(&[0; 1_000_000]), &mut Full)
        .await;
    assert!(matches!(result, Err(ComputeError::Output(_))), "{result:?}");
    assert_eq!(run(&pool, &task(&copy), &copy, b"fine").await.1, b"fine");
    pool.shutdown().await;
}

#[tokio::test]
async fn a_slow_reader_holds_the_program_back() {
    struct Waiting(mpsc::Sender<usize>, Arc<Notify>);
    #[async_trait]
    impl OutputSink for Waiting {
        async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
            self.0.try_send(bytes.len()).map_err(io::Error::other)?;
            self.1.notified().await;
            Ok(())
        }
    }
    let (pool, copy) = (pool(1), module(COPY));
    let (sender, mut received) = mpsc::channel(32);
    let release = Arc::new(Notify::new());
    let mut sink = Waiting(sender, Arc::clone(&release));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let pieces = Box::pin(stream::iter(0..20).map(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(Bytes::from(vec![0; 262_144]))
    }));
    let task = task(&copy);
    let running = pool.run(&task, Bytes::from(copy.clone()), pieces, &mut sink);
    tokio::pin!(running);
    let first = tokio::select! {
        _ = &mut running => panic!("it cannot end"),
        length = received.recv() => length,
    };
    assert!(first.is_some());
    assert!(asked.load(Ordering::SeqCst) <= 3, "the input runs ahead");
    let releasing = async {
        loop {
            release.notify_one();
            tokio::task::yield_now().await;
        }
    };
    let outcome = tokio::select! {
        outcome = &mut running => outcome.unwrap(),
        () = releasing => unreachable!(),
    };
    assert_eq!(outcome.output, 20 * 262_144);
    pool.shutdown().await;
}

#[tokio::test]
async fn workers_run_side_by_side_and_no_more_than_allowed() {
    let (pool, copy) = (Arc::new(pool(2)), module(COPY));
    let runs = (0..12u8).map(|number| {
        let (pool, copy) = (Arc::clone(&pool), copy.clone());
        tokio::spawn(async move { run(&pool, &task(&copy), &copy, &[number; 100_000]).await.1 })
    });
    for (number, output) in futures::future::join_all(runs)
        .await
        .into_iter()
        .enumerate()
    {
        assert_eq!(output.unwrap(), [number as u8; 100_000]);
    }
    assert_eq!(pool.idle_workers().len(), 2);
    pool.shutdown().await;
}

#[tokio::test]
async fn shutdown_ends_runs_and_workers_and_is_final() {
    let (pool, copy) = (Arc::new(pool(2)), module(COPY));
    run(&pool, &task(&copy), &copy, b"x").await;
    let pid = pool.idle_workers()[0];
    let started = Arc::new(Notify::new());
    let running = tokio::spawn({
        let (pool, copy, input) = (
            Arc::clone(&pool),
            copy.clone(),
            stalling(Arc::clone(&started)),
        );
        async move {
            let source = Bytes::from(copy.clone());
            pool.run(&task(&copy), source, input, &mut Vec::new()).await
        }
    });
    started.notified().await;
    pool.shutdown().await;
    assert!(matches!(running.await.unwrap(), Err(ComputeError::Closed)));
    gone(pid).await;
    let source = Bytes::from(copy.clone());
    let late = pool
        .run(&task(&copy), source, input(b""), &mut Vec::new())
        .await;
    assert!(matches!(late, Err(ComputeError::Closed)));
    pool.shutdown().await;
}

#[tokio::test]
async fn a_run_that_is_given_up_kills_its_worker_and_frees_its_place() {
    let (pool, copy) = (pool(1), module(COPY));
    run(&pool, &task(&copy), &copy, b"x").await;
    let pid = pool.idle_workers()[0];
    let started = Arc::new(Notify::new());
    let task = task(&copy);
    let mut output = Vec::new();
    tokio::select! {
        _ = pool.run(&task, Bytes::from(copy.clone()), stalling(Arc::clone(&started)), &mut output) => panic!(),
        () = started.notified() => {}
    }
    gone(pid).await;
    assert_eq!(run(&pool, &task, &copy, b"y").await.1, b"y");
    pool.shutdown().await;
}

#[tokio::test]
async fn a_dropped_pool_leaves_no_worker() {
    let (pool, copy) = (pool(1), module(COPY));
    run(&pool, &task(&copy), &copy, b"x").await;
    let pid = pool.idle_workers()[0];
    drop(pool);
    gone(pid).await;
}

/// A pool whose "worker" is a shell script.
fn impostor(script: &str) -> Pool {
    Pool::new(PoolConfig {
        command: ("/bin/sh".into(), vec!["-c".into(), script.into()]),
        workers: 1,
        cache: None,
        wall_limit: WALL_LIMIT,
        input_limit: WALL_LIMIT,
        compile_limit: WALL_LIMIT,
    })
}

#[tokio::test]
async fn a_command_that_is_no_worker_is_an_error_with_its_last_words() {
    let copy = module(COPY);
    let attempt = |pool: Pool| {
        let copy = copy.clone();
        async move {
            let source = Bytes::from(copy.clone());
            let result = pool
                .run(&task(&copy), source, input(b""), &mut Vec::new())
                .await;
            pool.shutdown().await;
            result.unwrap_err()
        }
    };
    let died = attempt(impostor("echo out of luck >&2; exit 3")).await;
    assert!(matches!(died, ComputeError::Died { .. }), "{died:?}");
    assert!(died.to_string().contains("out of luck"), "{died}");
    let babbled = attempt(impostor("echo hello, this is a shell; cat >/dev/null")).await;
    assert!(
        matches!(babbled, ComputeError::Protocol { .. }),
        "{babbled:?}"
    );
    let missing = Pool::new(PoolConfig {
        command: ("/no/such/program".into(), vec![]),
        workers: 1,
        cache: None,
        wall_limit: WALL_LIMIT,
        input_limit: WALL_LIMIT,
        compile_limit: WALL_LIMIT,
    });
    let missing = attempt(missing).await;
    assert!(matches!(missing, ComputeError::Spawn { .. }), "{missing:?}");
}

#[tokio::test]
async fn a_worker_of_another_profile_is_refused() {
    let (pool, copy) = (impostor(common::OTHER_WORKER), module(COPY));
    let source = Bytes::from(copy.clone());
    let result = pool
        .run(&task(&copy), source, input(b""), &mut Vec::new())
        .await;
    match result {
        Err(ComputeError::Profile { found, .. }) => assert_eq!(found, "other"),
        other => panic!("{other:?}"),
    }
}
