//! The page for those who write programs says what the code does.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic as the tests do.

use rings_compute::{
    imports, proposals, proposals_off, BLOCK_FUEL, BYTE_FUEL, CALL_FUEL, ITEM_FUEL, MAX_AGAIN,
    MAX_ALIVE, MAX_COMPUTED, MAX_EFFORT, MAX_EXPORTS, MAX_FUNCTIONS, MAX_FUNCTION_BYTES,
    MAX_FUNCTION_LOCALS, MAX_FUNCTION_OPERATORS, MAX_GLOBALS, MAX_IMPORTS, MAX_JOINED_LOCALS,
    MAX_JOINS, MAX_LABELS, MAX_LABEL_ENTRIES, MAX_MODULE_BYTES, MAX_MOVED_VALUES,
    MAX_NESTED_LOCALS, MAX_NESTED_LOOPS, MAX_NESTING, MAX_SEGMENT_ELEMENTS, MAX_SHARES,
    MAX_SIGNATURE_VALUES, MAX_STACK, MAX_TABLE_ELEMENTS, MAX_TABLE_OPERATIONS, MAX_TYPES,
    MAX_VALUES, TOUCH_SECONDS, UNIT_NANOSECONDS,
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
        ("`loop` in each other", thousands(MAX_NESTED_LOOPS)),
        (
            "locals, with parameters, times `if` and `loop` in each other",
            thousands(MAX_NESTED_LOCALS),
        ),
        (
            "operators of one function",
            thousands(MAX_FUNCTION_OPERATORS),
        ),
        (
            "values that the calls, blocks and jumps of one function take and give",
            thousands(MAX_MOVED_VALUES),
        ),
        (
            "locals, with parameters, times blocks and branches of one function",
            thousands(MAX_JOINED_LOCALS),
        ),
        (
            "blocks and branches of one function, an `if` counted twice",
            thousands(MAX_JOINS),
        ),
        (
            "values that are alive at the blocks and branches of one function",
            thousands(MAX_ALIVE),
        ),
        (
            "values that blocks of one function take and give, times its blocks before their ends",
            thousands(MAX_LABEL_ENTRIES),
        ),
        (
            "units of effort to compute values of one function again",
            thousands(MAX_AGAIN),
        ),
        (
            "values and paths between them in one function",
            thousands(MAX_VALUES),
        ),
        (
            "thousandths of what one of the bounds on memory allows, which all together take in one function",
            thousands(MAX_SHARES),
        ),
        (
            "units of effort to compile all functions",
            thousands(MAX_EFFORT),
        ),
        ("types", thousands(MAX_TYPES)),
        (
            "parameters and results of all types together, and of all functions together",
            thousands(MAX_SIGNATURE_VALUES),
        ),
        ("imports", thousands(MAX_IMPORTS)),
        ("exports", thousands(MAX_EXPORTS)),
        ("globals", thousands(MAX_GLOBALS)),
        (
            "elements of all segments together",
            thousands(MAX_SEGMENT_ELEMENTS),
        ),
        ("labels of one `br_table`", thousands(MAX_LABELS.into())),
        (
            "`table.copy`, `table.init`, `table.grow` and `table.fill` of one function",
            thousands(MAX_TABLE_OPERATIONS),
        ),
        (
            "elements of all tables together",
            thousands(MAX_TABLE_ELEMENTS),
        ),
        (
            "first values of memory, tables and globals that code has to compute",
            thousands(MAX_COMPUTED),
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
    for cost in [
        format!("Each call costs {CALL_FUEL} units of fuel, one more for each byte that it moves, and {ITEM_FUEL} for each argument"),
        format!("each block of the program and of the inputs costs {} units", thousands(BLOCK_FUEL)),
        format!("compiling costs a unit for each {UNIT_NANOSECONDS} units of effort"),
        format!("A unit takes at most {UNIT_NANOSECONDS} nanoseconds"),
        format!("at most {TOUCH_SECONDS} seconds a GiB"),
    ] {
        assert!(page.contains(&cost), "{cost}");
    }
}
