//! What a chat says: lines of text, and how an avatar wants to be called.
//!
//! Each is one message of a log node, with a payload in canonical DAG-CBOR. The page about client rings gives the bytes, and the
//! JavaScript client writes the same.

use rings_protocol::{
    cbor::{CborError, Reader, Writer},
    message::Message,
    Address,
};
use std::collections::BTreeSet;

/// The domain of a chat's messages.
pub const CHAT: &str = "chat";
/// Most bytes of a line.
pub const MAX_LINE_BYTES: usize = 4096;
/// Most bytes of a name.
pub const MAX_NAME_BYTES: usize = 64;
/// Most other avatars of a person.
pub const MAX_DEVICES: usize = 64;
const LINE: &str = "message";
const NAME: &str = "name";

/// A message of a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// A line of text.
    Line(String),
    /// How the avatar wants to be called, and the person's other avatars.
    Name {
        /// The name.
        name: String,
        /// The other avatars.
        also: BTreeSet<Address>,
    },
}

impl Said {
    /// A line, cut to what fits.
    pub fn line(text: &str) -> Self {
        Self::Line(cut(text, MAX_LINE_BYTES).to_owned())
    }

    /// A name, cut to what fits.
    pub fn name(name: &str, also: impl IntoIterator<Item = Address>) -> Self {
        Self::Name {
            name: cut(name, MAX_NAME_BYTES).to_owned(),
            also: also.into_iter().take(MAX_DEVICES).collect(),
        }
    }

    /// The message of a log node's body.
    pub fn to_message(&self) -> Message {
        let (kind, payload) = match self {
            Self::Line(text) => {
                let mut writer = Writer::with_capacity(text.len() + 16);
                writer.map(1).text("txt").text(text);
                (LINE, writer.finish())
            }
            Self::Name { name, also } => {
                let mut writer = Writer::with_capacity(name.len() + 21 * also.len() + 32);
                writer.map(2).text("also").list(also.len());
                for avatar in also {
                    writer.bytes(&avatar.0);
                }
                writer.text("name").text(name);
                (NAME, writer.finish())
            }
        };
        Message {
            domain: CHAT.into(),
            payload: payload.into(),
            status: String::new(),
            kind: kind.into(),
        }
    }

    /// Reads a message; nothing if it is about something else, or malformed: others may write what they like.
    pub fn from_message(message: &Message) -> Option<Self> {
        if message.domain != CHAT || !message.status.is_empty() {
            return None;
        }
        match message.kind.as_str() {
            LINE => read_line(&message.payload).ok(),
            NAME => read_name(&message.payload).ok(),
            _ => None,
        }
    }
}

fn read_line(payload: &[u8]) -> Result<Said, CborError> {
    let mut reader = Reader::new(payload);
    let mut fields = reader.map()?;
    fields.key(&mut reader, "txt")?;
    let text = reader.text(MAX_LINE_BYTES)?.to_owned();
    fields.end(&reader)?;
    reader.end()?;
    Ok(Said::Line(text))
}

fn read_name(payload: &[u8]) -> Result<Said, CborError> {
    let mut reader = Reader::new(payload);
    let mut fields = reader.map()?;
    fields.key(&mut reader, "also")?;
    let at = reader.at();
    let count = reader.list(MAX_DEVICES, 0)?;
    let mut also = BTreeSet::new();
    for _ in 0..count {
        let avatar = Address(reader.fixed()?);
        // Ascending, so that there is one encoding.
        if also.last().is_some_and(|last| *last >= avatar) {
            let expected = "addresses in ascending order";
            return Err(CborError::Type { at, expected });
        }
        also.insert(avatar);
    }
    fields.key(&mut reader, "name")?;
    let at = reader.at();
    let name = reader.text(MAX_NAME_BYTES)?.to_owned();
    fields.end(&reader)?;
    reader.end()?;
    match name.is_empty() {
        true => Err(CborError::Type {
            at,
            expected: "a name that is not empty",
        }),
        false => Ok(Said::Name { name, also }),
    }
}

/// The beginning of a text, of at most so many bytes.
fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_survives_its_message_and_has_one_encoding() {
        let others = [Address([2; 20]), Address([1; 20])];
        for said in [
            Said::line("hello, wörld"),
            Said::line(""),
            Said::name("alice", []),
            Said::name("alice", others),
        ] {
            let message = said.to_message();
            assert_eq!(Said::from_message(&message), Some(said));
            for cut in 0..message.payload.len() {
                let payload = message.payload[..cut].to_vec().into();
                let cut = Message {
                    payload,
                    ..message.clone()
                };
                assert_eq!(Said::from_message(&cut), None);
            }
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_page() {
        let message = Said::line("hi").to_message();
        assert_eq!(message.payload.as_slice(), b"\xa1\x63txt\x62hi");
        let message = Said::name("al", [Address([7; 20])]).to_message();
        let expected = [
            b"\xa2\x64also\x81\x54".as_slice(),
            &[7; 20],
            b"\x64name\x62al",
        ]
        .concat();
        assert_eq!(message.payload.as_slice(), expected);
    }

    #[test]
    fn what_does_not_fit_is_cut_and_what_is_not_ours_is_passed_over() {
        let Said::Line(text) = Said::line(&"ö".repeat(MAX_LINE_BYTES)) else {
            panic!("not a line");
        };
        assert_eq!(text.len(), MAX_LINE_BYTES);
        let message = Said::line("x").to_message();
        for other in [
            Message {
                domain: "rings".into(),
                ..message.clone()
            },
            Message {
                kind: "picture".into(),
                ..message.clone()
            },
            Message {
                status: "new".into(),
                ..message.clone()
            },
            Message {
                payload: b"x".to_vec().into(),
                ..message
            },
        ] {
            assert_eq!(Said::from_message(&other), None);
        }
        let nobody = Said::name("", []).to_message();
        assert_eq!(Said::from_message(&nobody), None);
    }
}
