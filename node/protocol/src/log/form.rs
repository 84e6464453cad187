//! The bytes of a node: `{content, signature}`, where the content is `{seq, body, prev, refs, skip, time}`.
//!
//! Keys stand in canonical order, shorter ones first. [`read`] accepts exactly what [`content`] and [`node`] write. The
//! schema for other languages is `docs/log.ipldsch`, with vectors in `tests/vectors/log`.
//!
//! A field that is absent has no key; there is no null. [`read`] also returns where in the input the content stands,
//! because the signature covers those bytes as they came, and they are hashed without being encoded again. The same
//! form of a message list is used inside the sealed bodies of private rings ([`write_messages`], [`read_messages`]).

use super::content::{Content, MAX_BODY_MESSAGES, MAX_NODE_BYTES, MAX_REFS};
use crate::{
    cbor::{CborError, Reader, Writer, LINK_BYTES},
    cids::{digest_of, node_cid},
    message::Message,
    Digest,
};
use cid::Cid;

/// Bytes of the shortest message: four keys and four empty values.
const MIN_MESSAGE_BYTES: usize = 32;
/// `r`, `s` and `v`.
const SIGNATURE_BYTES: usize = 65;

/// A node as its bytes have it.
pub(super) struct Read<'a> {
    pub content: Content,
    /// The bytes of the content.
    pub encoded: &'a [u8],
    pub signature: &'a [u8],
}

/// The bytes of a content whose links were checked: all are dag-cbor.
pub(super) fn content(content: &Content) -> Vec<u8> {
    let payloads = content.body.iter().map(|message| message.payload.len());
    let size = 512 + 64 * content.body.len() + payloads.sum::<usize>();
    let mut writer = Writer::with_capacity(size);
    let optional = [
        content.prev.is_some(),
        content.skip.is_some(),
        content.time.is_some(),
    ];
    writer.map(3 + optional.into_iter().filter(|there| *there).count());
    writer.text("seq").uint(content.seq);
    writer.text("body").list(content.body.len());
    for each in &content.body {
        message(each, &mut writer);
    }
    optional_link("prev", content.prev.as_ref(), &mut writer);
    writer.text("refs").list(content.refs.len());
    for link in &content.refs {
        writer.link(checked(link));
    }
    optional_link("skip", content.skip.as_ref(), &mut writer);
    if let Some(time) = content.time {
        writer.text("time").uint(time);
    }
    writer.finish()
}

fn optional_link(key: &str, link: Option<&Cid>, writer: &mut Writer) {
    if let Some(link) = link {
        writer.text(key).link(checked(link));
    }
}

/// The digest of a link. `Content::check` has refused those that have none.
fn checked(link: &Cid) -> Digest {
    digest_of(link).unwrap_or_default()
}

fn message(message: &Message, writer: &mut Writer) {
    writer
        .map(4)
        .text("type")
        .text(&message.kind)
        .text("domain")
        .text(&message.domain)
        .text("status")
        .text(&message.status)
        .text("payload")
        .bytes(&message.payload);
}

/// The bytes of a list of messages.
pub(crate) fn write_messages(messages: &[Message]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.list(messages.len());
    for each in messages {
        message(each, &mut writer);
    }
    writer.finish()
}

/// Reads a list of messages that is all of `bytes`.
pub(crate) fn read_messages(bytes: &[u8]) -> Result<Vec<Message>, CborError> {
    let mut reader = Reader::new(bytes);
    let messages = read_body(&mut reader)?;
    reader.end().map(|()| messages)
}

fn read_body(reader: &mut Reader<'_>) -> Result<Vec<Message>, CborError> {
    let count = reader.list(MAX_BODY_MESSAGES, MIN_MESSAGE_BYTES)?;
    let mut body = Vec::with_capacity(count);
    for _ in 0..count {
        body.push(read_message(reader)?);
    }
    Ok(body)
}

/// The bytes of a node.
pub(super) fn node(content: &[u8], signature: &[u8; SIGNATURE_BYTES]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(content.len() + SIGNATURE_BYTES + 24);
    writer.map(2).text("content").raw(content);
    writer.text("signature").bytes(signature);
    writer.finish()
}

