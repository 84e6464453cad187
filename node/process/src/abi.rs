//! Logs of contracts as Solidity declares them, and their values (the contract ABI, version 2): numbers, addresses, booleans,
//! bytes and texts. Lists and structs are not read.

use crate::{
    abi_value::{hexadecimal, Value, WORD},
    data::Data,
};
use rings_protocol::{cids::keccak256, Address, Digest};
use std::{collections::BTreeMap, fmt};

/// Indexed parameters of a log: the first topic is its kind.
const MAX_INDEXED: usize = 3;
/// Most parameters of a log.
const MAX_PARAMETERS: usize = 32;
/// Most bytes of a declaration.
const MAX_DECLARATION_BYTES: usize = 1_024;

/// What a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `uint8` to `uint256`.
    Uint,
    /// `int8` to `int256`.
    Int,
    /// `address`
    Address,
    /// `bool`
    Bool,
    /// `bytes1` to `bytes32`: so many bytes.
    Fixed(usize),
    /// `bytes`
    Bytes,
    /// `string`
    Text,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uint | Self::Int => "a number",
            Self::Address => "an address",
            Self::Bool => "a boolean",
            Self::Fixed(_) | Self::Bytes => "bytes",
            Self::Text => "a text",
        })
    }
}

/// A parameter of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its type as the hash of the declaration has it.
    canonical: String,
    /// Whether it is a topic.
    indexed: bool,
}

/// A log as Solidity declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    name: String,
    parameters: Vec<Parameter>,
}

fn is_name(text: &str) -> bool {
    let is_letter = |letter: char| letter.is_ascii_alphabetic() || letter == '_' || letter == '$';
    let mut letters = text.chars();
    letters.next().is_some_and(is_letter)
        && letters.all(|letter| is_letter(letter) || letter.is_ascii_digit())
}

/// The size in a type such as `uint8`; `usual` where there is none.
fn size(digits: &str, usual: usize) -> Option<usize> {
    match digits {
        "" => Some(usual),
        digits if digits.starts_with('0') => None,
        digits => digits.parse().ok(),
    }
}

fn kind(word: &str) -> Option<(Kind, String)> {
    let bits =
        |digits: &str| size(digits, 256).filter(|bits| bits % 8 == 0 && (8..=256).contains(bits));
    let found = match word {
        "address" => Kind::Address,
        "bool" => Kind::Bool,
        "bytes" => Kind::Bytes,
        "string" => Kind::Text,
        word => {
            if let Some(digits) = word.strip_prefix("uint") {
                return Some((Kind::Uint, format!("uint{}", bits(digits)?)));
            }
            if let Some(digits) = word.strip_prefix("int") {
                return Some((Kind::Int, format!("int{}", bits(digits)?)));
            }
            let bytes = size(word.strip_prefix("bytes")?, 0)?;
            Kind::Fixed((1..=WORD).contains(&bytes).then_some(bytes)?)
        }
    };
    Some((found, word.to_owned()))
}

impl Parameter {
    fn read(text: &str) -> Result<Self, String> {
        let words: Vec<_> = text.split_whitespace().collect();
        let (kind_word, indexed, name) = match words.as_slice() {
            [kind, "indexed", name] => (*kind, true, *name),
            [kind, name] => (*kind, false, *name),
            _ => {
                return Err(format!(
                "{:?} is no parameter; write a type and a name, such as uint256 cents, or address indexed by",
                text.trim()
            ))
            }
        };
        if !is_name(name) {
            return Err(format!("{name:?} is no name of a parameter"));
        }
        let (kind, canonical) = kind(kind_word).ok_or_else(|| {
            format!("{kind_word:?} is no type that is read; these are: uint8 to uint256, int8 to int256, address, bool, bytes1 to bytes32, bytes, string")
        })?;
        Ok(Self {
            name: name.to_owned(),
            kind,
            canonical,
            indexed,
        })
    }

    /// Whether the chain has only the hash of it.
    pub fn is_hashed(&self) -> bool {
        self.indexed && matches!(self.kind, Kind::Bytes | Kind::Text)
    }

