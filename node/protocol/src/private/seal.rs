//! Sealing bodies and nodes with XChaCha20-Poly1305.
//!
//! Both nonces are keyed hashes of what is sealed, so no random number can repeat one, and one plain text at one place has
//! one sealed form. The body is bound to chain, ring, author and position; the node to chain, ring and the name of its key.
//! [`open_node`] computes the nonce again and refuses any other. So nobody who has the replica key can give a node of
//! somebody else a second encoding under the same key.

use super::keys::{keyed_hash, ReadKey, ReplicaKey, Secret};
use crate::{
    cbor::{CborError, Reader, Writer},
    eip712::Domain,
    log::{read_messages, write_messages, Opening, MAX_NODE_BYTES},
    message::{Message, DOMAIN},
    Address, Digest,
};
use chacha20::{cipher::consts::U10, hchacha};
use chacha20poly1305::{
    aead::{Aead, KeyInit, Payload},
    ChaCha20Poly1305, Nonce, XChaCha20Poly1305, XNonce,
};

const SEALED: &str = "Sealed";
const NONCE_BYTES: usize = 24;
/// Bytes of the nonce from which XChaCha20 makes a key for one message.
const SUBKEY_NONCE_BYTES: usize = 16;

/// Where a body stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodePlace {
    /// Chain and ring.
    pub domain: Domain,
    /// Whose log.
    pub author: Address,
    /// The position in it.
    pub seq: u64,
}

/// Why something sealed is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealedError {
    /// Not the canonical encoding, outside or inside.
    #[error("not a sealed part of a log node in DAG-CBOR")]
    Form(#[source] CborError),
    /// It is sealed with another key.
    #[error("it is sealed with key {name}, which is not held here")]
    Key {
        /// The key's name.
        name: Digest,
    },
    /// The key does not open it here: the bytes were changed, or belong to another place.
    #[error("the key does not open it; it was changed, or comes from another place")]
    Open,
    /// It is not the one sealed form of what is in it.
    #[error("it is not the one encoding that this node has under its key")]
    Nonce,
    /// Sealing failed inside the library: the text is longer than any node.
    #[error("it could not be sealed")]
    Seal,
}

impl From<CborError> for SealedError {
    fn from(error: CborError) -> Self {
        Self::Form(error)
    }
}

/// `[name, nonce, box]`: what anybody sees.
struct Sealed<'a> {
    name: Digest,
    nonce: [u8; NONCE_BYTES],
    sealed: &'a [u8],
}

impl<'a> Sealed<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes);
        reader.tuple(3)?;
        let sealed = Self {
            name: reader.digest()?,
            nonce: reader.fixed()?,
            sealed: reader.bytes(MAX_NODE_BYTES)?,
        };
        reader.end().map(|()| sealed)
    }
}

/// Encrypts with a nonce that follows from key, place and text: the same text gives the same bytes however often it is
/// sealed, and two texts never share a nonce.
fn seal(
    name: Digest,
    (cipher_key, nonce_key): (&Secret, &Secret),
    aad: &[u8],
    msg: &[u8],
) -> Result<Vec<u8>, SealedError> {
    let nonce = nonce(nonce_key, aad, msg);
    let cipher = XChaCha20Poly1305::new(cipher_key.as_slice().into());
    let sealed = cipher.encrypt(XNonce::from_slice(&nonce), Payload { msg, aad });
    let sealed = sealed.map_err(|_| SealedError::Seal)?;
    let mut writer = Writer::with_capacity(sealed.len() + 72);
    writer.list(3).bytes(&name.0).bytes(&nonce).bytes(&sealed);
    Ok(writer.finish())
}

/// The first 24 bytes of the keyed hash of place and plain text. The place has a length of its own in its encoding, so
/// nothing can move between the two.
fn nonce(key: &Secret, aad: &[u8], msg: &[u8]) -> [u8; NONCE_BYTES] {
    let hash = keyed_hash(key, &[aad, msg].concat());
    let mut nonce = [0; NONCE_BYTES];
    nonce.copy_from_slice(&hash[..NONCE_BYTES]);
    nonce
}

