use crate::{
    fixture::{compiling, module, run, start, task, FUEL, MEMORY},
    ComputeError, Failure, Outcome, Reason,
};
use proptest::prelude::*;

fn reason(module: &[u8]) -> Reason {
    let (outcome, _) = run(module, &task(module), b"").unwrap();
    outcome.result.unwrap_err().reason
}

fn trap(body: &str) -> &'static str {
    match reason(&start(body)) {
        Reason::Trap { trap } => trap,
        other => panic!("{other:?}"),
    }
}

#[test]
fn traps_have_names() {
    assert_eq!(trap("unreachable"), "unreachable");
    assert_eq!(
        trap("(drop (i32.div_u (i32.const 1) (i32.const 0)))"),
        "integer-division-by-zero"
    );
    assert_eq!(
        trap("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))"),
        "integer-overflow"
    );
    assert_eq!(
        trap("(drop (i32.trunc_f64_s (f64.const nan)))"),
        "bad-conversion-to-integer"
    );
    assert_eq!(
        trap("(drop (i32.load (i32.const -1)))"),
        "memory-out-of-bounds"
    );
}

#[test]
fn indirect_calls_trap_by_name() {
    let table = |index: u32| {
        module(&format!(
            r#"(type $wanted (func (result i32))) (table 2 funcref) (elem (i32.const 0) $other)
               (func $other) (func (export "_start")
               (drop (call_indirect (type $wanted) (i32.const {index}))))"#
        ))
    };
    let names = [0, 1, 2].map(|index| reason(&table(index)).to_string());
    assert_eq!(
        names,
        [
            "trap: indirect-call-type-mismatch",
            "trap: indirect-call-to-null",
            "trap: table-out-of-bounds"
        ]
    );
}

#[test]
fn an_infinite_loop_runs_out_of_fuel() {
    let module = start("(loop (br 0))");
    let (outcome, _) = run(&module, &task(&module), b"").unwrap();
    assert_eq!(outcome.result.unwrap_err().reason, Reason::Fuel);
    assert_eq!(outcome.fuel, FUEL);
}

#[test]
fn compiling_is_paid_for_before_anything_else_and_before_the_first_instruction() {
    let text = r#"(memory (export "memory") 3) (func (export "_start"))"#;
    let plain = wat::parse_str(format!("(module {text})")).unwrap();
    let cost = compiling(&plain);
    assert!(cost > 10_000, "{cost}");
    let with = |fuel, memory| {
        let mut task = task(&plain);
        task.limits.fuel = fuel;
        task.limits.memory = memory;
        let outcome = run(&plain, &task, b"").unwrap().0;
        (
            outcome.result.map_err(|failure| failure.reason),
            outcome.fuel,
        )
    };
    let (ended, used) = with(cost + 1000, MEMORY);
    assert_eq!(ended, Ok(()));
    assert!((cost..cost + 1000).contains(&used), "{used} of {cost}");
    // What is not paid for is not compiled, so nobody knows yet how much memory it begins with.
    assert_eq!(with(cost - 1, 0), (Err(Reason::Fuel), cost - 1));
    assert_eq!(with(cost, 0).0, Err(Reason::Memory));
}

#[test]
fn a_start_function_that_loops_runs_out_of_fuel() {
    let module = module(r#"(func $spin (loop (br 0))) (start $spin) (func (export "_start"))"#);
    assert_eq!(reason(&module), Reason::Fuel);
}

#[test]
fn a_recursion_without_end_overflows_the_stack_at_the_same_depth_each_time() {
    let module = module(
        r#"(func $deeper (param i64) (result i64)
             (i64.add (call $deeper (i64.add (local.get 0) (i64.const 1))) (i64.const 1)))
           (func (export "_start") (drop (call $deeper (i64.const 0))))"#,
    );
    let once = || run(&module, &task(&module), b"").unwrap().0;
    let first = once();
    let failure = Failure {
        reason: Reason::Trap {
            trap: "stack-overflow",
        },
        stderr: vec![],
    };
    assert_eq!(first.result, Err(failure));
    assert!(first.fuel > 10_000, "{}", first.fuel);
    assert_eq!(once(), first);
}

