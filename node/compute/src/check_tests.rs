use super::*;
use crate::bounds::{
    MAX_EXPORTS, MAX_FUNCTIONS, MAX_FUNCTION_BYTES, MAX_FUNCTION_LOCALS, MAX_FUNCTION_OPERATORS,
    MAX_GLOBALS, MAX_IMPORTS, MAX_LABELS, MAX_MOVED_VALUES, MAX_NESTED_LOOPS, MAX_NESTING,
    MAX_TABLE_ELEMENTS, MAX_TYPES,
};

/// A command with `rest` in it.
fn command(rest: &str) -> Vec<u8> {
    let text = format!(r#"(module {rest} (memory (export "memory") 1) (func (export "_start")))"#);
    wat::parse_str(text).unwrap()
}

fn refusal(module: &[u8]) -> String {
    check_module(module).unwrap_err().to_string()
}

#[test]
fn a_command_passes() {
    assert_eq!(check_module(&command("")), Ok(()));
    let import = r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#;
    assert_eq!(check_module(&command(import)), Ok(()));
}

#[test]
fn what_is_not_wasm_is_refused() {
    for other in [&b""[..], b"#!/bin/sh\n", b"\x7fELF\x02\x01", b"\0as"] {
        assert_eq!(check_module(other), Err(ProfileError::NotWasm));
    }
    assert!(matches!(
        check_module(b"\0asm\x01\0\0"),
        Err(ProfileError::Invalid { .. })
    ));
}

#[test]
fn a_component_is_refused() {
    let component = wat::parse_str("(component)").unwrap();
    assert_eq!(check_module(&component), Err(ProfileError::Component));
}

#[test]
fn a_truncated_module_is_refused_at_every_byte() {
    let whole = command("(func (param i32) (drop (i32.add (local.get 0) (i32.const 1))))");
    for length in 0..whole.len() {
        assert!(check_module(&whole[..length]).is_err(), "{length}");
    }
    assert_eq!(check_module(&whole), Ok(()));
}

#[test]
fn unknown_imports_are_named() {
    let cases = [
        (
            r#"(import "env" "emscripten_resize" (func))"#,
            "env.emscripten_resize",
        ),
        (
            r#"(import "wasi_snapshot_preview1" "thread_spawn" (func))"#,
            "wasi_snapshot_preview1.thread_spawn",
        ),
        (
            r#"(import "wasi_unstable" "fd_write" (func))"#,
            "wasi_unstable.fd_write",
        ),
        (r#"(import "env" "table" (table 1 funcref))"#, "env.table"),
    ];
    for (import, name) in cases {
        let error = refusal(&command(import));
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn imports_of_another_type_are_named_with_both_types() {
    let error = refusal(&command(
        r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i64) (result i32)))"#,
    ));
    assert!(error.contains("fd_write"), "{error}");
    assert!(error.contains("(i32 i64) -> (i32)"), "{error}");
    assert!(error.contains("(i32 i32 i32 i32) -> (i32)"), "{error}");
    let error = refusal(&command(
        r#"(import "wasi_snapshot_preview1" "fd_write" (global i32))"#,
    ));
    assert!(error.contains("not a function"), "{error}");
}

#[test]
fn proposals_are_named() {
    let cases = [
        (
            "(func (drop (i32x4.relaxed_trunc_f32x4_s (v128.const i32x4 0 0 0 0))))",
            "relaxed SIMD",
        ),
        ("(func $f return_call $f)", "tail calls"),
        ("(memory 1)", "multiple memories"),
        ("(tag)", "exceptions"),
        ("(type (struct))", "garbage collection"),
        ("(func (param externref))", "external references"),
        (
            "(func (drop (i64.add128 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0))) drop)",
            "wide arithmetic",
        ),
        ("(import \"env\" \"m\" (memory 1 1 shared))", "threads"),
    ];
    for (rest, name) in cases {
        match check_module(&command(rest)) {
            Err(ProfileError::Proposal { names }) => assert!(names.contains(&name), "{names:?}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn memories_of_other_kinds_are_named() {
    for (memory, name) in [
        ("i64 1", "64-bit memory"),
        ("1 2 (pagesize 1)", "custom page sizes"),
        ("1 1 shared", "threads"),
    ] {
        let text =
            format!(r#"(module (memory (export "memory") {memory}) (func (export "_start")))"#);
        let error = check_module(&wat::parse_str(text).unwrap()).unwrap_err();
        assert_eq!(error, ProfileError::Proposal { names: vec![name] });
    }
}

#[test]
fn what_compilers_emit_passes() {
    let all = command(
        r#"(global $g (mut i32) (i32.add (i32.const 1) (i32.const 2)))
           (table 1 funcref) (elem declare func $f) (data $d "x")
           (func $f (param i32) (result i32 i32)
             (memory.copy (i32.const 0) (i32.const 1) (i32.const 2))
             (memory.fill (i32.const 0) (i32.const 1) (i32.const 2))
             (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))
             (global.set $g (i32.trunc_sat_f64_s (f64.const 1)))
             (drop (i32x4.splat (i32.const 1)))
             (table.set (i32.const 0) (ref.func $f))
             (i32.extend8_s (local.get 0)) (i32.const 1))"#,
    );
    assert_eq!(check_module(&all), Ok(()));
}

#[test]
fn a_library_is_not_a_command() {
    let library = wat::parse_str(r#"(module (memory (export "memory") 1))"#).unwrap();
    assert_eq!(check_module(&library), Err(ProfileError::Start));
    let wrong = r#"(module (memory (export "memory") 1) (func (export "_start") (param i32)))"#;
    assert_eq!(
        check_module(&wat::parse_str(wrong).unwrap()),
        Err(ProfileError::Start)
    );
    let no_memory = wat::parse_str(r#"(module (func (export "_start")))"#).unwrap();
    assert_eq!(check_module(&no_memory), Err(ProfileError::Memory));
}

/// What a module has too much of.
fn too_large(module: &[u8]) -> &'static str {
    match check_module(module) {
        Err(ProfileError::TooLarge { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

/// A function in a command.
fn function(text: &str) -> Vec<u8> {
    command(&format!("(func {text})"))
}

#[test]
fn the_parts_of_a_module_are_bounded_by_name() {
    let mut huge = command("");
    huge.resize(MAX_MODULE_BYTES + 1, 0);
    assert_eq!(too_large(&huge), "bytes");
    let many = "(func)".repeat(MAX_FUNCTIONS);
    assert_eq!(too_large(&command(&many)), "functions");
    let table = format!("(table {} funcref)", MAX_TABLE_ELEMENTS + 1);
    assert_eq!(too_large(&command(&table)), "table elements");
    // These ended the compiler's process.
    let computed = "first values of memory, tables and globals that code has to compute";
    let functions = "(ref.func 0)".repeat(20_001);
    let segment = format!("(table 30000 funcref) (elem (i32.const 0) funcref {functions})");
    assert_eq!(too_large(&command(&segment)), computed);
    let outside = "(data (i32.const 0) \"x\")".repeat(20_000);
    let outside = format!("{outside} (data (i32.const -1) \"x\")");
    assert_eq!(too_large(&command(&outside)), computed);
    // One type is that of `_start`.
    let types = |count: u64| command(&"(type (func))".repeat(count as usize));
    assert_eq!(too_large(&types(MAX_TYPES + 1)), "types");
    assert_eq!(check_module(&types(MAX_TYPES)), Ok(()));
    let globals = |count: u64| command(&"(global i32 (i32.const 0))".repeat(count as usize));
    assert_eq!(too_large(&globals(MAX_GLOBALS + 1)), "globals");
    assert_eq!(check_module(&globals(MAX_GLOBALS)), Ok(()));
    let import = r#"(import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))"#;
    let imports = |count: u64| command(&import.repeat(count as usize));
    assert_eq!(too_large(&imports(MAX_IMPORTS + 1)), "imports");
    assert_eq!(check_module(&imports(MAX_IMPORTS)), Ok(()));
    // Two exports are those of every command.
    let exports = |count: u64| {
        let all: String = (0..count)
            .map(|number| format!(r#"(export "e{number}" (func 0))"#))
            .collect();
        command(&format!("(func){all}"))
    };
    assert_eq!(too_large(&exports(MAX_EXPORTS - 1)), "exports");
    assert_eq!(check_module(&exports(MAX_EXPORTS - 2)), Ok(()));
}

#[test]
fn signatures_and_segments_are_bounded_together() {
    let params = "i64 ".repeat(1000);
    let types = |count: usize| {
        let all: String = (0..count)
            .map(|number| {
                format!(
                    "(type (func (param {params}) (result {})))",
                    "i32 ".repeat(number)
                )
            })
            .collect();
        command(&all)
    };
    assert_eq!(
        too_large(&types(900)),
        "parameters and results of all types"
    );
    assert_eq!(check_module(&types(100)), Ok(()));
    let functions = |count: usize| {
        let one = "(func (type $t) unreachable)";
        command(&format!(
            "(type $t (func (param {params}))){}",
            one.repeat(count)
        ))
    };
    let what = "parameters and results of all functions";
    assert_eq!(too_large(&functions(1001)), what);
    assert_eq!(check_module(&functions(1000)), Ok(()));
    let elements = |count: usize| {
        let names = "$f ".repeat(count);
        command(&format!(
            "(func $f) (elem declare func {names}) (elem declare func {names})"
        ))
    };
    assert_eq!(too_large(&elements(500_001)), "elements of all segments");
    assert_eq!(check_module(&elements(500_000)), Ok(()));
}

/// The engine compiles an entrance for each type, and for each function that can be called from outside. These took 14 and 15
/// seconds of processor time, and 7.8 for the third, when the effort of all of them was below half a second.
#[test]
fn types_and_entrances_count_with_their_values() {
    let params = "i64 ".repeat(990);
    let types: String = (0..990)
        .map(|number| format!("(type (func (param {params}) (param f64) (result)))(; {number} ;)"))
        .collect();
    let entered = format!(
        "(type $t (func (param {params}))) {} (elem declare func 0)",
        "(func (type $t))".repeat(990)
    );
    let narrow = "(type (func (param i32 i64 f32 f64 i32 i64 f32 f64 i32)))".repeat(90_000);
    for (rest, seconds) in [(types, 14), (entered, 15), (narrow, 8)] {
        let effort = compile_effort(&command(&rest)).unwrap();
        let bound = seconds * 1_000_000_000;
        assert!(
            (bound..2 * bound).contains(&effort),
            "{effort} for {seconds} s"
        );
    }
    let few = "(type (func (param i32 i32) (result i32)))".repeat(200);
    assert!(compile_effort(&command(&few)).unwrap() < 100_000_000);
}

#[test]
fn functions_are_bounded_by_name() {
    let locals = format!(
        "(local {})",
        "i32 ".repeat(MAX_FUNCTION_LOCALS as usize + 1)
    );
    assert_eq!(too_large(&function(&locals)), "locals in one function");
    let long = "nop ".repeat(MAX_FUNCTION_BYTES);
    assert_eq!(too_large(&function(&long)), "bytes in one function");
    let operators = |count: u64| function(&"nop ".repeat(count as usize));
    assert_eq!(
        too_large(&operators(MAX_FUNCTION_OPERATORS)),
        "operators in one function"
    );
    assert_eq!(check_module(&operators(MAX_FUNCTION_OPERATORS - 1)), Ok(()));
    let labels = |count: u32| {
        function(&format!(
            "(br_table {} 0 (i32.const 0))",
            "0 ".repeat(count as usize)
        ))
    };
    assert_eq!(too_large(&labels(MAX_LABELS + 1)), "labels in one br_table");
    let what = "units of effort to compile";
    assert_eq!(too_large(&labels(MAX_LABELS)), what, "to one place");
    assert_eq!(check_module(&labels(10_000)), Ok(()));
}

#[test]
fn nesting_is_bounded_alone_and_with_locals() {
    let nested = |kind: &str, before: &str, depth: usize| {
        let (open, close) = (format!("({kind}").repeat(depth), ")".repeat(depth));
        function(&format!("{before} {open}{close}"))
    };
    let what = "nested ifs and loops";
    let ifs = |depth| {
        let (open, close) = ("(if (i32.const 1) (then ".repeat(depth), "))".repeat(depth));
        function(&format!("{open} {close}"))
    };
    assert_eq!(too_large(&ifs(MAX_NESTING + 1)), what);
    assert_eq!(check_module(&ifs(MAX_NESTING)), Ok(()));
    let loops = MAX_NESTED_LOOPS as usize;
    assert_eq!(too_large(&nested("loop ", "", loops + 1)), "nested loops");
    assert_eq!(check_module(&nested("loop ", "", loops)), Ok(()));
    let one_after_another = "(loop)".repeat(2 * loops);
    assert_eq!(check_module(&function(&one_after_another)), Ok(()));
    assert_eq!(
        check_module(&nested("block ", "", 20 * MAX_NESTING)),
        Ok(())
    );
    let values = |kind: &str, count: usize| format!("({kind} {})", "i64 ".repeat(count));
    let what = "locals times nested ifs and loops";
    assert_eq!(
        too_large(&nested("loop ", &values("local", 1001), 100)),
        what
    );
    assert_eq!(
        check_module(&nested("loop ", &values("local", 1000), 100)),
        Ok(())
    );
    assert_eq!(
        too_large(&nested("loop ", &values("param", 1000), 101)),
        what
    );
    assert_eq!(
        check_module(&nested("loop ", &values("param", 990), 101)),
        Ok(())
    );
}

#[test]
fn values_that_are_moved_are_bounded_whatever_moves_them() {
    let what = "values that calls, blocks and jumps of one function move";
    let (ones, drops) = ("(i64.const 1)".repeat(500), "(drop)".repeat(500));
    let all = "i64 ".repeat(500);
    let most = MAX_MOVED_VALUES as usize;
    let around = |body: String| {
        command(&format!(
            "(type $takes (func (param {all}))) (func $takes (type $takes) unreachable) (func $gives (result {all}) unreachable)
            (table 1 funcref) (func {body})"
        ))
    };
    let repeated = |body: &str, values: usize, count: usize| {
        let module = around(body.repeat(count));
        let fits = count * values <= most;
        match fits {
            true => assert_eq!(check_module(&module), Ok(()), "{body:.60}"),
            false => assert_eq!(too_large(&module), what, "{body:.60}"),
        }
    };
    let through = format!("{ones}(block (param {all}) (result {all})) {drops}");
    let call = format!("{ones}(call $takes)");
    let indirect = format!("{ones}(call_indirect (type $takes) (i32.const 0))");
    let result = format!("(call $gives) {drops}");
    let jump = format!("(block (result {all}) {ones} (br 0)) {drops}");
    let maybe = format!("(block (result {all}) {ones} (br_if 0 (i32.const 1))) {drops}");
    for (body, values) in [
        (through, 1000),
        (call, 500),
        (indirect, 500),
        (result, 500),
        (jump, 1000),
        (maybe, 1000),
    ] {
        repeated(&body, values, most / values);
        repeated(&body, values, most / values + 1);
    }
    let table = |labels: usize| {
        let labels = "0 ".repeat(labels);
        around(format!(
            "(block (result {all}) {ones} (br_table {labels} 0 (i32.const 1))) {drops}"
        ))
    };
    assert_eq!(too_large(&table(most / 500)), what);
    assert_eq!(check_module(&table(most / 500 - 3)), Ok(()));
    let returns = |count: usize| {
        let one = format!("(block {ones} (return))");
        command(&format!(
            "(func (result {all}) {} {ones})",
            one.repeat(count)
        ))
    };
    assert_eq!(too_large(&returns(most / 500)), what);
    assert_eq!(check_module(&returns(most / 500 - 1)), Ok(()));
}

#[test]
fn locals_are_bounded_with_the_places_where_paths_join() {
    let what = "locals times blocks and branches in one function";
    // An `if` with its `else` counts three times, a `block` once, a `br_if` once.
    let locals = format!("(local {})", "i64 ".repeat(5_000));
    for (body, places) in [
        ("(if (i32.const 1) (then) (else nop))", 3),
        ("(if (i32.const 1) (then))", 2),
        ("(block)", 1),
        ("(block (br_if 0 (i32.const 1)))", 2),
    ] {
        let most = crate::MAX_JOINED_LOCALS as usize / 5_000 / places;
        let module = |count: usize| function(&format!("{locals} {}", body.repeat(count)));
        assert_eq!(check_module(&module(most)), Ok(()), "{body}");
        assert_eq!(too_large(&module(most + 1)), what, "{body}");
    }
}

#[test]
fn blocks_and_branches_are_bounded_however_few_locals_there_are() {
    // The shape of 31,000 `if`s and 12 locals, that took a compiler more than half of its memory.
    let body = "(if (i32.const 1) (then (local.set 0 (i64.const 1))))";
    let module = |count: usize| function(&format!("(local i64) {}", body.repeat(count)));
    let most = crate::MAX_JOINS as usize / 2;
    assert_eq!(check_module(&module(most)), Ok(()));
    let what = "blocks and branches in one function";
    assert_eq!(too_large(&module(most + 1)), what);
}

#[test]
fn what_a_module_says_cannot_drive_a_terminal() {
    let error = refusal(&command(r#"(import "env" "\1b]0;owned\07\1b[2J" (func))"#));
    assert!(error.contains("\\u{1b}]0;owned"), "{error}");
    assert!(!error.chars().any(char::is_control), "{error}");
    let error = refusal(&command(r#"(func (export "rings:\1b[31m"))"#));
    assert!(!error.chars().any(char::is_control), "{error}");
}

#[test]
fn a_refusal_is_short_whatever_the_module() {
    let params = "v128 ".repeat(1000);
    let error = refusal(&command(&format!(
        r#"(import "wasi_snapshot_preview1" "fd_read" (func (param {params})))"#
    )));
    assert!(error.len() < 1000, "{} bytes", error.len());
    assert!(error.contains("fd_read"), "{error}");
    let long = "x".repeat(50_000);
    assert!(refusal(&command(&format!(r#"(import "{long}" "{long}" (func))"#))).len() < 1000);
}

#[test]
fn values_that_blocks_give_are_bounded_with_the_blocks_before_their_ends() {
    let what = "values that blocks of one function take and give, times its blocks";
    let chain = |blocks: usize| {
        let pass = "(block (param i32) (result i32) (br_if 0 (i32.const 1)))".repeat(blocks);
        command(&format!("(func (i32.const 0) {pass} drop)"))
    };
    assert_eq!(check_module(&chain(1_000)), Ok(()));
    assert!(refusal(&chain(10_000)).contains(what));
    // Blocks in each other end behind the blocks of all of them.
    let nested = |blocks: usize| {
        let (begin, end) = ("(block (result i32) ".repeat(blocks), ")".repeat(blocks));
        command(&format!("(func {begin} (i32.const 0) {end} drop)"))
    };
    assert_eq!(check_module(&nested(500)), Ok(()));
    assert!(refusal(&nested(12_000)).contains(what));
    let needs = inspect(&chain(10)).unwrap();
    assert_eq!(
        needs.demand.entries,
        (1..=10).map(|block| 8 + 2 * block).sum::<u64>()
    );
}
