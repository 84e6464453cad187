//! Why a contract refused, in words.

use crate::abi::errors;
use ethers_core::{
    abi::{AbiDecode, Token},
    types::{Bytes, U256},
};
use ethers_providers::JsonRpcError;

/// `Error(string)`.
const ERROR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
/// `Panic(uint256)`.
const PANIC: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];

/// The reason, when an endpoint's answer is a contract's revert.
pub(crate) fn from_response(error: &JsonRpcError) -> Option<String> {
    let data = error.as_revert_data()?;
    if data.is_empty() {
        return Some(error.message.clone());
    }
    Some(describe(&data))
}

/// Revert data in words: the contracts' own errors, `Error(string)`, `Panic(uint256)`, else hexadecimal.
pub(crate) fn describe(data: &Bytes) -> String {
    known(data).unwrap_or_else(|| match data.len() {
        0 => "no reason given".into(),
        _ => format!("unknown error {data}"),
    })
}

fn known(data: &Bytes) -> Option<String> {
    let selector: [u8; 4] = data.get(..4)?.try_into().ok()?;
    let arguments = data.get(4..)?;
    match selector {
        ERROR => String::decode(arguments).ok(),
        PANIC => U256::decode(arguments).ok().map(panic_words),
        _ => custom(selector, arguments),
    }
}

fn panic_words(code: U256) -> String {
    let words = match code.low_u64() {
        0x01 => "an assertion failed",
        0x11 => "arithmetic overflow",
        0x12 => "division by zero",
        0x21 => "not a value of the enumeration",
        0x31 => "pop of an empty array",
        0x32 => "index out of bounds",
        0x41 => "too much memory",
        _ => "internal error",
    };
    format!("{words} (panic 0x{code:x})")
}

/// `NotMember(0x…)` becomes "NotMember(account = 0x…)".
fn custom(selector: [u8; 4], arguments: &[u8]) -> Option<String> {
    errors().find_map(|error| {
        if error.signature().as_bytes()[..4] != selector {
            return None;
        }
        let values = error.decode(arguments).ok()?;
        let shown: Vec<String> = error
            .inputs
            .iter()
            .zip(&values)
            .map(|(input, value)| name_value(&input.name, value))
            .collect();
        Some(format!("{}({})", error.name, shown.join(", ")))
    })
}

fn name_value(name: &str, value: &Token) -> String {
    let value = show(value);
    if name.is_empty() {
        value
    } else {
        format!("{name} = {value}")
    }
}

fn show(value: &Token) -> String {
    match value {
        Token::Address(address) => crate::convert::address(*address).to_string(),
        // A token id or a digest reads better as what it is.
        Token::Uint(number) if number.bits() > 64 => crate::convert::word(*number).to_string(),
        Token::Uint(number) => number.to_string(),
        Token::Int(number) => number.to_string(),
        Token::Bool(yes) => yes.to_string(),
        Token::String(text) => format!("{text:?}"),
        Token::Bytes(bytes) | Token::FixedBytes(bytes) => format!("0x{}", hex::encode(bytes)),
        Token::Array(values) | Token::FixedArray(values) | Token::Tuple(values) => {
            let shown: Vec<_> = values.iter().map(show).collect();
            format!("[{}]", shown.join(", "))
        }
    }
}
