//! Which answers are compared among several endpoints, and when two answers mean the same.
//!
//! Answers that all who have the block give alike are compared: events, a block by its height, and what a contract says in
//! one named block. From these follow what a member works on, who is a member and how many must sign. What changes with
//! each block, such as a balance, differs between honest endpoints too. Clients of Ethereum give the same things with
//! different additions, so only what Rings reads of an answer is compared.

use serde_json::{value::RawValue, Map, Value};

/// What an answer means.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Meaning(Value);

/// What is read of an event, and of a block.
const OF_EVENT: [&str; 7] = [
    "address",
    "topics",
    "data",
    "blockNumber",
    "blockHash",
    "transactionHash",
    "logIndex",
];
const OF_BLOCK: [&str; 4] = ["hash", "number", "parentHash", "timestamp"];

/// Whether the answer to a request is compared.
pub(super) fn is_checked(method: &str, params: &RawValue) -> bool {
    let params: Value = serde_json::from_str(params.get()).unwrap_or_default();
    match method {
        "eth_getLogs" => true,
        "eth_getBlockByNumber" => names_a_block(&params[0]),
        "eth_call" => names_a_block(&params[1]),
        _ => false,
    }
}

/// Whether one endpoint's word is not enough that such a request fails: a contract refuses the same call to all who ask.
pub(super) fn is_disputed(method: &str) -> bool {
    matches!(method, "eth_call" | "eth_estimateGas")
}

/// A height or a hash, as opposed to a word such as "latest".
fn names_a_block(at: &Value) -> bool {
    at.as_str().is_some_and(|text| text.starts_with("0x")) || at.is_object()
}

impl Meaning {
    pub(super) fn of(method: &str, answer: &RawValue) -> Self {
        let value: Value = serde_json::from_str(answer.get()).unwrap_or_default();
        Self(match (method, value) {
            ("eth_getLogs", Value::Array(events)) => {
                Value::Array(events.iter().map(|event| only(event, &OF_EVENT)).collect())
            }
            ("eth_getBlockByNumber", block) => only(&block, &OF_BLOCK),
            (_, value) => lower(&value),
        })
    }
}

fn only(value: &Value, names: &[&str]) -> Value {
    let Value::Object(fields) = value else {
        return value.clone();
    };
    let kept: Map<_, _> = names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), lower(fields.get(*name)?))))
        .collect();
    Value::Object(kept)
}

/// Hexadecimal digits are the same in both cases.
fn lower(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.to_lowercase()),
        Value::Array(items) => Value::Array(items.iter().map(lower).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{json, value::to_raw_value};

    fn meaning(method: &str, answer: Value) -> Meaning {
        Meaning::of(method, &to_raw_value(&answer).unwrap())
    }

    #[test]
    fn only_what_is_the_same_for_everybody_is_compared() {
        let checked = |method, params: Value| is_checked(method, &to_raw_value(&params).unwrap());
        assert!(checked("eth_getLogs", json!([{"fromBlock": "0x1"}])));
        assert!(checked("eth_getBlockByNumber", json!(["0x10", false])));
        assert!(checked("eth_call", json!([{}, {"blockHash": "0xab"}])));
        assert!(checked("eth_call", json!([{}, "0x7"])));
        assert!(!checked("eth_call", json!([{}, "latest"])));
        assert!(!checked("eth_getBlockByNumber", json!(["latest", false])));
        assert!(!checked("eth_getBalance", json!(["0xab", "latest"])));
    }

    #[test]
    fn additions_of_one_client_make_no_difference_and_another_event_does() {
        let event = json!({"address": "0xAB", "data": "0x", "logIndex": "0x0", "removed": false});
        let same =
            json!({"address": "0xab", "data": "0x", "logIndex": "0x0", "blockTimestamp": "0x5"});
        let other = json!({"address": "0xab", "data": "0x01", "logIndex": "0x0"});
        let logs = |event: &Value| meaning("eth_getLogs", json!([event]));
        assert_eq!(logs(&event), logs(&same));
        assert_ne!(logs(&event), logs(&other));
        assert_ne!(logs(&event), meaning("eth_getLogs", json!([])));
        let block = |hash| meaning("eth_getBlockByNumber", json!({"hash": hash, "size": "0x1"}));
        assert_ne!(block("0x1"), block("0x2"));
        let bare = meaning("eth_getBlockByNumber", json!({"hash": "0x1"}));
        assert_eq!(block("0x1"), bare);
    }
}
