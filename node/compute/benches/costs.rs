//! What a unit of fuel costs in time, instruction by instruction: `cargo bench -p rings-compute --bench costs [-- WORD]`.
//!
//! Each case is a loop over one kind of instruction or call, in its worst form that we know: loads that miss all caches,
//! numbers that are too small for the processor's fast path, calls whose target nobody predicts. It is run until its
//! fuel ends, with little fuel and with more; the difference of time over the difference of fuel is the figure. Nothing may take
//! longer than [`rings_compute::UNIT_NANOSECONDS`] a unit: the table of costs is made so that it holds. The first touch of memory is bounded
//! apart, by [`rings_compute::TOUCH_SECONDS`].

mod support;

use rings_compute::{
    compile_effort, compile_fuel, profile, Limits, Local, Reason, Task, MAX_STACK, TOUCH_SECONDS,
    UNIT_NANOSECONDS,
};
use rings_protocol::Digest;
use sha2::{Digest as _, Sha256};
use std::{
    error::Error,
    io::{self, Write},
    time::Duration,
};
use support::processor_time;

/// How long one case is measured, at least.
const LONG_ENOUGH: Duration = Duration::from_millis(200);
/// How often each time is measured.
const TRIES: usize = 3;
/// Most fuel for one case, besides its preparation.
const MOST_FUEL: u64 = 1_000_000_000;
/// Copies of an instruction in the loop.
const UNROLLED: usize = 100;

/// Numbers for the locals, out of memory, so that the compiler knows none of them: `$d`, `$f`, `$h`, `$v`, `$w` are so close to 0 that
/// processors take their slow path for them.
const NUMBERS: &str = r"
    (i64.store (i32.const 1024) (i64.const 0x123)) (i64.store (i32.const 1032) (i64.const 0x123))
    (f64.store (i32.const 1040) (f64.const 0.75)) (f64.store (i32.const 1048) (f64.const 0.75)) (i64.store (i32.const 1056) (i64.const 1))
    (i64.store (i32.const 1064) (i64.const 0x12300000123)) (i64.store (i32.const 1072) (i64.const 0x12300000123))
    (i64.store (i32.const 1080) (i64.const 0x3f4000003f400000)) (i64.store (i32.const 1088) (i64.const 0x3f4000003f400000))
    (local.set $l (i64.load (i32.const 1024))) (local.set $m (i64.load (i32.const 1056)))
    (local.set $i (i32.wrap_i64 (local.get $m)))
    (local.set $d (f64.load (i32.const 1024))) (local.set $h (f64.load (i32.const 1056))) (local.set $e (f64.load (i32.const 1040)))
    (local.set $f (f32.load (i32.const 1064))) (local.set $g (f32.load (i32.const 1080)))
    (local.set $v (v128.load (i32.const 1024))) (local.set $u (v128.load (i32.const 1040)))
    (local.set $w (v128.load (i32.const 1064))) (local.set $t (v128.load (i32.const 1080)))";

type Failable<T> = Result<T, Box<dyn Error>>;

/// One kind of work.
struct Case {
    name: &'static str,
    /// Pages of memory.
    pages: u32,
    /// Functions, tables and so on.
    around: String,
    /// What is done once.
    before: String,
    /// What is done again and again.
    body: String,
    args: usize,
    /// Fuel that the preparation needs, besides.
    fuel: u64,
}

fn case(name: &'static str, body: &str) -> Case {
    Case {
        name,
        pages: 1,
        around: String::new(),
        before: String::new(),
        body: body.repeat(UNROLLED),
        args: 0,
        fuel: 1_000_000,
    }
}

/// A chain of loads, each of which needs the one before, through so many pages in an order that nobody foresees.
fn chase(name: &'static str, pages: u32, load: &str, after: &str) -> Case {
    let lines = pages * 1024;
    let mask = lines - 1;
    Case {
        pages,
        before: format!(
            "(loop $fill
                (i32.store (i32.shl (local.get $i) (i32.const 6))
                    (i32.shl (i32.and (i32.add (i32.mul (local.get $i) (i32.const 1664525)) (i32.const 1013904223)) (i32.const {mask})) (i32.const 6)))
                (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {lines}))))"
        ),
        body: format!("(local.get $x) {} (local.set $x)", format!("{load} {after} ").repeat(UNROLLED)),
        // What filling takes: 40 units a line are more than enough, and the rest goes into the loop.
        fuel: u64::from(lines) * 40,
        ..case(name, "")
    }
}