#[test]
fn memory_grows_up_to_the_limit_and_not_beyond() {
    let pages = MEMORY / 65536;
    let module = start(
        "(loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
         (call $show (memory.size))
         (call $show (memory.grow (i32.const 65535)))",
    );
    let (outcome, output) = run(&module, &task(&module), b"").unwrap();
    assert_eq!(outcome.result, Ok(()));
    assert_eq!(outcome.memory, MEMORY);
    let mut expected = (pages as u32).to_le_bytes().to_vec();
    expected.extend_from_slice(&[0xff; 4]);
    assert_eq!(output, expected);
}

#[test]
fn a_program_that_gives_up_after_a_refused_growth_lacks_memory() {
    let grow = "(drop (memory.grow (i32.const 1000)))";
    assert_eq!(
        reason(&start(&format!("{grow} unreachable"))),
        Reason::Memory
    );
    assert_eq!(
        trap(&format!("{grow} (drop (i32.load (i32.const -1)))")),
        "memory-out-of-bounds"
    );
}

#[test]
fn a_program_that_starts_too_large_lacks_memory() {
    let text = r#"(module (memory (export "memory") 17) (func (export "_start")))"#;
    assert_eq!(reason(&wat::parse_str(text).unwrap()), Reason::Memory);
}

#[test]
fn memory_can_be_all_that_32_bits_address() {
    let module = start(
        "(call $show (memory.grow (i32.const 65535)))
         (i32.store (i32.const -4) (i32.const 1))
         (call $show (memory.grow (i32.const 1)))",
    );
    let mut task = task(&module);
    task.limits.memory = u64::MAX;
    let (outcome, output) = run(&module, &task, b"").unwrap();
    assert_eq!((outcome.result, outcome.memory), (Ok(()), 1 << 32));
    assert_eq!(output, [1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
}

#[test]
fn tables_do_not_grow_beyond_the_profile() {
    let module = module(
        r#"(table $t 0 funcref) (func (export "_start")
           (call $show (table.grow $t (ref.null func) (i32.const 900000)))
           (call $show (table.grow $t (ref.null func) (i32.const 900000))))"#,
    );
    let (_, output) = run(&module, &task(&module), b"").unwrap();
    assert_eq!(output, [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
}

#[test]
fn growing_costs_fuel_by_the_page() {
    let used = |pages: u32| {
        let module = start(&format!("(drop (memory.grow (i32.const {pages})))"));
        run(&module, &task(&module), b"").unwrap().0.fuel
    };
    assert!(used(11) >= used(1) + 10 * 64);
}

#[test]
fn a_nan_is_canonical() {
    // 0/0, sqrt(-1) and a NaN with a payload in arithmetic: all give the one NaN.
    for operation in [
        "(f64.div (f64.const 0) (f64.const 0))",
        "(f64.sqrt (f64.const -1))",
        "(f64.add (f64.const nan:0x123) (f64.const 1))",
        "(f64.sub (f64.const inf) (f64.const inf))",
        "(f64.mul (f64.const -nan:0x8000000000001) (f64.const -0))",
    ] {
        let module = start(&format!(
            "(f64.store (i32.const 0) {operation}) (call $put (i32.const 0) (i32.const 8))"
        ));
        let (_, output) = run(&module, &task(&module), b"").unwrap();
        assert_eq!(
            output,
            0x7ff8_0000_0000_0000u64.to_le_bytes(),
            "{operation}"
        );
    }
}

#[test]
fn a_flood_of_output_ends_with_the_fuel() {
    let module = start(
        "(i32.store (i32.const 4) (i32.const 65536))
         (loop (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16))) (br 0))",
    );
    let mut task = task(&module);
    task.limits.fuel = 10_000_000;
    let (outcome, output) = run(&module, &task, b"").unwrap();
    assert_eq!(outcome.result.unwrap_err().reason, Reason::Fuel);
    assert!(outcome.output < 10_000_000 && outcome.output > 9_000_000);
    assert!(output.len() as u64 <= outcome.output);
}

#[test]
fn reading_on_after_the_end_gives_nothing_and_costs_fuel() {
    let module = start(
        "(i32.store (i32.const 4) (i32.const 100))
         (loop (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16))) (br 0))",
    );
    assert_eq!(reason(&module), Reason::Fuel);
}

