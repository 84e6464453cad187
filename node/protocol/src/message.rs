//! What a log node's body says: messages `{domain, type, status, payload}`.
//!
//! The first [`Message`] of Rings itself is the [`Vote`] on a gate: a member's signed statement of what a computation
//! gave, with the [`Outputs`] in it. [`Vote::to_message`] and [`Vote::from_message`] go between the two; a vote has
//! exactly one encoding. Other messages of the domain `rings` stand beside what they are about: requests and votes on
//! them in [`crate::request`], proposals and endorsements in [`crate::assembly`], actions of avatars in
//! [`crate::flush`], rotations of keys in [`crate::private`]. Messages of other domains belong to applications and are
//! carried as they are.
//!
//! A vote has a signature of its own, beside that of its log node, because the contract checks it; it is over the
//! outputs in one epoch ([`Domain::outputs`]). [`Outputs::result`] leaves the epoch out: that is what the signing
//! journal holds a member to.

use crate::{
    cbor::{CborError, Reader, Writer},
    crypto::Signature,
    eip712::Domain,
    gate::Computation,
    Address, Digest,
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Most output pins that a gate may have and a vote may name: what the largest ring can register in one transaction.
pub const MAX_OUTPUTS: usize = 300;
/// Longest name of a compute profile, in bytes.
pub const MAX_PROFILE_BYTES: usize = 128;
/// Bytes of one output in a vote.
const OUTPUT_BYTES: usize = 1 + 13 + 34;
/// The domain of the messages that Rings itself defines.
pub(crate) const DOMAIN: &str = "rings";
const VOTE: &str = "Vote";
const CAST: &str = "cast";

/// One message of a log node. The payload is DAG-CBOR of a strict type for the messages of Rings, and
/// opaque bytes for those of applications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Whose message it is: `rings`, or an application's name.
    pub domain: String,
    /// The content.
    pub payload: ByteBuf,
    /// The status of what the message is about, as its domain defines it.
    pub status: String,
    /// The kind of payload within the domain.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A member's signed statement of what a computation's outputs are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vote {
    /// The epoch in which the signature counts.
    pub epoch: u64,
    /// Fuel that the program used.
    pub fuel: u64,
    /// The gate.
    pub gate: Address,
    /// Hash of what the gate's futures hold: see [`inputs_hash`](crate::gate::inputs_hash).
    pub inputs: Digest,
    /// The gate's outputs: pin and digest of the data, in ascending order of pins.
    pub outputs: Outputs,
    /// The profile that ran the program: engine and configuration.
    pub profile: String,
    /// Over [`Domain::outputs`].
    pub signature: Signature,
}

/// Outputs of a gate in ascending order of pins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Outputs(Vec<(Pin, Digest)>);

/// A pin (`uint96`) on the wire: 12 bytes, for CBOR integers end at 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Pin(u128);

impl Serialize for Pin {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0.to_be_bytes()[4..])
    }
}

impl<'de> Deserialize<'de> for Pin {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let low = serde_bytes::ByteArray::<12>::deserialize(deserializer)?;
        let mut bytes = [0; 16];
        bytes[4..].copy_from_slice(&*low);
        Ok(Self(u128::from_be_bytes(bytes)))
    }
}

/// Why a message is refused.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The payload is not what its type says.
    #[error("the payload of a {kind} message is malformed")]
    Payload {
        /// The message's type.
        kind: String,
        /// What the decoder says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Pins are missing, repeated, out of order, above `uint96` or too many.
    #[error("outputs must name 1 to {MAX_OUTPUTS} distinct pins in ascending order; split the gate if it has more")]
    Outputs,
    /// The profile's name is too long.
    #[error("the profile's name has {length} bytes; at most {MAX_PROFILE_BYTES} are accepted")]
    Profile {
        /// Its length in bytes.
        length: usize,
    },
}

impl Outputs {
    /// Outputs from pins and digests in any order.
    ///
    /// # Errors
    /// [`MessageError::Outputs`] when there is no output, there are too many, or two are for one pin.
    pub fn new(outputs: impl IntoIterator<Item = (u128, Digest)>) -> Result<Self, MessageError> {
        let mut list: Vec<_> = outputs
            .into_iter()
            .map(|(pin, cid)| (Pin(pin), cid))
            .collect();
        list.sort_unstable();
        let outputs = Self(list);
        outputs.check().map(|()| outputs)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let count = reader.list(MAX_OUTPUTS, OUTPUT_BYTES)?;
        let mut outputs = Vec::with_capacity(count);
        for _ in 0..count {
            reader.tuple(2)?;
            let mut pin = [0; 16];
            pin[4..].copy_from_slice(&reader.fixed::<12>()?);
            outputs.push((Pin(u128::from_be_bytes(pin)), reader.digest()?));
        }
        Ok(Self(outputs))
    }

