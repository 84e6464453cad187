//! JSON-RPC messages as clients write them, and as jsonrpsee reads them.
//!
//! An id is a string, a number or null (JSON-RPC 2.0, section 4). jsonrpsee knows numbers below 2^64 only, and takes a
//! call with any other number for a notification, so that its caller waits for ever. Here each call gets a number of ours
//! before jsonrpsee sees it, and its answer gets the caller's id back, as it was written. A notification has no answer;
//! since no method here is of use without its answer, nothing is done for it.

use jsonrpsee::types::ErrorCode;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// What a message asks for.
#[derive(Debug)]
pub(super) enum Message {
    /// It is passed to jsonrpsee unchanged, which refuses it with the right error: it is not JSON, not an object, or a
    /// batch of a wrong length.
    AsItIs,
    /// The answer is there already.
    Answered(String),
    /// Only notifications: there is no answer.
    Silent,
    /// Calls, with our numbers.
    Calls(Numbered),
}

/// Calls whose ids are our numbers, and the ids that they stand for.
#[derive(Debug)]
pub(super) struct Numbered {
    /// What jsonrpsee gets.
    pub(super) body: String,
    ids: Vec<Box<RawValue>>,
}

/// A call or a notification. Unknown fields are left out.
#[derive(Deserialize)]
struct BatchEntry<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
}

/// What is passed on.
#[derive(Serialize)]
struct Call<'a> {
    jsonrpc: &'a RawValue,
    id: usize,
    method: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a RawValue>,
}

/// An answer of jsonrpsee, or the one that goes to the caller.
#[derive(Deserialize, Serialize)]
struct Answer<'a> {
    #[serde(borrow)]
    jsonrpc: &'a RawValue,
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(
        borrow,
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    result: Option<&'a RawValue>,
    #[serde(
        borrow,
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    error: Option<&'a RawValue>,
}

/// A field that is there, also when it is null.
fn present<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// One entry of a message.
enum Kind<'a> {
    Call(BatchEntry<'a>, &'a RawValue),
    Notification,
    /// Invalid, with its id if it has a valid one.
    Invalid(Option<&'a RawValue>),
}

impl Message {
    /// Reads a message; a batch has at most `batch` entries.
    pub(super) fn read(body: &[u8], batch: usize) -> Self {
        if body.trim_ascii_start().starts_with(b"[") {
            return match serde_json::from_slice::<Vec<&RawValue>>(body) {
                Ok(entries) if (1..=batch).contains(&entries.len()) => batch_of(&entries),
                _ => Self::AsItIs,
            };
        }
        match serde_json::from_slice::<&RawValue>(body) {
            Ok(entry) => single(entry),
            Err(_) => Self::AsItIs,
        }
    }
}

fn single(entry: &RawValue) -> Message {
    match kind(entry) {
        Kind::Notification => Message::Silent,
        Kind::Invalid(id) => Message::Answered(invalid(id)),
        Kind::Call(call, id) => {
            let mut numbered = Numbered::new();
            numbered.push(&call, id);
            Message::Calls(numbered)
        }
    }
}

/// Numbers the calls of a batch. Notifications are left out; a batch of nothing else has no answer at all.
fn batch_of(entries: &[&RawValue]) -> Message {
    let mut numbered = Numbered::new();
    let mut silent = true;
    numbered.body.push('[');
    for entry in entries {
        let kind = kind(entry);
        if matches!(kind, Kind::Notification) {
            continue;
        }
        if !silent {
            numbered.body.push(',');
        }
        silent = false;
        match kind {
            Kind::Call(call, id) => numbered.push(&call, id),
            Kind::Invalid(id) => numbered.push_invalid(id),
            Kind::Notification => {}
        }
    }
    numbered.body.push(']');
    match silent {
        true => Message::Silent,
        false => Message::Calls(numbered),
    }
}

impl Numbered {
    fn new() -> Self {
        Self {
            body: String::new(),
            ids: Vec::new(),
        }
    }

    fn push(&mut self, entry: &BatchEntry<'_>, id: &RawValue) {
        let (Some(jsonrpc), Some(method)) = (entry.jsonrpc, entry.method) else {
            return self.push_invalid(Some(id));
        };
        let call = Call {
            jsonrpc,
            id: self.ids.len(),
            method,
            params: entry.params,
        };
        match serde_json::to_string(&call) {
            Ok(call) => self.body.push_str(&call),
            Err(_) => return self.push_invalid(Some(id)),
        }
        self.ids.push(id.to_owned());
    }

    /// An entry that jsonrpsee refuses as an invalid request.
    fn push_invalid(&mut self, id: Option<&RawValue>) {
        match id {
            Some(id) => {
                self.body
                    .push_str(&format!("{{\"id\":{}}}", self.ids.len()));
                self.ids.push(id.to_owned());
            }
            None => self.body.push_str("{}"),
        }
    }