/// A chain of loads over the border of two pages each, in an order that nobody foresees: every load needs two entries of the
/// processor's table of pages, and of a large memory neither is there.
fn chase_over_pages(name: &'static str, pages: u32) -> Case {
    let places = pages * 16;
    let mask = places - 1;
    Case {
        // The last place reaches into one page more.
        pages: pages + 1,
        before: format!(
            "(loop $fill
                (i32.store offset=4094 (i32.shl (local.get $i) (i32.const 12))
                    (i32.shl (i32.and (i32.add (i32.mul (local.get $i) (i32.const 1664525)) (i32.const 1013904223)) (i32.const {mask})) (i32.const 12)))
                (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {places}))))"
        ),
        body: format!("(local.get $x) {} (local.set $x)", "i32.load offset=4094 ".repeat(UNROLLED)),
        fuel: u64::from(places) * 40,
        ..case(name, "")
    }
}

/// Stores all over the memory.
fn scatter(name: &'static str, pages: u32, store: &str) -> Case {
    let mask = pages * 65536 - 64;
    Case {
        pages,
        // So that the loop meets no page for the first time.
        before: format!(
            "(loop $touch
                (i32.store8 (i32.shl (local.get $i) (i32.const 12)) (i32.const 1))
                (br_if $touch (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {}))))",
            pages * 16
        ),
        fuel: u64::from(pages) * 16 * 40,
        body: format!(
            "(local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
             {}",
            (0..8).map(|shift| format!("({store} (i32.and (i32.rotl (local.get $x) (i32.const {shift})) (i32.const {mask})) (local.get $v))")).collect::<String>()
        ),
        ..case(name, "")
    }
}