/// Decrypts, and checks that the nonce is the one that follows from the text: so there is one sealed form of each text.
fn open(
    sealed: &Sealed<'_>,
    (cipher_key, nonce_key): (&Secret, &Secret),
    aad: &[u8],
) -> Result<Vec<u8>, SealedError> {
    let cipher = XChaCha20Poly1305::new(cipher_key.as_slice().into());
    let msg = sealed.sealed;
    let opened = cipher.decrypt(XNonce::from_slice(&sealed.nonce), Payload { msg, aad });
    let plain = opened.map_err(|_| SealedError::Open)?;
    match nonce(nonce_key, aad, &plain) == sealed.nonce {
        true => Ok(plain),
        false => Err(SealedError::Nonce),
    }
}

fn body_aad(place: &NodePlace) -> Vec<u8> {
    let mut writer = Writer::with_capacity(96);
    writer
        .list(5)
        .text("rings/1/body")
        .uint(place.domain.chain_id);
    writer.bytes(&place.domain.ring.0).bytes(&place.author.0);
    writer.uint(place.seq);
    writer.finish()
}

fn node_aad(domain: &Domain, name: Digest) -> Vec<u8> {
    let mut writer = Writer::with_capacity(96);
    writer.list(4).text("rings/1/node").uint(domain.chain_id);
    writer.bytes(&domain.ring.0).bytes(&name.0);
    writer.finish()
}

/// Seals the messages of a node. The one message that comes of it is the node's body.
///
/// # Errors
/// [`SealedError::Seal`] when the messages are too long.
pub fn seal_body(
    key: &ReadKey,
    place: &NodePlace,
    messages: &[Message],
) -> Result<Message, SealedError> {
    let plain = write_messages(messages);
    let keys = (&key.cipher_key(), &key.nonce_key());
    let sealed = seal(key.name(), keys, &body_aad(place), &plain)?;
    Ok(Message {
        domain: DOMAIN.into(),
        payload: sealed.into(),
        status: "sealed".into(),
        kind: SEALED.into(),
    })
}

/// The name of the read key that seals a body; nothing when the body is not sealed.
pub fn body_key(body: &[Message]) -> Option<Digest> {
    let [message] = body else { return None };
    let is_sealed = message.domain == DOMAIN && message.kind == SEALED;
    let sealed = is_sealed.then(|| Sealed::read(&message.payload).ok())?;
    sealed.map(|sealed| sealed.name)
}

/// Opens the body of a node.
///
/// # Errors
/// [`SealedError`].
pub fn open_body(
    key: &ReadKey,
    place: &NodePlace,
    body: &[Message],
) -> Result<Vec<Message>, SealedError> {
    let payload = body.first().map(|message| message.payload.as_slice());
    let sealed = Sealed::read(payload.unwrap_or_default())?;
    if sealed.name != key.name() {
        return Err(SealedError::Key { name: sealed.name });
    }
    let keys = (&key.cipher_key(), &key.nonce_key());
    let plain = open(&sealed, keys, &body_aad(place))?;
    Ok(read_messages(&plain)?)
}

/// Seals the bytes of a signed node.
///
/// # Errors
/// [`SealedError::Seal`] when they are too long.
pub fn seal_node(key: &ReplicaKey, node: &[u8]) -> Result<Vec<u8>, SealedError> {
    let keys = (&key.cipher_key(), &key.nonce_key());
    let aad = node_aad(key.domain(), key.name());
    let sealed = seal(key.name(), keys, &aad, node)?;
    match sealed.len() <= MAX_NODE_BYTES {
        true => Ok(sealed),
        false => Err(SealedError::Seal),
    }
}

