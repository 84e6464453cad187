//! The messages by which a ring node is proposed and endorsed in members' logs.
//!
//! A [`Proposal`] has the header of a ring node and the heads that the contract has now for the members whose heads move:
//! these are in what is signed ([`Domain::ring_node`](crate::eip712::Domain::ring_node)), beside the header's digest. The
//! pages are blocks of their own. An [`Endorsement`] is a member's signature. Two thirds of them make a
//! [`NodeRegistration`], as `registerRingNode` takes it.

use crate::{
    cbor::{CborError, Reader, Writer},
    cids::sha256,
    crypto::{CryptoError, Signature, Signer},
    eip712::TypedData,
    message::{Message, MessageError, DOMAIN},
    quorum::MAX_MEMBERS,
    ringlog::{Head, Header, HeaderError, MAX_HEADER_BYTES},
    Address, Digest,
};

const PROPOSAL: &str = "Proposal";
const MADE: &str = "made";
const ENDORSEMENT: &str = "Endorsement";
const GIVEN: &str = "given";

/// A ring node that a member proposes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The bytes of the header.
    pub header: Vec<u8>,
    /// For each head in the header's page, in the same order, the head that the contract has; zero for none.
    pub before: Vec<Digest>,
}

/// A member's signature of a ring node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endorsement {
    /// The digest of the header.
    pub node: Digest,
    /// What was signed: [`Domain::ring_node`](crate::eip712::Domain::ring_node).
    pub signed: Digest,
    /// The signature.
    pub signature: Signature,
}

/// Where the head of a member's log moves: the member, the head that the contract has (zero for none), and the new one.
pub type Move = (Address, Digest, Digest);

/// A ring node that enough members have endorsed, as `IRing.registerRingNode` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRegistration {
    /// Its number.
    pub number: u64,
    /// The digest of the header.
    pub node: Digest,
    /// The heads that move, in ascending order of the members.
    pub moves: Vec<Move>,
    /// The endorsements, in ascending order of their signers: as many as are needed.
    pub signatures: Vec<(Address, Signature)>,
}

impl Proposal {
    /// The digest of the header.
    pub fn node(&self) -> Digest {
        sha256(&self.header)
    }

    /// The header.
    ///
    /// # Errors
    /// [`HeaderError`] when it is malformed.
    pub fn header(&self) -> Result<Header, HeaderError> {
        Header::from_bytes(&self.header)
    }

    /// The moves of these heads; `None` when they are not as many as the proposal names.
    pub fn moves(&self, heads: &[Head]) -> Option<Vec<Move>> {
        let pairs = heads.iter().zip(&self.before);
        let moves = pairs.map(|(head, before)| (head.member, *before, head.head));
        (heads.len() == self.before.len()).then(|| moves.collect())
    }

    /// The message that carries it.
    pub fn to_message(&self) -> Message {
        let mut writer = Writer::with_capacity(self.header.len() + 34 * self.before.len() + 32);
        writer.map(2).text("before").list(self.before.len());
        for before in &self.before {
            writer.bytes(&before.0);
        }
        writer.text("header").bytes(&self.header);
        message(PROPOSAL, MADE, writer)
    }

    /// The proposal in a message, or nothing if the message is something else.
    ///
    /// # Errors
    /// [`MessageError`] when it claims to be one and is malformed.
    pub fn from_message(message: &Message) -> Result<Option<Self>, MessageError> {
        read(message, PROPOSAL, Self::read)
    }

    /// The proposal in the payload of its message.
    ///
    /// # Errors
    /// [`MessageError`] when it is malformed.
    pub fn from_payload(payload: &[u8]) -> Result<Self, MessageError> {
        read_payload(payload, PROPOSAL, Self::read)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut fields = reader.map()?;
        fields.key(reader, "before")?;
        let count = reader.list(MAX_MEMBERS, 34)?;
        let mut before = Vec::with_capacity(count);
        for _ in 0..count {
            before.push(reader.digest()?);
        }
        fields.key(reader, "header")?;
        let header = reader.bytes(MAX_HEADER_BYTES)?.to_vec();
        fields.end(reader)?;
        Ok(Self { header, before })
    }
}

impl Endorsement {
    /// Signs a ring node.
    ///
    /// # Errors
    /// [`CryptoError`] when there is no signature, or none now.
    pub fn sign(
        node: Digest,
        data: &TypedData,
        key: &(impl Signer + ?Sized),
    ) -> Result<Self, CryptoError> {
        Ok(Self {
            node,
            signed: data.digest(),
            signature: key.sign_hashed(&data.bytes())?,
        })
    }

    /// Who signed it; nothing if the signature is malformed.
    pub fn signer(&self) -> Option<Address> {
        let key = self.signature.recover(&self.signed).ok()?;
        Some(key.address())
    }

