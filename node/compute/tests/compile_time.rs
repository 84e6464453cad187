//! Modules that would take a compiler minutes or hours are refused before anything is compiled, and those of compilers are not.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic as the tests do.

#[allow(dead_code)] // The benchmark uses more of it.
mod shapes;

use rings_compute::{check_module, compile_effort, ProfileError, MAX_EFFORT};
use std::{fs, path::Path};

/// Shapes that are accepted as they are, because other bounds keep them small: they compile in some 20 seconds.
const ACCEPTED: &[&str] = &[
    "data",
    "data segments",
    "unused locals",
    "tiny functions",
    "tiny functions in the table",
    "tiny functions that call",
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
fn the_examples_have_a_twentieth_of_the_effort_at_most() {
    let built =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/target/wasm32-wasip1/release");
    let files = fs::read_dir(&built).into_iter().flatten().flatten();
    for file in files.map(|file| file.path()) {
        if file
            .extension()
            .is_some_and(|extension| extension == "wasm")
        {
            let effort = compile_effort(&fs::read(&file).unwrap()).unwrap();
            assert!(effort <= MAX_EFFORT / 20, "{}: {effort}", file.display());
        }
    }
}
