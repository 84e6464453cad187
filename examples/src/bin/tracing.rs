//! The tasks of contact tracing (`processes/contact-tracing`): how likely it is that somebody caught it from a meeting, and the
//! letter to those who should take a test.
//!
//! A task reads an execution on the first line of its standard input, and writes its answer. Which task it is, its argument
//! says. People are known by pseudonyms that their phones made.

use serde_json::{json, Value};
use std::{env, io, process::ExitCode};

/// Centimetres up to which a meeting counts in full; at twice that it counts half, and further away not at all.
const NEAR: i64 = 150;

fn main() -> ExitCode {
    match answer() {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(what) => {
            eprintln!("tracing: {what}");
            ExitCode::FAILURE
        }
    }
}

fn answer() -> Result<Value, String> {
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(|error| error.to_string())?;
    let execution: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
    let inputs = &execution["inputs"];
    match env::args().nth(1).as_deref() {
        Some("risk") => Ok(risk(inputs)),
        Some("letter") => Ok(letter(inputs)),
        _ => Err("the argument is risk or letter".into()),
    }
}

fn number(value: &Value, name: &str) -> i64 {
    value[name].as_i64().unwrap_or_default()
}

/// Minutes near to each other, halved outdoors.
fn risk(inputs: &Value) -> Value {
    let meeting = &inputs["meeting"];
    let weight = match number(meeting, "centimetres") {
        near if near <= NEAR => 2,
        further if further <= 2 * NEAR => 1,
        _ => 0,
    };
    let indoors = 1 + i64::from(meeting["indoors"] == true);
    let score = number(meeting, "minutes").saturating_mul(weight).saturating_mul(indoors) / 4;
    json!({"status": "rated", "outputs": {"who": meeting["who"], "score": score}})
}

fn letter(inputs: &Value) -> Value {
    let who = inputs["who"].as_str().unwrap_or_default();
    let text = format!("{who}: please take a test; your risk is {} points.", number(inputs, "score"));
    json!({"status": "written", "outputs": {"text": text}})
}
