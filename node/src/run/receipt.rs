//! The receipt of `rings run`: what is known about a result, for programs.
//!
//! The JSON form is part of the interface: its names and its version only change on purpose. A [`Receipt`] is filled
//! while a run goes on and written also when it fails: without a quorum it names the votes and the silent members. What
//! is not known is `null`.

use super::{
    content::{check_place, is_standard},
    declined::Declined,
};
use crate::{exit::ExitError, out::Out};
use cid::Cid;
use rings_api::{
    views::{GateView, RequestVoteView, VoteView},
    Pin,
};
use rings_protocol::{operation::FailureRecord, Address, Digest};
use serde::{Serialize, Serializer};
use std::{path::Path, time::Instant};

/// The file that `--receipt` names.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Version of this form.
    pub version: u32,
    /// Chain id.
    pub chain_id: u64,
    /// The engine's contract.
    pub engine: Address,
    /// The scope's contract.
    pub scope: Address,
    /// The ring's contract.
    pub ring: Address,
    /// What was asked, and where its result is: by the gate, or by the request and the ring node.
    #[serde(flatten)]
    pub registered: Registered,
    /// Epoch of the signatures.
    pub epoch: u64,
    /// What was computed.
    pub operation: OperationPart,
    /// The state that it began with, if it has one: its CID, or the gate whose next state it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The inputs.
    #[serde(serialize_with = "texts")]
    pub inputs: Vec<Cid>,
    /// The outputs; none when the program failed.
    pub outputs: Vec<OutputPart>,
    /// Why the program failed.
    pub failure: Option<FailurePart>,
    /// Units of fuel that the runs used, as the signers say; `null` when no member that was asked knows.
    pub fuel: Option<u64>,
    /// Who signed the result.
    pub signers: Vec<Address>,
    /// Signatures needed.
    pub quorum: u64,
    /// Number of members.
    pub members: usize,
    /// Votes seen, when there was no quorum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub votes: Option<Votes>,
    /// Members without a vote, when there was no quorum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent: Option<Vec<Address>>,
    /// Members that have declined the gate, with their reasons, when there was no quorum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declined: Option<Vec<Declined>>,
    /// How long each part took.
    pub milliseconds: Milliseconds,
}

/// What was asked, and where its result is.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Registered {
    /// A gate.
    Gate(OnGate),
    /// A request without a gate.
    Request(InRingNode),
}

/// A gate, and the transaction that registered its result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OnGate {
    /// The gate.
    pub gate: Address,
    /// Transaction that registered the result.
    pub transaction: Option<Digest>,
    /// Its block.
    pub block: Option<u64>,
    /// Gas that it used.
    pub gas_used: Option<u64>,
}

/// A request, and the ring node that lists its result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InRingNode {
    /// The digest of the request.
    pub request: Digest,
    /// The ring node.
    #[serde(serialize_with = "text_or_null")]
    pub ring_node: Option<Cid>,
    /// The transaction that registered the ring node, as the members say.
    pub ring_node_transaction: Option<Digest>,
    /// Whether the ring node is on chain. Otherwise two thirds have voted, or not even that.
    #[serde(rename = "final")]
    pub is_final: bool,
}

/// Votes, as the members tell of them.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Votes {
    /// On a gate.
    Gate(Vec<VoteView>),
    /// On a request.
    Request(Vec<RequestVoteView>),
}

/// The operation.
#[derive(Debug, Serialize)]
pub struct OperationPart {
    /// Its own CID.
    #[serde(serialize_with = "text")]
    pub cid: Cid,
    /// The CID of the program.
    #[serde(serialize_with = "text")]
    pub program: Cid,
}

/// One output.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputPart {
    /// The output pin.
    pub pin: Pin,
    /// The token on it.
    pub token_id: Digest,
    /// The data.
    #[serde(serialize_with = "text")]
    pub cid: Cid,
    /// Its length.
    pub bytes: u64,
}

/// Why the program failed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailurePart {
    /// The record.
    #[serde(serialize_with = "text")]
    pub cid: Cid,
    /// Its token, on the failure pin.
    pub token_id: Digest,
    /// What it says.
    #[serde(flatten)]
    pub words: FailureWords,
}

/// What the record of a failure says.
#[derive(Debug, Serialize)]
pub struct FailureWords {
    /// `exit`, `trap`, `fuel`, `memory` or `input`.
    pub reason: rings_protocol::operation::Reason,
    /// The exit status.
    pub code: Option<u32>,
    /// The trap's name.
    pub trap: Option<String>,
    /// Which input, in mode `each`.
    pub input: Option<u64>,
    /// The end of standard error; what is not text in it is replaced.
    pub stderr: String,
}

impl FailurePart {
    /// From the record in the store.
    pub fn new(cid: Cid, token_id: Digest, record: &FailureRecord) -> Self {
        Self {
            cid,
            token_id,
            words: FailureWords::new(record),
        }
    }
}

impl FailureWords {
    /// From a record.
    pub fn new(record: &FailureRecord) -> Self {
        Self {
            reason: record.reason,
            code: record.code,
            trap: record.trap.clone(),
            input: record.input,
            stderr: String::from_utf8_lossy(&record.stderr).into_owned(),
        }
    }
}

/// How long each part took; `null` for what was not done or is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Milliseconds {
    /// Putting files into a member's store.
    pub store: Option<u64>,
    /// Declaring the data and making the gate.
    pub create: Option<u64>,
    /// From ready to the vote of the member that was asked.
    pub compute: Option<u64>,
    /// From that vote to two thirds.
    pub quorum: Option<u64>,
    /// From two thirds to the registration.
    pub register: Option<u64>,
    /// All of it.
    pub total: u64,
}

