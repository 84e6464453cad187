//! The tasks of the electric car (`processes/electric-car`): what charging costs, the payment for it, and a letter about it.
//!
//! A task reads an execution on the first line of its standard input, and writes its answer. Which task it is, its argument
//! says.

use serde_json::{json, Value};
use std::{env, io, process::ExitCode};

/// Charging for less time is free.
const FREE_MINUTES: i64 = 2;
/// Cents above which a payment is refused here: a person should look at it.
const MOST_CENTS: i64 = 50_000;

fn main() -> ExitCode {
    match answer() {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(what) => {
            eprintln!("car: {what}");
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
        Some("price") => price(inputs),
        Some("pay") => Ok(pay(inputs)),
        Some("tell") => Ok(tell(inputs)),
        _ => Err("the argument is price, pay or tell".into()),
    }
}

fn number(inputs: &Value, name: &str) -> i64 {
    inputs[name].as_i64().unwrap_or_default()
}

fn text<'v>(inputs: &'v Value, name: &str) -> &'v str {
    inputs[name].as_str().unwrap_or_default()
}

fn price(inputs: &Value) -> Result<Value, String> {
    if number(inputs, "minutes") <= FREE_MINUTES {
        return Ok(json!({"status": "free", "outputs": {}}));
    }
    let cents = number(inputs, "kwh").checked_mul(number(inputs, "cents_per_kwh"));
    let cents = cents.ok_or("more cents than can be counted")?;
    Ok(json!({"status": "priced", "outputs": {"cents": cents}}))
}

fn pay(inputs: &Value) -> Value {
    let cents = number(inputs, "cents");
    if cents > MOST_CENTS {
        return json!({"status": "refused", "outputs": {"reason": format!("more than {MOST_CENTS} cents")}});
    }
    let order = json!({"from": text(inputs, "driver"), "to": text(inputs, "provider"), "cents": cents});
    json!({"status": "paid", "outputs": {"order": order}})
}

fn tell(inputs: &Value) -> Value {
    let letter = format!("Dear {}, {}", text(inputs, "driver"), text(inputs, "text"));
    json!({"status": "told", "outputs": {"letter": letter}})
}
