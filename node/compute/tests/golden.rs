//! The golden table: what programs gave when it was written, to the bit and to the unit of fuel.
//!
//! A row that changes means that members with the old and the new build would disagree. If that is meant (a new engine,
//! another cost), `RINGS_GOLDEN=write` writes the table again, and the profile's name (`profile.rs`) must change with
//! it.
//!
//! Rows of example programs hold their fuel and memory only for the module whose hash they name: another Rust compiler makes
//! other modules, whose output has to be the same all the same.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic as the tests do.

mod common;

use common::{pool, program, run, start, task};
use rings_compute::{Outcome, Task};
use sha2::{Digest as _, Sha256};
use std::{fs, path::Path, process::Command};

/// The table's file.
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/table.txt");

/// One run.
struct Case {
    name: String,
    module: Vec<u8>,
    task: Task,
    input: Vec<u8>,
    /// Whether the module comes out of a compiler that is not pinned.
    compiled: bool,
}

fn text(name: &str, module: Vec<u8>) -> Case {
    let mut task = task(&module);
    task.limits.fuel = 100_000_000;
    task.limits.memory = 1 << 20;
    Case {
        name: name.into(),
        module,
        task,
        input: b"some input\nand more\n".to_vec(),
        compiled: false,
    }
}

fn limited(name: &str, module: Vec<u8>, change: impl FnOnce(&mut Task)) -> Case {
    let mut case = text(name, module);
    change(&mut case.task);
    case
}

/// Fills memory with a generator's numbers, sorts them by insertion, and writes them.
const SORT: &str = "(local $i i32) (local $j i32) (local $x i32)
    (local.set $x (i32.const 1))
    (loop $fill
        (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
        (i32.store (local.get $i) (local.get $x))
        (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 2000))))
    (local.set $i (i32.const 4))
    (loop $next
        (local.set $x (i32.load (local.get $i)))
        (local.set $j (local.get $i))
        (block $placed (loop $shift
            (br_if $placed (i32.eqz (local.get $j)))
            (br_if $placed (i32.le_u (i32.load (i32.sub (local.get $j) (i32.const 4))) (local.get $x)))
            (i32.store (local.get $j) (i32.load (i32.sub (local.get $j) (i32.const 4))))
            (local.set $j (i32.sub (local.get $j) (i32.const 4)))
            (br $shift)))
        (i32.store (local.get $j) (local.get $x))
        (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (i32.const 2000))))
    (call $put (i32.const 0) (i32.const 2000))";
const COPY: &str = "
    (loop $more
        (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 7))
        (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (call $put (i32.const 1024) (i32.load (i32.const 8)))
        (br_if $more (i32.load (i32.const 8))))";
/// A chaotic orbit: one wrong bit changes all digits.
const ORBIT: &str = "(local $x f64) (local $i i32)
    (local.set $x (f64.const 0.1))
    (loop $more
        (local.set $x (f64.mul (f64.mul (f64.const 3.999) (local.get $x)) (f64.sub (f64.const 1) (local.get $x))))
        (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000))))
    (f64.store (i32.const 0) (local.get $x)) (call $put (i32.const 0) (i32.const 8))";
const NANS: &str = "
    (f64.store (i32.const 0) (f64.div (f64.const 0) (f64.const 0)))
    (f64.store (i32.const 8) (f64.add (f64.const -nan:0x123) (f64.const 1)))
    (f64.store (i32.const 16) (f64.neg (f64.const nan:0x4)))
    (f32.store (i32.const 24) (f32.demote_f64 (f64.const -nan:0x4)))
    (f32.store (i32.const 28) (f32.min (f32.const nan:0x5) (f32.const 1)))
    (v128.store (i32.const 32) (f32x4.div (v128.const f32x4 0 -0 nan:0x5 -nan:0x7) (v128.const f32x4 0 0 1 1)))
    (call $put (i32.const 0) (i32.const 48))";
const SIMD: &str = "
    (v128.store (i32.const 0) (i8x16.shuffle 0 17 2 19 4 21 6 23 8 25 10 27 12 29 14 31
        (v128.const i32x4 1 2 3 4) (i16x8.mul (v128.const i16x8 1 2 3 4 5 6 7 8) (v128.const i16x8 9 9 9 9 9 9 9 9))))
    (v128.store (i32.const 16) (i32x4.dot_i16x8_s (v128.const i16x8 1 -2 3 -4 5 -6 7 -8) (v128.const i16x8 9 9 9 9 9 9 9 9)))
    (v128.store (i32.const 32) (f32x4.convert_i32x4_u (v128.const i32x4 -1 2 -3 4)))
    (call $put (i32.const 0) (i32.const 48))";