fn instructions() -> Vec<Case> {
    let small = case;
    // A vector or number that is another one each time, and close to 0: the compiler can compute nothing before the loop.
    let next = "(local.set $l (i64.add (local.get $l) (i64.const 1)))";
    let varied = |name, body: &str| case(name, &format!("{next}{body}"));
    let mut all = vec![
        case("i32.add", "(local.set $x (i32.add (local.get $x) (local.get $i)))"),
        case("i64.mul", "(local.set $l (i64.mul (local.get $l) (local.get $l)))"),
        case("i32.popcnt", "(local.set $x (i32.add (i32.popcnt (local.get $x)) (local.get $i)))"),
        case("i64.clz", "(local.set $l (i64.add (i64.clz (local.get $l)) (local.get $m)))"),
        case("i32.div_s", "(local.set $x (i32.div_s (i32.const 2147483647) (i32.or (local.get $x) (i32.const 1))))"),
        case("i64.div_s", "(local.set $l (i64.div_s (i64.const 9223372036854775807) (i64.or (local.get $l) (i64.const 3))))"),
        case("i64.rem_u", "(local.set $l (i64.rem_u (i64.const 9223372036854775807) (i64.or (local.get $l) (i64.const 3))))"),
        small("f64.add of tiny", "(local.set $d (f64.add (local.get $d) (local.get $h)))"),
        small("f64.mul of tiny", "(local.set $d (f64.mul (local.get $d) (local.get $e)))"),
        varied("f64.mul of tiny, on its own", "(local.set $m (i64.xor (local.get $m) (i64.reinterpret_f64 (f64.mul (f64.reinterpret_i64 (local.get $l)) (local.get $e)))))"),
        small("f32.mul of tiny", "(local.set $f (f32.mul (local.get $f) (local.get $g)))"),
        small("f64.div of tiny", "(local.set $d (f64.div (local.get $d) (local.get $e)))"),
        small("f32.div of tiny", "(local.set $f (f32.div (local.get $f) (local.get $g)))"),
        varied("f64.sqrt of tiny", "(local.set $m (i64.xor (local.get $m) (i64.reinterpret_f64 (f64.sqrt (f64.reinterpret_i64 (local.get $l))))))"),
        small("f64.sqrt", "(local.set $e (f64.sqrt (local.get $e)))"),
        small("f64x2.mul of tiny", "(local.set $v (f64x2.mul (local.get $v) (local.get $u)))"),
        small("f32x4.mul of tiny", "(local.set $w (f32x4.mul (local.get $w) (local.get $t)))"),
        small("f64x2.div of tiny", "(local.set $v (f64x2.div (local.get $v) (local.get $u)))"),
        varied("f32x4.sqrt of tiny", "(local.set $v (v128.xor (local.get $v) (f32x4.sqrt (i64x2.splat (local.get $l)))))"),
        varied("f32.demote of tiny", "(local.set $x (i32.xor (local.get $x) (i32.reinterpret_f32 (f32.demote_f64 (f64.reinterpret_i64 (local.get $l))))))"),
        varied("f64.promote of tiny", "(local.set $m (i64.xor (local.get $m) (i64.reinterpret_f64 (f64.promote_f32 (f32.reinterpret_i32 (i32.wrap_i64 (local.get $l)))))))"),
        small("f64.nearest", "(local.set $d (f64.nearest (local.get $d)))"),
        varied("f64.min", "(local.set $d (f64.min (local.get $d) (f64.reinterpret_i64 (local.get $l))))"),
        varied("f32x4.max", "(local.set $w (f32x4.max (local.get $w) (i64x2.splat (local.get $l))))"),
        varied("i32.trunc_f64_s", "(local.set $x (i32.xor (local.get $x) (i32.trunc_f64_s (f64.reinterpret_i64 (local.get $l)))))"),
        varied("i64.trunc_sat_f32_u", "(local.set $m (i64.xor (local.get $m) (i64.trunc_sat_f32_u (f32.reinterpret_i32 (i32.wrap_i64 (local.get $l))))))"),
        varied("f64.convert_i64_u", "(local.set $m (i64.xor (local.get $m) (i64.reinterpret_f64 (f64.convert_i64_u (local.get $l)))))"),
        small("i32x4.trunc_sat_f32x4_u", "(local.set $v (i32x4.trunc_sat_f32x4_u (local.get $v)))"),
        small("f32x4.convert_i32x4_u", "(local.set $v (f32x4.convert_i32x4_u (local.get $v)))"),
        small("i64x2.mul", "(local.set $v (i64x2.mul (local.get $v) (local.get $v)))"),
        small("i8x16.popcnt", "(local.set $v (i8x16.popcnt (local.get $v)))"),
        small("i8x16.swizzle", "(local.set $v (i8x16.swizzle (local.get $v) (local.get $v)))"),
        small("i8x16.shl", "(local.set $v (i8x16.shl (local.get $v) (local.get $i)))"),
        small("i64x2.shr_s", "(local.set $v (i64x2.shr_s (local.get $v) (local.get $i)))"),
        small("i8x16.bitmask", "(local.set $x (i8x16.bitmask (local.get $v)))(local.set $v (i8x16.splat (local.get $x)))"),
        case("global.set", "(global.set $n (i32.add (global.get $n) (i32.const 1)))"),
        case("memory.size", "(local.set $x (i32.xor (local.get $x) (memory.size)))"),
        case("memory.grow of 0", "(local.set $x (memory.grow (i32.const 0)))"),
        case("memory.grow of -1", "(local.set $x (memory.grow (i32.const -1)))"),
        case("memory.fill of 0", "(memory.fill (i32.const 0) (i32.const 0) (global.get $n))"),
        case("memory.fill of 1", "(memory.fill (i32.const 0) (i32.const 0) (i32.const 1))"),
        case("memory.fill of 4096", "(memory.fill (i32.const 0) (i32.const 0) (i32.const 4096))"),
        case("memory.copy of 0", "(memory.copy (i32.const 0) (i32.const 0) (global.get $n))"),
        case("memory.copy of 1", "(memory.copy (i32.const 0) (i32.const 9) (i32.const 1))"),
        case("memory.init of 0", "(memory.init $p (i32.const 0) (i32.const 0) (global.get $n))"),
        case("data.drop", "(data.drop $p)"),
        case("ref.func", "(drop (ref.func $leaf))"),
        case("ref.func, set", "(table.set $small (i32.const 0) (ref.func $leaf))"),
        case("table.get", "(table.set $small (global.get $n) (table.get $small (global.get $n)))"),
        case("table.get, set", "(table.set $small (i32.const 1) (table.get $small (i32.const 0)))"),
        case("table.size", "(local.set $x (i32.xor (local.get $x) (table.size $small)))"),
        case("table.grow of 0", "(local.set $x (table.grow $small (ref.null func) (i32.const 0)))"),
        case("table.grow of -1", "(local.set $x (table.grow $small (ref.null func) (i32.const -1)))"),
        case("table.fill of 0", "(table.fill $small (i32.const 0) (ref.null func) (global.get $n))"),
        case("table.fill of 8", "(table.fill $small (i32.const 0) (ref.null func) (i32.const 8))"),
        case("table.copy of 0", "(table.copy $small $small (i32.const 0) (i32.const 0) (global.get $n))"),
        case("table.copy of 8", "(table.copy $small $small (i32.const 0) (i32.const 1) (i32.const 8))"),
        case("table.init of 0", "(table.init $small $q (i32.const 0) (i32.const 0) (global.get $n))"),
        case("table.init of 1", "(table.init $small $q (i32.const 0) (i32.const 0) (i32.const 1))"),
        case("elem.drop", "(elem.drop $q)"),
        case("call of a leaf", "(call $leaf)"),
        case("call of a function that calls", "(call $caller)"),
        case("call_indirect", "(call_indirect $small (type $none) (i32.const 0))"),
        case("call_indirect, other places", "(call_indirect $small (type $none) (i32.const 0))(call_indirect $small (type $none) (i32.const 9))"),
        case("br_if that nobody foresees", "(local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223))) (block (br_if 0 (i32.lt_s (local.get $x) (i32.const 0))) (global.set $n (local.get $x)))"),
        Case { pages: 16, ..case("v128.load over two lines", "(local.set $v (v128.load (i32.add (i32.and (i32x4.extract_lane 0 (local.get $v)) (i32.const 65472)) (i32.const 4090))))") },
    ];
    for (name, pages) in [
        ("load, 64 KiB", 1),
        ("load, 1 MiB", 16),
        ("load, 16 MiB", 256),
        ("load, 128 MiB", 2048),
        ("load, 1 GiB", 16384),
    ] {
        all.push(chase(name, pages, "i32.load", ""));
    }
    all.push(chase(
        "v128.load, 128 MiB",
        2048,
        "v128.load",
        "i32x4.extract_lane 0",
    ));
    all.push(scatter("i64.store, 128 MiB", 2048, "v128.store"));
    all.push(scatter("i64.store, 1 GiB", 16384, "v128.store"));
    all.push(scatter("i32.store8, 1 GiB", 16384, "i32.store8 offset=9"));
    if let Some(last) = all.last_mut() {
        last.body = last.body.replace("(local.get $v)", "(local.get $x)");
    }
    all.push(chase_over_pages("load over two pages, 128 MiB", 2048));
    all.push(chase_over_pages("load over two pages, 2 GiB", 32768));
    all.push(scatter(
        "i64.store over two pages, 1 GiB",
        16384,
        "i64.store offset=4092",
    ));
    if let Some(last) = all.last_mut() {
        // From the beginning of a page, and with a number for a value.
        last.pages += 1;
        last.body = last.body.replace("(local.get $v)", "(local.get $l)");
        last.body = last.body.replace(
            &format!("{}", 16384 * 65536 - 64),
            &format!("{}", 16384 * 65536 - 4096),
        );
    }
    all.push(jumps());
    all.push(far_calls());
    all.push(indirect());
    all.push(grow());
    all
}

