//! Values whose usual form in JSON would lose precision or be unreadable: pins, 96-bit numbers, bytes, CIDs.
//!
//! Numbers that fit a JavaScript number (up to 2^53) are numbers, larger ones are text in hexadecimal with `0x`; both
//! are read. The failure pin is the text `failure`. Bytes are hexadecimal with `0x`. Each type here reads what it
//! writes, and gives its JSON schema for the OpenRPC document.

use rings_protocol::gate::FAILURE_PIN;
use schemars::{json_schema, JsonSchema, Schema, SchemaGenerator};
use serde::{de, Deserialize, Deserializer, Serialize, Serializer};
use std::{borrow::Cow, fmt};

/// Largest integer that every JSON reader keeps exactly: a double has 53 bits.
const MAX_EXACT: u128 = 1 << 53;
/// Largest `uint96`.
const MAX_UINT96: u128 = (1 << 96) - 1;
/// How [`FAILURE_PIN`] is written.
const FAILURE: &str = "failure";

/// A pin of a gate. In JSON: a number up to 2^53, above it 0x-hex, and `"failure"` for [`FAILURE_PIN`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pin(pub u128);

/// An unsigned number of 96 bits. In JSON: a number up to 2^53, above it 0x-hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uint96(pub u128);

/// Bytes as 0x-hex.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HexBytes(pub Vec<u8>);

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            FAILURE_PIN => f.write_str(FAILURE),
            pin => write!(f, "{pin}"),
        }
    }
}

impl From<u128> for Pin {
    fn from(pin: u128) -> Self {
        Self(pin)
    }
}

impl From<u128> for Uint96 {
    fn from(number: u128) -> Self {
        Self(number)
    }
}

impl Serialize for Uint96 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match u64::try_from(self.0) {
            Ok(number) if self.0 <= MAX_EXACT => serializer.serialize_u64(number),
            _ => serializer.collect_str(&format_args!("{:#x}", self.0)),
        }
    }
}

impl Serialize for Pin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            FAILURE_PIN => serializer.serialize_str(FAILURE),
            pin => Uint96(pin).serialize(serializer),
        }
    }
}

/// A number, or the text that stands for one.
#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(u64),
    Text(String),
}

/// A number below 2^96: as a JSON number where that is exact, else as 0x-hex.
fn uint96<E: de::Error>(value: NumberOrText) -> Result<u128, E> {
    let text = match value {
        NumberOrText::Number(number) => return Ok(number.into()),
        NumberOrText::Text(text) => text,
    };
    let digits = text.strip_prefix("0x").unwrap_or_default();
    match u128::from_str_radix(digits, 16) {
        Ok(number) if number <= MAX_UINT96 => Ok(number),
        _ => Err(E::custom(format!(
            "expected a number or the 0x-hex of one below 2^96, got {text:?}"
        ))),
    }
}

impl<'de> Deserialize<'de> for Uint96 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        uint96(NumberOrText::deserialize(deserializer)?).map(Self)
    }
}

impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match NumberOrText::deserialize(deserializer)? {
            NumberOrText::Text(text) if text == FAILURE => Ok(Self(FAILURE_PIN)),
            value => uint96(value).map(Self),
        }
    }
}

impl Serialize for HexBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("0x{}", hex::encode(&self.0)))
    }
}

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digits = text
            .strip_prefix("0x")
            .ok_or_else(|| de::Error::custom("expected hexadecimal that begins with 0x"))?;
        hex::decode(digits).map(Self).map_err(de::Error::custom)
    }
}

macro_rules! described {
    ($($type:ident as $name:literal: $schema:tt)*) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

described! {
    Uint96 as "Uint96": {
        "description": "a number, in hexadecimal above 2^53",
        "oneOf": [
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": "^0x[0-9a-f]+$" },
        ],
    }
    Pin as "Pin": {
        "description": "a number, in hexadecimal above 2^53; failure for the failure record",
        "oneOf": [
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": "^(0x[0-9a-f]+|failure)$" },
        ],
    }
    HexBytes as "Bytes": { "type": "string", "pattern": "^0x([0-9a-f]{2})*$" }
}

/// `#[serde(with = "text")]`: a value as the text that `Display` and `FromStr` agree on.
pub mod text {
    use serde::{de, Deserialize, Deserializer, Serializer};
    use std::{fmt::Display, str::FromStr};

    /// Writes `value` as text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    /// Reads a value from its text.
    ///
    /// # Errors
    /// When there is no text, or it does not parse.
    pub fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(from)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// `#[serde(with = "maybe_text")]`: as [`text`], or `null`.
pub mod maybe_text {
    use serde::{de, Deserialize, Deserializer, Serializer};
    use std::{fmt::Display, str::FromStr};

    /// Writes `value` as text.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_none(),
        }
    }

    /// Reads a value from its text.
    ///
    /// # Errors
    /// When the text does not parse.
    pub fn deserialize<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(de::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json, to_value};

    #[test]
    fn pins_survive_json_at_every_size() {
        for (pin, written) in [
            (0, json!(0)),
            (1 << 53, json!(1_u64 << 53)),
            ((1 << 53) + 1, json!("0x20000000000001")),
            (FAILURE_PIN - 1, json!("0xfffffffffffffffffffffffe")),
            (FAILURE_PIN, json!("failure")),
        ] {
            assert_eq!(to_value(Pin(pin)).unwrap(), written);
            assert_eq!(from_value::<Pin>(written).unwrap(), Pin(pin));
        }
        assert_eq!(to_value(Uint96(7)).unwrap(), json!(7));
    }

    #[test]
    fn what_is_no_pin_is_refused() {
        for wrong in [
            json!("7"),
            json!("0x"),
            json!("0xg"),
            json!(-1),
            json!(1.5),
            json!("0x1000000000000000000000000"),
            json!(null),
        ] {
            assert!(from_value::<Pin>(wrong.clone()).is_err(), "{wrong}");
            assert!(from_value::<Uint96>(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_are_hexadecimal_with_a_prefix() {
        let bytes = HexBytes(vec![0, 0xab]);
        assert_eq!(to_value(&bytes).unwrap(), json!("0x00ab"));
        assert_eq!(from_value::<HexBytes>(json!("0x00ab")).unwrap(), bytes);
        assert!(from_value::<HexBytes>(json!("00ab")).is_err());
        assert!(from_value::<HexBytes>(json!("0x0")).is_err());
    }
}