const SLEEP: &str = "
    (i32.store8 (i32.const 8) (i32.const 0)) (i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 1500000000))
    (call $show (call $poll_oneoff (i32.const 0) (i32.const 100) (i32.const 1) (i32.const 200)))
    (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 300)))
    (call $put (i32.const 100) (i32.const 32)) (call $put (i32.const 300) (i32.const 8))";
const RECURSION: &str = r#"(func $deeper (param i64) (result i64)
        (i64.add (call $deeper (i64.add (local.get 0) (i64.const 1))) (i64.const 1)))
    (func (export "_start") (drop (call $deeper (i64.const 0))))"#;
const FIBONACCI: &str = r#"(func $fib (param i32) (result i32)
        (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0)) (else
            (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
    (func (export "_start") (call $show (call $fib (i32.const 20))))"#;
const INDIRECT: &str = r#"(type $t (func (param i32) (result i32))) (table 4 funcref)
    (elem (i32.const 0) $double $square)
    (func $double (type $t) (i32.shl (local.get 0) (i32.const 1)))
    (func $square (type $t) (i32.mul (local.get 0) (local.get 0)))
    (func (export "_start")
        (call $show (call_indirect (type $t) (i32.const 21) (i32.const 0)))
        (call $show (call_indirect (type $t) (i32.const 21) (i32.const 1)))
        (call $show (call_indirect (type $t) (i32.const 21) (i32.const 2))))"#;
const SWITCH: &str = "(local $i i32) (loop $more
    (block $c (block $b (block $a (br_table $a $b $c (i32.rem_u (local.get $i) (i32.const 5))))
        (call $show (i32.const 10))) (call $show (i32.const 20)))
    (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 9))))";
const STDERR: &str = r#"(data (i32.const 100) "what went wrong\n") (func (export "_start")
    (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 16))
    (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $proc_exit (i32.const 9)))"#;