#[test]
fn a_module_outside_the_profile_is_a_result_and_the_note_says_why() {
    let text = r#"(module (import "env" "f" (func)) (memory (export "memory") 1) (func (export "_start")))"#;
    let module = wat::parse_str(text).unwrap();
    let (outcome, _) = run(&module, &task(&module), b"").unwrap();
    let failure = outcome.result.unwrap_err();
    assert_eq!(failure.reason, Reason::Input);
    let said = outcome.notes.outside_profile.unwrap();
    assert!(said.contains("env.f"), "{said}");
}

#[test]
fn a_module_of_another_hash_is_a_fault() {
    let (module, other) = (start(""), start("unreachable"));
    let result = run(&other, &task(&module), b"");
    assert!(matches!(result, Err(ComputeError::ModuleHash { .. })));
}

#[test]
fn the_same_run_gives_the_same_outcome() {
    let module = start(
        "(drop (call $random_get (i32.const 0) (i32.const 1000))) (call $put (i32.const 0) (i32.const 1000))",
    );
    let runs: Vec<(Outcome, Vec<u8>)> = (0..3)
        .map(|_| run(&module, &task(&module), b"").unwrap())
        .collect();
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0], runs[2]);
}

// If one of these changes, members with the old and the new build disagree: `profile` must change too.
#[test]
fn fuel_is_what_it_was() {
    let golden = [
        ("", 1),
        ("(drop (i32.const 1))", 2),
        ("(call $show (i32.const 1))", 268),
        ("(memory.fill (i32.const 0) (i32.const 1) (i32.const 1000))", 1020),
        ("(drop (memory.grow (i32.const 3)))", 989),
        ("(local i32) (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 1000))))", 7001),
        ("(f64.store (i32.const 0) (f64.sqrt (f64.const 2)))", 19),
    ];
    let used = golden.map(|(body, _)| {
        let module = start(body);
        run(&module, &task(&module), b"").unwrap().0.fuel - compiling(&module)
    });
    assert_eq!(used, golden.map(|(_, fuel)| fuel));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // Whatever is asked of memory with whatever pointers: the host neither panics nor faults.
    #[test]
    fn no_arguments_break_the_host(which in 0usize..46, numbers in prop::array::uniform9(any::<i32>())) {
        let name = crate::wasi::import_names().nth(which).unwrap();
        let signature = crate::wasi::signature(name).unwrap();
        let args: String = signature.params().iter().zip(numbers)
            .map(|(ty, number)| format!("({ty}.const {number})")).collect();
        let drop = if signature.results().is_empty() { "" } else { "drop" };
        let module = start(&format!("(call ${name} {args}) {drop}"));
        let mut task = task(&module);
        task.limits.fuel = 1_000_000;
        let first = run(&module, &task, b"some input").unwrap();
        prop_assert_eq!(first, run(&module, &task, b"some input").unwrap());
    }
}

#[test]
fn what_is_wrong_with_a_module_is_a_note_and_no_part_of_the_result() {
    let params = "v128 ".repeat(1000);
    let modules = [
        b"no module".to_vec(),
        wat::parse_str(r#"(module (memory (export "memory") 1))"#).unwrap(),
        wat::parse_str(format!(
            r#"(module (import "wasi_snapshot_preview1" "fd_read" (func (param {params})))
            (memory (export "memory") 1) (func (export "_start")))"#
        ))
        .unwrap(),
    ];
    let ends: Vec<_> = modules
        .iter()
        .map(|module| run(module, &task(module), b"").unwrap().0)
        .collect();
    for end in &ends {
        let failure = end.result.as_ref().unwrap_err();
        assert_eq!(failure.reason, Reason::Input);
        assert_eq!(failure.stderr, crate::outcome::OUTSIDE.as_bytes());
        let note = end.notes.outside_profile.as_ref().unwrap();
        assert!(!note.is_empty() && note.len() < 1000, "{note}");
    }
    assert_eq!(ends[0].result, ends[1].result);
}