    fn value(&self, word: &[u8; WORD]) -> Result<Value, String> {
        let wrong = || {
            format!(
                "{} is no {} as contracts write it",
                self.name, self.canonical
            )
        };
        let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
        Ok(match self.kind {
            Kind::Uint => Value::Number(*word, false),
            Kind::Int => Value::Number(*word, true),
            Kind::Address => {
                let mut address = [0; 20];
                let (padding, bytes) = word.split_at(WORD - 20);
                if !is_zero(padding) {
                    return Err(wrong());
                }
                address.copy_from_slice(bytes);
                Value::Other(Address(address).to_string().into())
            }
            Kind::Bool => match (is_zero(&word[..WORD - 1]), word[WORD - 1]) {
                (true, value @ 0..=1) => Value::Other(Data::Bool(value == 1)),
                _ => return Err(wrong()),
            },
            Kind::Fixed(length) => {
                let (bytes, padding) = word.split_at(length);
                match is_zero(padding) {
                    true => Value::Other(hexadecimal(bytes)),
                    false => return Err(wrong()),
                }
            }
            Kind::Bytes | Kind::Text => return Err(wrong()),
        })
    }
}

fn word_at(data: &[u8], at: usize) -> Option<[u8; WORD]> {
    data.get(at..at.checked_add(WORD)?)?.try_into().ok()
}

/// A number that is a place or a length in a log.
fn small(word: &[u8; WORD]) -> Option<usize> {
    let (high, low) = word.split_at(WORD - 8);
    let low = u64::from_be_bytes(low.try_into().ok()?);
    match high.iter().all(|byte| *byte == 0) {
        true => usize::try_from(low).ok(),
        false => None,
    }
}

/// The bytes of a value of variable length, whose place the word says.
fn variable<'d>(data: &'d [u8], word: &[u8; WORD]) -> Option<&'d [u8]> {
    let at = small(word)?;
    let length = small(&word_at(data, at)?)?;
    let begin = at.checked_add(WORD)?;
    data.get(begin..begin.checked_add(length)?)
}

