//! What a member writes into its log about an action: that it took it in, and what became of it.
//!
//! The first message carries the action itself, so that any member that reads the log can bring it to the chain. The
//! second names it by `msg_hash` and ends it: relayed, with transaction and fee, or failed, with a reason. A
//! [`FlushMessage`] is either, in strict DAG-CBOR; [`FlushStatus`] is how far an action is, as `FlushToRing` answers it
//! too.

use super::action::MAX_ACTION_BYTES;
use crate::{
    cbor::{CborError, Reader, Writer},
    crypto::Signature,
    message::{Message, MessageError, DOMAIN},
    Address, Digest,
};
use serde::{Deserialize, Serialize};

const KIND: &str = "FlushToRing";
const RECEIVED: &str = "received";
const RELAYED: &str = "relayed";
const FAILED: &str = "failed";
/// Most bytes of the reason of a failure.
pub const MAX_REASON_BYTES: usize = 1024;

/// A message about an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlushMessage {
    /// The member took it in, and holds the log nodes behind it.
    Received {
        /// The avatar's ring.
        ring: Address,
        /// `abi.encode(CompoundAction)`.
        mtx: Vec<u8>,
        /// The avatar's signature.
        signature: Signature,
    },
    /// It came to its end.
    Ended {
        /// The action's name.
        msg_hash: Digest,
        /// How.
        status: FlushStatus,
    },
}

/// How far an action is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum FlushStatus {
    /// It is on its way to the chain.
    Received,
    /// It is on chain.
    Relayed {
        /// The transaction.
        transaction: Digest,
        /// What it cost the member that sent it, in wei.
        fee: u128,
    },
    /// It will never be on chain.
    Failed {
        /// Why, in words.
        reason: String,
    },
}

impl FlushMessage {
    /// The message of a log node's body.
    pub fn to_message(&self) -> Message {
        let (status, payload) = match self {
            Self::Received {
                ring,
                mtx,
                signature,
            } => (RECEIVED, received(*ring, mtx, signature)),
            Self::Ended { msg_hash, status } => match status {
                // An action that has not ended has no last message; it is written as a failure without a reason.
                FlushStatus::Received => (FAILED, failed(*msg_hash, "")),
                FlushStatus::Relayed { transaction, fee } => {
                    (RELAYED, relayed(*msg_hash, *transaction, *fee))
                }
                FlushStatus::Failed { reason } => (FAILED, failed(*msg_hash, reason)),
            },
        };
        Message {
            domain: DOMAIN.into(),
            payload: payload.into(),
            status: status.into(),
            kind: KIND.into(),
        }
    }

    /// Reads a message; nothing if it is about something else.
    ///
    /// # Errors
    /// [`MessageError`] when it claims to be about an action and is malformed.
    pub fn from_message(message: &Message) -> Result<Option<Self>, MessageError> {
        if message.domain != DOMAIN || message.kind != KIND {
            return Ok(None);
        }
        let mut reader = Reader::new(&message.payload);
        let read = match message.status.as_str() {
            RECEIVED => read_received(&mut reader),
            RELAYED => read_relayed(&mut reader),
            FAILED => read_failed(&mut reader),
            _ => Err(CborError::Type {
                at: 0,
                expected: "a message with a known status",
            }),
        };
        let read = read.and_then(|read| reader.end().map(|()| read));
        read.map(Some).map_err(|error| MessageError::Payload {
            kind: KIND.into(),
            source: error.into(),
        })
    }
}

fn received(ring: Address, mtx: &[u8], signature: &Signature) -> Vec<u8> {
    let mut writer = Writer::with_capacity(mtx.len() + 128);
    writer.map(3).text("mtx").bytes(mtx);
    writer.text("ring").bytes(&ring.0);
    writer.text("signature").bytes(&signature.to_bytes());
    writer.finish()
}

fn relayed(msg_hash: Digest, transaction: Digest, fee: u128) -> Vec<u8> {
    let mut writer = Writer::with_capacity(112);
    writer.map(3).text("tx").bytes(&transaction.0);
    writer.text("fee").bytes(&fee.to_be_bytes());
    writer.text("msg").bytes(&msg_hash.0);
    writer.finish()
}

