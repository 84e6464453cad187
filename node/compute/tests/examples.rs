//! The example programs, built and run as a member runs them. Also where the figures come from:
//! `cargo test -p rings-compute --release --test examples -- --nocapture figures`.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic as the tests do.

mod common;

use common::{pool, pool_with, run, task, WALL_LIMIT};
use rings_compute::{check_module, Outcome, Reason, Task};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Instant,
};

/// Program, arguments, input, and how the output begins.
type Row = (
    &'static str,
    &'static [&'static str],
    &'static str,
    &'static str,
);

/// Builds the examples once for all tests of this file.
fn examples() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
        let status = Command::new(directory.join("build")).status().unwrap();
        assert!(status.success(), "examples/build: {status}");
        directory.join("target/wasm32-wasip1/release")
    })
}

fn example(name: &str) -> Vec<u8> {
    let module = fs::read(examples().join(format!("{name}.wasm"))).unwrap();
    assert_eq!(check_module(&module), Ok(()), "{name}");
    module
}

fn with_args(module: &[u8], args: &[&str]) -> Task {
    let mut task = task(module);
    task.args = args.iter().map(|arg| (*arg).to_owned()).collect();
    task
}

async fn try_example(name: &str, args: &[&str], input: &[u8]) -> (Outcome, Vec<u8>) {
    let (pool, module) = (pool(1), example(name));
    let task = with_args(&module, args);
    let first = run(&pool, &task, &module, input).await;
    assert_eq!(run(&pool, &task, &module, input).await, first, "{name}");
    pool.shutdown().await;
    first
}

const NUMBERS: &str = "1 2 3\n4.5\n-1e-3 1e300\n";

const ROWS: &[Row] = &[
    ("wc", &[], "", "      0       0       0\n"),
    ("wc", &[], "one two\nthree", "      1       3      13\n"),
    ("echo", &[], "a\0b\n", "a\0b\n"),
    ("sort", &[], "b\na\n\nb", "\na\nb\nb\n"),
    ("sort", &["-r", "-u"], "b\na\nb\n", "b\na\n"),
    (
        "mean",
        &[],
        "1 2 3 4",
        "count     4\nmean      2.5\nvariance  1.6666666666666667\ndeviation 1.2909944487358056\n\
         least     1.0\ngreatest  4.0\norbit     ",
    ),
    ("mean", &[], "", "count     0\n"),
];

#[tokio::test]
async fn the_examples_do_what_they_say() {
    for (name, args, input, expected) in ROWS {
        let (outcome, output) = try_example(name, args, input.as_bytes()).await;
        assert_eq!(outcome.result, Ok(()), "{name} {args:?}");
        let output = String::from_utf8(output).unwrap();
        assert!(output.starts_with(expected), "{name} {args:?}: {output}");
    }
}

#[tokio::test]
async fn numbers_are_the_same_in_every_worker() {
    let module = example("mean");
    let mut seen = Vec::new();
    for _ in 0..3 {
        let pool = pool(1);
        seen.push(run(&pool, &task(&module), &module, NUMBERS.as_bytes()).await);
        pool.shutdown().await;
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    assert!(seen[0].0.result.is_ok());
}

#[tokio::test]
async fn the_programs_that_fail_fail_as_they_say() {
    let (outcome, _) = try_example("exit", &["7"], b"").await;
    let failure = outcome.result.unwrap_err();
    assert_eq!(failure.reason, Reason::Exit { code: 7 });
    assert_eq!(failure.stderr, b"exiting with status 7\n");

    let (outcome, _) = try_example("mean", &[], b"1\ntwo\n").await;
    let failure = outcome.result.unwrap_err();
    assert_eq!(failure.reason, Reason::Exit { code: 1 });
    assert_eq!(failure.stderr, b"mean: line 2: \"two\" is not a number\n");
}

#[tokio::test]
async fn spin_runs_out_of_fuel_and_sort_is_refused_memory() {
    let (pool, spin, sort) = (pool(1), example("spin"), example("sort"));
    let mut short = task(&spin);
    short.limits.fuel = 10_000_000;
    let (outcome, _) = run(&pool, &short, &spin, b"").await;
    assert_eq!(outcome.result.unwrap_err().reason, Reason::Fuel);
    let mut small = task(&sort);
    small.limits.memory = 4 << 20;
    let (outcome, _) = run(&pool, &small, &sort, &[b'x'; 8 << 20]).await;
    let failure = outcome.result.unwrap_err();
    // It notices, and says so; a program that does not is `Reason::Memory`.
    assert_eq!(failure.reason, Reason::Exit { code: 1 });
    assert_eq!(failure.stderr, b"sort: out of memory\n");
    assert!(outcome.memory <= 4 << 20);
    pool.shutdown().await;
}

#[tokio::test]
async fn the_clock_is_the_blocks_and_random_bytes_are_the_seeds() {
    let (pool, clock) = (pool(1), example("clock"));
    let mut task = task(&clock);
    let (_, first) = run(&pool, &task, &clock, b"").await;
    assert!(first.starts_with(b"1700000000 "), "{first:?}");
    task.seed = [2; 32];
    let (_, other) = run(&pool, &task, &clock, b"").await;
    assert_ne!(first, other);
    task.time += 1;
    let (_, later) = run(&pool, &task, &clock, b"").await;
    assert_eq!(later[11..], other[11..]);
    assert!(later.starts_with(b"1700000001 "), "{later:?}");
    pool.shutdown().await;
}

#[tokio::test]
async fn figures() {
    let (directory, wc) = (tempfile::tempdir().unwrap(), example("wc"));
    let pool = pool_with(1, Some(directory.path().to_owned()), WALL_LIMIT);
    let started = Instant::now();
    run(&pool, &task(&wc), &wc, b"one two\n").await;
    println!(
        "wc.wasm, worker started and module compiled: {:?}",
        started.elapsed()
    );
    pool.shutdown().await;

    let pool = pool_with(1, Some(directory.path().to_owned()), WALL_LIMIT);
    let started = Instant::now();
    run(&pool, &task(&wc), &wc, b"one two\n").await;
    println!(
        "wc.wasm, worker started and module found on disk: {:?}",
        started.elapsed()
    );
    let mut times: Vec<_> = Vec::new();
    for _ in 0..200 {
        let started = Instant::now();
        run(&pool, &task(&wc), &wc, b"one two\n").await;
        times.push(started.elapsed());
    }
    times.sort();
    println!(
        "wc.wasm, warm: median {:?}, p95 {:?}",
        times[100], times[190]
    );
    let pid = pool.idle_workers()[0];
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in status
        .lines()
        .filter(|line| line.starts_with("VmRSS") || line.starts_with("Rss"))
    {
        println!("worker {line}");
    }
    pool.shutdown().await;
}