impl Declaration {
    /// Reads a declaration: `Name(type [indexed] name, …)`, with or without `event` before it and a semicolon behind it.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > MAX_DECLARATION_BYTES {
            return Err(format!(
                "{} bytes; at most {MAX_DECLARATION_BYTES} are read",
                text.len()
            ));
        }
        let inner = text.trim().trim_end_matches(';').trim_end();
        let inner = inner.strip_prefix("event ").unwrap_or(inner).trim_start();
        let parts = inner
            .strip_suffix(')')
            .and_then(|inner| inner.split_once('('));
        let (name, list) = parts.ok_or_else(|| {
            format!("{text:?} is no log; write it as Solidity declares it, such as Paid(address indexed by, uint256 cents)")
        })?;
        if !is_name(name.trim()) {
            return Err(format!("{name:?} is no name of a log"));
        }
        let parameters = match list.trim() {
            "" => Vec::new(),
            list => list
                .split(',')
                .map(Parameter::read)
                .collect::<Result<_, _>>()?,
        };
        let found = Self {
            name: name.trim().to_owned(),
            parameters,
        };
        found.check().map(|()| found)
    }

    fn check(&self) -> Result<(), String> {
        let indexed = self.parameters.iter().filter(|each| each.indexed).count();
        if indexed > MAX_INDEXED {
            return Err(format!(
                "{indexed} indexed parameters; a log has {MAX_INDEXED} at most"
            ));
        }
        if self.parameters.len() > MAX_PARAMETERS {
            let count = self.parameters.len();
            return Err(format!(
                "{count} parameters; at most {MAX_PARAMETERS} are read"
            ));
        }
        let mut names: Vec<_> = self.parameters.iter().map(|each| &each.name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("two parameters are called {}", pair[0])),
            None => Ok(()),
        }
    }

    /// The first topic of such logs.
    pub fn topic(&self) -> Digest {
        let types: Vec<_> = self
            .parameters
            .iter()
            .map(|each| each.canonical.as_str())
            .collect();
        keccak256(format!("{}({})", self.name, types.join(",")).as_bytes())
    }

    /// A parameter by its name.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|each| each.name == name)
    }

    /// The names of the parameters, for messages.
    pub fn names(&self) -> String {
        let names: Vec<_> = self
            .parameters
            .iter()
            .map(|each| each.name.as_str())
            .collect();
        names.join(", ")
    }

    /// The values of a log, by the names of its parameters, without those of which there is only a hash.
    ///
    /// # Errors
    /// Why it is no such log, in words.
    pub fn decode(
        &self,
        topics: &[Digest],
        data: &[u8],
    ) -> Result<BTreeMap<String, Value>, String> {
        let short = || "the log is shorter than its declaration says".to_owned();
        let (kind, topics) = topics.split_first().ok_or_else(short)?;
        let indexed = self.parameters.iter().filter(|each| each.indexed).count();
        if *kind != self.topic() || topics.len() != indexed {
            return Err("the log is of another kind, or indexes other parameters".into());
        }
        let (mut topics, mut at) = (topics.iter(), 0);
        let mut values = BTreeMap::new();
        for parameter in &self.parameters {
            let word = match parameter.indexed {
                true => topics.next().ok_or_else(short)?.0,
                false => {
                    let word = word_at(data, at).ok_or_else(short)?;
                    at += WORD;
                    word
                }
            };
            let value = match parameter.kind {
                Kind::Bytes | Kind::Text if parameter.indexed => continue,
                Kind::Bytes => Value::Other(hexadecimal(variable(data, &word).ok_or_else(short)?)),
                Kind::Text => {
                    let bytes = variable(data, &word).ok_or_else(short)?;
                    let text = std::str::from_utf8(bytes)
                        .map_err(|_| format!("{} is no text in UTF-8", parameter.name))?;
                    Value::Other(text.into())
                }
                _ => parameter.value(&word)?,
            };
            values.insert(parameter.name.clone(), value);
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_topic_is_that_of_solidity() {
        let transfer = Declaration::read(
            "event Transfer(address indexed from, address indexed to, uint value);",
        );
        let topic = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
        assert_eq!(transfer.unwrap().topic().to_string(), topic);
    }

    #[test]
    fn what_is_no_declaration_is_told() {
        for (text, told) in [
            ("Paid", "is no log"),
            ("Paid(uint256)", "write a type and a name"),
            ("Paid(uint7 a)", "is no type that is read"),
            ("Paid(uint256[] a)", "is no type that is read"),
            ("Paid(bytes33 a)", "is no type that is read"),
            ("Paid(uint8 a, bool a)", "two parameters are called a"),
            (
                "Paid(bool indexed a, bool indexed b, bool indexed c, bool indexed d)",
                "4 indexed",
            ),
            ("1(bool a)", "is no name of a log"),
        ] {
            let error = Declaration::read(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn values_of_variable_length_are_found_and_never_beyond_the_end() {
        let declared = Declaration::read("Said(bool ok, string text, bytes4 tag)").unwrap();
        let mut data = vec![0; 5 * WORD];
        data[WORD - 1] = 1;
        data[2 * WORD - 1] = 3 * WORD as u8;
        data[2 * WORD..2 * WORD + 4].copy_from_slice(b"abcd");
        data[4 * WORD - 1] = 2;
        data[4 * WORD..4 * WORD + 2].copy_from_slice("é".as_bytes());
        let topics = [declared.topic()];
        let values = declared.decode(&topics, &data).unwrap();
        assert_eq!(values["text"], Value::Other("é".into()));
        assert_eq!(values["ok"], Value::Other(Data::Bool(true)));
        assert_eq!(values["tag"], Value::Other("0x61626364".into()));
        for cut in 0..4 * WORD + 2 {
            assert!(declared.decode(&topics, &data[..cut]).is_err(), "{cut}");
        }
        data[2 * WORD - 32..2 * WORD].fill(0xff);
        assert!(declared.decode(&topics, &data).is_err());
    }

    proptest! {
        #[test]
        fn whatever_a_contract_emits_is_read_or_refused(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            let declared = Declaration::read("A(bytes a, string b, uint8 c, address d)").unwrap();
            drop(declared.decode(&[declared.topic()], &data));
        }
    }
}
