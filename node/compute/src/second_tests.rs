use crate::{
    fixture::{module, run, start, task, Kept},
    opinion::{compare, Witnessed},
    trap::OUTPUT_TRAP,
    ComputeError, Local, Opinion, Outcome, Reason, Task,
};
use rings_protocol::Digest;
use sha2::{Digest as _, Sha256};
use std::io::Cursor;

fn witnessed((outcome, output): (Outcome, Vec<u8>)) -> Witnessed {
    Witnessed {
        outcome,
        output: Digest(Sha256::digest(output).into()),
        state: None,
    }
}

fn second(module: &[u8], task: &Task, input: &[u8]) -> Result<(Outcome, Vec<u8>), ComputeError> {
    let output = Kept::default();
    let input = Cursor::new(input.to_vec());
    let outcome = Local::new()?.run_second(task, module, input, output.clone())?;
    Ok((outcome, output.bytes()))
}

/// Both engines, which have to agree.
fn both(module: &[u8], task: &Task, input: &[u8]) -> Outcome {
    let first = witnessed(run(module, task, input).unwrap());
    let second = witnessed(second(module, task, input).unwrap());
    assert_eq!(compare(&first, &second), Opinion::Agrees);
    first.outcome
}

fn agreed(body: &str) -> Outcome {
    let module = start(body);
    both(&module, &task(&module), b"some input")
}

#[test]
fn the_engines_agree_on_what_programs_see() {
    for body in [
        "",
        "(call $put (i32.const 0) (i32.const 1000))",
        "(drop (call $random_get (i32.const 0) (i32.const 100))) (call $put (i32.const 0) (i32.const 100))",
        "(drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 0))) (call $put (i32.const 0) (i32.const 8))",
        "(i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 50))
         (call $show (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
         (call $put (i32.const 0) (i32.const 200))",
        "(call $show (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
            (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 0)))",
        "(call $show (memory.grow (i32.const 3))) (call $show (memory.grow (i32.const 65535)))
         (call $show (memory.size))",
        "(call $proc_exit (i32.const 0))",
    ] {
        assert_eq!(agreed(body).result, Ok(()), "{body}");
    }
}

/// wasmi 2.0.0 took the wrong value where the condition compares a local with 0.
#[test]
fn the_engines_agree_on_what_is_selected() {
    let mut functions = String::new();
    let mut calls = String::new();
    let conditions = [
        "(i32.eqz (local.get 0))",
        "(i32.eq (local.get 0) (i32.const 0))",
        "(i32.ne (local.get 0) (i32.const 0))",
        "(i32.ne (i32.and (local.get 0) (i32.const 3)) (i32.const 0))",
        "(i64.eqz (i64.extend_i32_u (local.get 0)))",
        "(i32.lt_s (local.get 0) (i32.const 0))",
        "(local.get 0)",
    ];
    let values = [
        "(local.get 1) (local.get 2)",
        "(i32.xor (local.get 1) (local.get 0)) (local.get 2)",
        "(local.get 1) (i32.add (local.get 2) (local.get 0))",
        "(i32.const 7) (local.get 2)",
    ];
    let forms = ["", "(result i32)"];
    let mut number = 0;
    for condition in conditions {
        for value in values {
            for form in forms {
                functions += &format!(
                    "(func $f{number} (param i32 i32 i32) (result i32) (i32.sub (local.get 1) (select {form} {value} {condition})))"
                );
                for given in [0, 5, -1, i32::MIN] {
                    calls += &format!(
                        "(call $show (call $f{number} (i32.const {given}) (i32.const 1) (i32.const 2)))"
                    );
                }
                number += 1;
            }
        }
    }
    let module = module(&format!("{functions} (func (export \"_start\") {calls})"));
    assert_eq!(both(&module, &task(&module), b"").result, Ok(()));
}

#[test]
fn the_engines_agree_on_failures() {
    for (body, reason) in [
        (
            "unreachable",
            Reason::Trap {
                trap: "unreachable",
            },
        ),
        ("(call $proc_exit (i32.const 7))", Reason::Exit { code: 7 }),
        (
            "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
            Reason::Trap {
                trap: "integer-division-by-zero",
            },
        ),
        (
            "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))",
            Reason::Trap {
                trap: "integer-overflow",
            },
        ),
        (
            "(drop (i32.trunc_f64_s (f64.const nan)))",
            Reason::Trap {
                trap: "bad-conversion-to-integer",
            },
        ),
        (
            "(drop (i32.load (i32.const -1)))",
            Reason::Trap {
                trap: "memory-out-of-bounds",
            },
        ),
        (
            "(drop (memory.grow (i32.const 1000))) unreachable",
            Reason::Memory,
        ),
    ] {
        assert_eq!(agreed(body).result.unwrap_err().reason, reason, "{body}");
    }
}

