use super::*;
use crate::{
    check_module,
    fixture::{compiling, module, run, start, task, Kept},
    trap::STACK_TRAP,
    ComputeError, Local, Outcome, Reason, Task, MAX_STACK,
};
use proptest::prelude::*;
use std::io::Cursor;

/// A function that calls itself as often as its parameter says, with as many values alive across each call as `values`.
fn recursion(values: usize, depth: u32) -> Vec<u8> {
    let locals = "(local i64)".repeat(values);
    let set: String = (1..=values)
        .map(|index| format!("(local.set {index} (i64.extend_i32_u (i32.mul (local.get 0) (i32.const {index}))))"))
        .collect();
    let sum = (1..=values).fold("(i64.const 0)".to_owned(), |sum, index| {
        format!("(i64.add {sum} (local.get {index}))")
    });
    module(&format!(
        r#"(func $f (param i32) (result i64) {locals} {set}
            (if (result i64) (i32.eqz (local.get 0))
                (then (i64.const 0))
                (else (i64.add (call $f (i32.sub (local.get 0) (i32.const 1))) {sum}))))
        (func (export "_start") (drop (call $f (i32.const {depth}))))"#
    ))
}

fn granted(module: &[u8], stack: u64) -> Task {
    let mut task = task(module);
    task.limits.stack = stack;
    task.limits.fuel = 10_000_000_000;
    task
}

fn ended(outcome: &Outcome) -> Option<Reason> {
    outcome.result.as_ref().err().map(|failure| failure.reason)
}

const OVERFLOW: Option<Reason> = Some(Reason::Trap { trap: STACK_TRAP });

fn second(module: &[u8], task: &Task) -> Result<Outcome, ComputeError> {
    Local::new()?.run_second(task, module, Cursor::new(vec![]), Kept::default())
}

#[test]
fn a_recursion_ends_at_the_call_that_the_module_gives() {
    // 256 for the frame; a parameter, and two operands at the deepest; eight operators, with those that end `if` and function.
    let frame = u64::from(FRAME_COST + 3 * VALUE_COST + 8 * OPERATOR_COST);
    let text = |depth| {
        module(&format!(
            r#"(func $f (param i32) (if (local.get 0) (then (call $f (i32.sub (local.get 0) (i32.const 1))))))
            (func (export "_start") (call $f (i32.const {depth})))"#
        ))
    };
    // One operand; a constant, a call, an end.
    let outer = u64::from(FRAME_COST + VALUE_COST + 3 * OPERATOR_COST);
    for depth in [0u32, 1, 100, 5000] {
        let module = text(depth);
        let enough = outer + frame * (u64::from(depth) + 1);
        let (good, _) = run(&module, &granted(&module, enough), b"").unwrap();
        assert_eq!(ended(&good), None, "{depth}");
        let (bad, _) = run(&module, &granted(&module, enough - 1), b"").unwrap();
        assert_eq!(ended(&bad), OVERFLOW, "{depth}");
        assert!(bad.fuel <= good.fuel);
    }
}

#[test]
fn both_engines_end_at_the_same_call() {
    for stack in [0, 1, 1000, 100_000, MAX_STACK, u64::MAX] {
        let module = recursion(3, u32::MAX);
        let task = granted(&module, stack);
        let (first, _) = run(&module, &task, b"").unwrap();
        assert_eq!(ended(&first), OVERFLOW, "{stack}");
        assert_eq!(ended(&second(&module, &task).unwrap()), OVERFLOW, "{stack}");
    }
}