/// The name of the replica key that seals a node: what anybody can read.
///
/// # Errors
/// [`SealedError::Form`] when the bytes are not a sealed node.
pub fn node_key(bytes: &[u8]) -> Result<Digest, SealedError> {
    Ok(Sealed::read(bytes)?.name)
}

/// Opens a sealed node. Returns the bytes of the signed node in it.
///
/// # Errors
/// [`SealedError`]; [`SealedError::Nonce`] for any encoding but the one that the node has under its key.
pub fn open_node(key: &ReplicaKey, bytes: &[u8]) -> Result<Vec<u8>, SealedError> {
    let sealed = Sealed::read(bytes)?;
    if sealed.name != key.name() {
        return Err(SealedError::Key { name: sealed.name });
    }
    let keys = (&key.cipher_key(), &key.nonce_key());
    open(&sealed, keys, &node_aad(key.domain(), key.name()))
}

/// The opening of a sealed node: the key that XChaCha20 makes of the replica key and the node's nonce (HChaCha20). It opens
/// this one node to whoever gets it, and says nothing of the replica key.
///
/// # Errors
/// [`SealedError`] when the node is sealed with another key.
pub fn opening_of(key: &ReplicaKey, bytes: &[u8]) -> Result<Opening, SealedError> {
    let sealed = Sealed::read(bytes)?;
    if sealed.name != key.name() {
        return Err(SealedError::Key { name: sealed.name });
    }
    let nonce = sealed.nonce[..SUBKEY_NONCE_BYTES].into();
    let subkey = hchacha::<U10>(key.cipher_key().as_slice().into(), nonce);
    Ok(Opening(subkey.into()))
}

