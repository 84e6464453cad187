//! Events of contracts as the endpoint returns them, before they are decoded, and their place in the chain.

use ethers_contract::EthEvent;
use ethers_core::{
    abi::RawLog,
    types::{Bytes, H160, H256, U256, U64},
};
use serde::{de::Error, Deserialize, Deserializer};
use serde_json::Value;

/// An event that is not decoded yet. (The Ethereum API calls it a log; here a log is a member's.) Only events of blocks are asked for,
/// so an answer in which one has no place in the chain is malformed: it must not be passed over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RawEvent {
    pub address: H160,
    pub topics: Vec<H256>,
    pub data: Bytes,
    block_hash: H256,
    block_number: U64,
    transaction_hash: H256,
    log_index: U64,
    /// Only a subscription may tell of an event that is on the chain no more, and none is used here. In an answer about the chain
    /// it is malformed.
    #[serde(default, rename = "removed", deserialize_with = "not_removed")]
    pub _removed: (),
    /// The time of the block, where the endpoint gives it.
    #[serde(default, deserialize_with = "number_or_nothing")]
    pub block_timestamp: Option<U256>,
}

/// Where an event is in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EventPlace {
    pub number: u64,
    pub log_index: u64,
    pub block: H256,
    pub transaction: H256,
}

impl RawEvent {
    /// Its place in the chain.
    pub(crate) fn place(&self) -> EventPlace {
        EventPlace {
            number: self.block_number.as_u64(),
            log_index: self.log_index.as_u64(),
            block: self.block_hash,
            transaction: self.transaction_hash,
        }
    }

    /// Reads it as one kind of event, if it is one.
    pub(crate) fn read<E: EthEvent>(&self) -> Option<E> {
        if self.topics.first() != Some(&E::signature()) {
            return None;
        }
        let raw = RawLog {
            topics: self.topics.clone(),
            data: self.data.to_vec(),
        };
        E::decode_log(&raw).ok()
    }
}

fn not_removed<'de, D: Deserializer<'de>>(from: D) -> Result<(), D::Error> {
    match Option::<bool>::deserialize(from)? {
        Some(true) => Err(D::Error::custom("an event that was removed from the chain")),
        _ => Ok(()),
    }
}

/// A number in the API's form. `None` for anything else, which some endpoints give for fields that are not in the
/// standard.
fn number_or_nothing<'de, D: Deserializer<'de>>(from: D) -> Result<Option<U256>, D::Error> {
    let value = Value::deserialize(from)?;
    Ok(serde_json::from_value(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// An event in block 5, with this for one of its fields.
    fn read(name: &str, value: Value) -> Result<RawEvent, serde_json::Error> {
        let mut event = json!({
            "address": "0x0101010101010101010101010101010101010101", "topics": [], "data": "0x",
            "blockNumber": "0x5", "blockHash": H256::zero(), "transactionHash": H256::zero(), "logIndex": "0x0",
        });
        event[name] = value;
        serde_json::from_value(event)
    }

    fn event(timestamp: Value) -> RawEvent {
        read("blockTimestamp", timestamp).unwrap()
    }

    #[test]
    fn the_time_of_the_block_is_read_where_it_is_given() {
        assert_eq!(event(json!("0x10")).block_timestamp, Some(16.into()));
        for other in [json!(null), json!({}), json!("soon")] {
            assert_eq!(event(other).block_timestamp, None);
        }
        assert_eq!(event(json!(null)).place().number, 5);
    }

    #[test]
    fn an_event_that_was_removed_is_no_answer() {
        let removed = |removed| read("removed", removed);
        assert!(removed(json!(false)).is_ok() && removed(json!(null)).is_ok());
        let error = removed(json!(true)).unwrap_err();
        assert!(error.to_string().contains("removed from the chain"));
    }

    #[test]
    fn an_event_without_its_place_is_no_answer() {
        for name in ["blockNumber", "blockHash", "transactionHash", "logIndex"] {
            for value in [
                json!(null),
                json!(5),
                json!("0x"),
                json!("0x10000000000000000"),
            ] {
                let error = read(name, value.clone());
                assert!(error.is_err(), "{name}: {value}");
            }
        }
    }
}
