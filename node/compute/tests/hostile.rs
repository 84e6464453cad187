//! Programs that try to harm a member: each must end as expected, the memory and files that they take are bounded, and a
//! good program still gets its result.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic as the tests do.

mod common;

use async_trait::async_trait;
use bytes::Bytes;
use common::{input, pool, pool_with, program, run, start, task, WALL_LIMIT};
use rings_compute::{
    compile_effort, compile_fuel, Limits, Outcome, OutputSink, Pool, Reason, Task, MAX_FUNCTIONS,
    MAX_FUNCTION_LOCALS, MAX_LABELS, OUTPUT_TRAP,
};
use std::{
    fs, io,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// Fuel that a hostile program gets, beside that for compiling it.
const FUEL: u64 = 200_000_000;
/// Memory that it gets.
const MEMORY: u64 = 64 << 20;
/// Workers of the pool that is attacked.
const WORKERS: usize = 2;
/// Resident memory of all workers together, in KiB, while a program with [`MEMORY`] runs on each and others are compiled.
const MOST_RESIDENT: u64 = 2 << 20;
/// And when they are idle again.
const IDLE_RESIDENT: u64 = 200 << 10;

/// Children of this process are counted here, so that one test runs at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

fn fuel(module: &[u8]) -> u64 {
    FUEL + compile_effort(module).map_or(0, compile_fuel)
}

fn hostile(module: &[u8]) -> Task {
    let mut task = task(module);
    task.limits = Limits {
        fuel: fuel(module),
        memory: MEMORY,
        output: 1 << 20,
        stack: 8 << 20,
    };
    task
}

/// What this process's children have: resident memory in KiB, and open files.
#[derive(Debug, Clone, Copy, Default)]
struct Footprint {
    processes: u64,
    resident: u64,
    files: u64,
}

impl Footprint {
    fn now() -> Self {
        let own = std::process::id().to_string();
        let mut all = Self::default();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
            let parent = stat
                .rsplit(')')
                .next()
                .and_then(|rest| rest.split_whitespace().nth(1));
            if parent != Some(&own) {
                continue;
            }
            let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            let resident = status.lines().find(|line| line.starts_with("VmRSS"));
            let resident = resident.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            let files = fs::read_dir(entry.path().join("fd")).map_or(0, Iterator::count);
            all.processes += 1;
            all.resident += resident.unwrap_or(0u64);
            all.files += files as u64;
        }
        all
    }

    fn most(self, other: Self) -> Self {
        Self {
            processes: self.processes.max(other.processes),
            resident: self.resident.max(other.resident),
            files: self.files.max(other.files),
        }
    }
}

/// Looks at the children until it is stopped; gives the most that was seen.
struct Watch(Arc<AtomicBool>, std::thread::JoinHandle<Footprint>);

impl Watch {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let watching = std::thread::spawn(move || {
            let mut most = Footprint::now();
            while !stopped.load(Ordering::Relaxed) {
                most = most.most(Footprint::now());
                std::thread::sleep(Duration::from_millis(10));
            }
            most
        });
        Self(stop, watching)
    }

    fn stop(self) -> Footprint {
        self.0.store(true, Ordering::Relaxed);
        self.1.join().unwrap()
    }
}

/// Counts output, and keeps nothing.
#[derive(Default)]
struct Counted(u64);

#[async_trait]
impl OutputSink for Counted {
    async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        self.0 += bytes.len() as u64;
        Ok(())
    }
}

const SPIN: &str = "(loop (br 0))";
const FLOOD: &str = "(i32.store (i32.const 4) (i32.const 65536))
    (loop (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16))) (br 0))";
const READ_ON: &str = "(i32.store (i32.const 4) (i32.const 100))
    (loop (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16))) (br 0))";
/// Grows page by page, and writes to each.
const GROW: &str = "(local $at i32)
    (loop $more
        (local.set $at (memory.grow (i32.const 1)))
        (if (i32.ne (local.get $at) (i32.const -1)) (then
            (i32.store (i32.mul (local.get $at) (i32.const 65536)) (i32.const 7))
            (br $more))))
    (call $show (memory.size))
    (call $show (memory.grow (i32.const 65535)))";
const NANS: &str = "
    (f64.store (i32.const 0) (f64.add (f64.const nan:0x123) (f64.const 1)))
    (f64.store (i32.const 8) (f64.reinterpret_i64 (i64.const 0xfff4000000000001)))
    (f64.store (i32.const 16) (f64.copysign (f64.const nan:0x4) (f64.const -1)))
    (v128.store (i32.const 24) (f32x4.div (v128.const f32x4 0 -0 nan:0x5 -nan:0x7) (v128.const f32x4 0 0 1 1)))
    (v128.store (i32.const 40) (f64x2.min (v128.const f64x2 nan:0x5 1) (v128.const f64x2 1 -nan:0x7)))
    (call $put (i32.const 0) (i32.const 56))";