#[test]
fn the_machine_has_more_stack_than_the_largest_grant() {
    for values in [0, 10, 100, 1000] {
        let module = recursion(values, u32::MAX);
        let (outcome, _) = run(&module, &granted(&module, MAX_STACK), b"").unwrap();
        assert_eq!(ended(&outcome), OVERFLOW, "{values} values");
    }
    // Vectors are the largest of values.
    let vectors = module(
        r#"(func $f (param v128 v128 v128 v128) (result v128)
            (i64x2.add (i64x2.add (call $f (local.get 3) (local.get 2) (local.get 1) (local.get 0)) (local.get 0))
                (i64x2.add (local.get 1) (i64x2.mul (local.get 2) (local.get 3)))))
        (func (export "_start") (drop (call $f (v128.const i64x2 1 2) (v128.const i64x2 3 4) (v128.const i64x2 5 6) (v128.const i64x2 7 8))))"#,
    );
    let (outcome, _) = run(&vectors, &granted(&vectors, MAX_STACK), b"").unwrap();
    assert_eq!(ended(&outcome), OVERFLOW);
    // Many parameters and results go over the stack.
    let (params, ones) = ("i64 ".repeat(200), "(i64.const 1)".repeat(200));
    let many = module(&format!(
        r#"(func $f (param {params}) (result {params}) (call $f {gets}))
        (func (export "_start") (call $f {ones}) {drops})"#,
        gets = (0..200)
            .map(|index| format!("(local.get {index})"))
            .collect::<String>(),
        drops = "drop ".repeat(200),
    ));
    let (outcome, _) = run(&many, &granted(&many, MAX_STACK), b"").unwrap();
    assert_eq!(ended(&outcome), OVERFLOW);
}

/// Expressions whose values the compiler keeps over a call when they are needed again: of parameter 1, an i64, and parameter 2, a
/// vector, with `$K` in place of a number that differs each time. Each gives a vector.
const KEPT: &[&str] = &[
    "(i64x2.splat (i64.mul (local.get 1) (i64.const $K)))",
    "(i64x2.splat (i64.rotl (local.get 1) (i64.add (local.get 1) (i64.const $K))))",
    "(i64x2.splat (i64.div_s (i64.const $K) (i64.or (local.get 1) (i64.const 1))))",
    "(f64x2.splat (f64.mul (f64.convert_i64_u (local.get 1)) (f64.const $K)))",
    "(f32x4.splat (f32.div (f32.convert_i64_s (local.get 1)) (f32.const $K)))",
    "(f64x2.add (local.get 2) (f64x2.splat (f64.const $K)))",
    "(f32x4.mul (local.get 2) (v128.const f32x4 $K 1 2 3))",
    "(i64x2.mul (local.get 2) (v128.const i64x2 $K 7))",
    "(i8x16.swizzle (local.get 2) (v128.const i64x2 $K 7))",
    "(i32x4.trunc_sat_f32x4_u (f32x4.add (local.get 2) (v128.const f32x4 $K 1 2 3)))",
    "(i8x16.popcnt (v128.xor (local.get 2) (v128.const i64x2 $K 7)))",
    "(i64x2.splat (i64.trunc_sat_f64_s (f64.mul (f64.convert_i64_s (local.get 1)) (f64.const $K))))",
    "(i64x2.splat (i64.load (i32.add (i32.wrap_i64 (local.get 1)) (i32.const $K))))",
    "(v128.load (i32.and (i32.mul (i32.wrap_i64 (local.get 1)) (i32.const $K)) (i32.const 4095)))",
    "(v128.bitselect (local.get 2) (v128.const i64x2 $K 7) (i64x2.splat (local.get 1)))",
    "(i64x2.splat (i64.extend_i32_u (i64.lt_s (local.get 1) (i64.const $K))))",
];

/// A recursion without end that keeps so many values of a kind from before its call for after it: what it has open at one time is
/// no measure of its frame.
fn keeping(expression: &str, count: u32) -> Vec<u8> {
    let one = |number: u32| {
        let value = expression.replace("$K", &(2 * number + 1001).to_string());
        format!("(local.set 3 (v128.xor (local.get 3) {value}))")
    };
    let all: String = (0..count).map(one).collect();
    module(&format!(
        r#"(func $f (param i32 i64 v128) (result v128) (local v128) {all}
            (if (local.get 0) (then (local.set 3 (v128.xor (local.get 3)
                (call $f (i32.sub (local.get 0) (i32.const 1)) (local.get 1) (local.get 2))))))
            {all} (local.get 3))
        (func (export "_start") (drop (call $f (i32.const 1000000) (i64.const 7) (v128.const i64x2 7 9))))"#
    ))
}