    /// The message that carries it.
    pub fn to_message(&self) -> Message {
        let mut writer = Writer::with_capacity(192);
        writer.map(3).text("node").bytes(&self.node.0);
        writer.text("signed").bytes(&self.signed.0);
        writer.text("signature").bytes(&self.signature.to_bytes());
        message(ENDORSEMENT, GIVEN, writer)
    }

    /// The endorsement in a message, or nothing if the message is something else.
    ///
    /// # Errors
    /// [`MessageError`] when it claims to be one and is malformed.
    pub fn from_message(message: &Message) -> Result<Option<Self>, MessageError> {
        read(message, ENDORSEMENT, Self::read)
    }

    /// The endorsement in the payload of its message.
    ///
    /// # Errors
    /// [`MessageError`] when it is malformed.
    pub fn from_payload(payload: &[u8]) -> Result<Self, MessageError> {
        read_payload(payload, ENDORSEMENT, Self::read)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CborError> {
        let mut fields = reader.map()?;
        fields.key(reader, "node")?;
        let node = reader.digest()?;
        fields.key(reader, "signed")?;
        let signed = reader.digest()?;
        fields.key(reader, "signature")?;
        let at = reader.at();
        let signature = read_signature(at, &reader.fixed()?)?;
        fields.end(reader)?;
        Ok(Self {
            node,
            signed,
            signature,
        })
    }
}

/// A signature in its one form: `v` is 27 or 28.
fn read_signature(at: usize, bytes: &[u8; 65]) -> Result<Signature, CborError> {
    let signature = Signature::from_slice(bytes).ok();
    let signature = signature.filter(|signature| signature.to_bytes() == *bytes);
    signature.ok_or(CborError::Type {
        at,
        expected: "a signature r ‖ s ‖ v",
    })
}

pub(super) fn message(kind: &str, status: &str, writer: Writer) -> Message {
    Message {
        domain: DOMAIN.into(),
        payload: writer.finish().into(),
        status: status.into(),
        kind: kind.into(),
    }
}

/// Reads a payload, if the message is of this kind.
pub(super) fn read<T>(
    message: &Message,
    kind: &str,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, CborError>,
) -> Result<Option<T>, MessageError> {
    if message.domain != DOMAIN || message.kind != kind {
        return Ok(None);
    }
    read_payload(&message.payload, kind, read).map(Some)
}

fn read_payload<T>(
    payload: &[u8],
    kind: &str,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, CborError>,
) -> Result<T, MessageError> {
    let mut reader = Reader::new(payload);
    let value = read(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| MessageError::Payload {
        kind: kind.into(),
        source: error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{crypto::SecretKey, eip712::Domain};

    fn endorsement(key: &SecretKey) -> Endorsement {
        let ring = Domain::new(31337, Address([9; 20]));
        let data = ring.ring_node(Digest::ZERO, Digest([1; 32]), 1, &[]);
        Endorsement::sign(Digest([1; 32]), &data, key).unwrap()
    }

    #[test]
    fn both_survive_their_messages() {
        let key = SecretKey::from_bytes(&[5; 32]).unwrap();
        let proposal = Proposal {
            header: vec![1, 2, 3],
            before: vec![Digest::ZERO, Digest([1; 32])],
        };
        let endorsement = endorsement(&key);
        assert_eq!(endorsement.signer(), Some(key.address()));
        let (one, two) = (proposal.to_message(), endorsement.to_message());
        assert_eq!(Proposal::from_payload(&one.payload).unwrap(), proposal);
        assert_eq!(
            Endorsement::from_payload(&two.payload).unwrap(),
            endorsement
        );
        Endorsement::from_payload(&one.payload).unwrap_err();
        assert_eq!(Proposal::from_message(&one).unwrap(), Some(proposal));
        assert_eq!(Endorsement::from_message(&two).unwrap(), Some(endorsement));
        assert_eq!(Proposal::from_message(&two).unwrap(), None);
        for message in [one, two] {
            for cut in 0..message.payload.len() {
                let message = Message {
                    payload: message.payload[..cut].to_vec().into(),
                    ..message.clone()
                };
                let read = Proposal::from_message(&message).map(|_| ());
                assert!(read.is_err() || Endorsement::from_message(&message).is_err());
            }
        }
    }

    #[test]
    fn the_other_form_of_v_is_refused() {
        let key = SecretKey::from_bytes(&[5; 32]).unwrap();
        let endorsement = endorsement(&key);
        let mut message = endorsement.to_message();
        let last = message.payload.len() - 1;
        message.payload[last] -= 27;
        assert!(Endorsement::from_message(&message).is_err());
    }
}
