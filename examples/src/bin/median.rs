//! The median of what several members saw (`processes/oracle`): half of them would have to lie to move it beyond the others.
//!
//! It reads an execution whose input `seen` is a list of objects with `cents`, and writes its answer. Of an even number, the lower
//! of the two in the middle counts.

use serde_json::{json, Value};
use std::{io, process::ExitCode};

fn main() -> ExitCode {
    match answer() {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(what) => {
            eprintln!("median: {what}");
            ExitCode::FAILURE
        }
    }
}

fn answer() -> Result<Value, String> {
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(|error| error.to_string())?;
    let execution: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
    let seen = execution["inputs"]["seen"].as_array().ok_or("there is no input seen")?;
    let cents = seen.iter().map(|one| one["cents"].as_i64().ok_or("one has no cents"));
    let mut cents = cents.collect::<Result<Vec<_>, _>>()?;
    cents.sort_unstable();
    let middle = cents.len().checked_sub(1).ok_or("nobody has seen anything")? / 2;
    let spread = cents[cents.len() - 1].checked_sub(cents[0]).ok_or("they are too far apart")?;
    Ok(json!({"status": "done", "outputs": {"cents": cents[middle], "spread": spread}}))
}