/// A `br_table` with a thousand targets, taken in no order.
fn jumps() -> Case {
    const TARGETS: usize = 1000;
    let labels: String = (0..TARGETS).map(|label| format!("{label} ")).collect();
    let ends: String = (0..TARGETS)
        .map(|target| format!(") (global.set $n (i32.const {target})) (br $again)"))
        .collect();
    Case {
        body: format!(
            "(loop $again
                (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
                {} (br_table {labels} 0 (i32.rem_u (local.get $x) (i32.const {TARGETS}))) {ends})",
            "(block ".repeat(TARGETS)
        ),
        ..case("br_table, 1,000 targets", "")
    }
}

/// Direct calls of functions whose code lies pages apart, in no order: the code of each is in no cache. Between them are
/// functions that nobody calls.
fn far_calls() -> Case {
    const FUNCTIONS: usize = 12_000;
    const PAD: usize = 250;
    let pad = "(global.set $n (i32.mul (global.get $n) (i32.const 77)))".repeat(PAD);
    let functions: String = (0..FUNCTIONS)
        .map(|number| {
            format!("(func $f{number} (global.set $n (i32.const {number}))) (func {pad})")
        })
        .collect();
    // A step that shares no factor with the number of functions, and is many pages long.
    let order = (0..FUNCTIONS).map(|index| index * 4_787 % FUNCTIONS);
    Case {
        around: functions,
        body: order.map(|number| format!("(call $f{number})")).collect(),
        ..case("call, 12,000 functions pages apart", "")
    }
}

