//! What a ring node lists: entries (results, failures, decisions) and heads, in the bytes that the Merkle trees cover.
//!
//! An [`Entry`] is a canonical DAG-CBOR list that begins with its kind: `[0, request, inputs, [output, …]]` is a result,
//! `[1, request, inputs, failure]` a program's failure, and `[2, slot, choice]` a decision. A [`Head`] is
//! `[member, head]`. The result of a gate is listed too: in the place of the request stands its address behind 12 zero
//! bytes. Both are listed in ascending order of their bytes, each once.

use crate::{
    cbor::{CborError, Reader, Writer},
    gate::{Computation, FAILURE_PIN},
    message::{MessageError, Outputs, MAX_OUTPUTS},
    Address, Digest,
};

/// Bytes of a byte string of 32 in DAG-CBOR.
const DIGEST_BYTES: usize = 34;
/// Bytes of the shortest entry, a decision.
pub const MIN_ENTRY_BYTES: usize = 2 + 2 * DIGEST_BYTES;
/// Bytes of every head.
pub const HEAD_BYTES: usize = 1 + 21 + DIGEST_BYTES;

/// Zero bytes before the address of a gate.
const GATE_ZEROS: usize = 12;
const RESULT: u64 = 0;
const FAILURE: u64 = 1;
const DECISION: u64 = 2;

/// What a request gave: data on each output pin, from 0 on, or the record of the program's failure.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The program ended well. 1 to [`MAX_OUTPUTS`] digests of data.
    Outputs(Vec<Digest>),
    /// The program failed: the digest of the failure record.
    Failure(Digest),
}

/// A line of a ring node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// What two thirds found that a request gives.
    Result {
        /// The request's digest.
        request: Digest,
        /// The hash of what its inputs resolved to: [`crate::gate::inputs_hash`] of those that are outputs of others.
        inputs: Digest,
        /// What it gave.
        outcome: Outcome,
    },
    /// What the ring decided where it depends on order or absence. The first ring node that lists a slot decides.
    Decision {
        /// What was to be decided.
        slot: Digest,
        /// What was chosen.
        choice: Digest,
    },
}

/// What a ring node may list only once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A request.
    Request(Digest),
    /// A slot.
    Slot(Digest),
}

/// Where a ring node moves the head of a member's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Head {
    /// The member.
    pub member: Address,
    /// The digest of the node that is the head now.
    pub head: Digest,
}

impl Outcome {
    /// From the outputs of a vote.
    ///
    /// # Errors
    /// [`MessageError::Outputs`] when the pins are neither 0, 1, 2, … nor the failure pin alone.
    pub fn of(outputs: &Outputs) -> Result<Self, MessageError> {
        let (pins, cids) = (outputs.pins(), outputs.cids());
        match (pins.as_slice(), cids.as_slice()) {
            ([FAILURE_PIN], [record]) => Ok(Self::Failure(*record)),
            (pins, _) if pins.iter().copied().eq(0..pins.len() as u128) => Ok(Self::Outputs(cids)),
            _ => Err(MessageError::Outputs),
        }
    }

    /// As the outputs of a gate would be.
    ///
    /// # Errors
    /// [`MessageError::Outputs`] for no output or too many.
    pub fn to_outputs(&self) -> Result<Outputs, MessageError> {
        match self {
            Self::Outputs(cids) => Outputs::new(
                cids.iter()
                    .enumerate()
                    .map(|(pin, cid)| (pin as u128, *cid)),
            ),
            Self::Failure(record) => Outputs::new([(FAILURE_PIN, *record)]),
        }
    }

    /// The data on an output pin; `None` when there is no such pin, or when the program failed.
    pub fn output(&self, pin: u32) -> Option<Digest> {
        match self {
            Self::Outputs(cids) => cids.get(usize::try_from(pin).ok()?).copied(),
            Self::Failure(_) => None,
        }
    }

    /// Writes it as the third and fourth part of an entry would be: the list of outputs, or the failure record.
    pub(crate) fn write(&self, writer: &mut Writer) {
        match self {
            Self::Outputs(cids) => {
                writer.list(cids.len());
                for cid in cids {
                    writer.bytes(&cid.0);
                }
            }
            Self::Failure(record) => {
                writer.bytes(&record.0);
            }
        }
    }

    /// Reads what [`Outcome::write`] writes for one that ended well.
    pub(crate) fn read_outputs(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let at = reader.at();
        let count = reader.list(MAX_OUTPUTS, DIGEST_BYTES)?;
        if count == 0 {
            return Err(CborError::Type {
                at,
                expected: "a list that is not empty",
            });
        }
        let mut cids = Vec::with_capacity(count);
        for _ in 0..count {
            cids.push(reader.digest()?);
        }
        Ok(Self::Outputs(cids))
    }
}

/// The name of a gate where a request's digest stands: 12 zero bytes and its address. No request has such a digest.
pub fn gate_subject(gate: Address) -> Digest {
    let mut subject = [0; 32];
    subject[GATE_ZEROS..].copy_from_slice(&gate.0);
    Digest(subject)
}

/// The gate that is named so; nothing for the digest of a request.
pub fn gate_of_subject(subject: Digest) -> Option<Address> {
    let (zeros, gate) = subject.0.split_at(GATE_ZEROS);
    let gate = gate.try_into().ok()?;
    zeros.iter().all(|byte| *byte == 0).then_some(Address(gate))
}

impl Entry {
    /// The entry of a gate's result, which the ring has registered on chain.
    ///
    /// # Errors
    /// [`MessageError::Outputs`] when the pins are neither 0, 1, 2, … nor the failure pin alone.
    pub fn of_gate(computation: Computation, outputs: &Outputs) -> Result<Self, MessageError> {
        Ok(Self::Result {
            request: gate_subject(computation.gate),
            inputs: computation.inputs,
            outcome: Outcome::of(outputs)?,
        })
    }

