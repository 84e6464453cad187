//! What a node that waits for one more event gets: the event, or that it has not come in time.
//!
//! Members see events and blocks in any order, so none of them can tell by itself which came first. Each says what it would choose,
//! the event's name or that of [`expired`], for the slot of the execution ([`slot`]), and the first ring node that lists the slot
//! decides. A choice is the digest of a document, and that document is the result of the execution.
//!
//! Which executions an event is for is found without going through all of them: an event has a [`source`], and with the fields by
//! which an execution tells its event from others it has a [`key`].

use crate::{
    data::{Data, Fields},
    document::{cid_of, Document},
    event::Event,
    execution::{Answer, Execution},
    plan::EXPIRED,
};
use cid::Cid;
use rings_protocol::{
    assembly::Choice,
    cids::{digest_of, sha256},
    Digest,
};
use std::collections::BTreeSet;

/// The result of an execution whose event has not come in time.
pub fn expired() -> Vec<u8> {
    let answer = Answer {
        outputs: Fields::new(),
        status: EXPIRED.into(),
    };
    // A document of two fields is never too long.
    answer.to_bytes().unwrap_or_default()
}

/// The slot in which the ring decides what an execution that waits gets.
pub fn slot(execution: &Cid) -> Digest {
    const KIND: &[u8] = b"rings wait";
    sha256(&[KIND, &execution.to_bytes()].concat())
}

/// What a member chooses that wants this document to be the result.
pub fn choice(execution: &Cid, result: &[u8]) -> Choice {
    Choice {
        slot: slot(execution),
        choice: digest_of(&cid_of(result)).unwrap_or_default(),
    }
}

/// Events of one name in one instance.
pub fn source(instance: Digest, event: &str) -> Digest {
    const KIND: &[u8] = b"rings awaited events";
    sha256(&[KIND, &instance.0, event.as_bytes()].concat())
}

/// What an execution waits for: events of a source with these fields.
pub fn key(source: Digest, fields: &Fields) -> Digest {
    const KIND: &[u8] = b"rings awaited fields";
    let fields = Data::Map(fields.clone()).to_json().to_string();
    sha256(&[KIND, &source.0, fields.as_bytes()].concat())
}

/// The fields by which an execution tells its event from others.
pub fn form(execution: &Execution) -> BTreeSet<String> {
    execution.inputs.keys().cloned().collect()
}

/// The key of an event for those that look at these fields; nothing if it does not have them.
pub fn key_of(source: Digest, event: &Event, form: &BTreeSet<String>) -> Option<Digest> {
    let fields = form.iter().map(|field| {
        let value = event.data.get(field)?;
        Some((field.clone(), value.clone()))
    });
    fields
        .collect::<Option<Fields>>()
        .map(|fields| key(source, &fields))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Source, VERSION};

    #[test]
    fn an_event_has_the_key_of_who_waits_for_its_fields() {
        let event = Event {
            data: Fields::from([
                ("order".to_owned(), 7.into()),
                ("cents".to_owned(), 100.into()),
            ]),
            event: "paid".into(),
            instance: Some(Digest([1; 32])),
            process: None,
            service: Some(cid_of(b"service")),
            source: Source::Hand { nonce: 0 },
            version: VERSION,
        };
        let paid = source(Digest([1; 32]), "paid");
        let order = Fields::from([("order".to_owned(), 7.into())]);
        let form = |fields: &Fields| fields.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(key_of(paid, &event, &form(&order)), Some(key(paid, &order)));
        let other = Fields::from([("order".to_owned(), 8.into())]);
        assert_ne!(key_of(paid, &event, &form(&other)), Some(key(paid, &other)));
        // Without fields, each event of the source is one.
        assert_eq!(
            key_of(paid, &event, &BTreeSet::new()),
            Some(key(paid, &Fields::new()))
        );
        let missing = BTreeSet::from(["driver".to_owned()]);
        assert_eq!(key_of(paid, &event, &missing), None);
        assert_ne!(paid, source(Digest([2; 32]), "paid"));
        assert_ne!(paid, source(Digest([1; 32]), "pai"));
    }

    #[test]
    fn event_and_deadline_compete_for_one_slot() {
        let execution = cid_of(b"execution");
        let (came, late) = (choice(&execution, b"event"), choice(&execution, &expired()));
        assert_eq!(came.slot, late.slot);
        assert_ne!(came.choice, late.choice);
        assert_ne!(slot(&execution), slot(&cid_of(b"other")));
        assert_eq!(expired(), br#"{"outputs":{},"status":"expired"}"#);
    }
}