/// Opens a sealed node by its opening, without a key. Returns the bytes of the signed node in it.
///
/// Whether the nonce is the one that follows from the node cannot be seen without the key: members check that before they
/// hold the node. What the seal holds is fixed all the same. A second opening of the same bytes would have to give the
/// beginning that every node has, which is some hundred bits.
///
/// # Errors
/// [`SealedError::Open`] when that does not open it.
pub fn open_node_by(
    opening: &Opening,
    domain: &Domain,
    bytes: &[u8],
) -> Result<Vec<u8>, SealedError> {
    let sealed = Sealed::read(bytes)?;
    let cipher = ChaCha20Poly1305::new((&opening.0).into());
    let mut nonce = Nonce::default();
    nonce[4..].copy_from_slice(&sealed.nonce[SUBKEY_NONCE_BYTES..]);
    let payload = Payload {
        msg: sealed.sealed,
        aad: &node_aad(domain, sealed.name),
    };
    cipher
        .decrypt(&nonce, payload)
        .map_err(|_| SealedError::Open)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain() -> Domain {
        Domain::new(31337, Address([7; 20]))
    }

    fn key() -> ReadKey {
        ReadKey::from_bytes([5; 32], &domain())
    }

    fn place(seq: u64) -> NodePlace {
        NodePlace {
            domain: domain(),
            author: Address([1; 20]),
            seq,
        }
    }

    fn messages(text: &str) -> Vec<Message> {
        vec![Message {
            domain: "chat".into(),
            payload: text.as_bytes().to_vec().into(),
            status: "new".into(),
            kind: "Line".into(),
        }]
    }

    #[test]
    fn a_body_opens_at_its_place_only() {
        let sealed = seal_body(&key(), &place(3), &messages("hello")).unwrap();
        let body = [sealed];
        assert_eq!(body_key(&body), Some(key().name()));
        assert_eq!(
            open_body(&key(), &place(3), &body).unwrap(),
            messages("hello")
        );
        let author = NodePlace {
            author: Address([2; 20]),
            ..place(3)
        };
        let chain = NodePlace {
            domain: Domain::new(1, Address([7; 20])),
            ..place(3)
        };
        for other in [place(4), author, chain] {
            assert_eq!(open_body(&key(), &other, &body), Err(SealedError::Open));
        }
        let stranger = ReadKey::from_bytes([6; 32], &domain());
        let refused = open_body(&stranger, &place(3), &body);
        assert_eq!(refused, Err(SealedError::Key { name: key().name() }));
    }

    #[test]
    fn no_random_number_can_repeat_a_nonce() {
        let nonce_of = |text: &str, seq: u64| {
            let sealed = seal_body(&key(), &place(seq), &messages(text)).unwrap();
            Sealed::read(&sealed.payload).unwrap().nonce
        };
        assert_eq!(nonce_of("a", 1), nonce_of("a", 1));
        assert_ne!(nonce_of("a", 1), nonce_of("b", 1));
        assert_ne!(nonce_of("a", 1), nonce_of("a", 2));
    }

    #[test]
    fn a_node_has_one_encoding_under_its_key() {
        let (replica, node) = (key().replica_key(), b"the bytes of a node".to_vec());
        let good = seal_node(&replica, &node).unwrap();
        assert_eq!(open_node(&replica, &good).unwrap(), node);
        // Somebody who has the replica key seals the same node with a nonce of its own choice.
        let nonce = [9; NONCE_BYTES];
        let cipher = XChaCha20Poly1305::new(replica.cipher_key().as_slice().into());
        let aad = node_aad(&domain(), replica.name());
        let payload = Payload {
            msg: &node,
            aad: &aad,
        };
        let sealed = cipher.encrypt(XNonce::from_slice(&nonce), payload).unwrap();
        let mut writer = Writer::default();
        writer
            .list(3)
            .bytes(&replica.name().0)
            .bytes(&nonce)
            .bytes(&sealed);
        assert_eq!(
            open_node(&replica, &writer.finish()),
            Err(SealedError::Nonce)
        );
    }

    #[test]
    fn an_opening_opens_one_node_and_no_other() {
        let replica = key().replica_key();
        let [one, other] = ["one node", "another"].map(|text| text.as_bytes().to_vec());
        let [sealed, beside] = [&one, &other].map(|node| seal_node(&replica, node).unwrap());
        let opening = opening_of(&replica, &sealed).unwrap();
        assert_eq!(open_node_by(&opening, &domain(), &sealed).unwrap(), one);
        let elsewhere = Domain::new(1, Address([7; 20]));
        for refused in [
            open_node_by(&opening, &domain(), &beside),
            open_node_by(&opening, &elsewhere, &sealed),
        ] {
            assert_eq!(refused, Err(SealedError::Open));
        }
        assert_ne!(opening, opening_of(&replica, &beside).unwrap());
        let stranger = ReadKey::from_bytes([6; 32], &domain()).replica_key();
        let name = replica.name();
        assert_eq!(
            opening_of(&stranger, &sealed),
            Err(SealedError::Key { name })
        );
        // The opening stands for the key and this part of the nonce. A block with another one has another digest.
        let at = sealed.len() - Sealed::read(&sealed).unwrap().sealed.len();
        let head = at - 3 - NONCE_BYTES..at;
        let mut parts = sealed[head.clone()].windows(NONCE_BYTES);
        let nonce = Sealed::read(&sealed).unwrap().nonce;
        let from = head.start + parts.position(|part| part == nonce).unwrap();
        for byte in (0..sealed.len()).filter(|at| !(from..from + SUBKEY_NONCE_BYTES).contains(at)) {
            for bit in 0..8 {
                let mut bytes = sealed.clone();
                bytes[byte] ^= 1 << bit;
                let opened = open_node_by(&opening, &domain(), &bytes);
                assert!(opened.is_err(), "byte {byte}");
            }
        }
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let replica = key().replica_key();
        let good = seal_node(&replica, b"the bytes of a node").unwrap();
        for bit in 0..8 * good.len() {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(open_node(&replica, &bytes).is_err(), "bit {bit}");
        }
    }
}
