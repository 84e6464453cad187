//! The receipt of `rings run`, as the interface describes it.

use rings_protocol::{Address, Digest};
use serde_json::Value;
use std::{fmt, fs, path::Path, str::FromStr};

/// A receipt that has been read.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt(Value);

impl Receipt {
    /// Reads it, and checks that it has every name of the interface.
    ///
    /// # Panics
    /// When it is not one.
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).expect("a receipt was written");
        let value: Value = serde_json::from_str(&text).unwrap();
        for name in [
            "version",
            "chainId",
            "engine",
            "scope",
            "ring",
            "gate",
            "epoch",
            "operation",
            "inputs",
            "outputs",
            "failure",
            "fuel",
            "signers",
            "quorum",
            "members",
            "transaction",
            "block",
            "gasUsed",
            "milliseconds",
        ] {
            assert!(
                value.get(name).is_some(),
                "the receipt has no {name}: {text}"
            );
        }
        assert_eq!(value["version"], 1);
        Self(value)
    }

    /// Anything in it.
    pub fn get(&self, pointer: &str) -> &Value {
        self.0
            .pointer(pointer)
            .unwrap_or_else(|| panic!("no {pointer} in {}", self.0))
    }

    /// The gate.
    pub fn gate(&self) -> Address {
        self.parsed("/gate")
    }

    /// The transaction that put the result on chain.
    pub fn transaction(&self) -> Digest {
        self.parsed("/transaction")
    }

    /// Those who signed, in its order.
    pub fn signers(&self) -> Vec<Address> {
        let signers = self.get("/signers").as_array().unwrap();
        signers
            .iter()
            .map(|signer| signer.as_str().unwrap().parse().unwrap())
            .collect()
    }

    /// A number in it.
    pub fn number(&self, pointer: &str) -> u64 {
        self.get(pointer)
            .as_u64()
            .unwrap_or_else(|| panic!("{pointer} is no number in {}", self.0))
    }

    /// A text in it.
    pub fn text(&self, pointer: &str) -> &str {
        self.get(pointer)
            .as_str()
            .unwrap_or_else(|| panic!("{pointer} is no text in {}", self.0))
    }

    /// A text in it that names something.
    pub fn parsed<T: FromStr<Err: fmt::Debug>>(&self, pointer: &str) -> T {
        self.text(pointer).parse().unwrap()
    }
}