fn texts() -> Vec<Case> {
    let grow = "(call $show (memory.grow (i32.const 15))) (call $show (memory.grow (i32.const 1))) (call $show (memory.size))";
    let random = "(drop (call $random_get (i32.const 0) (i32.const 1000))) (call $put (i32.const 0) (i32.const 1000))";
    let args = "(drop (call $args_sizes_get (i32.const 0) (i32.const 4))) (drop (call $args_get (i32.const 8) (i32.const 100)))
        (call $put (i32.const 0) (i32.const 200))";
    let bulk = "(memory.fill (i32.const 0) (i32.const 65) (i32.const 30000)) (memory.copy (i32.const 10) (i32.const 0) (i32.const 20000))
        (call $put (i32.const 0) (i32.const 30010))";
    let convert = "(call $show (i32.trunc_sat_f64_s (f64.const 1e300))) (call $show (i32.trunc_sat_f32_u (f32.const nan)))
        (call $show (i32.extend8_s (i32.const 0x80))) (f64.store (i32.const 0) (f64.convert_i64_u (i64.const -1)))
        (call $put (i32.const 0) (i32.const 8))";
    let files = "(call $show (call $fd_read (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0)))
        (call $show (call $fd_sync (i32.const 1))) (call $show (call $sock_shutdown (i32.const 1) (i32.const 0)))
        (call $show (call $fd_seek (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0)))
        (call $show (call $fd_fdstat_get (i32.const 1) (i32.const 0))) (call $put (i32.const 0) (i32.const 24))";
    let long = "(local $i i64) (loop (br_if 0 (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (i64.const 3000000))))";
    let flood = "(loop (call $put (i32.const 0) (i32.const 50000)) (br 0))";
    let unreachable = "(drop (memory.grow (i32.const 100))) unreachable";
    let with_args =
        |task: &mut Task| task.args = vec!["-x".into(), "caf\u{e9}".into(), String::new()];
    vec![
        text("nothing", start("")),
        text("copy", start(COPY)),
        text("sort", start(SORT)),
        text("fibonacci", program(FIBONACCI)),
        text("orbit", start(ORBIT)),
        text("nans", start(NANS)),
        text("simd", start(SIMD)),
        text("bulk", start(bulk)),
        text("conversions", start(convert)),
        text("switch", start(SWITCH)),
        text("random", start(random)),
        text("sleep", start(SLEEP)),
        limited("args", start(args), with_args),
        text("files", start(files)),
        text("grow", start(grow)),
        text("long", start(long)),
        text("indirect-to-null", program(INDIRECT)),
        text("stderr-exit-9", program(STDERR)),
        text(
            "exit-0",
            start("(call $show (i32.const 1)) (call $proc_exit (i32.const 0))"),
        ),
        text("unreachable", start("unreachable")),
        text(
            "division",
            start("(call $show (i32.div_u (i32.const 1) (i32.load (i32.const 0))))"),
        ),
        text(
            "out-of-bounds",
            start("(drop (i64.load (i32.const 65529)))"),
        ),
        text("recursion", program(RECURSION)),
        limited("recursion-of-64-KiB", program(RECURSION), |task| {
            task.limits.stack = 64 << 10
        }),
        text("memory-refused", start(unreachable)),
        limited("memory-at-start", start(""), |task| {
            task.limits.memory = 65535
        }),
        limited("fuel", start(long), |task| task.limits.fuel = 1_000_000),
        limited("fuel-in-the-host", start(flood), |task| {
            task.limits.fuel = 120_000
        }),
        limited("output-limit", start(flood), |task| {
            task.limits.output = 120_000
        }),
        text(
            "start-function",
            program(r#"(func $s (call $show (i32.const 5))) (start $s) (func (export "_start"))"#),
        ),
        text(
            "outside-the-profile",
            program(r#"(memory 1) (func (export "_start"))"#),
        ),
    ]
}

fn example(name: &str, args: &[&str], input: &[u8]) -> Case {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let path = directory.join(format!("target/wasm32-wasip1/release/{name}.wasm"));
    let module = fs::read(path).unwrap();
    let mut task = task(&module);
    task.args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Case {
        name: [&["example", name], args].concat().join(" "),
        module,
        task,
        input: input.to_vec(),
        compiled: true,
    }
}

fn examples() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let built = Command::new(directory.join("build")).status().unwrap();
    assert!(built.success(), "examples/build: {built}");
    let lines: String = (0..2_000u32)
        .map(|number| format!("{}\n", number.wrapping_mul(2_654_435_761)))
        .collect();
    let mut spin = example("spin", &[], b"");
    spin.task.limits.fuel = 10_000_000;
    vec![
        example("wc", &[], lines.as_bytes()),
        example("sort", &[], lines.as_bytes()),
        example("sort", &["-r", "-u"], lines.as_bytes()),
        example("mean", &[], lines.as_bytes()),
        example("mean", &[], b"1\ntwo\n"),
        example("sha256", &[], lines.as_bytes()),
        example("echo", &[], lines.as_bytes()),
        example("clock", &[], b""),
        example("exit", &["7"], b""),
        spin,
    ]
}

fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn row(case: &Case, outcome: &Outcome, output: &[u8]) -> String {
    let ended = match &outcome.result {
        Ok(()) => "success".into(),
        Err(failure) => format!("{} {}", failure.reason, hash(&failure.stderr)),
    };
    let fuel = outcome.fuel;
    format!(
        "{} | {} | {} bytes {} | {ended} | {fuel} | {} | {}",
        case.name,
        hash(&case.input),
        outcome.output,
        hash(output),
        outcome.memory,
        hash(&case.module),
    )
}

const HEAD: &str = "# program | sha256 of the input | output | result, and sha256 of standard error | fuel | memory | sha256 of the module";

/// What of a row has to hold for a module of another compiler.
fn without_fuel(row: &str) -> Vec<&str> {
    row.split(" | ").take(4).collect()
}

#[tokio::test]
async fn every_row_is_what_it_was() {
    let cases: Vec<_> = texts().into_iter().chain(examples()).collect();
    assert!(cases.len() >= 30);
    let pool = pool(1);
    let mut rows = vec![HEAD.to_owned()];
    for case in &cases {
        let (outcome, output) = run(&pool, &case.task, &case.module, &case.input).await;
        rows.push(row(case, &outcome, &output));
    }
    pool.shutdown().await;
    if std::env::var_os("RINGS_GOLDEN").is_some_and(|value| value == "write") {
        fs::write(TABLE, rows.join("\n") + "\n").unwrap();
    }
    let table = fs::read_to_string(TABLE).unwrap();
    let known: Vec<_> = table.lines().collect();
    assert_eq!(known.len(), rows.len(), "the table has other rows");
    for (index, (known, row)) in known.iter().zip(&rows).enumerate() {
        let recompiled = index > 0
            && cases[index - 1].compiled
            && known.rsplit(" | ").next() != row.rsplit(" | ").next();
        match recompiled {
            false => assert_eq!(known, row),
            true => assert_eq!(without_fuel(known), without_fuel(row)),
        }
    }
}
