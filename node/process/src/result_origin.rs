//! Events that are results of another ring: lines of a ring node that it registers on the chain.
//!
//! Two thirds of that ring have signed the ring node, the chain has its digest, and its pages are hashed again, so nothing here
//! is one member's word. Each line that lists a result is an event with the fields that `KNOWN` names.

use crate::{
    data::{Data, Fields},
    origin::confirmations,
    selection::{OriginFault, Selection},
    shape::Record,
};
use rings_protocol::{
    cids::{data_cid, keccak256},
    ringlog::{gate_of_subject, Entry, Outcome},
    Address, Digest,
};
use serde::{Deserialize, Serialize};

/// The log with which a ring registers a ring node. Its first indexed field is the digest of the ring node.
const REGISTERED: &[u8] = b"RingNodeRegistered(bytes32,bytes32,uint256)";
/// What a result says, and of which kind each field is.
const KNOWN: [(&str, &str); 6] = [
    ("failed", "boolean"),
    ("gate", "string"),
    ("number", "integer"),
    ("output", "string"),
    ("outputs", "array"),
    ("request", "string"),
];

/// Where the events of a kind come from: the results of a ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultOrigin {
    /// Blocks on top of a ring node before its results are events; [`CONFIRMATIONS`](crate::origin::CONFIRMATIONS) without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmations: Option<u64>,
    /// The ring.
    pub results: Address,
    /// A formula over `event` that is true for those that count.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub choice: Option<String>,
}

/// What reads the events of a kind from ring nodes.
#[derive(Debug)]
pub struct ResultReader {
    /// The ring.
    pub ring: Address,
    /// Blocks on top.
    pub confirmations: u64,
    fields: Vec<String>,
    selection: Selection,
}

/// The first topic of the logs with which rings register ring nodes.
pub fn registered_topic() -> Digest {
    keccak256(REGISTERED)
}

impl ResultOrigin {
    /// What reads the results, for events with these data.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn reader(&self, data: &Record) -> Result<ResultReader, OriginFault> {
        for (name, shape) in data.iter() {
            let Some((_, kind)) = KNOWN.iter().find(|(known, _)| *known == name) else {
                let known: Vec<_> = KNOWN.iter().map(|(name, _)| *name).collect();
                let what = format!(
                    "a result has no {name}, which the data name; it has {}",
                    known.join(", ")
                );
                return Err(("results", what));
            };
            if !shape.kinds().contains(kind) {
                let what =
                    format!("{name} of a result is of kind {kind}, so its shape in the data has to be {kind}");
                return Err(("results", what));
            }
        }
        Ok(ResultReader {
            ring: self.results,
            confirmations: confirmations(self.confirmations)?,
            fields: data.iter().map(|(name, _)| name.to_owned()).collect(),
            selection: Selection::new(data, self.choice.as_deref(), "results")?,
        })
    }
}

impl ResultReader {
    /// The data of the event that a line of the ring node with this number is; nothing if it is not chosen, or lists no result.
    ///
    /// # Errors
    /// Why the line is none, in words: it is left out, for everybody alike.
    pub fn read(&self, number: u64, entry: &Entry) -> Result<Option<Fields>, String> {
        let Entry::Result {
            request, outcome, ..
        } = entry
        else {
            return Ok(None);
        };
        let number = i64::try_from(number).map_err(|_| "its number is too high")?;
        let (is_failed, outputs) = match outcome {
            Outcome::Outputs(outputs) => (false, outputs.as_slice()),
            Outcome::Failure(record) => (true, std::slice::from_ref(record)),
        };
        let outputs: Vec<Data> = outputs
            .iter()
            .map(|digest| data_cid(*digest).to_string().into())
            .collect();
        let gate = gate_of_subject(*request).map(|gate| gate.to_string());
        let mut all = Fields::from([
            ("failed".into(), Data::Bool(is_failed)),
            ("gate".into(), gate.unwrap_or_default().into()),
            ("number".into(), number.into()),
            (
                "output".into(),
                outputs.first().cloned().unwrap_or_default(),
            ),
            ("outputs".into(), Data::List(outputs)),
            ("request".into(), request.to_string().into()),
        ]);
        all.retain(|name, _| self.fields.contains(name));
        self.selection.choose(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::ringlog::gate_subject;

    fn origin(choice: Option<&str>) -> ResultOrigin {
        ResultOrigin {
            confirmations: None,
            results: Address([1; 20]),
            choice: choice.map(Into::into),
        }
    }

    fn entry(request: Digest, outcome: Outcome) -> Entry {
        Entry::Result {
            request,
            inputs: Digest([2; 32]),
            outcome,
        }
    }

    #[test]
    fn each_result_of_a_ring_node_is_read_and_decisions_are_not() {
        let all = Record::of_kinds(&KNOWN);
        let reader = origin(None).reader(&all).unwrap();
        assert_eq!(reader.confirmations, crate::origin::CONFIRMATIONS);
        let gate = Address([5; 20]);
        let outputs = vec![Digest([3; 32]), Digest([4; 32])];
        let read = reader.read(7, &entry(gate_subject(gate), Outcome::Outputs(outputs)));
        let read = read.unwrap().unwrap();
        assert_eq!(read["gate"], Data::from(gate.to_string()));
        assert_eq!(read["failed"], Data::Bool(false));
        assert_eq!(read["number"], Data::from(7));
        let first = Data::from(data_cid(Digest([3; 32])).to_string());
        assert_eq!(read["output"], first);
        assert_eq!(
            read["outputs"],
            Data::List(vec![first, data_cid(Digest([4; 32])).to_string().into()])
        );
        let failure = entry(Digest([9; 32]), Outcome::Failure(Digest([3; 32])));
        let read = reader.read(7, &failure).unwrap().unwrap();
        assert_eq!(read["failed"], Data::Bool(true));
        assert_eq!(read["gate"], Data::from(""));
        assert_eq!(read["request"], Data::from(Digest([9; 32]).to_string()));
        let decision = Entry::Decision {
            slot: Digest([1; 32]),
            choice: Digest([2; 32]),
        };
        assert_eq!(reader.read(7, &decision).unwrap(), None);
        let chosen =
            origin(Some("!event.failed")).reader(&Record::of_kinds(&[("failed", "boolean")]));
        assert_eq!(chosen.unwrap().read(7, &failure).unwrap(), None);
    }

    #[test]
    fn what_does_not_fit_is_told_when_the_service_is_made() {
        for (fields, told) in [
            (&[("cents", "integer")][..], "has no cents"),
            (&[("failed", "string")], "has to be boolean"),
        ] {
            let fault = origin(None).reader(&Record::of_kinds(fields)).unwrap_err();
            assert!(fault.1.contains(told), "{fault:?}");
        }
        let far = ResultOrigin {
            confirmations: Some(1_000_000),
            ..origin(None)
        };
        assert_eq!(
            far.reader(&Record::of_kinds(&[])).unwrap_err().0,
            "confirmations"
        );
    }
}