/// Indirect calls all over a large table of many functions.
fn indirect() -> Case {
    const FUNCTIONS: usize = 50_000;
    let functions: String = (0..FUNCTIONS)
        .map(|number| {
            format!("(func $f{number} (type $none) (global.set $n (i32.const {number})))")
        })
        .collect();
    let names: String = (0..FUNCTIONS)
        .map(|number| format!("$f{number} "))
        .collect();
    let elements: String = (0..8)
        .map(|copy| {
            format!(
                "(elem (table $large) (i32.const {}) func {names})",
                copy * FUNCTIONS
            )
        })
        .collect();
    Case {
        around: format!("(table $large {} funcref) {functions} {elements}", 8 * FUNCTIONS),
        body: format!(
            "(local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
             (call_indirect $large (type $none) (i32.rem_u (local.get $x) (i32.const {})))",
            8 * FUNCTIONS
        ),
        ..case("call_indirect, 50,000 functions", "")
    }
}

/// Memory that grows. What it takes to touch it is measured apart.
fn grow() -> Case {
    Case {
        body: "(local.set $x (memory.grow (i32.const 1)))".into(),
        fuel: 0,
        ..case("memory.grow of 1", "")
    }
}

fn calls() -> Vec<Case> {
    let vector =
        "(i32.store (i32.const 0) (i32.const 1000)) (i32.store (i32.const 4) (i32.const 1))";
    let large =
        "(i32.store (i32.const 0) (i32.const 1000)) (i32.store (i32.const 4) (i32.const 60000))";
    let none = "(i32.store (i32.const 0) (i32.const 1000)) (i32.store (i32.const 4) (i32.const 0))";
    let with = |name, before: &str, body: &str| Case {
        before: before.into(),
        ..case(name, body)
    };
    let args = |name, args, body: &str| Case {
        args,
        pages: 16,
        ..case(name, body)
    };
    vec![
        case("sched_yield", "(drop (call $sched_yield))"),
        case("path_open", "(drop (call $path_open (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 0)))"),
        case("clock_time_get", "(drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 8)))"),
        case("random_get of 0", "(drop (call $random_get (i32.const 0) (i32.const 0)))"),
        case("random_get of 1", "(drop (call $random_get (i32.const 0) (i32.const 1)))"),
        case("random_get of 60,000", "(drop (call $random_get (i32.const 0) (i32.const 60000)))"),
        args("args_sizes_get of 1", 1, "(drop (call $args_sizes_get (i32.const 0) (i32.const 4)))"),
        args("args_sizes_get of 30,000", 30_000, "(drop (call $args_sizes_get (i32.const 0) (i32.const 4)))"),
        args("args_get of 30,000", 30_000, "(drop (call $args_get (i32.const 0) (i32.const 200000)))"),
        args("args_get of 30,000, no room", 30_000, "(drop (call $args_get (i32.const -4) (i32.const 8)))"),
        with("fd_write of 1 to standard error", vector, "(drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))"),
        with("fd_write of 60,000 to standard error", large, "(drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))"),
        with("fd_write of 1", vector, "(drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))"),
        with("fd_write of 60,000", large, "(drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))"),
        scattered_buffers("fd_write of 1 byte, 8,192 times, 512 MiB", "(drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 8192) (i32.const 65544)))"),
        scattered_buffers("fd_write of 1 byte to standard error, 8,192 times, 512 MiB", "(drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 8192) (i32.const 65544)))"),
        scattered_buffers("fd_read at the end, 8,192 buffers, 512 MiB", "(drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 8192) (i32.const 65544)))"),
        with("fd_write of nothing, 1,000 times", none, "(drop (call $fd_write (i32.const 1) (i32.const 16384) (i32.const 1000) (i32.const 8)))"),
        with("fd_read at the end", large, "(drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))"),
        case("poll_oneoff of 1", "(drop (call $poll_oneoff (i32.const 0) (i32.const 1000) (i32.const 1) (i32.const 8)))"),
        case("poll_oneoff of 700", "(drop (call $poll_oneoff (i32.const 0) (i32.const 36000) (i32.const 700) (i32.const 65000)))"),
    ]
}

