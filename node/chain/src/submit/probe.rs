//! How long a plain transaction takes: a lower bound for everything that needs one.

use super::{config::SubmitterConfig, fees::Fees, market::Market, record::Message, sign::sign};
use crate::{chain::Chain, convert::h256, error::ChainError};
use ethers_core::types::{Bytes, H256};
use rings_protocol::crypto::SecretKey;
use serde_json::json;
use std::time::{Duration, Instant};

/// Gas of a transfer between accounts.
const TRANSFER_GAS: u64 = 21_000;
const SEND: &str = "eth_sendRawTransaction";
/// Pause between two requests for a receipt.
const LOOK: Duration = Duration::from_millis(1);

/// Sends transfers of nothing to oneself, one after the other, and says how long each took from sending to its receipt.
/// Nothing is written to a journal. It is for measuring, with a key that nobody else uses meanwhile.
///
/// # Errors
/// When the chain cannot be asked, or refuses.
pub async fn bare_transactions(
    chain: &Chain,
    key: &SecretKey,
    count: usize,
) -> Result<Vec<Duration>, ChainError> {
    let market = Market::ask(chain).await?;
    let fees = Fees::offer(market.quote, SubmitterConfig::default().fee_cap);
    let account = key.address();
    let first = chain.nonce(account).await?;
    let message = Message {
        to: Some(account),
        data: Vec::new(),
        value: 0,
        gas: TRANSFER_GAS,
    };
    let mut times = Vec::with_capacity(count);
    for nonce in (first..).take(count) {
        let transaction = sign(key, chain.id(), nonce, &message, fees)?;
        let began = Instant::now();
        let raw = Bytes::from(transaction.raw);
        let sent = chain.request::<H256>(SEND, json!([raw])).await;
        sent.map_err(|failure| chain.explain(SEND, failure))?;
        while chain.receipt(h256(transaction.hash)).await?.is_none() {
            tokio::time::sleep(LOOK).await;
        }
        times.push(began.elapsed());
    }
    Ok(times)
}