#[test]
fn the_engines_agree_on_modules_that_fail_before_they_start() {
    for (text, trap) in [
        (
            r#"(data (i32.const 65536) "x") (func (export "_start"))"#,
            "memory-out-of-bounds",
        ),
        (
            r#"(table 1 funcref) (func $f) (elem (i32.const 1) $f) (func (export "_start"))"#,
            "table-out-of-bounds",
        ),
        (
            r#"(func $s unreachable) (start $s) (func (export "_start"))"#,
            "unreachable",
        ),
    ] {
        let module = module(text);
        let outcome = both(&module, &task(&module), b"");
        assert_eq!(
            outcome.result.unwrap_err().reason,
            Reason::Trap { trap },
            "{text}"
        );
    }
    let large =
        wat::parse_str(r#"(module (memory (export "memory") 17) (func (export "_start")))"#);
    let large = large.unwrap();
    let outcome = both(&large, &task(&large), b"");
    assert_eq!(outcome.result.unwrap_err().reason, Reason::Memory);
    // Its own maximum refuses, not the operation: it gives up for a reason of its own.
    let bounded = wat::parse_str(
        r#"(module (memory (export "memory") 1 2) (func (export "_start") (drop (memory.grow (i32.const 20))) unreachable))"#,
    );
    let bounded = bounded.unwrap();
    let outcome = both(&bounded, &task(&bounded), b"");
    let trap = "unreachable";
    assert_eq!(outcome.result.unwrap_err().reason, Reason::Trap { trap });
    let foreign = module(r#"(memory $second 1) (func (export "_start"))"#);
    let outcome = both(&foreign, &task(&foreign), b"");
    assert_eq!(outcome.result.unwrap_err().reason, Reason::Input);
}

#[test]
fn the_engines_agree_on_every_bit_of_a_nan() {
    let operations = [
        "(f64.div (f64.const 0) (f64.const 0))",
        "(f64.sqrt (f64.const -1))",
        "(f64.add (f64.const nan:0x123) (f64.const 1))",
        "(f64.min (f64.const -nan:0x8000000000001) (f64.const 1))",
        "(f64.max (f64.const 1) (f64.const nan:0x4))",
        "(f64.nearest (f64.const -nan:0x4))",
        "(f64.ceil (f64.const -nan:0x4))",
        "(f64.neg (f64.const nan:0x4))",
        "(f64.abs (f64.const -nan:0x4))",
        "(f64.copysign (f64.const nan:0x4) (f64.const -1))",
        "(f64.promote_f32 (f32.const -nan:0x4))",
        "(f64.reinterpret_i64 (i64.const -1))",
        "(f64.promote_f32 (f32.demote_f64 (f64.const -nan:0x4)))",
        "(f64x2.extract_lane 1 (f64x2.mul (v128.const f64x2 1 -nan:0x4) (v128.const f64x2 1 1)))",
        "(f64x2.extract_lane 0 (f64x2.pmin (v128.const f64x2 -nan:0x4 1) (v128.const f64x2 1 1)))",
        "(f64x2.extract_lane 0 (f64x2.min (v128.const f64x2 -nan:0x4 1) (v128.const f64x2 1 1)))",
        "(f64x2.extract_lane 0 (f64x2.promote_low_f32x4 (v128.const f32x4 -nan:0x4 1 1 1)))",
        "(f64x2.extract_lane 0 (f32x4.demote_f64x2_zero (v128.const f64x2 -nan:0x4 nan:0x5)))",
        "(f64x2.extract_lane 0 (f32x4.sqrt (v128.const f32x4 -1 -nan:0x5 1 1)))",
    ];
    let shown: String = operations
        .iter()
        .map(|operation| {
            format!("(f64.store (i32.const 0) {operation}) (call $put (i32.const 0) (i32.const 8))")
        })
        .collect();
    assert_eq!(agreed(&shown).output, 8 * operations.len() as u64);
}

#[test]
fn the_output_limit_is_the_same_trap_on_both() {
    let module =
        start("(call $put (i32.const 0) (i32.const 10)) (call $put (i32.const 0) (i32.const 1))");
    let mut task = task(&module);
    task.limits.output = 10;
    let outcome = both(&module, &task, b"");
    assert_eq!(
        outcome.result.unwrap_err().reason,
        Reason::Trap { trap: OUTPUT_TRAP }
    );
    assert_eq!(outcome.output, 10);
    task.limits.output = 11;
    assert_eq!(both(&module, &task, b"").result, Ok(()));
}

#[test]
fn an_endless_program_ends_with_its_fuel() {
    let module = start("(loop (br 0))");
    let (outcome, _) = second(&module, &task(&module), b"").unwrap();
    assert_eq!(outcome.result.unwrap_err().reason, Reason::Fuel);
    let module = module_of_recursion();
    let (outcome, _) = second(&module, &task(&module), b"").unwrap();
    let trap = crate::trap::STACK_TRAP;
    assert_eq!(outcome.result.unwrap_err().reason, Reason::Trap { trap });
}

fn module_of_recursion() -> Vec<u8> {
    module(r#"(func $f (call $f)) (func (export "_start") (call $f))"#)
}
