//! Converts keystores of version 3, as other tools write them, into the form that our library reads.
//!
//! Go's JSON, and so geth, does not mind the case of names: ethers 6 and MyEtherWallet write `Crypto`. Some tools leave
//! the id out, or write 0x in front of hexadecimal. ethers derives the key from the NFKC form of the password, others
//! from the password as it was typed.

use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// Used when the id is missing or not a UUID; nothing depends on it.
const NO_ID: &str = "00000000-0000-0000-0000-000000000000";
/// Fields whose values are hexadecimal.
const HEX: [&str; 5] = ["address", "ciphertext", "iv", "mac", "salt"];

/// Rewrites a keystore in the one form that the library reads: names in lower case, hexadecimal without 0x, an id, and
/// nothing else.
///
/// # Errors
/// In words, when it is not a JSON object, or has a name twice.
pub(super) fn plain(text: &str) -> Result<String, String> {
    let value: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .map_err(|error| error.to_string())?;
    let Value::Object(fields) = lower(value)? else {
        return Err("expected a JSON object".into());
    };
    let mut kept = Map::new();
    for (name, value) in fields {
        match name.as_str() {
            "address" | "crypto" => drop(kept.insert(name, value)),
            "version" => drop(kept.insert(name, number(value))),
            _ => {}
        }
    }
    kept.insert("id".into(), NO_ID.into());
    Ok(Value::Object(kept).to_string())
}

/// Field names in lower case, as some programs write them with capitals, and hex without `0x`. Two fields of one name are
/// an error.
fn lower(value: Value) -> Result<Value, String> {
    let Value::Object(fields) = value else {
        return Ok(value);
    };
    let mut lowered = Map::new();
    for (name, value) in fields {
        let name = name.to_ascii_lowercase();
        let value = match lower(value)? {
            Value::String(text) if HEX.contains(&name.as_str()) => bare(&text).into(),
            value => value,
        };
        if lowered.insert(name.clone(), value).is_some() {
            return Err(format!("{name} is there twice"));
        }
    }
    Ok(Value::Object(lowered))
}

fn bare(hex: &str) -> String {
    let hex = hex.to_ascii_lowercase();
    hex.strip_prefix("0x").unwrap_or(&hex).to_owned()
}

/// Some tools write the version as text.
fn number(value: Value) -> Value {
    let number = value.as_str().and_then(|text| text.parse::<u64>().ok());
    number.map_or(value, Value::from)
}

/// The passwords to try: as it was typed, and in NFKC form if that is different.
pub(super) fn passwords(typed: &str) -> Vec<Zeroizing<String>> {
    let normal = Zeroizing::new(typed.nfkc().collect::<String>());
    let typed = Zeroizing::new(typed.to_owned());
    match *typed == *normal {
        true => vec![typed],
        false => vec![typed, normal],
    }
}