/// A call with buffers of one byte, each on another page of a large memory.
fn scattered_buffers(name: &'static str, call: &str) -> Case {
    const PAGES: u32 = 8192;
    let mask = PAGES * 65536 - 1;
    Case {
        pages: PAGES,
        before: format!(
            "(loop $touch
                (i32.store8 (i32.shl (local.get $i) (i32.const 12)) (i32.const 1))
                (br_if $touch (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {}))))
             (local.set $i (i32.const 0))
             (loop $fill
                (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
                (i32.store (i32.shl (local.get $i) (i32.const 3)) (i32.and (local.get $x) (i32.const {mask})))
                (i32.store offset=4 (i32.shl (local.get $i) (i32.const 3)) (i32.const 1))
                (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8192))))",
            PAGES * 16
        ),
        body: call.into(),
        fuel: u64::from(PAGES) * 16 * 60 + 1_000_000,
        ..case(name, "")
    }
}

impl Case {
    fn module(&self) -> Failable<Vec<u8>> {
        let imports: String = rings_compute::imports()
            .map(|(name, ty, _)| import(name, &ty))
            .collect();
        let text = format!(
            r#"(module {imports} (memory (export "memory") {pages}) (type $none (func))
            (global $n (mut i32) (i32.const 0)) (table $small 16 16 funcref) (data $p "x") (elem $q func $leaf)
            (elem (table $small) (i32.const 0) func $leaf $leaf $leaf $leaf $leaf $leaf $leaf $leaf $leaf $leaf)
            (func $leaf) (func $caller (call $leaf)) {around}
            (func (export "_start") (local $i i32) (local $x i32) (local $l i64) (local $d f64) (local $e f64) (local $f f32)
                (local $g f32) (local $v v128) (local $u v128) (local $w v128) (local $t v128) (local $m i64) (local $h f64)
                {numbers} (local.set $i (i32.const 0)) {before} (local.set $i (i32.load (i32.const 1056))) (loop $for_ever {body} (br $for_ever))))"#,
            numbers = NUMBERS,
            pages = self.pages,
            around = self.around,
            before = self.before,
            body = self.body,
        );
        Ok(wat::parse_str(text)?)
    }

    fn time(&self, local: &mut Local, module: &[u8], fuel: u64) -> Failable<Duration> {
        let task = Task {
            module: Digest(Sha256::digest(module).into()),
            program: "program".into(),
            args: vec!["x".into(); self.args],
            limits: Limits {
                fuel,
                memory: 1 << 32,
                output: u64::MAX,
                stack: MAX_STACK,
            },
            time: 1,
            seed: [0; 32],
            state: false,
            blocks: 0,
        };
        let began = processor_time()?;
        let outcome = local.run(&task, module, io::empty(), io::sink())?;
        match outcome.result {
            Err(failure) if failure.reason == Reason::Fuel => {
                Ok(processor_time()?.saturating_sub(began))
            }
            other => Err(format!("{}: {other:?}", self.name).into()),
        }
    }

    /// The least time of a few runs: what else the machine does only adds to it.
    fn least(&self, local: &mut Local, module: &[u8], fuel: u64) -> Failable<Duration> {
        let mut least = self.time(local, module, fuel)?;
        for _ in 1..TRIES {
            least = least.min(self.time(local, module, fuel)?);
        }
        Ok(least)
    }

    /// Nanoseconds for each unit. With more and more fuel, until the time is long enough or the fuel [`MOST_FUEL`].
    fn measure(&self, local: &mut Local) -> Failable<f64> {
        let module = self.module()?;
        // Compiling is paid for in each run.
        let little = compile_fuel(compile_effort(&module)?) + self.fuel + 10_000;
        // Compiles.
        self.time(local, &module, little)?;
        let base = self.least(local, &module, little)?;
        let (mut more, most) = match self.fuel {
            // Memory grows to 4 GiB and no further.
            0 => (8_000_000, 8_000_000),
            _ => (4_000_000, MOST_FUEL),
        };
        loop {
            let taken = self
                .least(local, &module, little + more)?
                .saturating_sub(base);
            if taken >= LONG_ENOUGH || more >= most {
                return Ok(taken.as_nanos() as f64 / more as f64);
            }
            more *= 4;
        }
    }
}