    /// What must not be listed a second time.
    pub fn subject(&self) -> Subject {
        match self {
            Self::Result { request, .. } => Subject::Request(*request),
            Self::Decision { slot, .. } => Subject::Slot(*slot),
        }
    }

    /// The bytes that stand in a page, and that a proof is about.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(128);
        match self {
            Self::Result {
                request,
                inputs,
                outcome,
            } => {
                let kind = match outcome {
                    Outcome::Outputs(_) => RESULT,
                    Outcome::Failure(_) => FAILURE,
                };
                writer.list(4).uint(kind).bytes(&request.0).bytes(&inputs.0);
                outcome.write(&mut writer);
            }
            Self::Decision { slot, choice } => {
                writer
                    .list(3)
                    .uint(DECISION)
                    .bytes(&slot.0)
                    .bytes(&choice.0);
            }
        }
        writer.finish()
    }

    /// Reads an entry that is all of `bytes`.
    ///
    /// # Errors
    /// [`CborError`] for anything but the canonical bytes of an entry.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes);
        let entry = Self::read(&mut reader)?;
        reader.end().map(|()| entry)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let at = reader.at();
        let parts = reader.list(4, 1)?;
        match (reader.uint()?, parts) {
            (kind @ (RESULT | FAILURE), 4) => Ok(Self::Result {
                request: reader.digest()?,
                inputs: reader.digest()?,
                outcome: match kind {
                    RESULT => Outcome::read_outputs(reader)?,
                    _ => Outcome::Failure(reader.digest()?),
                },
            }),
            (DECISION, 3) => Ok(Self::Decision {
                slot: reader.digest()?,
                choice: reader.digest()?,
            }),
            _ => Err(CborError::Type {
                at,
                expected: "an entry of a known kind",
            }),
        }
    }
}

impl Head {
    /// The bytes that stand in a page.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(HEAD_BYTES);
        writer.list(2).bytes(&self.member.0).bytes(&self.head.0);
        writer.finish()
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        reader.tuple(2)?;
        Ok(Self {
            member: reader.fixed().map(Address)?,
            head: reader.digest()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest(n: u8) -> Digest {
        Digest([n; 32])
    }

    pub fn result(request: u8, outputs: usize) -> Entry {
        Entry::Result {
            request: digest(request),
            inputs: digest(2),
            outcome: Outcome::Outputs((0..outputs).map(|n| digest(n as u8)).collect()),
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_table() {
        let decision = Entry::Decision {
            slot: digest(1),
            choice: digest(2),
        };
        let expected = format!("83025820{}5820{}", "01".repeat(32), "02".repeat(32));
        assert_eq!(hex::encode(decision.to_bytes()), expected);
        assert_eq!(decision.to_bytes().len(), MIN_ENTRY_BYTES);
        let expected = format!(
            "84005820{}5820{}815820{}",
            "01".repeat(32),
            "02".repeat(32),
            "00".repeat(32)
        );
        assert_eq!(hex::encode(result(1, 1).to_bytes()), expected);
        let head = Head {
            member: Address([9; 20]),
            head: digest(1),
        };
        assert_eq!(head.to_bytes().len(), HEAD_BYTES);
    }

    #[test]
    fn outcomes_and_outputs_are_the_same_thing() {
        let outcomes = [
            Outcome::Outputs(vec![digest(1), digest(2)]),
            Outcome::Failure(digest(3)),
        ];
        for outcome in outcomes {
            assert_eq!(
                Outcome::of(&outcome.to_outputs().unwrap()).unwrap(),
                outcome
            );
        }
        let gap = Outputs::new([(0, digest(1)), (2, digest(1))]).unwrap();
        assert!(Outcome::of(&gap).is_err());
        assert!(Outcome::Outputs(vec![]).to_outputs().is_err());
    }

    #[test]
    fn gates_and_requests_have_different_names() {
        let gate = Address([7; 20]);
        assert_eq!(gate_of_subject(gate_subject(gate)), Some(gate));
        assert_eq!(gate_of_subject(crate::cids::sha256(b"a request")), None);
        let outputs = Outputs::new([(0, digest(5))]).unwrap();
        let inputs = digest(2);
        let entry = Entry::of_gate(Computation { gate, inputs }, &outputs).unwrap();
        assert_eq!(entry.subject(), Subject::Request(gate_subject(gate)));
        assert_eq!(Entry::from_bytes(&entry.to_bytes()), Ok(entry));
    }

    #[test]
    fn other_kinds_and_lengths_are_refused() {
        let good = result(1, 2).to_bytes();
        for (at, byte) in [(0, 0x83), (0, 0x85), (1, 3), (1, 2), (1, 1), (70, 0x80)] {
            let mut bytes = good.clone();
            bytes[at] = byte;
            assert!(Entry::from_bytes(&bytes).is_err(), "{byte:#x} at {at}");
        }
        assert!(Entry::from_bytes(&[good, vec![0]].concat()).is_err());
        assert!(Entry::from_bytes(&result(1, MAX_OUTPUTS + 1).to_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn an_entry_survives_its_bytes(request: u8, outputs in 1usize..9, failed: bool) {
            let entry = match failed {
                false => result(request, outputs),
                true => Entry::Result { request: digest(request), inputs: digest(2), outcome: Outcome::Failure(digest(4)) },
            };
            prop_assert_eq!(Entry::from_bytes(&entry.to_bytes()).unwrap(), entry);
        }
    }
}