#[test]
fn a_frame_is_paid_for_whatever_the_compiler_keeps_in_it() {
    let cases = KEPT.iter().map(|kept| (*kept, 600));
    let first = KEPT[0];
    for (kept, count) in cases.chain([(first, 10), (first, 6_000), (KEPT[7], 6_000)]) {
        let module = keeping(kept, count);
        assert_eq!(check_module(&module), Ok(()), "{kept}");
        let task = granted(&module, MAX_STACK);
        let (outcome, _) = run(&module, &task, b"").unwrap();
        assert_eq!(ended(&outcome), OVERFLOW, "{count} times {kept}");
    }
}

#[test]
fn the_engines_end_a_large_frame_at_the_same_call() {
    let module = keeping(KEPT[0], 2_000);
    let task = granted(&module, MAX_STACK);
    assert_eq!(ended(&second(&module, &task).unwrap()), OVERFLOW);
}

#[test]
fn growing_by_what_can_never_be_is_minus_one_and_costs_next_to_nothing() {
    let grow = |pages: i64| {
        let module = start(&format!(
            "(call $show (memory.grow (i32.const {pages}))) (call $show (memory.size))"
        ));
        let (outcome, output) = run(&module, &task(&module), b"").unwrap();
        assert_eq!(ended(&outcome), None, "{pages}");
        (output, outcome.fuel - compiling(&module))
    };
    let refused = [[255, 255, 255, 255], [1, 0, 0, 0]].concat();
    let (output, fuel) = grow(-1);
    assert_eq!(output, refused);
    assert!(fuel < 1_000, "{fuel}");
    assert_eq!(grow(65_537).0, refused);
    let (output, fuel) = grow(65_536);
    assert_eq!(output, refused);
    assert!(fuel > 65_536, "{fuel}");
    assert_eq!(grow(2).0, [[1, 0, 0, 0], [3, 0, 0, 0]].concat());
}

