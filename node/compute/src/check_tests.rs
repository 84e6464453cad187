use super::*;

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

#[test]
fn sizes_are_bounded_by_name() {
    let too_large = |module: &[u8]| match check_module(module) {
        Err(ProfileError::TooLarge { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    let many = "(func)".repeat(MAX_FUNCTIONS);
    assert_eq!(too_large(&command(&many)), "functions");
    let locals = format!(
        "(func (local {}))",
        "i32 ".repeat(MAX_FUNCTION_LOCALS as usize + 1)
    );
    assert_eq!(too_large(&command(&locals)), "locals in one function");
    let long = format!("(func {})", "nop ".repeat(MAX_FUNCTION_BYTES));
    assert_eq!(too_large(&command(&long)), "bytes in one function");
    let nested = |kind: &str, depth: usize| {
        let (open, close) = (format!("({kind}").repeat(depth), ")".repeat(depth));
        command(&format!("(func {open}{close})"))
    };
    assert_eq!(
        too_large(&nested("loop ", MAX_NESTING + 1)),
        "nested ifs and loops"
    );
    assert_eq!(check_module(&nested("loop ", MAX_NESTING)), Ok(()));
    assert_eq!(check_module(&nested("block ", 20 * MAX_NESTING)), Ok(()));
    let product = |locals: usize, depth: usize| {
        let (open, close) = ("(loop ".repeat(depth), ")".repeat(depth));
        let locals = "i64 ".repeat(locals);
        command(&format!("(func (local {locals}) {open}{close})"))
    };
    let what = "locals times nested ifs and loops";
    assert_eq!(too_large(&product(1001, 100)), what);
    assert_eq!(check_module(&product(1000, 100)), Ok(()));
    let params = |count: usize| {
        let (open, close) = ("(loop ".repeat(101), ")".repeat(101));
        let params = "i64 ".repeat(count);
        command(&format!("(func (param {params}) {open}{close})"))
    };
    assert_eq!(too_large(&params(1000)), what);
    assert_eq!(check_module(&params(990)), Ok(()));
    let passing = |blocks: usize| {
        let through = "(block (param $all) (result $all))".replace("$all", &"i64 ".repeat(500));
        let (ones, drops) = ("(i64.const 1)".repeat(500), "(drop)".repeat(500));
        command(&format!("(func {ones} {} {drops})", through.repeat(blocks)))
    };
    let what = "values that blocks of one function take and give";
    assert_eq!(too_large(&passing(101)), what);
    assert_eq!(check_module(&passing(100)), Ok(()));
    let labels = |count: u32| {
        command(&format!(
            "(func (br_table {} 0 (i32.const 0)))",
            "0 ".repeat(count as usize)
        ))
    };
    assert_eq!(too_large(&labels(MAX_LABELS + 1)), "labels in one br_table");
    assert_eq!(check_module(&labels(MAX_LABELS)), Ok(()));
    let table = format!("(table {} funcref)", MAX_TABLE_ELEMENTS + 1);
    assert_eq!(too_large(&command(&table)), "table elements");
    let mut huge = command("");
    huge.resize(MAX_MODULE_BYTES + 1, 0);
    assert_eq!(too_large(&huge), "bytes");
}