/// Reads a node.
pub(super) fn read(bytes: &[u8]) -> Result<Read<'_>, CborError> {
    let mut reader = Reader::new(bytes);
    let mut fields = reader.map()?;
    fields.key(&mut reader, "content")?;
    let from = reader.at();
    let content = read_content(&mut reader)?;
    let encoded = reader.since(from);
    fields.key(&mut reader, "signature")?;
    let signature = reader.bytes(SIGNATURE_BYTES)?;
    fields.end(&reader)?;
    reader.end()?;
    Ok(Read {
        content,
        encoded,
        signature,
    })
}

/// Reads a content. DAG-CBOR sorts the keys of a map by length, then by bytes; a key out of order is an error, so each
/// content has one encoding.
fn read_content(reader: &mut Reader<'_>) -> Result<Content, CborError> {
    let mut fields = reader.map()?;
    fields.key(reader, "seq")?;
    let seq = reader.uint()?;
    fields.key(reader, "body")?;
    let body = read_body(reader)?;
    let prev = match fields.has(reader, "prev") {
        true => Some(node_cid(reader.link()?)),
        false => None,
    };
    fields.key(reader, "refs")?;
    let count = reader.list(MAX_REFS, LINK_BYTES)?;
    let mut refs = Vec::with_capacity(count);
    for _ in 0..count {
        refs.push(node_cid(reader.link()?));
    }
    let skip = match fields.has(reader, "skip") {
        true => Some(node_cid(reader.link()?)),
        false => None,
    };
    let time = match fields.has(reader, "time") {
        true => Some(reader.uint()?),
        false => None,
    };
    fields.end(reader)?;
    Ok(Content {
        body,
        prev,
        refs,
        seq,
        skip,
        time,
    })
}

fn read_message(reader: &mut Reader<'_>) -> Result<Message, CborError> {
    let mut fields = reader.map()?;
    fields.key(reader, "type")?;
    let kind = reader.text(MAX_NODE_BYTES)?.to_owned();
    fields.key(reader, "domain")?;
    let domain = reader.text(MAX_NODE_BYTES)?.to_owned();
    fields.key(reader, "status")?;
    let status = reader.text(MAX_NODE_BYTES)?.to_owned();
    fields.key(reader, "payload")?;
    let payload = reader.bytes(MAX_NODE_BYTES)?.to_vec().into();
    fields.end(reader)?;
    Ok(Message {
        domain,
        payload,
        status,
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Serialize;

    #[derive(Serialize)]
    struct Serialised {
        content: Content,
        #[serde(with = "serde_bytes")]
        signature: Vec<u8>,
    }

    fn messages() -> impl Strategy<Value = Vec<Message>> {
        let one = (".{0,9}", ".{0,9}", ".{0,9}", any::<Vec<u8>>());
        let message = one.prop_map(|(domain, kind, status, payload)| Message {
            domain,
            payload: payload.into(),
            status,
            kind,
        });
        proptest::collection::vec(message, 0..5)
    }

    fn link() -> impl Strategy<Value = Cid> {
        any::<[u8; 32]>().prop_map(|digest| node_cid(Digest(digest)))
    }

    proptest! {
        /// The widely used library writes the same bytes, and what it writes is read.
        #[test]
        fn nodes_are_as_others_write_them(
            body in messages(),
            prev in proptest::option::of(link()),
            skip in proptest::option::of(link()),
            refs in proptest::collection::vec(link(), 0..4),
            seq: u64,
            time: Option<u64>,
            signature in proptest::collection::vec(any::<u8>(), 65),
        ) {
            let content = Content { body, prev, refs, seq, skip, time };
            let ours = node(&super::content(&content), signature.as_slice().try_into().unwrap());
            let theirs = Serialised { content: content.clone(), signature: signature.clone() };
            let theirs = serde_ipld_dagcbor::to_vec(&theirs).unwrap();
            prop_assert_eq!(&ours, &theirs);
            let read = read(&theirs).unwrap();
            prop_assert_eq!(&read.content, &content);
            prop_assert_eq!(read.signature, &signature);
            prop_assert_eq!(read.encoded, &super::content(&content));
        }
    }

    #[test]
    fn the_shortest_message_has_as_many_bytes_as_is_assumed() {
        let mut writer = Writer::default();
        let empty = Message {
            domain: String::new(),
            payload: Vec::new().into(),
            status: String::new(),
            kind: String::new(),
        };
        message(&empty, &mut writer);
        assert_eq!(writer.len(), MIN_MESSAGE_BYTES);
    }
}