    /// The answer of jsonrpsee with the callers' ids.
    pub(super) fn answer(&self, answer: &[u8]) -> serde_json::Result<String> {
        if !answer.trim_ascii_start().starts_with(b"[") {
            let answer = serde_json::from_slice(answer)?;
            return serde_json::to_string(&self.renamed(answer));
        }
        let answers: Vec<Answer<'_>> = serde_json::from_slice(answer)?;
        let answers = answers.into_iter().map(|answer| self.renamed(answer));
        serde_json::to_string(&answers.collect::<Vec<_>>())
    }

    /// Puts the caller's id in the place of our number. An answer without a number of ours stays as it is.
    fn renamed<'a>(&'a self, mut answer: Answer<'a>) -> Answer<'a> {
        let number = answer.id.get().parse::<usize>().ok();
        if let Some(id) = number.and_then(|number| self.ids.get(number)) {
            answer.id = id;
        }
        answer
    }
}

/// What an entry is by JSON-RPC 2.0: without an id it is a notification, with a malformed one it is invalid.
fn kind(entry: &RawValue) -> Kind<'_> {
    let Ok(call) = serde_json::from_str::<BatchEntry<'_>>(entry.get()) else {
        return Kind::Invalid(None);
    };
    let id = call.id.filter(|id| is_id(id));
    let sound = is_sound(&call);
    match (call.id, id) {
        (Some(_), Some(id)) if sound => Kind::Call(call, id),
        (None, _) if sound => Kind::Notification,
        (_, id) => Kind::Invalid(id),
    }
}

/// A string, a number or null.
fn is_id(id: &RawValue) -> bool {
    let first = id.get().as_bytes().first();
    first.is_some_and(|first| matches!(first, b'"' | b'-' | b'n') || first.is_ascii_digit())
}

/// Whether version, method and parameters have the right types. Only their first characters are looked at, because the
/// whole is known to be JSON.
fn is_sound(call: &BatchEntry<'_>) -> bool {
    let version = call.jsonrpc.map(RawValue::get);
    let method = call.method.map(RawValue::get).unwrap_or_default();
    let params = call.params.map_or("[", RawValue::get);
    version == Some("\"2.0\"") && method.starts_with('"') && params.starts_with(['[', '{', 'n'])
}

/// The answer to an invalid request.
fn invalid(id: Option<&RawValue>) -> String {
    let (code, id) = (ErrorCode::InvalidRequest, id.map_or("null", RawValue::get));
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":{},\"message\":\"{}\"}}}}",
        code.code(),
        code.message()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(body: &str) -> Numbered {
        match Message::read(body.as_bytes(), 20) {
            Message::Calls(numbered) => numbered,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_id_of_the_specification_comes_back_as_it_was_written() {
        for id in [
            "0",
            "-3",
            "1.5",
            "1e3",
            "18446744073709551616",
            "123456789012345678901234567890",
            "\"\"",
            "\"a\\u0041\"",
            "null",
        ] {
            let numbered = calls(&format!(r#"{{"jsonrpc":"2.0","method":"m","id":{id}}}"#));
            assert_eq!(numbered.body, r#"{"jsonrpc":"2.0","id":0,"method":"m"}"#);
            let answer = numbered
                .answer(br#"{"jsonrpc":"2.0","id":0,"result":null}"#)
                .unwrap();
            assert_eq!(
                answer,
                format!(r#"{{"jsonrpc":"2.0","id":{id},"result":null}}"#)
            );
        }
    }

    #[test]
    fn what_is_no_id_makes_the_request_invalid() {
        for id in ["true", "[]", "{}", "[1]"] {
            let body = format!(r#"{{"jsonrpc":"2.0","method":"m","id":{id}}}"#);
            let Message::Answered(answer) = Message::read(body.as_bytes(), 20) else {
                panic!("{body}");
            };
            assert!(
                answer.contains(r#""id":null,"error":{"code":-32600"#),
                "{answer}"
            );
        }
    }

    #[test]
    fn notifications_are_left_out() {
        let quiet = r#"{"jsonrpc":"2.0","method":"m"}"#;
        for body in [quiet.to_owned(), format!("[{quiet},{quiet}]")] {
            let read = Message::read(body.as_bytes(), 20);
            assert!(matches!(read, Message::Silent), "{read:?}");
        }
        let body =
            format!(r#"[{quiet},{{"jsonrpc":"2.0","method":"m","id":"x"}},1,{{"id":-7}},{quiet}]"#);
        let numbered = calls(&body);
        assert_eq!(
            numbered.body,
            r#"[{"jsonrpc":"2.0","id":0,"method":"m"},{},{"id":1}]"#
        );
        let answer = numbered.answer(
            br#"[{"jsonrpc":"2.0","id":1,"error":{}},{"jsonrpc":"2.0","id":0,"result":1}]"#,
        );
        assert_eq!(
            answer.unwrap(),
            r#"[{"jsonrpc":"2.0","id":-7,"error":{}},{"jsonrpc":"2.0","id":"x","result":1}]"#
        );
    }
}
