//! The task of the transfer between two chains (`processes/transfer`): what is paid on the other chain for a deposit on this one.
//!
//! A task reads an execution on the first line of its standard input, and writes its answer: the amount without the fee, and the
//! call of the contract that pays it, in the encoding of Solidity.

use serde_json::{json, Value};
use std::{io, process::ExitCode};

/// The first four bytes of the hash of `pay(bytes32,address,uint256)`.
const PAY: &str = "97d4df67";
/// What is kept of each thousand.
const PER_MILLE: u128 = 3;
/// Less than that is not worth a transaction, in the smallest unit.
const LEAST: u128 = 1_000;

fn main() -> ExitCode {
    match answer() {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(what) => {
            eprintln!("transfer: {what}");
            ExitCode::FAILURE
        }
    }
}

fn answer() -> Result<Value, String> {
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(|error| error.to_string())?;
    let execution: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
    let inputs = &execution["inputs"];
    let (id, to) = (digits(inputs, "id", 64)?, digits(inputs, "to", 40)?);
    let amount = inputs["amount"].as_str().unwrap_or_default();
    let amount: u128 = amount.parse().map_err(|_| format!("amount {amount} is no number below 2^128"))?;
    // Of each thousand that is begun, so that nobody gets more by many small transfers.
    let fee = amount.div_ceil(1000) * PER_MILLE;
    let paid = amount.saturating_sub(fee);
    if paid < LEAST {
        return Ok(json!({"status": "too_small", "outputs": {"fee": fee.to_string()}}));
    }
    let call = format!("0x{PAY}{id}{to:0>64}{paid:064x}");
    Ok(json!({"status": "owed", "outputs": {"amount": paid.to_string(), "call": call, "fee": fee.to_string()}}))
}

/// The hexadecimal digits of an input, without 0x.
fn digits(inputs: &Value, name: &str, count: usize) -> Result<String, String> {
    let text = inputs[name].as_str().unwrap_or_default();
    let digits = text.strip_prefix("0x").unwrap_or_default();
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    match is_hex && digits.len() == count {
        true => Ok(digits.to_ascii_lowercase()),
        false => Err(format!("{name} is {text}, and not 0x with {count} digits")),
    }
}