/// Seconds that it takes to touch each page of 1 GiB, which no fuel pays for: memory bounds it.
fn first_touch(local: &mut Local) -> Failable<f64> {
    let case = scatter("first touch", 16384, "v128.store");
    let module = case.module()?;
    let little = compile_fuel(compile_effort(&module)?) + 100_000;
    case.time(local, &module, little)?;
    let base = case.least(local, &module, little)?;
    Ok(case
        .least(local, &module, little + case.fuel)?
        .saturating_sub(base)
        .as_secs_f64())
}

fn import(name: &str, ty: &str) -> String {
    let (params, results) = ty.split_once(" -> ").unwrap_or((ty, "()"));
    let list = |what: &str, types: &str| types.replacen('(', &format!("({what} "), 1);
    let ty = list("param", params) + &list("result", results);
    format!(
        r#"(import "{}" "{name}" (func ${name} {ty}))"#,
        rings_compute::WASI_MODULE
    )
}

/// A mark for what is above its bound.
fn mark(figure: f64, bound: u64, above: &mut usize) -> &'static str {
    let is_above = figure > bound as f64;
    *above += usize::from(is_above);
    match is_above {
        true => "  ABOVE",
        false => "",
    }
}

fn main() -> Failable<()> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let word = given.iter().find(|word| !word.starts_with("--"));
    let mut out = io::stdout();
    writeln!(out, "{}: at most {UNIT_NANOSECONDS} ns a unit", profile())?;
    let mut local = Local::new()?;
    let mut above = 0;
    for case in instructions().into_iter().chain(calls()) {
        if word.is_some_and(|word| !case.name.contains(word.as_str())) {
            continue;
        }
        let figure = case.measure(&mut local)?;
        let mark = mark(figure, UNIT_NANOSECONDS, &mut above);
        writeln!(out, "{figure:8.2} ns  {}{mark}", case.name)?;
    }
    if word.is_none_or(|word| "first touch".contains(word.as_str())) {
        let taken = first_touch(&mut local)?;
        let mark = mark(taken, TOUCH_SECONDS, &mut above);
        writeln!(out, "{taken:8.2} s   first touch of 1 GiB{mark}")?;
    }
    writeln!(out, "{above} above")?;
    Ok(())
}
