//! Events that are messages in logs: of this ring, or of a client ring whose logs it keeps.
//!
//! A service names the domain of the messages, and perhaps their type, their status, the ring and the author. Everybody reads
//! the same data out of the same message: [`AUTHOR`], [`POSITION`] and [`CONTENT`] say whose log it is, the number of the log node
//! and the payload as a text; all other fields are those of the payload, which is a JSON object, or a map in DAG-CBOR.

use crate::{
    abi_value::hexadecimal,
    data::{Data, Fields},
    selection::{OriginFault, Selection},
    shape::Record,
};
use ipld_core::ipld::Ipld;
use rings_protocol::{message::Message, Address};
use serde::{Deserialize, Serialize};

/// The field that says in whose log the message stands. No payload can say something else.
pub const AUTHOR: &str = "author";
/// The field that says in which node of the log it stands.
pub const POSITION: &str = "position";
/// The field that is the payload as a text.
pub const CONTENT: &str = "content";
/// Most bytes of a payload that is read; what is larger would fit into no event.
pub const MAX_PAYLOAD_BYTES: usize = crate::words::MAX_EVENT_BYTES;
/// Messages of these domains follow from processes themselves: if they were events, one could start itself without an end.
const OWN_DOMAINS: [&str; 2] = ["rings", crate::words::DOMAIN];
/// The messages of Rings that follow from what people do.
const OF_PEOPLE: &str = "FlushToRing";
/// The first byte of a map in DAG-CBOR, and the last that there is.
const CBOR_MAP: std::ops::RangeInclusive<u8> = 0xa0..=0xbf;

/// Where the events of a kind come from: messages in logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageOrigin {
    /// In whose log; any, without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Address>,
    /// The domain of the messages.
    pub message: String,
    /// The client ring whose logs these are; the ring that runs the process, without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<Address>,
    /// Their status; any, without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Their type; any, without it.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// A formula over `event` that is true for those that count.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub choice: Option<String>,
}

/// What reads the events of a kind from messages.
#[derive(Debug)]
pub struct MessageReader {
    origin: MessageOrigin,
    /// The fields of the payload that are read.
    fields: Vec<String>,
    has: Own,
    selection: Selection,
}

/// Which fields are read that no payload gives.
#[derive(Debug)]
struct Own {
    author: bool,
    position: bool,
    content: bool,
}

impl MessageOrigin {
    /// What reads the messages, for events with these data.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn reader(&self, data: &Record) -> Result<MessageReader, OriginFault> {
        let is_of_people = self.message == "rings" && self.kind.as_deref() == Some(OF_PEOPLE);
        if OWN_DOMAINS.contains(&self.message.as_str()) && !is_of_people {
            let what = format!(
                "messages of domain {} follow from what processes do, so they would start themselves; name an application's domain, or rings with type {OF_PEOPLE}",
                self.message
            );
            return Err(("message", what));
        }
        for (name, kind) in [
            (AUTHOR, "string"),
            (POSITION, "integer"),
            (CONTENT, "string"),
        ] {
            let shape = data.get(name);
            if shape.is_some_and(|shape| !shape.kinds().contains(kind)) {
                let what = format!(
                    "{name} of a message is a {kind}, so its shape in the data has to be {kind}"
                );
                return Err(("message", what));
            }
        }
        let is_own = |name: &str| [AUTHOR, POSITION, CONTENT].contains(&name);
        let names = data.iter().map(|(name, _)| name);
        Ok(MessageReader {
            fields: names.filter(|name| !is_own(name)).map(Into::into).collect(),
            has: Own {
                author: data.get(AUTHOR).is_some(),
                position: data.get(POSITION).is_some(),
                content: data.get(CONTENT).is_some(),
            },
            selection: Selection::new(data, self.choice.as_deref(), "message")?,
            origin: self.clone(),
        })
    }
}

impl MessageReader {
    /// The client ring whose logs are read; the ring that runs the process, if there is none.
    pub fn ring(&self) -> Option<Address> {
        self.origin.ring
    }

