//! What a program writes, and the names in a module, reach a terminal with every control character escaped.

use rings_tests::{Done, Receipt, Ring};
use std::path::PathBuf;

/// Sets the title of a terminal, changes its colour, clears it, and moves the cursor. In the text format of WebAssembly.
const CODES: &str = r"\1b]0;owned\07\1b[31mred\1b[2J\0d\9b1A";
/// What is left of it, to see that it was shown at all.
const SHOWN: &str = "owned";

/// A program that writes them to standard error, and traps.
fn writes() -> Vec<u8> {
    let text = format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 32) "{CODES}")
        (func (export "_start")
            (i32.store (i32.const 0) (i32.const 32))
            (i32.store (i32.const 4) (i32.const 29))
            (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 16)))
            unreachable))"#
    );
    wat::parse_str(text).unwrap()
}

/// Modules outside the profile, with the codes in a name that a message repeats. Names have to be UTF-8.
fn names() -> Vec<(&'static str, Vec<u8>)> {
    let codes = CODES.replace(r"\9b", r"\c2\9b");
    let texts = [
        (
            "module",
            format!(r#"(module (import "{codes}" "f" (func)))"#),
        ),
        (
            "function",
            format!(r#"(module (import "wasi_snapshot_preview1" "{codes}" (func)))"#),
        ),
        (
            "import of another kind",
            format!(r#"(module (import "{codes}" "{codes}" (memory 1)))"#),
        ),
        (
            "exported twice",
            format!(r#"(module (func (export "{codes}")) (func (export "{codes}")))"#),
        ),
        (
            "exported under a name of the host",
            format!(
                r#"(module (memory (export "memory") 1) (func (export "_start")) (func (export "rings:{codes}")))"#
            ),
        ),
    ];
    texts
        .into_iter()
        .map(|(name, text)| (name, wat::parse_str(text).unwrap()))
        .collect()
}

/// No control character but the end of a line and a tab; those of Unicode and its marks for direction neither.
fn check(text: &str) {
    let is_harmful = |character: &char| {
        (character.is_control() && !matches!(character, '\n' | '\t'))
            || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert_eq!(text.chars().find(is_harmful), None, "{text:?}");
}

/// Both outputs of a call; standard output must not be one that a program has written.
fn said(done: &Done) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&done.stdout), done.stderr);
    check(&text);
    text
}

fn path(ring: &Ring, name: &str, module: &[u8]) -> PathBuf {
    ring.write(&format!("{}.wasm", name.replace(' ', "-")), module)
}

#[test]
fn what_a_program_writes_reaches_a_terminal_escaped() {
    let ring = Ring::up(1);
    let program = path(&ring, "writes", &writes());
    let receipt = ring.file("receipt.json");
    let dry = ring.rings(["run", "--dry"]).arg(&program).stdin(b"").call();
    dry.ends_with(3);
    assert!(said(&dry).contains(SHOWN), "{}", dry.stderr);
    let run = ring.rings(["run", "--receipt"]).arg(&receipt);
    let run = run.arg(&program).stdin(b"").call();
    run.ends_with(3);
    assert!(said(&run).contains(SHOWN), "{}", run.stderr);
    check(&std::fs::read_to_string(&receipt).unwrap());
    let gate = Receipt::read(&receipt).gate().to_string();
    for args in [
        &["gate", "show", &gate][..],
        &["gate", "show", "--json", &gate],
        &["verify", &gate],
        &["verify", "--json", &gate],
        &["gate", "list"],
        &["status"],
        &["status", "--json"],
    ] {
        said(&ring.rings(args).call());
    }
    check(&std::fs::read_to_string(ring.member_dir(0).join("node.log")).unwrap());
}

#[test]
fn names_in_a_module_reach_a_terminal_escaped() {
    let ring = Ring::prepare();
    for (name, module) in names() {
        let program = path(&ring, name, &module);
        for how in [&["run", "--dry"][..], &["run"]] {
            let done = ring.rings(how).arg(&program).stdin(b"").call();
            done.ends_with(2);
            let said = said(&done);
            assert!(!said.is_empty(), "{name}");
            println!("{name}: {said}");
        }
    }
}