/// A command with `rest` in it, and no import.
fn bare(rest: &str, body: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module (memory (export "memory") 1) {rest} (func (export "_start") {body}))"#
    ))
    .unwrap()
}

/// One function that chooses between a million labels.
fn br_table(entries: usize) -> Vec<u8> {
    let labels = "0 1 ".repeat(entries / 2);
    let body = format!("(block (block (br_table {labels} 0 (i32.const 999999))))");
    bare("", &body)
}

/// A module whose data is nearly as large as a module may be, and fills its memory.
fn full_of_data() -> Vec<u8> {
    let data = "x".repeat(32 << 20);
    let text = format!(
        r#"(module (memory (export "memory") 512) (data (i32.const 0) "{data}") (func (export "_start")))"#
    );
    wat::parse_str(text).unwrap()
}

/// How a hostile program ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Success,
    Failure(Reason),
}

fn cases() -> Vec<(&'static str, Vec<u8>, End)> {
    let trap = |trap| End::Failure(Reason::Trap { trap });
    let (fuel, refused) = (End::Failure(Reason::Fuel), End::Failure(Reason::Input));
    let recursion =
        r#"(func $f (param i64) (result i64) (i64.add (call $f (local.get 0)) (i64.const 1)))"#;
    let locals = |count: u32| {
        bare(
            &format!("(func (local {}))", "i64 ".repeat(count as usize)),
            "",
        )
    };
    vec![
        ("infinite loop", start(SPIN), fuel),
        ("recursion without end", bare(recursion, "(drop (call $f (i64.const 0)))"), trap("stack-overflow")),
        ("memory to the limit and past it", start(GROW), End::Success),
        ("a table of 10,000,000 elements", bare("(table 10000000 funcref)", ""), refused),
        (
            "a table that grows without end",
            bare("(table $t 0 funcref)", "(loop (br_if 0 (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))"),
            End::Success,
        ),
        ("100,000 functions", bare(&"(func)".repeat(MAX_FUNCTIONS - 1), ""), End::Success),
        ("more functions than may be", bare(&"(func)".repeat(MAX_FUNCTIONS), ""), refused),
        ("50,000 locals", locals(50_000), refused),
        ("as many locals as may be", locals(MAX_FUNCTION_LOCALS), End::Success),
        ("a br_table of a million entries", br_table(1_000_000), refused),
        ("a br_table of 10,000 entries", br_table(10_000), End::Success),
        ("as many labels as may be, at two places", br_table(MAX_LABELS as usize), refused),
        ("a start function that loops", program(r#"(func $spin (loop (br 0))) (start $spin) (func (export "_start"))"#), fuel),
        ("output without end", start(FLOOD), trap(OUTPUT_TRAP)),
        ("reading on after the end", start(READ_ON), fuel),
        ("NaNs with payloads", start(NANS), End::Success),
        ("data that fills the memory", full_of_data(), End::Success),
        ("data that does not fit", bare(r#"(data (i32.const 65535) "xx")"#, ""), trap("memory-out-of-bounds")),
    ]
}

/// A good program: it adds up what it reads.
fn good() -> Vec<u8> {
    start(
        "(local $sum i32)
         (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 4096))
         (loop $more
            (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
            (local.set $sum (i32.add (local.get $sum) (i32.load (i32.const 8))))
            (br_if $more (i32.load (i32.const 8))))
         (call $show (local.get $sum))",
    )
}

async fn run_good(pool: &Pool, module: &[u8]) -> Duration {
    let started = Instant::now();
    let (outcome, output) = run(pool, &task(module), module, &[1; 100_000]).await;
    assert_eq!(
        (outcome.result, output),
        (Ok(()), 100_000u32.to_le_bytes().to_vec())
    );
    started.elapsed()
}

async fn median_of_good(pool: &Pool, module: &[u8]) -> Duration {
    let mut times = Vec::new();
    for _ in 0..21 {
        times.push(run_good(pool, module).await);
    }
    times.sort();
    times[10]
}

async fn attack(pool: &Pool, module: &[u8]) -> Outcome {
    let source = Bytes::copy_from_slice(module);
    pool.run(
        &hostile(module),
        source,
        input(b"some input"),
        &mut Counted::default(),
    )
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_programs_end_as_written_and_leave_nothing_behind() {
    let _alone = ALONE.lock().await;
    let (cache, good) = (tempfile::tempdir().unwrap(), good());
    let pool = pool_with(WORKERS, Some(cache.path().into()), WALL_LIMIT);
    let usual = median_of_good(&pool, &good).await;
    // Both workers are up before anything is compared.
    tokio::join!(run_good(&pool, &good), run_good(&pool, &good));
    let before = Footprint::now();
    println!("before: {before:?}, a good program takes {usual:?}");
    for (name, module, end) in cases() {
        let watch = Watch::start();
        let started = Instant::now();
        let one = attack(&pool, &module).await;
        let elapsed = started.elapsed();
        // Two processes at the same time, of which one has not seen it before: all say the same.
        let again = tokio::join!(attack(&pool, &module), attack(&pool, &module));
        let during = watch.stop();
        assert_eq!((&one, &one), (&again.0, &again.1), "{name}");
        match end {
            End::Success => assert_eq!(one.result, Ok(()), "{name}"),
            End::Failure(reason) => {
                assert_eq!(one.result.as_ref().unwrap_err().reason, reason, "{name}");
            }
        }
        assert!(
            one.memory <= MEMORY && one.fuel <= fuel(&module),
            "{name}: {one:?}"
        );
        assert!(during.resident < MOST_RESIDENT, "{name}: {during:?}");
        assert!(during.processes <= WORKERS as u64 + 1, "{name}: {during:?}");
        let after = run_good(&pool, &good).await;
        println!("{name}: {elapsed:?}, {during:?}; a good program then takes {after:?}");
    }
    tokio::join!(run_good(&pool, &good), run_good(&pool, &good));
    let (after, then) = (Footprint::now(), median_of_good(&pool, &good).await);
    println!("after: {after:?}, a good program takes {then:?}");
    assert!(after.processes <= WORKERS as u64, "{after:?}");
    assert!(after.resident < IDLE_RESIDENT, "{after:?}");
    // Files of images that are kept warm: one or two for each module.
    let warm = 2 * WORKERS as u64 * cases().len() as u64;
    assert!(after.files <= before.files + warm, "{before:?} {after:?}");
    pool.shutdown().await;
    assert_eq!(Footprint::now().processes, 0);
}

#[tokio::test]
async fn a_module_cut_off_at_any_byte_is_refused_by_every_worker() {
    let _alone = ALONE.lock().await;
    let (pool, module) = (
        pool(WORKERS),
        bare("(func (param i32) (drop (local.get 0)))", ""),
    );
    for length in 0..module.len() {
        let cut = &module[..length];
        let outcome = attack(&pool, cut).await;
        let failure = outcome.result.unwrap_err();
        assert_eq!(
            (failure.reason, outcome.fuel),
            (Reason::Input, 0),
            "{length}"
        );
        assert!(!failure.stderr.is_empty());
    }
    assert_eq!(attack(&pool, &module).await.result, Ok(()));
    pool.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_program_behind_twenty_hostile_ones_gets_its_turn() {
    const HOSTILE: u32 = 20;
    let _alone = ALONE.lock().await;
    let (pool, good, spin) = (Arc::new(pool(WORKERS)), good(), start(SPIN));
    tokio::join!(run_good(&pool, &good), run_good(&pool, &good));
    tokio::join!(attack(&pool, &spin), attack(&pool, &spin));
    let usual = median_of_good(&pool, &good).await;
    let started = Instant::now();
    tokio::join!(attack(&pool, &spin), attack(&pool, &spin));
    let limit = started.elapsed();
    let queued: Vec<_> = (0..HOSTILE)
        .map(|_| {
            let (pool, spin) = (Arc::clone(&pool), spin.clone());
            tokio::spawn(async move { attack(&pool, &spin).await })
        })
        .collect();
    // The queue is in order of arrival: all of them are in it before the good one comes.
    while pool.waiting() + WORKERS < HOSTILE as usize {
        tokio::task::yield_now().await;
    }
    let waited = run_good(&pool, &good).await;
    println!("usually {usual:?}, a hostile one {limit:?}, behind {HOSTILE} of them {waited:?}");
    // What two of them took side by side is what each was granted, under the load that the machine had.
    assert!(
        waited <= 2 * usual + HOSTILE * limit,
        "{waited:?} {usual:?} {limit:?}"
    );
    for one in queued {
        assert_eq!(one.await.unwrap().result.unwrap_err().reason, Reason::Fuel);
    }
    pool.shutdown().await;
}