    /// Whether messages in this account's log are read.
    pub fn reads(&self, author: Address) -> bool {
        self.origin.author.is_none_or(|wanted| wanted == author)
    }

    /// The only account whose log is read.
    pub fn author(&self) -> Option<Address> {
        self.origin.author
    }

    /// The data of the event that a message is, in a node of somebody's log; nothing if it is not chosen.
    ///
    /// # Errors
    /// Why the message is none, in words: it is left out, for everybody alike.
    pub fn read(
        &self,
        (author, position): (Address, u64),
        message: &Message,
    ) -> Result<Option<Fields>, String> {
        let is = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|it| it == is);
        let origin = &self.origin;
        let is_wanted = self.reads(author)
            && origin.message == message.domain
            && is(&origin.kind, &message.kind)
            && is(&origin.status, &message.status);
        if !is_wanted {
            return Ok(None);
        }
        if message.payload.len() > MAX_PAYLOAD_BYTES {
            return Err(format!(
                "its payload has {} bytes; at most {MAX_PAYLOAD_BYTES} are read",
                message.payload.len()
            ));
        }
        let mut fields = self.of_payload(&message.payload)?;
        if self.has.author {
            fields.insert(AUTHOR.into(), author.to_string().into());
        }
        if self.has.position {
            let position = i64::try_from(position).map_err(|_| "its position is too high")?;
            fields.insert(POSITION.into(), position.into());
        }
        if self.has.content {
            let text = std::str::from_utf8(&message.payload);
            let text = text.map_err(|_| "its payload is no text; leave content out of the data")?;
            fields.insert(CONTENT.into(), text.into());
        }
        self.selection.choose(fields)
    }

    fn of_payload(&self, payload: &[u8]) -> Result<Fields, String> {
        if self.fields.is_empty() {
            return Ok(Fields::new());
        }
        let mut given = map(payload)?;
        let taken = self.fields.iter().map(|name| {
            let value = given.remove(name);
            let value = value.ok_or_else(|| format!("its payload has no {name}"))?;
            Ok((name.clone(), value))
        });
        taken.collect()
    }
}

/// A payload as fields.
fn map(payload: &[u8]) -> Result<Fields, String> {
    let is_cbor = payload
        .first()
        .is_some_and(|first| CBOR_MAP.contains(first));
    let data = match is_cbor {
        true => {
            let ipld = serde_ipld_dagcbor::from_slice::<Ipld>(payload);
            of_ipld(ipld.map_err(|error| format!("its payload is no DAG-CBOR: {error}"))?)?
        }
        false => serde_json::from_slice(payload).map_err(|error| {
            format!("its payload is neither JSON nor a map in DAG-CBOR: {error}")
        })?,
    };
    match data {
        Data::Map(fields) => Ok(fields),
        other => Err(format!(
            "its payload is {}, and not an object",
            other.kind()
        )),
    }
}

