//! Requests that are almost right, generated from an OpenRPC document, the same for the same seed.
//!
//! [`Malformed::next`] makes a call of some method with parameters that fit its schemas, and then spoils it in one to three ways:
//! other types, numbers out of bounds, bytes that are none, missing and unknown names, batches, cut or broken text, deep nesting.
//! Some of them are good calls after all; then they only read, because nothing in them is signed.

use rand::{seq::SliceRandom, Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{json, Map, Value};

/// How deep a schema is followed.
const DEPTH: usize = 6;

/// The generator.
#[derive(Debug)]
pub struct Malformed {
    document: Value,
    rng: ChaCha8Rng,
}

impl Malformed {
    /// From the document that `rpc.discover` gives.
    pub fn new(document: Value, seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self { document, rng }
    }

    /// The body of the next request.
    pub fn next_body(&mut self) -> Vec<u8> {
        let mut call = self.call();
        for _ in 0..self.rng.gen_range(0..3) {
            self.spoil(&mut call);
        }
        let text = match self.rng.gen_range(0..20) {
            0 => json!(vec![call; self.rng.gen_range(0..30)]).to_string(),
            1 => format!("{call}{call}"),
            _ => call.to_string(),
        };
        match self.rng.gen_bool(0.3) {
            true => self.break_text(text.into_bytes()),
            false => text.into_bytes(),
        }
    }

    /// A call as the document describes it.
    fn call(&mut self) -> Value {
        let methods = self.document["methods"].as_array().unwrap().clone();
        let method = methods.choose(&mut self.rng).unwrap();
        let mut params = Map::new();
        for param in method["params"].as_array().into_iter().flatten() {
            if param["required"] == json!(true) || self.rng.gen() {
                let value = self.fitting(&param["schema"], DEPTH);
                params.insert(param["name"].as_str().unwrap().to_owned(), value);
            }
        }
        json!({ "jsonrpc": "2.0", "id": self.rng.gen::<u32>(), "method": method["name"], "params": params })
    }

    /// A value that fits a schema, as far as it says.
    fn fitting(&mut self, schema: &Value, depth: usize) -> Value {
        if depth == 0 {
            return Value::Null;
        }
        if let Some(path) = schema["$ref"].as_str() {
            let target = self.document.pointer(&path[1..]).cloned();
            return self.fitting(&target.unwrap_or_default(), depth - 1);
        }
        for choices in ["anyOf", "oneOf", "allOf"] {
            if let Some(choice) = schema[choices]
                .as_array()
                .cloned()
                .unwrap_or_default()
                .choose(&mut self.rng)
            {
                return self.fitting(choice, depth - 1);
            }
        }
        if let Some(choice) = schema["enum"]
            .as_array()
            .cloned()
            .unwrap_or_default()
            .choose(&mut self.rng)
        {
            return choice.clone();
        }
        let kinds = schema["type"].as_array().cloned();
        let kind = kinds.and_then(|kinds| kinds.choose(&mut self.rng).cloned());
        match kind.unwrap_or(schema["type"].clone()).as_str() {
            Some("string") => self.text(schema),
            Some("integer" | "number") => json!(self.rng.gen_range(0..1000)),
            Some("boolean") => json!(self.rng.gen::<bool>()),
            Some("array") => {
                let count = self.rng.gen_range(0..4);
                let items = &schema["items"];
                (0..count).map(|_| self.fitting(items, depth - 1)).collect()
            }
            Some("object") => {
                let properties = schema["properties"]
                    .as_object()
                    .cloned()
                    .unwrap_or_default();
                let properties = properties.iter();
                let made: Map<_, _> = properties
                    .map(|(name, schema)| (name.clone(), self.fitting(schema, depth - 1)))
                    .collect();
                made.into()
            }
            _ => Value::Null,
        }
    }

    /// A text of the kind that the pattern of a schema hints at.
    fn text(&mut self, schema: &Value) -> Value {
        let pattern = schema["pattern"].as_str().unwrap_or_default();
        let bytes = match pattern {
            pattern if pattern.contains("{40}") => 20,
            pattern if pattern.contains("{64}") => 32,
            _ => self.rng.gen_range(0..200),
        };
        let bytes: Vec<u8> = (0..bytes).map(|_| self.rng.gen()).collect();
        json!(format!("0x{}", hex::encode(bytes)))
    }

    /// Spoils one place of a call.
    fn spoil(&mut self, call: &mut Value) {
        let junk = self.junk();
        let field = *[
            "jsonrpc", "id", "method", "params", "params", "params", "params",
        ]
        .choose(&mut self.rng)
        .unwrap();
        if field != "params" || self.rng.gen_bool(0.1) {
            call[field] = junk;
            return;
        }
        let Some(params) = call["params"].as_object_mut() else {
            return;
        };
        let names: Vec<_> = params.keys().cloned().collect();
        match (names.choose(&mut self.rng), self.rng.gen_range(0..4)) {
            (Some(name), 0) => drop(params.remove(name)),
            (Some(name), 1) => {
                let list = json!([params[name], junk]);
                params.insert(name.clone(), list);
            }
            (Some(name), 2) => drop(params.insert(name.clone(), junk)),
            _ => drop(params.insert("nonsense".into(), junk)),
        }
    }

    /// A value that hardly fits anywhere.
    fn junk(&mut self) -> Value {
        match self.rng.gen_range(0..14) {
            0 => Value::Null,
            1 => json!(true),
            2 => json!(-1),
            3 => json!(u64::MAX),
            4 => json!(1.5e300),
            5 => json!(""),
            6 => json!("0x"),
            7 => json!("0xzz"),
            8 => json!("0x123"),
            9 => json!("\u{0}\u{202e}𝔘\u{fffd}"),
            10 => json!("0x".to_owned() + &"ff".repeat(self.rng.gen_range(0..40_000))),
            11 => json!({ "": { "__proto__": [] } }),
            12 => (0..self.rng.gen_range(1..100)).fold(json!(0), |inner, _| json!([inner])),
            _ => json!(vec!["0x00"; self.rng.gen_range(0..2_000)]),
        }
    }

    /// Text that is no JSON any more, or other JSON.
    fn break_text(&mut self, mut text: Vec<u8>) -> Vec<u8> {
        let at = self.rng.gen_range(0..=text.len().saturating_sub(1));
        match self.rng.gen_range(0..7) {
            0 => text.truncate(at),
            1 => text.insert(at, self.rng.gen()),
            2 => text.insert(at, 0xff),
            3 => text.splice(0..0, *b"\xef\xbb\xbf").for_each(drop),
            4 => text = vec![b'['; self.rng.gen_range(1..100_000)],
            5 => text.extend_from_slice(b"}]\n\0"),
            _ => {
                if let Some(byte) = text.get_mut(at) {
                    *byte ^= 1 << self.rng.gen_range(0..8);
                }
            }
        }
        text
    }
}