fn failed(msg_hash: Digest, reason: &str) -> Vec<u8> {
    let reason = shortened(reason);
    let mut writer = Writer::with_capacity(reason.len() + 64);
    writer.map(2).text("msg").bytes(&msg_hash.0);
    writer.text("reason").text(reason);
    writer.finish()
}

/// The beginning of a text, of at most [`MAX_REASON_BYTES`].
fn shortened(reason: &str) -> &str {
    let mut end = reason.len().min(MAX_REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

fn read_received(reader: &mut Reader<'_>) -> Result<FlushMessage, CborError> {
    let mut fields = reader.map()?;
    fields.key(reader, "mtx")?;
    let mtx = reader.bytes(MAX_ACTION_BYTES)?.to_vec();
    fields.key(reader, "ring")?;
    let ring = Address(reader.fixed()?);
    fields.key(reader, "signature")?;
    let at = reader.at();
    let bytes: [u8; 65] = reader.fixed()?;
    let signature = Signature::from_slice(&bytes).ok();
    // A `v` of 0 or 1 would be a second encoding.
    let signature = signature.filter(|signature| signature.to_bytes() == bytes);
    fields.end(reader)?;
    Ok(FlushMessage::Received {
        ring,
        mtx,
        signature: signature.ok_or(CborError::Type {
            at,
            expected: "a signature",
        })?,
    })
}

fn read_relayed(reader: &mut Reader<'_>) -> Result<FlushMessage, CborError> {
    let mut fields = reader.map()?;
    fields.key(reader, "tx")?;
    let transaction = reader.digest()?;
    fields.key(reader, "fee")?;
    let fee = u128::from_be_bytes(reader.fixed()?);
    fields.key(reader, "msg")?;
    let msg_hash = reader.digest()?;
    fields.end(reader)?;
    let status = FlushStatus::Relayed { transaction, fee };
    Ok(FlushMessage::Ended { msg_hash, status })
}

fn read_failed(reader: &mut Reader<'_>) -> Result<FlushMessage, CborError> {
    let mut fields = reader.map()?;
    fields.key(reader, "msg")?;
    let msg_hash = reader.digest()?;
    fields.key(reader, "reason")?;
    let reason = reader.text(MAX_REASON_BYTES)?.to_owned();
    fields.end(reader)?;
    let status = FlushStatus::Failed { reason };
    Ok(FlushMessage::Ended { msg_hash, status })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SecretKey;

    fn messages() -> Vec<FlushMessage> {
        let key = SecretKey::from_bytes(&[5; 32]).unwrap();
        let ended = |status| FlushMessage::Ended {
            msg_hash: Digest([7; 32]),
            status,
        };
        vec![
            FlushMessage::Received {
                ring: Address([1; 20]),
                mtx: vec![2; 352],
                signature: key.sign(&Digest([3; 32])).unwrap(),
            },
            ended(FlushStatus::Relayed {
                transaction: Digest([8; 32]),
                fee: 123_456_789_000_000_000,
            }),
            ended(FlushStatus::Failed {
                reason: "DeadlinePassed(deadline = 7)".into(),
            }),
        ]
    }

    #[test]
    fn each_survives_its_message_and_has_one_encoding() {
        for message in messages() {
            let written = message.to_message();
            let read = FlushMessage::from_message(&written).unwrap();
            assert_eq!(read, Some(message));
            for cut in 0..written.payload.len() {
                let payload = written.payload[..cut].to_vec().into();
                let cut = Message {
                    payload,
                    ..written.clone()
                };
                assert!(FlushMessage::from_message(&cut).is_err());
            }
            let status = "unheard of".into();
            let strange = Message {
                status,
                ..written.clone()
            };
            assert!(FlushMessage::from_message(&strange).is_err());
            let domain = "chat".into();
            let elsewhere = Message { domain, ..written };
            assert_eq!(FlushMessage::from_message(&elsewhere).unwrap(), None);
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let reason = "ö".repeat(MAX_REASON_BYTES);
        let status = FlushStatus::Failed { reason };
        let msg_hash = Digest([7; 32]);
        let message = FlushMessage::Ended { msg_hash, status }.to_message();
        let read = FlushMessage::from_message(&message).unwrap();
        let Some(FlushMessage::Ended {
            status: FlushStatus::Failed { reason },
            ..
        }) = read
        else {
            panic!("{read:?}")
        };
        assert_eq!(reason.len(), MAX_REASON_BYTES);
    }
}