/// Bytes become hexadecimal, and links their CIDs.
fn of_ipld(ipld: Ipld) -> Result<Data, String> {
    Ok(match ipld {
        Ipld::Null => Data::Null,
        Ipld::Bool(value) => Data::Bool(value),
        Ipld::Integer(value) => i64::try_from(value)
            .map(Data::Int)
            .map_err(|_| format!("{value} is beyond 64 bits"))?,
        Ipld::Float(value) => return Err(format!("{value} is a fraction")),
        Ipld::String(text) => Data::Text(text),
        Ipld::Bytes(bytes) => hexadecimal(&bytes),
        Ipld::Link(cid) => Data::Text(cid.to_string()),
        Ipld::List(list) => Data::List(list.into_iter().map(of_ipld).collect::<Result<_, _>>()?),
        Ipld::Map(map) => {
            let map = map
                .into_iter()
                .map(|(key, value)| Ok((key, of_ipld(value)?)));
            Data::Map(map.collect::<Result<_, String>>()?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::cbor::Writer;

    const ME: Address = Address([7; 20]);

    fn origin() -> MessageOrigin {
        MessageOrigin {
            author: None,
            message: "chat".into(),
            ring: None,
            status: None,
            kind: Some("message".into()),
            choice: None,
        }
    }

    fn message(payload: &[u8]) -> Message {
        Message {
            domain: "chat".into(),
            payload: payload.to_vec().into(),
            status: "new".into(),
            kind: "message".into(),
        }
    }

    #[test]
    fn the_payload_is_json_or_dag_cbor_and_the_author_is_whose_log_it_is() {
        let data = Record::of_kinds(&[
            ("txt", "string"),
            ("author", "string"),
            ("position", "integer"),
        ]);
        let reader = origin().reader(&data).unwrap();
        let mut writer = Writer::with_capacity(64);
        writer.map(1).text("txt").text("hello");
        let json = br#"{"author":"somebody else","more":7,"txt":"hello"}"#;
        for payload in [json.to_vec(), writer.finish()] {
            let read = reader.read((ME, 9), &message(&payload)).unwrap().unwrap();
            assert_eq!(read["txt"], Data::from("hello"));
            assert_eq!(read["author"], Data::from(ME.to_string()));
            assert_eq!(read["position"], Data::from(9));
            assert_eq!(read.len(), 3);
        }
        let mut writer = Writer::with_capacity(64);
        writer.map(1).text("txt").bytes(&[1, 0xff]);
        let read = reader.read((ME, 9), &message(&writer.finish()));
        assert_eq!(read.unwrap().unwrap()["txt"], Data::from("0x01ff"));
    }

    #[test]
    fn domain_type_status_author_and_formula_choose() {
        let data = Record::of_kinds(&[("content", "string")]);
        let chosen = |origin: MessageOrigin| {
            let reader = origin.reader(&data).unwrap();
            reader.read((ME, 0), &message(b"pay 7")).unwrap().is_some()
        };
        assert!(chosen(origin()));
        let no = |change: &dyn Fn(&mut MessageOrigin)| {
            let mut other = origin();
            change(&mut other);
            assert!(!chosen(other));
        };
        no(&|other| other.message = "shop".into());
        no(&|other| other.kind = Some("name".into()));
        no(&|other| other.status = Some("old".into()));
        no(&|other| other.author = Some(Address([8; 20])));
        no(&|other| other.choice = Some("event.content.startsWith('buy')".into()));
    }

    #[test]
    fn what_does_not_fit_is_no_event() {
        let data = Record::of_kinds(&[("n", "integer")]);
        let reader = origin().reader(&data).unwrap();
        let deep = [vec![0xa1, 0x61, b'n'], vec![0x81; 60_000]].concat();
        let long = vec![b' '; MAX_PAYLOAD_BYTES + 1];
        for (payload, told) in [
            (&br#"{"n":1.5}"#[..], "neither JSON"),
            (br#"{"n":"1"}"#, "n: "),
            (br#"{"m":1}"#, "has no n"),
            (b"[1]", "not an object"),
            (b"hello", "neither JSON"),
            (b"", "neither JSON"),
            (&[0xa1, 0x61], "no DAG-CBOR"),
            (&deep, "no DAG-CBOR"),
            (&long, "at most"),
        ] {
            let error = reader.read((ME, 0), &message(payload)).unwrap_err();
            assert!(error.contains(told), "{told}: {error}");
        }
        let text = origin()
            .reader(&Record::of_kinds(&[("content", "string")]))
            .unwrap();
        assert!(text.read((ME, 0), &message(&[0xff])).is_err());
    }

    #[test]
    fn a_process_cannot_follow_from_what_processes_write() {
        for domain in ["rings", "processes"] {
            let mut own = origin();
            own.message = domain.into();
            let (key, what) = own.reader(&Record::of_kinds(&[])).unwrap_err();
            assert!(
                key == "message" && what.contains("start themselves"),
                "{what}"
            );
        }
        let mut flushed = origin();
        flushed.message = "rings".into();
        flushed.kind = Some("FlushToRing".into());
        assert!(flushed.reader(&Record::of_kinds(&[])).is_ok());
        let fault = origin()
            .reader(&Record::of_kinds(&[("author", "integer")]))
            .unwrap_err();
        assert!(fault.1.contains("has to be string"), "{fault:?}");
    }
}
