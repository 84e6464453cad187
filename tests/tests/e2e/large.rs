//! Modules of a size that real programs have, and more.

use super::files::numbers;
use rings_tests::{foreign, Foreign, Receipt, Ring};
use std::{fmt::Write as _, path::Path, time::Duration};

const LIMIT: Duration = Duration::from_secs(600);
const TIMEOUT: &str = "580";
/// Bytes of the data of the large module; a multiple of eight.
const DATA: usize = 18_500_000;
/// Functions of the large module.
const FUNCTIONS: u64 = 10_000;
/// Steps in each of them, all with constants of its own.
const STEPS: u64 = 8;

/// Something odd that depends on both.
const fn constant(function: u64, step: u64) -> u64 {
    (function * STEPS + step + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

/// Where a function reads a word of the data.
const fn place(function: u64) -> usize {
    (function as usize * 1_848) % (DATA - 8)
}

/// Hashes all of its data, and then passes the hash through each of its functions.
fn large_module(data: &[u8]) -> Vec<u8> {
    let pages = DATA.div_ceil(65_536) + 1;
    let mut text = format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") {pages})
        (type $mix (func (param i64) (result i64)))
        (table {FUNCTIONS} funcref)
        (data (i32.const 0) "{}")
        {START}"#,
        String::from_utf8_lossy(data).replace('\n', "\\n")
    );
    let mut names = String::new();
    for function in 0..FUNCTIONS {
        write_function(&mut text, function);
        write!(names, "$f{function} ").unwrap();
    }
    write!(text, "(elem (i32.const 0) func {names}))").unwrap();
    wat::parse_str(text.replace("{END}", &DATA.to_string())).unwrap()
}

const START: &str = r#"(func (export "_start") (local $hash i64) (local $at i32)
    (loop $words
        (local.set $hash (i64.mul (i64.const 0x9e3779b97f4a7c15)
            (i64.xor (local.get $hash) (i64.load (local.get $at)))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br_if $words (i32.lt_u (local.get $at) (i32.const {END}))))
    (local.set $at (i32.const 0))
    (loop $functions
        (local.set $hash (call_indirect (type $mix) (local.get $hash) (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $functions (i32.lt_u (local.get $at) (table.size))))
    (i64.store (i32.const 16) (local.get $hash))
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 8))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))"#;

fn write_function(text: &mut String, function: u64) {
    let place = place(function);
    write!(
        text,
        "(func $f{function} (type $mix) (local.set 0 (i64.xor (local.get 0) (i64.load (i32.const {place}))))"
    )
    .unwrap();
    for step in 0..STEPS {
        let constant = constant(function, step);
        write!(
            text,
            "(local.set 0 (i64.rotl (i64.mul (local.get 0) (i64.const {constant})) (i64.const 29)))"
        )
        .unwrap();
    }
    text.push_str("(local.get 0))");
}

/// The same computation in Rust.
fn expected(data: &[u8]) -> [u8; 8] {
    let word = |at: usize| u64::from_le_bytes(data[at..at + 8].try_into().unwrap());
    let mut hash = 0;
    for at in (0..DATA).step_by(8) {
        hash = (hash ^ word(at)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    for function in 0..FUNCTIONS {
        hash ^= word(place(function));
        for step in 0..STEPS {
            hash = hash.wrapping_mul(constant(function, step)).rotate_left(29);
        }
    }
    hash.to_le_bytes()
}

/// Runs it on a ring, and gives its output; prints how long it took, cold and warm.
fn run(ring: &Ring, name: &str, module: &Path, args: &[&str], input: &[u8]) -> Vec<u8> {
    let path = ring.file("receipt.json");
    let mut outputs = ["cold", "warm"].map(|how| {
        let call = ring.rings(["run", "--timeout", TIMEOUT, "--receipt"]);
        let call = call.arg(&path).args((how == "warm").then_some("--again"));
        let call = call.arg(module).args(args).stdin(input);
        let done = call.limit(LIMIT).call().ok();
        let times = Receipt::read(&path).get("/milliseconds").clone();
        println!("{name}, {how}: {:.2?}, milliseconds {times}", done.took);
        done.stdout
    });
    assert!(outputs[0] == outputs[1], "{name}: the same twice");
    std::mem::take(&mut outputs[0])
}

#[test]
fn a_module_of_twenty_megabytes_works_in_a_ring() {
    let ring = Ring::up(5);
    let data = numbers(DATA);
    let bytes = large_module(&data);
    assert!(
        (20_000_000..22_000_000).contains(&bytes.len()),
        "{}",
        bytes.len()
    );
    let module = ring.write("large.wasm", &bytes);
    let name = format!("{} KB, {FUNCTIONS} functions", bytes.len() / 1000);
    assert_eq!(run(&ring, &name, &module, &[], b""), expected(&data));
}

/// The program of others whose module is nearest to 1.5 MB.
fn middling() -> Foreign {
    let programs = ["choose", "hexyl", "words", "query", "deflate"].map(foreign);
    let size = |program: &Foreign| program.wasm.metadata().unwrap().len();
    let nearest = programs
        .into_iter()
        .min_by_key(|program| size(program).abs_diff(1_500_000));
    nearest.unwrap()
}

#[test]
fn a_program_of_real_size_starts_cold_in_a_ring() {
    let ring = Ring::up(5);
    let program = middling();
    // The ring itself has started: what is measured is the module that no member has seen.
    ring.result("wc", b"before\n");
    let kilobytes = program.wasm.metadata().unwrap().len() / 1000;
    let name = program.wasm.file_stem().unwrap().to_string_lossy();
    let (args, input): (&[&str], &[u8]) = match &*name {
        "choose" => (&["1"], b"one two three\n"),
        "query" => (&[], b"select 1 + 1;\n"),
        _ => (&[], b"one two three\n"),
    };
    let native = program.natively(args, input);
    let name = format!("{name}, {kilobytes} KB");
    assert!(run(&ring, &name, &program.wasm, args, input) == native);
}
