//! How a ring gets new keys: what a member writes into its log when it makes one, and the block with the wrapped keys.
//!
//! A member that makes a new read key wraps it for each account that it has approved, puts all of that into one block
//! ([`Wraps`]), and announces the key with a [`Rotation`] in its log. The rotation stands inside the seal of the old
//! key, so only those who could read so far learn the new key's name. The block is not sealed, because who needs it may
//! have no key yet; each wrapped key in it opens for one account only. Which of several rotations counts is decided by
//! [`super::Keyring`].

use crate::{
    cbor::{CborError, Reader, Writer},
    cids::sha256,
    message::{Message, MessageError, DOMAIN},
    quorum::MAX_MEMBERS,
    Address, Digest,
};

use super::wrap::MAX_WRAP_BYTES;

const ROTATION: &str = "Rotation";
const MADE: &str = "made";
const WRAPS: &str = "Wraps";
/// Most wrapped keys in a block: members, and as many replicas.
pub const MAX_WRAPS: usize = 2 * MAX_MEMBERS;

/// A member has made a new read key. It stands in that member's log, so inside the seal of the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rotation {
    /// The epoch of the ring for which it was made.
    pub epoch: u64,
    /// The new read key's name.
    pub read: Digest,
    /// The name of the replica key that goes with it.
    pub replica: Digest,
    /// The block of [`Wraps`]: it stands by itself and is not sealed.
    pub wraps: Digest,
}

/// Wrapped keys by account, in ascending order. Each is a byte string that only its account can open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wraps(Vec<(Address, Vec<u8>)>);

impl Rotation {
    /// The message that carries it.
    pub fn to_message(&self) -> Message {
        let mut writer = Writer::with_capacity(160);
        writer.map(4).text("read").bytes(&self.read.0);
        writer.text("epoch").uint(self.epoch);
        writer.text("wraps").link(self.wraps);
        writer.text("replica").bytes(&self.replica.0);
        Message {
            domain: DOMAIN.into(),
            payload: writer.finish().into(),
            status: MADE.into(),
            kind: ROTATION.into(),
        }
    }

    /// The rotation in a message, or nothing if the message is something else.
    ///
    /// # Errors
    /// [`MessageError`] when it claims to be one and is malformed.
    pub fn from_message(message: &Message) -> Result<Option<Self>, MessageError> {
        if message.domain != DOMAIN || message.kind != ROTATION {
            return Ok(None);
        }
        let read = Self::read(&message.payload).map_err(|error| MessageError::Payload {
            kind: ROTATION.into(),
            source: error.into(),
        });
        read.map(Some)
    }

    fn read(payload: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(payload);
        let mut fields = reader.map()?;
        fields.key(&mut reader, "read")?;
        let read = reader.digest()?;
        fields.key(&mut reader, "epoch")?;
        let epoch = reader.uint()?;
        fields.key(&mut reader, "wraps")?;
        let wraps = reader.link()?;
        fields.key(&mut reader, "replica")?;
        let replica = reader.digest()?;
        fields.end(&reader)?;
        reader.end()?;
        Ok(Self {
            epoch,
            read,
            replica,
            wraps,
        })
    }
}

impl Wraps {
    /// A block of wrapped keys. A later wrapping for an account replaces an earlier one.
    pub fn new(wraps: impl IntoIterator<Item = (Address, Vec<u8>)>) -> Self {
        let sorted: std::collections::BTreeMap<_, _> = wraps.into_iter().collect();
        Self(sorted.into_iter().collect())
    }

    /// The wrapped key for an account.
    pub fn of(&self, account: Address) -> Option<&[u8]> {
        let wraps = self.0.iter().find(|(to, _)| *to == account);
        wraps.map(|(_, wrapped)| wrapped.as_slice())
    }

    /// For whom there is a key.
    pub fn accounts(&self) -> impl Iterator<Item = Address> + '_ {
        self.0.iter().map(|(to, _)| *to)
    }

    /// The bytes of the block, and its digest.
    pub fn to_block(&self) -> (Digest, Vec<u8>) {
        let mut writer = Writer::with_capacity(self.0.len() * 256);
        writer.list(self.0.len());
        for (to, wrapped) in &self.0 {
            writer.list(2).bytes(&to.0).bytes(wrapped);
        }
        let bytes = writer.finish();
        (sha256(&bytes), bytes)
    }

    /// Reads a block.
    ///
    /// # Errors
    /// [`CborError`] for anything but the canonical bytes of a block in ascending order.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes);
        let count = reader.list(MAX_WRAPS, 24)?;
        let mut wraps: Vec<(Address, Vec<u8>)> = Vec::with_capacity(count);
        for _ in 0..count {
            reader.tuple(2)?;
            let at = reader.at();
            let to = Address(reader.fixed()?);
            if wraps.last().is_some_and(|(before, _)| *before >= to) {
                return Err(CborError::Type {
                    at,
                    expected: "a greater account than the one before",
                });
            }
            wraps.push((to, reader.bytes(MAX_WRAP_BYTES)?.to_vec()));
        }
        reader.end().map(|()| Self(wraps))
    }

    /// The message with which a log carries the wrapped keys beside their rotation, where there is no store for a block of
    /// their own.
    pub fn to_message(&self) -> Message {
        Message {
            domain: DOMAIN.into(),
            payload: self.to_block().1.into(),
            status: MADE.into(),
            kind: WRAPS.into(),
        }
    }

    /// Reads a message; nothing if it is about something else.
    ///
    /// # Errors
    /// [`MessageError::Payload`] when it is malformed.
    pub fn from_message(message: &Message) -> Result<Option<Self>, MessageError> {
        if message.domain != DOMAIN || message.kind != WRAPS {
            return Ok(None);
        }
        let read = Self::from_bytes(&message.payload).map_err(|error| MessageError::Payload {
            kind: WRAPS.into(),
            source: error.into(),
        });
        read.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_survives_its_message() {
        let rotation = Rotation {
            epoch: 3,
            read: Digest([1; 32]),
            replica: Digest([2; 32]),
            wraps: Digest([3; 32]),
        };
        let message = rotation.to_message();
        assert_eq!(Rotation::from_message(&message).unwrap(), Some(rotation));
        for cut in 0..message.payload.len() {
            assert!(Rotation::read(&message.payload[..cut]).is_err());
        }
    }

    #[test]
    fn a_block_survives_its_bytes_and_is_sorted() {
        let wraps = Wraps::new([
            (Address([2; 20]), vec![2]),
            (Address([1; 20]), vec![1]),
            (Address([2; 20]), vec![3]),
        ]);
        let (digest, bytes) = wraps.to_block();
        assert_eq!(
            (Wraps::from_bytes(&bytes), digest),
            (Ok(wraps.clone()), sha256(&bytes))
        );
        assert_eq!(
            (wraps.of(Address([2; 20])), wraps.accounts().count()),
            (Some(&[3][..]), 2)
        );
        let message = wraps.to_message();
        assert_eq!(Wraps::from_message(&message).unwrap(), Some(wraps.clone()));
        assert_eq!(Rotation::from_message(&message).unwrap(), None);
        let unsorted = Wraps(wraps.0.into_iter().rev().collect());
        assert!(Wraps::from_bytes(&unsorted.to_block().1).is_err());
    }
}
