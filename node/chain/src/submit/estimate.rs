//! How much gas a call is given.
//!
//! A call without a gas limit gets the chain's estimate and a quarter more, because the state may change until it runs.
//! If the estimate says that the contract would refuse, nothing is signed and no nonce is used. During an outage this
//! waits; every other error goes to the caller.

use super::{market::Market, outcome::request, record::Message, verdict::Verdict};
use crate::{backoff::Backoff, chain::Chain, error::ChainError, types::Call};
use rings_protocol::Address;
use std::future::Future;

/// Gas of a transfer to an account without code.
const TRANSFER_GAS: u64 = 21_000;

/// A call with its gas, and a new quote unless the old one is fresh. Outages are waited for.
pub(super) async fn prepare(
    chain: &Chain,
    account: Address,
    call: Call,
    fresh: bool,
) -> (Result<Message, ChainError>, Option<Market>) {
    let market = match fresh {
        true => Ok(None),
        false => patiently(|| Market::ask(chain)).await.map(Some),
    };
    match market {
        Ok(market) => {
            let message = patiently(|| estimate(chain, account, &call)).await;
            (message, market)
        }
        Err(error) => (Err(error), None),
    }
}

/// Asks again until the endpoint can be reached.
async fn patiently<T, F>(ask: impl Fn() -> F) -> Result<T, ChainError>
where
    F: Future<Output = Result<T, ChainError>>,
{
    let mut backoff = Backoff::default();
    loop {
        match ask().await {
            Err(error) if error.is_outage() => {
                tracing::debug!(%error, "a transaction waits for the chain");
                backoff.wait().await;
            }
            other => return other,
        }
    }
}

/// The gas that a call needs now; the writer adds a margin.
async fn estimate(chain: &Chain, account: Address, call: &Call) -> Result<Message, ChainError> {
    let mut message = Message::new(call.clone(), call.gas.unwrap_or(0));
    if call.gas.is_none() {
        let needed = chain.estimate(request(account, &message)).await;
        message.gas = needed.map_err(|error| poor(account, error))?;
    }
    Ok(message)
}

/// The gas limit for an estimated call: a quarter more than it needs now, because the state may change until it runs. A
/// transfer to an account always needs the same, so nothing is added.
pub(super) fn with_margin(message: &Message) -> u64 {
    match message.data.is_empty() && message.gas == TRANSFER_GAS {
        true => message.gas,
        false => message.gas.saturating_add(message.gas / 4),
    }
}

/// If an estimate is refused because the sender has too little ether, the error names the sender and not the endpoint.
fn poor(account: Address, error: ChainError) -> ChainError {
    let words = match &error {
        ChainError::Refused { message, .. } => message,
        ChainError::Reverted { reason } => reason,
        _ => return error,
    };
    match Verdict::of_words(words) {
        Verdict::Unaffordable(message) => ChainError::InsufficientFunds { account, message },
        Verdict::Never(reason) => ChainError::Transaction { reason },
        _ => error,
    }
}