    fn check(&self) -> Result<(), MessageError> {
        let ascending = self.0.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let in_range = self.0.iter().all(|(pin, _)| pin.0 < 1 << 96);
        match self.0.len() {
            1..=MAX_OUTPUTS if ascending && in_range => Ok(()),
            _ => Err(MessageError::Outputs),
        }
    }

    /// The pins.
    pub fn pins(&self) -> Vec<u128> {
        self.0.iter().map(|(pin, _)| pin.0).collect()
    }

    /// The digests of the data, in the order of the pins.
    pub fn cids(&self) -> Vec<Digest> {
        self.0.iter().map(|(_, cid)| *cid).collect()
    }

    /// Pins and digests.
    pub fn iter(&self) -> impl Iterator<Item = (u128, Digest)> + '_ {
        self.0.iter().map(|(pin, cid)| (pin.0, *cid))
    }

    /// The result, without the epoch: what a member must never contradict.
    pub fn result(&self) -> Digest {
        let mut bytes = Vec::with_capacity(48 * self.0.len());
        for (pin, cid) in self.iter() {
            bytes.extend_from_slice(&pin.to_be_bytes());
            bytes.extend_from_slice(&cid.0);
        }
        crate::cids::keccak256(&bytes)
    }
}

impl Vote {
    /// What the vote is about.
    pub fn computation(&self) -> Computation {
        Computation {
            gate: self.gate,
            inputs: self.inputs,
        }
    }

    /// Whether the vote is about `computation` and names other outputs than these.
    pub fn contradicts(&self, computation: Computation, outputs: &Outputs) -> bool {
        self.computation() == computation && self.outputs != *outputs
    }

    /// The digest that the vote's signature is over.
    pub fn digest(&self, domain: &Domain) -> Digest {
        let data = domain.outputs(
            self.computation(),
            self.epoch,
            &self.outputs.pins(),
            &self.outputs.cids(),
        );
        data.digest()
    }

    /// The account that signed the vote, or nothing if the signature is malformed.
    pub fn signer(&self, domain: &Domain) -> Option<Address> {
        let key = self.signature.recover(&self.digest(domain)).ok()?;
        Some(key.address())
    }

    /// The message that carries this vote.
    ///
    /// # Errors
    /// [`MessageError`] when the vote is out of bounds.
    pub fn to_message(&self) -> Result<Message, MessageError> {
        self.check()?;
        Ok(Message {
            domain: DOMAIN.into(),
            payload: self.encode().into(),
            status: CAST.into(),
            kind: VOTE.into(),
        })
    }

    /// The vote in a message, or nothing if the message is something else.
    ///
    /// # Errors
    /// [`MessageError`] when it claims to be a vote and is malformed.
    pub fn from_message(message: &Message) -> Result<Option<Self>, MessageError> {
        if message.domain != DOMAIN || message.kind != VOTE {
            return Ok(None);
        }
        let mut reader = Reader::new(&message.payload);
        let vote = Self::read(&mut reader).map_err(malformed)?;
        reader.end().map_err(malformed)?;
        vote.check().map(|()| Some(vote))
    }

    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(384 + 64 * self.outputs.0.len());
        writer.map(7).text("fuel").uint(self.fuel);
        writer.text("gate").bytes(&self.gate.0);
        writer.text("epoch").uint(self.epoch);
        writer.text("inputs").bytes(&self.inputs.0);
        writer.text("outputs").list(self.outputs.0.len());
        for (pin, cid) in self.outputs.iter() {
            writer.list(2).bytes(&pin.to_be_bytes()[4..]).bytes(&cid.0);
        }
        writer.text("profile").text(&self.profile).text("signature");
        let Signature { r, s, v } = self.signature;
        writer.map(3).text("r").bytes(&r).text("s").bytes(&s);
        writer.text("v").uint(v.into());
        writer.finish()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut fields = reader.map()?;
        fields.key(reader, "fuel")?;
        let fuel = reader.uint()?;
        fields.key(reader, "gate")?;
        let gate = Address(reader.fixed()?);
        fields.key(reader, "epoch")?;
        let epoch = reader.uint()?;
        fields.key(reader, "inputs")?;
        let inputs = reader.digest()?;
        fields.key(reader, "outputs")?;
        let outputs = Outputs::read(reader)?;
        fields.key(reader, "profile")?;
        let profile = reader.text(MAX_PROFILE_BYTES)?.to_owned();
        fields.key(reader, "signature")?;
        let signature = read_signature(reader)?;
        fields.end(reader)?;
        Ok(Self {
            epoch,
            fuel,
            gate,
            inputs,
            outputs,
            profile,
            signature,
        })
    }

    fn check(&self) -> Result<(), MessageError> {
        match self.profile.len() {
            0..=MAX_PROFILE_BYTES => self.outputs.check(),
            length => Err(MessageError::Profile { length }),
        }
    }
}

