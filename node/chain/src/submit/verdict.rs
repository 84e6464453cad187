//! What an endpoint's answer to a transaction means. JSON-RPC has no error codes for these cases, so the text is
//! compared with the messages of geth, Nethermind, Erigon, Besu, reth and anvil.
//!
//! A text that is not known here is `Unclear`: the transaction is tried again some times before it counts as refused.
//! The order of the comparisons matters, since some messages contain the words of two kinds.

use crate::rpc::RpcFailure;

/// What to do after a transaction was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is in the pool, now or already.
    Accepted,
    /// A transaction with this nonce is mined: this one, or another.
    NonceUsed,
    /// It offers too little.
    Underpriced,
    /// The account cannot pay.
    Unaffordable(String),
    /// No pool will ever take it.
    Never(String),
    /// Unclear: the pool is full, there were too many requests, or the text is not known here.
    Unclear(String),
    /// The endpoint was not reached.
    Unsent,
}

/// Words of the pools that are in use, in lower case. Each list is one meaning.
const KNOWN: &[&str] = &[
    "already known",
    "alreadyknown",
    "already imported",
    "known transaction",
    "already exists",
    "already in the pool",
    "already in mempool",
];
const NONCE_USED: &[&str] = &[
    "nonce too low",
    "nonce is too low",
    "oldnonce",
    "invalid nonce; got",
];
const UNDERPRICED: &[&str] = &[
    "underpriced",
    "less than block base fee",
    "fee too low",
    "feetoolow",
    "gas price too low",
    "gas price below",
    "below configured minimum",
    "less than the network",
    "fee cap less than",
    "maxfeepergas is less than",
];
const UNAFFORDABLE: &[&str] = &[
    "insufficient funds",
    "insufficientfunds",
    "insufficient balance",
    "upfront cost exceeds",
];
const NEVER: &[&str] = &[
    "intrinsic gas",
    "exceeds block gas limit",
    "gas limit reached",
    "gas limit is greater",
    "exceeds the limit",
    "exceeds transaction gas limit",
    "gas limit too high",
    "oversized data",
    "initcode size",
    "invalid sender",
    "invalid signature",
    "invalid chain id",
    "wrong chain",
    "transaction type not supported",
    "exceeds the configured cap",
    "priority fee per gas higher than max fee",
    "nonce has max value",
];

impl Verdict {
    pub(super) fn of<T>(result: Result<T, RpcFailure>) -> Self {
        match result {
            Ok(_) => Self::Accepted,
            Err(RpcFailure::Refused(error)) => Self::of_words(&error.message),
            Err(_) => Self::Unsent,
        }
    }

    /// Reads the words of a pool's refusal. The order counts: a text may hold words of several kinds, and that the
    /// transaction is known decides first.
    pub(super) fn of_words(message: &str) -> Self {
        let words = message.to_lowercase();
        let says = |list: &[&str]| list.iter().any(|phrase| words.contains(phrase));
        if says(KNOWN) {
            Self::Accepted
        } else if says(NONCE_USED) {
            Self::NonceUsed
        } else if says(UNAFFORDABLE) {
            Self::Unaffordable(message.into())
        } else if says(UNDERPRICED) {
            Self::Underpriced
        } else if says(NEVER) {
            Self::Never(message.into())
        } else {
            Self::Unclear(message.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_several_implementations() {
        use Verdict::*;
        for (words, verdict) in [
            ("already known", Accepted),
            ("transaction already imported", Accepted),
            ("nonce too low: next nonce 5, tx nonce 4", NonceUsed),
            ("replacement transaction underpriced", Underpriced),
            (
                "max fee per gas less than block base fee: address 0x1, maxFeePerGas: 1",
                Underpriced,
            ),
            ("FeeTooLow, EffectivePriorityFeePerGas too low", Underpriced),
        ] {
            assert_eq!(Verdict::of_words(words), verdict, "{words}");
        }
        let poor = "Insufficient funds for gas * price + value";
        assert_eq!(Verdict::of_words(poor), Unaffordable(poor.into()));
        let large = "exceeds block gas limit";
        assert_eq!(Verdict::of_words(large), Never(large.into()));
        let busy = "rate limit";
        assert_eq!(Verdict::of_words(busy), Unclear(busy.into()));
    }
}