#[test]
fn what_was_taken_is_given_back() {
    // A million calls one after the other, which return in every way, need the stack of one.
    let text = r#"(table funcref (elem $many))
        (type $two (func (param i32) (result i32 i64)))
        (func $leaf (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
        (func $many (type $two)
            (if (i32.and (local.get 0) (i32.const 1)) (then (return (call $leaf (local.get 0)) (i64.const 5))))
            (block $out (result i32 i64)
                (call $leaf (local.get 0)) (i64.const 6)
                (br_if 1 (i32.and (local.get 0) (i32.const 2)))
                (br $out)))
        (func $none (param i32) (loop (block (br_if 2 (i32.eqz (local.get 0)))
                (drop (call $leaf (i32.const 1)))
                (br_table 0 1 2 (i32.and (local.get 0) (i32.const 3))))
            (return)))
        (func (export "_start") (local $i i32) (local $sum i64)
            (loop $next
                (call_indirect (type $two) (local.get $i) (i32.const 0))
                (local.set $sum (i64.add (local.get $sum)))
                drop
                (call $none (i32.and (local.get $i) (i32.const 6)))
                (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))
            (i64.store (i32.const 0) (local.get $sum))
            (call $put (i32.const 0) (i32.const 8)))"#;
    // $none with an argument whose second bit is unset would loop for ever.
    let text = text.replace("(i32.const 6))", "(i32.const 2))");
    let module = module(&text);
    let task = granted(&module, 2000);
    let (outcome, output) = run(&module, &task, b"").unwrap();
    assert_eq!(ended(&outcome), None);
    // Odd numbers give 5, even ones 6.
    assert_eq!(output, (500u64 * 5 + 500 * 6).to_le_bytes());
    assert_eq!(ended(&second(&module, &task).unwrap()), None);
}

#[test]
fn the_start_function_is_counted_too() {
    let text = r#"(func $f (call $f)) (start $f) (func (export "_start"))"#;
    let module = module(text);
    let (outcome, _) = run(&module, &granted(&module, 10_000), b"").unwrap();
    assert_eq!(ended(&outcome), OVERFLOW);
    let once = start("");
    assert_eq!(check_module(&once), Ok(()));
}

#[test]
fn a_program_that_gives_up_is_not_taken_for_one_without_stack() {
    let module = start("unreachable");
    let (outcome, _) = run(&module, &granted(&module, 1 << 20), b"").unwrap();
    let reason = Reason::Trap {
        trap: "unreachable",
    };
    assert_eq!(ended(&outcome), Some(reason));
}

#[test]
fn the_names_of_the_host_are_refused() {
    for name in [LEFT, START, "rings:effort:7", "rings:anything"] {
        let text = format!(r#"(func (export "_start")) (func (export "{name}"))"#);
        let refused = check_module(&module(&text)).unwrap_err();
        assert!(refused.to_string().contains(name), "{refused}");
    }
    let text = r#"(func (export "_start")) (func (export "ring:s"))"#;
    assert_eq!(check_module(&module(text)), Ok(()));
}

#[test]
fn a_module_without_calls_stays_as_it_is_but_for_the_counter() {
    let plain = wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")))"#);
    let metered = metered(&plain.unwrap(), 7).unwrap();
    let expected = wat::parse_str(
        r#"(module (global (mut i32) (i32.const 0)) (memory (export "memory") 1) (func (export "_start"))
            (export "rings:stack-left" (global 0)) (export "rings:effort:7" (global 0)))"#,
    );
    assert_eq!(metered, expected.unwrap());
}

#[test]
fn the_instructions_are_those_that_are_written_down() {
    let plain = wat::parse_str(
        r#"(module (memory (export "memory") 1) (global i64 (i64.const 3))
            (func $f (param i32) (result i32) (block (return (call $f (local.get 0)))) (i32.const 1))
            (func (export "_start") (drop (call $f (i32.const 0)))) (func $s) (func $g (result i32) (memory.grow (i32.const 1))) (start $s))"#,
    );
    let cost = FRAME_COST + 2 * VALUE_COST + 7 * OPERATOR_COST;
    let outer = FRAME_COST + VALUE_COST + 4 * OPERATOR_COST;
    let expected = wat::parse_str(format!(
        r#"(module (type (func (param i32) (result i32))) (type (func)) (type (func (result i32)))
            (type $added (func (param i32) (result i32)))
            (memory (export "memory") 1) (global i64 (i64.const 3)) (global $left (mut i32) (i32.const 0))
            (func $f (param i32) (result i32)
                (global.set $left (i32.sub (global.get $left) (i32.const {cost})))
                (if (i32.lt_s (global.get $left) (i32.const 0)) (then unreachable))
                (block (result i32) (block (br 1 (call $f (local.get 0)))) (i32.const 1))
                (global.set $left (i32.add (global.get $left) (i32.const {cost}))))
            (func (export "_start")
                (global.set $left (i32.sub (global.get $left) (i32.const {outer})))
                (if (i32.lt_s (global.get $left) (i32.const 0)) (then unreachable))
                (block (drop (call $f (i32.const 0))))
                (global.set $left (i32.add (global.get $left) (i32.const {outer}))))
            (func $s)
            (func $g (result i32) (call $grow (i32.const 1)))
            (func $grow (type $added)
                (if (result i32) (i32.gt_u (local.get 0) (i32.const 65536))
                    (then (i32.const -1)) (else (memory.grow (local.get 0)))))
            (export "rings:stack-left" (global $left)) (export "rings:effort:7" (global $left))
            (export "rings:start" (func $s)))"#
    ));
    let strip = |wasm: Vec<u8>| without_names(&wasm);
    assert_eq!(
        strip(metered(&plain.unwrap(), 7).unwrap()),
        strip(expected.unwrap())
    );
}

/// A module without its custom sections, of which names are one.
fn without_names(wasm: &[u8]) -> Vec<u8> {
    let mut kept = Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Some((id, range)) = payload.unwrap().as_section().filter(|(id, _)| *id != 0) {
            kept.section(&raw(id, &wasm[range]));
        }
    }
    kept.finish()
}

proptest! {
    #[test]
    fn more_stack_never_ends_earlier_and_changes_nothing_else(values in 0..20usize, depth in 0..200u32, stack in 0..200_000u64) {
        let module = recursion(values, depth);
        let (small, _) = run(&module, &granted(&module, stack), b"").unwrap();
        let (large, _) = run(&module, &granted(&module, MAX_STACK), b"").unwrap();
        prop_assert_eq!(ended(&large), None);
        match ended(&small) {
            None => prop_assert_eq!(small, large),
            reason => {
                prop_assert_eq!(reason, OVERFLOW);
                prop_assert!(small.fuel < large.fuel);
            }
        }
    }
}
