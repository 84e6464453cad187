//! What the journal keeps of a transaction.
//!
//! A [`FlightRecord`] has all transactions that were signed for one nonce, because any of them may be mined. When it is
//! final, only the purpose and the outcome are left, so a journal of many transactions stays small.

use super::fees::Fees;
use crate::types::{BlockRef, Call};
use rings_protocol::{Address, Digest};
use serde::{Deserialize, Serialize};

/// Gas of a plain transfer, which fills a nonce whose transaction can never be mined.
const TRANSFER_GAS: u64 = 21_000;

/// One nonce and all that was signed for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FlightRecord {
    /// What it is for; `None` for a transfer that only fills the nonce.
    pub purpose: Option<Digest>,
    /// The message.
    pub message: Message,
    /// Signed transactions, each with higher fees than the one before.
    pub variants: Vec<Variant>,
    /// How far it is.
    pub state: Progress,
}

/// A call with its gas limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Message {
    pub to: Option<Address>,
    #[serde(with = "hexadecimal")]
    pub data: Vec<u8>,
    pub value: u128,
    pub gas: u64,
}

/// A signed transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Variant {
    pub hash: Digest,
    #[serde(with = "hexadecimal")]
    pub raw: Vec<u8>,
    pub fees: Fees,
}

/// How far a transaction is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) enum Progress {
    /// Not seen in a block.
    Pending,
    /// In a block that may still be reorganised away.
    Mined(Outcome),
    /// In a block so deep that the signed transaction is not kept any more.
    Final(Outcome),
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Outcome {
    pub transaction: Digest,
    pub block: BlockRef,
    pub gas_used: u64,
    /// Why the contract refused, if it did.
    pub revert: Option<String>,
}

impl Message {
    pub(super) fn new(call: Call, gas: u64) -> Self {
        Self {
            to: call.to,
            data: call.data,
            value: call.value,
            gas,
        }
    }

    /// A transfer of 0 wei to the sender itself.
    pub(super) fn filler(account: Address) -> Self {
        Self::new(Call::transfer(account, 0), TRANSFER_GAS)
    }
}

impl FlightRecord {
    pub(super) fn is_pending(&self) -> bool {
        self.state == Progress::Pending
    }

    pub(super) fn is_final(&self) -> bool {
        matches!(self.state, Progress::Final(_))
    }

    pub(super) fn outcome(&self) -> Option<&Outcome> {
        match &self.state {
            Progress::Pending => None,
            Progress::Mined(outcome) | Progress::Final(outcome) => Some(outcome),
        }
    }

    /// Drops the parts that are needed only while the transaction may be sent again.
    pub(super) fn finalise(&mut self) {
        if let Progress::Mined(outcome) = &self.state {
            self.state = Progress::Final(outcome.clone());
            self.variants.clear();
            self.message.data.clear();
        }
    }
}

/// Bytes as hexadecimal text.
mod hexadecimal {
    use serde::{de::Error, Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        hex::decode(text).map_err(D::Error::custom)
    }
}
