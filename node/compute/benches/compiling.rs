//! How long the worst modules of each kind take to compile: `RAYON_NUM_THREADS=1 cargo bench -p rings-compute --bench compiling
//! [-- WORD | FILE.wasm…]`.
//!
//! For each shape (`tests/shapes`) the largest module that the profile lets in is compiled. The processor time should not be more than
//! the effort, a unit being a nanosecond; and the effort is at most [`rings_compute::MAX_EFFORT`]. Of files, which should be programs that people use,
//! the effort should be well below that.

#[path = "../tests/shapes/mod.rs"]
mod shapes;
mod support;

use rings_compute::{compile_effort, compile_fuel, Limits, Local, Task, MAX_STACK};
use rings_protocol::Digest;
use sha2::{Digest as _, Sha256};
use std::{
    error::Error,
    io::{self, Write},
    time::Duration,
};
use support::processor_time;

type Failable<T> = Result<T, Box<dyn Error>>;

/// Compiles a module, by running it with hardly more fuel than compiling costs.
fn compile(module: &[u8], effort: u64) -> Failable<Duration> {
    let task = Task {
        module: Digest(Sha256::digest(module).into()),
        program: "program".into(),
        args: Vec::new(),
        limits: Limits {
            fuel: compile_fuel(effort) + 1,
            memory: 1 << 32,
            output: 0,
            stack: MAX_STACK,
        },
        time: 1,
        seed: [0; 32],
        state: false,
        blocks: 0,
    };
    let mut local = Local::new()?;
    let began = processor_time()?;
    local.run(&task, module, io::empty(), io::sink())?;
    Ok(processor_time()?.saturating_sub(began))
}

fn show(name: &str, module: &[u8]) -> Failable<()> {
    let effort = compile_effort(module)?;
    let taken = compile(module, effort)?.as_secs_f64();
    let effort = effort as f64 / 1e9;
    let above = if taken > effort { "  ABOVE" } else { "" };
    let mut out = io::stdout();
    writeln!(
        out,
        "{taken:7.2} s of {effort:6.2}  {name}: {} KB{above}",
        module.len() / 1000
    )?;
    Ok(())
}

fn main() -> Failable<()> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let mut words = given.iter().filter(|word| !word.starts_with("--"));
    let first = words.next();
    if first.is_some_and(|word| word.ends_with(".wasm")) {
        for file in first.into_iter().chain(words) {
            show(file, &std::fs::read(file)?)?;
        }
        return Ok(());
    }
    for (name, module) in shapes::declared() {
        if first.is_none_or(|word| name.contains(word.as_str())) {
            show(name, &module)?;
        }
    }
    for (shape, most) in shapes::all() {
        if first.is_some_and(|word| !shape.name.contains(word.as_str())) {
            continue;
        }
        match shape.largest(most, |module| compile_effort(module).is_ok()) {
            Some((module, functions, count)) => {
                let name = format!("{}, {functions} functions of {count}", shape.name);
                show(&name, &module)?;
            }
            None => writeln!(io::stdout(), "nothing is accepted: {}", shape.name)?,
        }
    }
    Ok(())
}
