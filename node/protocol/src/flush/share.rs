//! A client ring's replica key, as the member that was called hands it to the others: wrapped to each, in its own log.

use crate::{
    cbor::{CborError, Reader, Writer},
    log::MAX_NODE_BYTES,
    message::{Message, MessageError, DOMAIN},
    private::Wraps,
    Address,
};

const KIND: &str = "ReplicateRing";
const SHARED: &str = "shared";

/// A replica key for the other members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyShare {
    /// The client ring.
    pub ring: Address,
    /// The key, wrapped to each of them.
    pub wraps: Wraps,
}

impl KeyShare {
    /// The message of a log node's body.
    pub fn to_message(&self) -> Message {
        let wraps = self.wraps.to_block().1;
        let mut writer = Writer::with_capacity(wraps.len() + 48);
        writer.map(2).text("ring").bytes(&self.ring.0);
        writer.text("wraps").bytes(&wraps);
        Message {
            domain: DOMAIN.into(),
            payload: writer.finish().into(),
            status: SHARED.into(),
            kind: KIND.into(),
        }
    }

    /// Reads a message; nothing if it is about something else.
    ///
    /// # Errors
    /// [`MessageError`] when it claims to be one and is malformed.
    pub fn from_message(message: &Message) -> Result<Option<Self>, MessageError> {
        if message.domain != DOMAIN || message.kind != KIND {
            return Ok(None);
        }
        let read = Self::read(&message.payload).map_err(|error| MessageError::Payload {
            kind: KIND.into(),
            source: error.into(),
        });
        read.map(Some)
    }

    fn read(payload: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(payload);
        let mut fields = reader.map()?;
        fields.key(&mut reader, "ring")?;
        let ring = Address(reader.fixed()?);
        fields.key(&mut reader, "wraps")?;
        let wraps = Wraps::from_bytes(reader.bytes(MAX_NODE_BYTES)?)?;
        fields.end(&reader)?;
        reader.end()?;
        Ok(Self { ring, wraps })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_key_survives_its_message() {
        let wraps = [
            (Address([2; 20]), vec![2; 150]),
            (Address([1; 20]), vec![1]),
        ];
        let share = KeyShare {
            ring: Address([9; 20]),
            wraps: Wraps::new(wraps),
        };
        let message = share.to_message();
        assert_eq!(KeyShare::from_message(&message).unwrap(), Some(share));
        for cut in 0..message.payload.len() {
            assert!(KeyShare::read(&message.payload[..cut]).is_err());
        }
        let kind = "FlushToRing".into();
        let other = Message { kind, ..message };
        assert_eq!(KeyShare::from_message(&other).unwrap(), None);
    }
}
