//! The tasks of the shop (`processes/shop`): what an order costs, and what becomes of it once it was paid or was not.
//!
//! A task reads an execution on the first line of its standard input, and writes its answer. Which task it is, its argument
//! says.

use serde_json::{json, Value};
use std::{env, io, process::ExitCode};

/// What the shop sells, and the cents for one.
const PRICES: [(&str, i64); 3] = [("tea", 450), ("cup", 1_200), ("pot", 3_900)];

fn main() -> ExitCode {
    match answer() {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(what) => {
            eprintln!("shop: {what}");
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
        Some("bill") => bill(inputs),
        Some("pack") => Ok(pack(inputs)),
        Some("drop") => Ok(drop_order(inputs)),
        _ => Err("the argument is bill, pack or drop".into()),
    }
}

fn number(inputs: &Value, name: &str) -> i64 {
    inputs[name].as_i64().unwrap_or_default()
}

fn text<'v>(inputs: &'v Value, name: &str) -> &'v str {
    inputs[name].as_str().unwrap_or_default()
}

fn bill(inputs: &Value) -> Result<Value, String> {
    let price = PRICES.iter().find(|(item, _)| *item == text(inputs, "item"));
    let Some((_, cents)) = price else {
        return Ok(json!({"status": "unknown", "outputs": {}}));
    };
    let cents = cents.checked_mul(number(inputs, "count")).ok_or("more cents than can be counted")?;
    Ok(json!({"status": "billed", "outputs": {"cents": cents}}))
}

fn pack(inputs: &Value) -> Value {
    let (order, count) = (number(inputs, "order"), number(inputs, "count"));
    let label = format!("order {order}: {count} x {} for {}", text(inputs, "item"), text(inputs, "to"));
    json!({"status": "packed", "outputs": {"label": label}})
}

fn drop_order(inputs: &Value) -> Value {
    let order = number(inputs, "order");
    let note = format!("order {order} was not paid: {} cents are owed no more", number(inputs, "cents"));
    json!({"status": "dropped", "outputs": {"note": note}})
}
