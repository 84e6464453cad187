//! The page for those who write programs says what the code does.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic as the tests do.

use rings_compute::{
    imports, proposals, proposals_off, BYTE_FUEL, CALL_FUEL, MAX_FUNCTIONS, MAX_FUNCTION_BYTES,
    MAX_FUNCTION_LOCALS, MAX_LABELS, MAX_MODULE_BYTES, MAX_NESTED_LOCALS, MAX_NESTING,
    MAX_PASSED_VALUES, MAX_STACK, MAX_TABLE_ELEMENTS,
};

use rings_protocol::operation::DEFAULT_STACK;

/// The page, with line ends as spaces.
fn page() -> String {
    let page = include_str!("../../../docs/programs.md");
    page.replace('\n', " ")
}

/// A number with commas between thousands.
fn thousands(number: u64) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", thousands(number / 1000), number % 1000),
    }
}

#[test]
fn every_import_stands_in_the_table_with_its_type_and_answer() {
    let page = include_str!("../../../docs/programs.md");
    let rows: Vec<_> = page
        .lines()
        .skip_while(|line| *line != "### Imports")
        .take_while(|line| *line != "### WebAssembly")
        .filter(|line| line.starts_with("| `"))
        .collect();
    let expected: Vec<_> = imports()
        .map(|(name, ty, answer)| format!("| `{name}` | `{ty}` | {answer} |"))
        .collect();
    assert_eq!(rows, expected);
}

#[test]
fn every_proposal_is_said_to_be_on_or_off() {
    let page = page();
    let (_, rest) = page.split_once("### WebAssembly").unwrap();
    let (on, off) = rest.split_once("Off: ").unwrap();
    for name in proposals() {
        assert!(on.contains(name), "{name} is on");
    }
    let (off, _) = off.split_once('.').unwrap();
    let written: Vec<_> = off.split(", ").collect();
    let known: Vec<_> = proposals_off().collect();
    assert_eq!(written, known);
}

#[test]
fn every_bound_is_written_down() {
    let page = page();
    for (what, bound) in [
        (
            "bytes of a module",
            format!("{} MiB", MAX_MODULE_BYTES >> 20),
        ),
        ("functions", thousands(MAX_FUNCTIONS as u64)),
        (
            "bytes of one function",
            format!("{} MiB", MAX_FUNCTION_BYTES >> 20),
        ),
        (
            "locals of one function",
            thousands(MAX_FUNCTION_LOCALS.into()),
        ),
        (
            "`if` and `loop` in each other",
            thousands(MAX_NESTING as u64),
        ),
        (
            "locals, with parameters, times `if` and `loop` in each other",
            thousands(MAX_NESTED_LOCALS),
        ),
        (
            "values that all blocks of one function take and give",
            thousands(MAX_PASSED_VALUES),
        ),
        ("labels of one `br_table`", thousands(MAX_LABELS.into())),
        (
            "elements of all tables together",
            thousands(MAX_TABLE_ELEMENTS),
        ),
        (
            "stack",
            format!(
                "`--stack`: {} MiB unless it is given, at most {} MiB",
                DEFAULT_STACK >> 20,
                MAX_STACK >> 20
            ),
        ),
    ] {
        let row = format!("| {what} | {bound}");
        assert!(page.contains(&row), "{row}");
    }
    assert_eq!(BYTE_FUEL, 1);
    let cost = format!("Each call costs {CALL_FUEL} units of fuel, and one more for each byte");
    assert!(page.contains(&cost), "{cost}");
}