fn read_signature(reader: &mut Reader<'_>) -> Result<Signature, CborError> {
    let mut fields = reader.map()?;
    fields.key(reader, "r")?;
    let r = reader.fixed()?;
    fields.key(reader, "s")?;
    let s = reader.fixed()?;
    fields.key(reader, "v")?;
    let at = reader.at();
    let v = u8::try_from(reader.uint()?).map_err(|_| CborError::Type {
        at,
        expected: "a number of one byte",
    })?;
    fields.end(reader)?;
    Ok(Signature { r, s, v })
}

fn malformed(error: impl std::error::Error + Send + Sync + 'static) -> MessageError {
    MessageError::Payload {
        kind: VOTE.into(),
        source: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{crypto::SecretKey, gate::FAILURE_PIN};

    fn vote() -> Vote {
        let key = SecretKey::from_bytes(&[5; 32]).unwrap();
        let mut vote = Vote {
            epoch: 3,
            fuel: 17,
            gate: Address([9; 20]),
            inputs: Digest([8; 32]),
            outputs: Outputs::new([(FAILURE_PIN, Digest([2; 32])), (0, Digest([1; 32]))]).unwrap(),
            profile: "wasmtime 48".into(),
            signature: key.sign(&Digest([1; 32])).unwrap(),
        };
        vote.signature = key.sign(&vote.digest(&domain())).unwrap();
        vote
    }

    fn domain() -> Domain {
        Domain::new(1, Address([1; 20]))
    }

    #[test]
    fn a_vote_survives_its_message() {
        let message = vote().to_message().unwrap();
        assert_eq!(Vote::from_message(&message).unwrap(), Some(vote()));
        assert_eq!(
            vote().signer(&domain()),
            Some(SecretKey::from_bytes(&[5; 32]).unwrap().address())
        );
    }

    /// The widely used library writes the same bytes.
    #[test]
    fn a_vote_is_as_others_write_it() {
        let theirs = serde_ipld_dagcbor::to_vec(&vote()).unwrap();
        assert_eq!(vote().to_message().unwrap().payload, theirs);
    }

    #[test]
    fn other_messages_are_left_alone() {
        let chat = Message {
            domain: "chat".into(),
            payload: ByteBuf::from([1]),
            status: "new".into(),
            kind: VOTE.into(),
        };
        assert_eq!(Vote::from_message(&chat).unwrap(), None);
    }

    #[test]
    fn malformed_votes_are_errors() {
        let good = vote().to_message().unwrap();
        for cut in 0..good.payload.len() {
            let message = Message {
                payload: good.payload[..cut].to_vec().into(),
                ..good.clone()
            };
            assert!(Vote::from_message(&message).is_err(), "{cut}");
        }
        let mut long = vote();
        long.profile = "x".repeat(MAX_PROFILE_BYTES + 1);
        assert!(matches!(
            long.to_message(),
            Err(MessageError::Profile { .. })
        ));
    }

    #[test]
    fn a_vote_has_one_encoding() {
        let good = vote().to_message().unwrap();
        // The map's header with a length byte that it does not need.
        assert_eq!(good.payload[0], 0xa7);
        let long = [&[0xb8, 7], &good.payload[1..]].concat();
        let message = Message {
            payload: long.into(),
            ..good
        };
        assert!(Vote::from_message(&message).is_err());
    }

    #[test]
    fn a_vote_contradicts_only_what_it_is_about() {
        let vote = vote();
        let (same, other) = (
            vote.outputs.clone(),
            Outputs::new([(0, Digest([7; 32]))]).unwrap(),
        );
        assert!(vote.contradicts(vote.computation(), &other));
        assert!(!vote.contradicts(vote.computation(), &same));
        let elsewhere = Computation {
            inputs: Digest([1; 32]),
            ..vote.computation()
        };
        assert!(!vote.contradicts(elsewhere, &other));
    }

    #[test]
    fn outputs_are_distinct_and_ordered() {
        let d = Digest::ZERO;
        assert!(Outputs::new([]).is_err());
        assert!(Outputs::new([(1, d), (1, d)]).is_err());
        assert!(Outputs::new([(1 << 96, d)]).is_err());
        assert_eq!(Outputs::new([(2, d), (1, d)]).unwrap().pins(), [1, 2]);
        assert!(Outputs(vec![(Pin(2), d), (Pin(1), d)]).check().is_err());
    }

    #[test]
    fn the_result_depends_on_pins_and_data_only() {
        let a = Outputs::new([(0, Digest([1; 32]))]).unwrap();
        let b = Outputs::new([(1, Digest([1; 32]))]).unwrap();
        assert_ne!(a.result(), b.result());
        assert_eq!(a.result(), a.clone().result());
    }
}
