//! Modules that would take a compiler minutes or hours are refused before anything is compiled, and those of compilers are not.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic as the tests do.

mod common;
#[allow(dead_code)] // The benchmark uses more of it.
mod shapes;

use common::{pool, pool_with, run, start, task, WALL_LIMIT};
use rings_compute::{check_module, compile_effort, compile_fuel, ProfileError, Reason, MAX_EFFORT};
use std::{fs, path::Path};

/// Shapes that are accepted as they are, because other bounds keep them small: they compile in some 20 seconds.
const ACCEPTED: &[&str] = &[
    "data",
    "data segments",
    "unused locals",
    "tiny functions",
    "tiny functions in the table",
    "tiny functions that call",
    "chained calls",
    "chained calls, few values",
    "chained calls, many values",
];

#[test]
fn what_takes_minutes_to_compile_is_refused_by_name() {
    for (shape, count) in shapes::all() {
        let name = shape.name;
        match check_module(&shape.module(count)) {
            Ok(()) => assert!(ACCEPTED.contains(&name), "{name} is accepted"),
            Err(ProfileError::TooLarge { what, .. }) => {
                assert!(!ACCEPTED.contains(&name), "{name}: {what}");
            }
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn a_function_of_twenty_kilobytes_is_refused_if_it_takes_long() {
    let all = shapes::all();
    let (deep, _) = all
        .iter()
        .find(|(shape, _)| shape.name == "deep blocks")
        .unwrap();
    let module = deep.module(875);
    match check_module(&module) {
        Err(ProfileError::TooLarge { what, .. }) => {
            assert_eq!(what, "units of effort to compile");
        }
        other => panic!("{other:?}"),
    }
    let few = deep.module(20);
    let effort = compile_effort(&few).unwrap();
    assert!(effort > 0 && effort < MAX_EFFORT / 20, "{effort}");
}

#[test]
fn the_examples_have_a_fifteenth_of_the_effort_at_most() {
    let built =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/target/wasm32-wasip1/release");
    let files = fs::read_dir(&built).into_iter().flatten().flatten();
    for file in files.map(|file| file.path()) {
        if file
            .extension()
            .is_some_and(|extension| extension == "wasm")
        {
            let effort = compile_effort(&fs::read(&file).unwrap()).unwrap();
            assert!(effort <= MAX_EFFORT / 15, "{}: {effort}", file.display());
        }
    }
}

/// How many modules a cache has.
fn kept(cache: &Path) -> usize {
    let files = fs::read_dir(cache).unwrap().flatten();
    let names = files.map(|file| file.path());
    names
        .filter(|path| path.extension().is_some_and(|end| end == "cwasm"))
        .count()
}

#[tokio::test]
async fn compiling_that_is_not_paid_for_is_not_done_and_the_answer_does_not_depend_on_what_is_compiled(
) {
    let module = start("(call $show (i32.const 7))");
    let (rich, mut poor) = (task(&module), task(&module));
    poor.limits.fuel = compile_fuel(compile_effort(&module).unwrap()) - 1;
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path();
    let (kept_by, alone) = (pool_with(1, Some(cache.into()), WALL_LIMIT), pool(1));
    let unpaid = run(&kept_by, &poor, &module, b"").await;
    let failure = unpaid.0.result.as_ref().unwrap_err();
    assert_eq!(
        (failure.reason, unpaid.0.fuel),
        (Reason::Fuel, poor.limits.fuel)
    );
    assert_eq!(kept(cache), 0);
    for pool in [&kept_by, &alone] {
        assert_eq!(run(pool, &poor, &module, b"").await, unpaid);
        let paid = run(pool, &rich, &module, b"").await;
        assert_eq!(
            (paid.0.result, paid.1),
            (Ok(()), 7u32.to_le_bytes().to_vec())
        );
        assert_eq!(run(pool, &poor, &module, b"").await, unpaid);
    }
    assert_eq!(kept(cache), 1);
    // A member that finds the module in the cache and knows nothing of it.
    let other = pool_with(1, Some(cache.into()), WALL_LIMIT);
    assert_eq!(run(&other, &poor, &module, b"").await, unpaid);
    for pool in [kept_by, alone, other] {
        pool.shutdown().await;
    }
}
