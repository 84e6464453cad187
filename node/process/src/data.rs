//! Data of events, inputs and outputs: JSON without fractions.
//!
//! Members agree on data by its bytes, so each piece has one encoding: keys sorted, nothing between tokens, integers only. A
//! fraction has several spellings, and machines differ in what they make of it; write an amount in its smallest unit.

use crate::bounds::{MAX_DATA_DEPTH, MAX_DATA_VALUES};
use serde::{
    de::{Deserializer, Error, MapAccess, SeqAccess, Visitor},
    ser::Serializer,
    Deserialize, Serialize,
};
use std::{collections::BTreeMap, fmt};

/// The key that DAG-JSON keeps for links.
const LINK: &str = "/";

/// A piece of data.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Data {
    /// Nothing.
    #[default]
    Null,
    /// Yes or no.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A text.
    Text(String),
    /// Several pieces, in order.
    List(Vec<Data>),
    /// Pieces by name.
    Map(BTreeMap<String, Data>),
}

/// Fields by name.
pub type Fields = BTreeMap<String, Data>;

impl Data {
    /// The piece at a field, if this is a map that has it.
    pub fn field(&self, name: &str) -> Option<&Data> {
        match self {
            Self::Map(fields) => fields.get(name),
            _ => None,
        }
    }

    /// The same as the JSON that other libraries read.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::from(*value),
            Self::Text(text) => Value::from(text.as_str()),
            Self::List(list) => list.iter().map(Self::to_json).collect(),
            Self::Map(fields) => fields
                .iter()
                .map(|(name, value)| (name.clone(), value.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    /// How it stands in a text: a text as it is, everything else as JSON.
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            other => other.to_json().to_string(),
        }
    }

    /// What it is, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) => "integer",
            Self::Text(_) => "string",
            Self::List(_) => "array",
            Self::Map(_) => "object",
        }
    }

    /// Whether it is within [`MAX_DATA_DEPTH`] and [`MAX_DATA_VALUES`].
    pub fn is_within_bounds(&self) -> bool {
        let mut left = MAX_DATA_VALUES;
        self.counts(&mut left, MAX_DATA_DEPTH)
    }

    fn counts(&self, left: &mut usize, depth: usize) -> bool {
        let (Some(less), Some(depth)) = (left.checked_sub(1), depth.checked_sub(1)) else {
            return false;
        };
        *left = less;
        match self {
            Self::List(list) => list.iter().all(|value| value.counts(left, depth)),
            Self::Map(fields) => fields.values().all(|value| value.counts(left, depth)),
            _ => true,
        }
    }
}

impl From<&str> for Data {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Data {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Fields> for Data {
    fn from(fields: Fields) -> Self {
        Self::Map(fields)
    }
}

impl From<i64> for Data {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(list) => list.serialize(serializer),
            Self::Map(fields) => fields.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DataVisitor)
    }
}

struct DataVisitor;

fn beyond<E: Error>(value: impl fmt::Display) -> E {
    E::custom(format!(
        "{value} is not an integer of 64 bits; write an amount in its smallest unit, or as a text"
    ))
}

impl<'de> Visitor<'de> for DataVisitor {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without fractions")
    }

    fn visit_unit<E: Error>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Data, E> {
        Ok(Data::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Data, E> {
        Ok(Data::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Data, E> {
        Ok(Data::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Data, E> {
        i64::try_from(value)
            .map(Data::Int)
            .map_err(|_| beyond(value))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Data, E> {
        i64::try_from(value)
            .map(Data::Int)
            .map_err(|_| beyond(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Data, E> {
        Err(beyond(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Data, E> {
        Ok(Data::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Data, E> {
        Ok(Data::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Data, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            if list.len() >= MAX_DATA_VALUES {
                return Err(A::Error::custom(format!(
                    "a list of more than {MAX_DATA_VALUES} values; put them into a file"
                )));
            }
            list.push(item);
        }
        Ok(Data::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Data, A::Error> {
        let mut fields = BTreeMap::new();
        while let Some((name, value)) = entries.next_entry::<String, Data>()? {
            if name == LINK {
                return Err(A::Error::custom(
                    "a field is called \"/\", which DAG-JSON keeps for links; give it another name",
                ));
            }
            if fields.len() >= MAX_DATA_VALUES {
                return Err(A::Error::custom(format!(
                    "a map of more than {MAX_DATA_VALUES} fields; put them into a file"
                )));
            }
            if fields.insert(name.clone(), value).is_some() {
                return Err(A::Error::custom(format!(
                    "the field {name} stands there twice; remove one"
                )));
            }
        }
        Ok(Data::Map(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Data, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn what_has_no_single_spelling_is_refused() {
        for (text, told) in [
            ("1.5", "smallest unit"),
            ("1e3", "smallest unit"),
            ("9223372036854775808", "64 bits"),
            (r#"{"a":1,"a":2}"#, "twice"),
            (r#"{"/":"x"}"#, "links"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
        assert_eq!(read("-9223372036854775808").unwrap(), Data::Int(i64::MIN));
    }

    #[test]
    fn depth_and_number_have_bounds() {
        let nested = |depth: usize| (1..depth).fold(Data::Null, |data, _| Data::List(vec![data]));
        assert!(nested(MAX_DATA_DEPTH).is_within_bounds());
        assert!(!nested(MAX_DATA_DEPTH + 1).is_within_bounds());
        let wide = |count: usize| Data::List(vec![Data::Null; count]);
        assert!(wide(MAX_DATA_VALUES - 1).is_within_bounds());
        assert!(!wide(MAX_DATA_VALUES).is_within_bounds());
    }

    /// Any data, for the tests of other files.
    pub(crate) fn any_data() -> impl Strategy<Value = Data> {
        let leaf = prop_oneof![
            Just(Data::Null),
            any::<bool>().prop_map(Data::Bool),
            any::<i64>().prop_map(Data::Int),
            ".{0,12}".prop_map(Data::Text),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Data::List),
                prop::collection::btree_map("[a-z]{1,6}", inner, 0..6).prop_map(Data::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn data_survives_its_bytes_which_are_one(data in any_data()) {
            let bytes = serde_ipld_dagjson::to_vec(&data).unwrap();
            let again: Data = serde_ipld_dagjson::from_slice(&bytes).unwrap();
            prop_assert_eq!(&again, &data);
            let other: Data = serde_json::from_str(&data.to_json().to_string()).unwrap();
            prop_assert_eq!(serde_ipld_dagjson::to_vec(&other).unwrap(), bytes);
        }
    }
}
