//! Helpers of the unit tests: they run modules that are written as text, in this process.

use crate::{
    compile_effort, compile_fuel,
    wasi::{import_names, signature, WASI_MODULE},
    ComputeError, Limits, Local, Outcome, Task,
};
use rings_protocol::Digest;
use sha2::{Digest as _, Sha256};
use std::{
    fmt::Write as _,
    io::{self, Cursor, Write},
    sync::{Arc, Mutex},
};

/// Fuel that is enough for every test that is not about running out of fuel.
pub(crate) const FUEL: u64 = 100_000_000;
/// Memory likewise: sixteen pages.
pub(crate) const MEMORY: u64 = 1 << 20;

/// Fuel that compiling a module costs.
pub(crate) fn compiling(module: &[u8]) -> u64 {
    compile_fuel(compile_effort(module).unwrap())
}

/// Output that can be looked at afterwards.
#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    /// What has been written so far.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn task(module: &[u8]) -> Task {
    Task {
        module: Digest(Sha256::digest(module).into()),
        program: "test".into(),
        args: vec![],
        limits: Limits {
            fuel: FUEL,
            memory: MEMORY,
            output: u64::MAX,
            stack: 8 << 20,
        },
        time: 1_700_000_000,
        seed: [7; 32],
        state: false,
        blocks: 0,
    }
}

/// Runs a module on an input; gives the outcome and what was written.
pub(crate) fn run(
    module: &[u8],
    task: &Task,
    input: &[u8],
) -> Result<(Outcome, Vec<u8>), ComputeError> {
    let output = Kept::default();
    let input = Cursor::new(input.to_vec());
    let outcome = Local::new()?.run(task, module, input, output.clone())?;
    Ok((outcome, output.bytes()))
}

/// As [`run`], with a state; gives what was written, and the next state.
pub(crate) fn run_with_state(
    module: &[u8],
    task: &Task,
    input: &[u8],
    state: &[u8],
) -> Result<(Outcome, Vec<u8>, Vec<u8>), ComputeError> {
    let (output, next) = (Kept::default(), Kept::default());
    let standard = (Cursor::new(input.to_vec()), output.clone());
    let state = (Cursor::new(state.to_vec()), next.clone());
    let outcome = Local::new()?.run_with_state(task, module, standard, state)?;
    Ok((outcome, output.bytes(), next.bytes()))
}

/// A module that imports all of WASI (each function as `$name`), with one page of memory, the functions `$put`
/// (pointer, length: writes to standard output) and `$show` (a number: writes its four bytes), and `rest`.
pub(crate) fn module(rest: &str) -> Vec<u8> {
    let mut text = String::from("(module ");
    for name in import_names() {
        let signature = signature(name).unwrap();
        write!(text, r#"(import "{WASI_MODULE}" "{name}" (func ${name} "#).unwrap();
        for (what, types) in [
            ("param", signature.params()),
            ("result", signature.results()),
        ] {
            for ty in types {
                write!(text, "({what} {ty})").unwrap();
            }
        }
        text.push_str("))\n");
    }
    text.push_str(
        r#"(memory (export "memory") 1)
        (func $put (param i32 i32)
            (i32.store (i32.const 60000) (local.get 0))
            (i32.store (i32.const 60004) (local.get 1))
            (drop (call $fd_write (i32.const 1) (i32.const 60000) (i32.const 1) (i32.const 60008))))
        (func $show (param i32)
            (i32.store (i32.const 60012) (local.get 0))
            (call $put (i32.const 60012) (i32.const 4)))
        "#,
    );
    text.push_str(rest);
    text.push(')');
    wat::parse_str(&text).unwrap()
}

/// A module whose `_start` has that body.
pub(crate) fn start(body: &str) -> Vec<u8> {
    module(&format!(r#"(func (export "_start") {body})"#))
}

/// Runs a body on an input and gives the numbers that it showed.
pub(crate) fn shown(body: &str, input: &[u8]) -> Vec<u32> {
    let module = start(body);
    let (outcome, output) = run(&module, &task(&module), input).unwrap();
    assert_eq!(outcome.result, Ok(()), "{body}");
    output
        .chunks(4)
        .map(|word| u32::from_le_bytes(word.try_into().unwrap()))
        .collect()
}
