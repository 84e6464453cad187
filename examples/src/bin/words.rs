//! The tasks of map and reduce (`processes/map-reduce`): counts the words of one file, and adds such counts up.
//!
//! A task reads an execution on the first line of its standard input. Where one of its inputs is a file, the bytes of that
//! follow.

use serde_json::{json, Map, Value};
use std::{
    collections::BTreeMap,
    env,
    io::{self, BufRead},
    process::ExitCode,
};

fn main() -> ExitCode {
    match answer() {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(what) => {
            eprintln!("words: {what}");
            ExitCode::FAILURE
        }
    }
}

fn answer() -> Result<Value, String> {
    let mut input = io::stdin().lock();
    let mut line = String::new();
    input.read_line(&mut line).map_err(|error| error.to_string())?;
    let execution: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
    match env::args().nth(1).as_deref() {
        Some("count") => count(input),
        Some("sum") => Ok(sum(&execution["inputs"]["counts"])),
        _ => Err("the argument is count or sum".into()),
    }
}

/// Counts each word of a text, in small letters.
fn count(text: impl BufRead) -> Result<Value, String> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for line in text.lines() {
        let line = line.map_err(|error| error.to_string())?;
        for word in line.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            *counts.entry(word.to_lowercase()).or_default() += 1;
        }
    }
    Ok(json!({"status": "counted", "outputs": {"words": counts}}))
}

fn sum(counts: &Value) -> Value {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    let nothing = Map::new();
    for each in counts.as_array().into_iter().flatten() {
        for (word, count) in each["words"].as_object().unwrap_or(&nothing) {
            *sums.entry(word).or_default() += count.as_u64().unwrap_or_default();
        }
    }
    let all: u64 = sums.values().sum();
    json!({"status": "summed", "outputs": {"all": all, "different": sums.len(), "words": sums}})
}