impl Milliseconds {
    /// Takes over what a member has measured.
    pub fn of_member(&mut self, view: &GateView) {
        let times = view.milliseconds;
        self.compute = times.compute;
        self.quorum = times.quorum;
        self.register = times.register;
    }

    /// Whether a member has measured all that it can.
    pub fn are_known(&self) -> bool {
        self.compute.is_some() && self.quorum.is_some() && self.register.is_some()
    }
}

/// Checks that a receipt can be written there, before anything is done.
///
/// # Errors
/// Status 2 when it cannot.
pub fn check(path: &Path) -> Result<(), ExitError> {
    check_place(path).map_err(|error| unwritten(path).because(error))
}

/// Writes a receipt into a file, as one line of JSON; `-` is standard output.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, receipt: &impl Serialize, out: Out) -> Result<(), ExitError> {
    if is_standard(path) {
        return out.json(receipt);
    }
    let text = serde_json::to_string(receipt)
        .map_err(|error| ExitError::internal("the receipt cannot be written").because(error))?;
    std::fs::write(path, text + "\n").map_err(|error| unwritten(path).because(error))
}

fn unwritten(path: &Path) -> ExitError {
    ExitError::usage(format!(
        "cannot write the receipt {}; name another file",
        path.display()
    ))
}

/// A CID as text.
pub fn text<S: Serializer>(cid: &Cid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(cid)
}

/// A CID as text, or `null`.
pub fn text_or_null<S: Serializer>(cid: &Option<Cid>, serializer: S) -> Result<S::Ok, S::Error> {
    match cid {
        Some(cid) => serializer.collect_str(cid),
        None => serializer.serialize_none(),
    }
}

/// CIDs as text.
pub fn texts<S: Serializer>(cids: &[Cid], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(cids.iter().map(ToString::to_string))
}

/// Whole milliseconds since a moment.
pub fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::{cids::data_cid, operation::Reason};

    fn receipt(cid: Cid, registered: Registered) -> Receipt {
        Receipt {
            version: 1,
            chain_id: 31337,
            engine: Address([1; 20]),
            scope: Address([2; 20]),
            ring: Address([3; 20]),
            registered,
            epoch: 1,
            operation: OperationPart { cid, program: cid },
            state: None,
            inputs: vec![cid],
            outputs: vec![OutputPart {
                pin: Pin(0),
                token_id: Digest([6; 32]),
                cid,
                bytes: 123,
            }],
            failure: None,
            fuel: Some(4321),
            signers: vec![Address([5; 20])],
            quorum: 4,
            members: 5,
            votes: None,
            silent: None,
            declined: None,
            milliseconds: Milliseconds {
                store: Some(3),
                create: Some(8),
                compute: Some(11),
                quorum: Some(9),
                register: Some(8),
                total: 39,
            },
        }
    }

    #[test]
    fn it_has_the_form_of_the_interface() {
        let cid = data_cid(Digest([7; 32]));
        let gate = Registered::Gate(OnGate {
            gate: Address([4; 20]),
            transaction: Some(Digest([8; 32])),
            block: Some(12),
            gas_used: Some(181_234),
        });
        let json = serde_json::to_value(receipt(cid, gate)).unwrap();
        let expected = serde_json::json!({
            "version": 1, "chainId": 31337, "engine": Address([1; 20]), "scope": Address([2; 20]),
            "ring": Address([3; 20]), "gate": Address([4; 20]), "epoch": 1,
            "operation": {"cid": cid.to_string(), "program": cid.to_string()}, "inputs": [cid.to_string()],
            "outputs": [{"pin": 0, "tokenId": Digest([6; 32]), "cid": cid.to_string(), "bytes": 123}],
            "failure": null, "fuel": 4321, "signers": [Address([5; 20])], "quorum": 4, "members": 5,
            "transaction": Digest([8; 32]), "block": 12, "gasUsed": 181234,
            "milliseconds": {"store": 3, "create": 8, "compute": 11, "quorum": 9, "register": 8, "total": 39}
        });
        assert_eq!(json, expected);

        // Without a gate, four names stand in the place of those four.
        let request = Registered::Request(InRingNode {
            request: Digest([9; 32]),
            ring_node: Some(cid),
            ring_node_transaction: Some(Digest([8; 32])),
            is_final: true,
        });
        let json = serde_json::to_value(receipt(cid, request)).unwrap();
        let mut expected = expected;
        let names = expected.as_object_mut().unwrap();
        for name in ["gate", "transaction", "block", "gasUsed"] {
            names.remove(name).unwrap();
        }
        names.insert("request".into(), serde_json::json!(Digest([9; 32])));
        names.insert("ringNode".into(), cid.to_string().into());
        names.insert(
            "ringNodeTransaction".into(),
            serde_json::json!(Digest([8; 32])),
        );
        names.insert("final".into(), true.into());
        assert_eq!(json, expected);
    }

    #[test]
    fn a_failure_says_why() {
        let record = FailureRecord {
            code: Some(3),
            input: None,
            reason: Reason::Exit,
            stderr: b"no\xff".to_vec(),
            trap: None,
        };
        let cid = data_cid(Digest([7; 32]));
        let part = FailurePart::new(cid, Digest([6; 32]), &record);
        let json = serde_json::to_value(part).unwrap();
        assert_eq!(json["reason"], "exit");
        assert_eq!(json["code"], 3);
        assert_eq!(json["stderr"], "no\u{fffd}");
    }
}
