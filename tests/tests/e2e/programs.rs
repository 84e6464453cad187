//! Programs that are written as WebAssembly text.

use rings_tests::Ring;
use std::path::PathBuf;

/// A program that counts down from `steps` and then says `done`. A billion steps take about a second.
pub fn busy(ring: &Ring, steps: u64) -> PathBuf {
    let text = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 16) "done\n")
            (func (export "_start") (local $i i64)
                (local.set $i (i64.const {steps}))
                (loop $again
                    (local.set $i (i64.sub (local.get $i) (i64.const 1)))
                    (br_if $again (i64.ne (local.get $i) (i64.const 0))))
                (i32.store (i32.const 0) (i32.const 16))
                (i32.store (i32.const 4) (i32.const 5))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#
    );
    written(ring, &format!("busy-{steps}.wasm"), &text)
}

/// A program that ends in a trap, after it has said why on standard error.
pub fn trapping(ring: &Ring) -> PathBuf {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 16) "here it ends\n")
        (func (export "_start")
            (i32.store (i32.const 0) (i32.const 16))
            (i32.store (i32.const 4) (i32.const 13))
            (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
            unreachable))"#;
    written(ring, "trapping.wasm", text)
}

/// A program that takes 64 KiB more until it gets no more, and then traps.
pub fn hungry(ring: &Ring) -> PathBuf {
    let text = r#"(module
        (memory (export "memory") 1)
        (func (export "_start")
            (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
            unreachable))"#;
    written(ring, "hungry.wasm", text)
}

/// A module that wants something which WASI preview 1 does not have.
pub fn unknown_import(ring: &Ring) -> PathBuf {
    let text = r#"(module
        (import "env" "launch_rocket" (func))
        (memory (export "memory") 1)
        (func (export "_start")))"#;
    written(ring, "unknown-import.wasm", text)
}

fn written(ring: &Ring, name: &str, text: &str) -> PathBuf {
    ring.write(name, wat::parse_str(text).unwrap())
}
