//! The reason of a contract's revert, in words.
//!
//! An endpoint answers a call that reverts with the revert data. [`from_response`] recognises such an answer, and
//! [`describe`] decodes the data: a custom error of the contracts with its arguments by name, `Error(string)`,
//! `Panic(uint256)`, or the bare bytes. The data comes from whatever contract was called, so nested errors are followed
//! only to a fixed depth.

use crate::abi::errors;
use ethers_core::{
    abi::{AbiDecode, Token},
    types::{Bytes, U256},
};
use ethers_providers::JsonRpcError;

/// `Error(string)`.
const ERROR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
/// `Panic(uint256)`.
const PANIC: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];

/// How many nested errors are put into words. The error of a failed flush contains the error of what it called, which
/// may be a flush itself.
const MAX_DEPTH: usize = 4;

/// The reason, when an endpoint's answer is a contract's revert.
pub(crate) fn from_response(error: &JsonRpcError) -> Option<String> {
    let data = error.as_revert_data()?;
    if data.is_empty() {
        return Some(error.message.clone());
    }
    Some(describe(&data))
}

/// Revert data in words: the contracts' own errors, `Error(string)`, `Panic(uint256)`, else hexadecimal.
pub(crate) fn describe(data: &Bytes) -> String {
    known(data, MAX_DEPTH).unwrap_or_else(|| match data.len() {
        0 => "no reason given".into(),
        _ => format!("unknown error {data}"),
    })
}

/// `depth`: how many nested errors are still put into words. The contract that answered decides how deep they are
/// nested, so there must be a limit.
fn known(data: &[u8], depth: usize) -> Option<String> {
    let depth = depth.checked_sub(1)?;
    let selector: [u8; 4] = data.get(..4)?.try_into().ok()?;
    let arguments = data.get(4..)?;
    match selector {
        ERROR => String::decode(arguments).ok(),
        PANIC => U256::decode(arguments).ok().map(panic_words),
        _ => custom(selector, arguments, depth),
    }
}

fn panic_words(code: U256) -> String {
    let words = match code.low_u64() {
        0x01 => "an assertion failed",
        0x11 => "arithmetic overflow",
        0x12 => "division by zero",
        0x21 => "not a value of the enumeration",
        0x31 => "pop of an empty array",
        0x32 => "index out of bounds",
        0x41 => "too much memory",
        _ => "internal error",
    };
    format!("{words} (panic 0x{code:x})")
}

/// `NotMember(0x…)` becomes "NotMember(account = 0x…)".
fn custom(selector: [u8; 4], arguments: &[u8], depth: usize) -> Option<String> {
    errors().find_map(|error| {
        if error.signature().as_bytes()[..4] != selector {
            return None;
        }
        let values = error.decode(arguments).ok()?;
        let shown: Vec<String> = error
            .inputs
            .iter()
            .zip(&values)
            .map(|(input, value)| name_value(&input.name, value, depth))
            .collect();
        Some(format!("{}({})", error.name, shown.join(", ")))
    })
}

fn name_value(name: &str, value: &Token, depth: usize) -> String {
    let value = show(value, depth);
    if name.is_empty() {
        value
    } else {
        format!("{name} = {value}")
    }
}

