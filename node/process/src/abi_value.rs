//! Values of logs, and the data that they are.

use crate::data::Data;

/// Bytes of a word.
pub const WORD: usize = 32;

/// A value of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number: its 32 bytes, and whether it has a sign.
    Number([u8; WORD], bool),
    /// Anything else.
    Other(Data),
}

impl Value {
    /// The value as data: a number as an integer, or as a text; nothing if it is beyond 64 bits and no text is wanted.
    pub fn to_data(&self, as_text: bool) -> Option<Data> {
        let (word, signed) = match self {
            Self::Other(data) => return Some(data.clone()),
            Self::Number(word, signed) => (word, *signed),
        };
        let negative = signed && word[0] & 0x80 != 0;
        let digits = decimal(match negative {
            true => negated(word),
            false => *word,
        });
        let text = match negative {
            true => format!("-{digits}"),
            false => digits,
        };
        match as_text {
            true => Some(text.into()),
            false => text.parse().ok().map(Data::Int),
        }
    }
}

/// The two's complement.
fn negated(word: &[u8; WORD]) -> [u8; WORD] {
    let mut negated = *word;
    let mut carry = true;
    for byte in negated.iter_mut().rev() {
        let (sum, over) = (!*byte).overflowing_add(u8::from(carry));
        (*byte, carry) = (sum, over);
    }
    negated
}

/// The digits of a number of 256 bits: it is divided by ten until nothing is left.
fn decimal(mut word: [u8; WORD]) -> String {
    let mut digits = Vec::new();
    while word.iter().any(|byte| *byte != 0) {
        let mut rest = 0u16;
        for byte in &mut word {
            let part = (rest << 8) | u16::from(*byte);
            // Smaller than 256, since the rest is smaller than ten.
            *byte = (part / 10) as u8;
            rest = part % 10;
        }
        digits.push(char::from(b'0' + rest as u8));
    }
    match digits.is_empty() {
        true => "0".into(),
        false => digits.into_iter().rev().collect(),
    }
}

/// Bytes as a text.
pub fn hexadecimal(bytes: &[u8]) -> Data {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(value: i128, signed: bool) -> Value {
        let mut word = [if value < 0 { 0xff } else { 0 }; WORD];
        word[16..].copy_from_slice(&value.to_be_bytes());
        Value::Number(word, signed)
    }

    proptest! {
        #[test]
        fn numbers_are_those_of_the_machine(value: i128, small: i64) {
            prop_assert_eq!(number(value, true).to_data(true), Some(value.to_string().into()));
            prop_assert_eq!(number(small.into(), true).to_data(false), Some(small.into()));
            let fits = i64::try_from(value).is_ok();
            prop_assert_eq!(number(value, true).to_data(false).is_some(), fits);
        }
    }
}