fn show(value: &Token, depth: usize) -> String {
    match value {
        Token::Address(address) => crate::convert::address(*address).to_string(),
        // A token id is a digest, so it is shown in hexadecimal.
        Token::Uint(number) if number.bits() > 64 => crate::convert::word(*number).to_string(),
        Token::Uint(number) => number.to_string(),
        Token::Int(number) => number.to_string(),
        Token::Bool(yes) => yes.to_string(),
        Token::String(text) => format!("{text:?}"),
        // The bytes that a callee reverted with are shown as an error if it is a known one.
        Token::Bytes(bytes) => {
            known(bytes, depth).unwrap_or_else(|| format!("0x{}", hex::encode(bytes)))
        }
        Token::FixedBytes(bytes) => format!("0x{}", hex::encode(bytes)),
        Token::Array(values) | Token::FixedArray(values) | Token::Tuple(values) => {
            let shown: Vec<_> = values.iter().map(|value| show(value, depth)).collect();
            format!("[{}]", shown.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ethers_core::{abi::AbiEncode, types::H160, utils::id};

    fn data(signature: &str, arguments: impl AbiEncode) -> Bytes {
        let mut data = id(signature).to_vec();
        data.extend(arguments.encode());
        data.into()
    }

    #[test]
    fn the_contracts_errors_name_their_values() {
        let member = H160([0x11; 20]);
        let described = describe(&data("NotMember(address)", member));
        let shown = "0x1111111111111111111111111111111111111111";
        assert_eq!(described, format!("NotMember(account = {shown})"));
        let described = describe(&data(
            "QuorumNotReached(uint256,uint256)",
            (U256::from(3), U256::from(5)),
        ));
        assert_eq!(described, "QuorumNotReached(signatures = 3, counted = 5)");
        let described = describe(&data("NotAConstant(uint256)", U256::MAX));
        assert_eq!(
            described,
            format!("NotAConstant(tokenId = 0x{})", "f".repeat(64))
        );
    }

    #[test]
    fn what_every_contract_may_say() {
        let described = describe(&data("Error(string)", "too late".to_owned()));
        assert_eq!(described, "too late");
        let described = describe(&data("Panic(uint256)", U256::from(0x11)));
        assert_eq!(described, "arithmetic overflow (panic 0x11)");
    }

    #[test]
    fn what_a_flushed_call_ran_into_is_told_in_words() {
        let reason = data("NotMember(address)", H160([0x11; 20]));
        let to = H160([0x22; 20]);
        let described = describe(&data("CallFailed(address,bytes)", (to, reason)));
        assert_eq!(
            described,
            format!(
                "CallFailed(to = 0x{}, reason = NotMember(account = 0x{}))",
                "22".repeat(20),
                "11".repeat(20)
            )
        );
        let strange = Bytes::from(vec![1, 2, 3]);
        let described = describe(&data("CallFailed(address,bytes)", (to, strange)));
        assert!(described.ends_with("reason = 0x010203)"), "{described}");
        let described = describe(&data("StaleHead(bytes32,bytes32)", ([0u8; 32], [1u8; 32])));
        assert!(
            described.starts_with("StaleHead(prevHead = 0x00"),
            "{described}"
        );
    }

    #[test]
    fn errors_within_errors_end_somewhere() {
        let mut reason = data("NotMember(address)", H160([0x11; 20]));
        for _ in 0..10_000 {
            let arguments = ethers_core::abi::encode(&[
                Token::Address(H160([0x22; 20])),
                Token::Bytes(b"inner".to_vec()),
            ]);
            // The inner bytes are put in by hand: encoding all of them ten thousand times would take long.
            let mut outer = id("CallFailed(address,bytes)").to_vec();
            outer.extend_from_slice(&arguments[..64]);
            outer.extend(U256::from(reason.len()).encode());
            outer.extend_from_slice(&reason);
            outer.resize(outer.len().next_multiple_of(32) + 4, 0);
            reason = outer.into();
            if reason.len() > 100_000 {
                break;
            }
        }
        let described = describe(&reason);
        assert_eq!(described.matches("CallFailed").count(), MAX_DEPTH);
        assert!(described.contains("reason = 0x"));
    }

    #[test]
    fn what_is_not_known_is_shown_as_it_is() {
        assert_eq!(describe(&Bytes::new()), "no reason given");
        let strange = Bytes::from(vec![1, 2, 3]);
        assert_eq!(describe(&strange), "unknown error 0x010203");
        // A known selector with too few arguments.
        let cut = Bytes::from(id("NotMember(address)").to_vec());
        assert!(describe(&cut).starts_with("unknown error 0x"));
    }

    #[test]
    fn only_a_revert_is_read_as_one() {
        let error = |message: &str, data: &str| JsonRpcError {
            code: 3,
            message: message.into(),
            data: Some(data.into()),
        };
        let revert = error(
            "execution reverted",
            "0x4e487b710000000000000000000000000000000000000000000000000000000000000012",
        );
        assert_eq!(
            from_response(&revert).unwrap(),
            "division by zero (panic 0x12)"
        );
        assert_eq!(from_response(&error("header not found", "")), None);
        let bare = error("execution reverted", "0x");
        assert_eq!(from_response(&bare).unwrap(), "execution reverted");
    }
}
