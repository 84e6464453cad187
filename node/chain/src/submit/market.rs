//! What the chain asks for gas, and how much gas a transaction may use.
//!
//! A [`Market`] is the newest quote with the moments at which it was asked for and renewed. Each new head renews the
//! base fee at no cost; the tip is asked for again after [`TIP_LIFE`]. Endpoints differ in which methods they know, so
//! for the tip there are three sources, one after the other: its own method, the gas price less the base fee, and one
//! gwei. The gas limit of a transaction never exceeds that of a block or of EIP-7825.

use super::fees::Quote;
use crate::{chain::Chain, convert::count, error::ChainError, header::Header, rpc::RpcFailure};
use ethers_core::types::U256;
use serde_json::json;
use std::time::{Duration, Instant};

/// How long a quote stays valid without asking again; over a websocket each new head renews it.
const QUOTE_LIFE: Duration = Duration::from_secs(3);
/// How long a tip stays valid.
const TIP_LIFE: Duration = Duration::from_secs(60);
/// The tip when nothing else is known: 1 gwei.
const DEFAULT_TIP: u128 = 1_000_000_000;

/// The newest quote.
pub(super) struct Market {
    pub quote: Quote,
    /// The gas of a block, where the chain says so.
    block_gas: Option<u64>,
    asked: Instant,
    renewed: Instant,
}

impl Market {
    /// Asks the chain.
    pub(super) async fn ask(chain: &Chain) -> Result<Self, ChainError> {
        let header = chain.latest().await?;
        let quote = match base_fee(&header) {
            Some(base) => Quote::Dynamic {
                base,
                tip: tip(chain, base).await?,
            },
            None => Quote::Legacy {
                price: gas_price(chain).await?,
            },
        };
        let asked = Instant::now();
        Ok(Self {
            quote,
            block_gas: header.gas_limit.map(count),
            asked,
            renewed: asked,
        })
    }

    /// A new head tells the base fee.
    pub(super) fn renew(&mut self, header: &Header) {
        self.block_gas = header.gas_limit.map(count).or(self.block_gas);
        let Some(base) = base_fee(header) else {
            return;
        };
        let tip = match self.quote {
            Quote::Dynamic { tip, .. } => tip,
            Quote::Legacy { .. } => DEFAULT_TIP,
        };
        self.quote = Quote::Dynamic { base, tip };
        self.renewed = Instant::now();
    }

    /// The gas limit for a transaction that needs `needed` and would rather have `wanted`: at most what a block has and a
    /// transaction may have (EIP-7825), unless it needs more than that.
    pub(super) fn gas_limit(&self, needed: u64, wanted: u64) -> u64 {
        let most = self
            .block_gas
            .unwrap_or(u64::MAX)
            .min(crate::calls::MAX_GAS);
        wanted.min(most).max(needed)
    }

    /// Whether the quote may be used as it is; with pushed heads it is always as new as the chain.
    pub(super) fn is_fresh(&self, pushed: bool) -> bool {
        pushed || self.renewed.elapsed() < QUOTE_LIFE
    }

    /// Notes that the chain is being asked, so that nobody else asks.
    pub(super) fn asking(&mut self) {
        self.asked = Instant::now();
        self.renewed = self.asked;
    }

    /// Whether it is time to ask again.
    pub(super) fn is_old(&self) -> bool {
        self.asked.elapsed() >= TIP_LIFE
    }
}

fn base_fee(header: &Header) -> Option<u128> {
    header.base_fee_per_gas.map(wei)
}

fn wei(number: U256) -> u128 {
    number.min(u128::MAX.into()).as_u128()
}

/// The tip that the endpoint suggests. Not every endpoint knows the method; then the tip is what its gas price adds to the
/// base fee.
async fn tip(chain: &Chain, base: u128) -> Result<u128, ChainError> {
    if let Some(tip) = suggestion(chain, "eth_maxPriorityFeePerGas").await? {
        return Ok(tip);
    }
    let price = suggestion(chain, "eth_gasPrice").await?;
    let tip = price.and_then(|price| price.checked_sub(base));
    Ok(tip.filter(|tip| *tip > 0).unwrap_or(DEFAULT_TIP))
}

/// A number of wei; `None` when the endpoint does not know the method, or answers with something else.
async fn suggestion(chain: &Chain, method: &str) -> Result<Option<u128>, ChainError> {
    match chain.request::<Option<U256>>(method, json!([])).await {
        Ok(number) => Ok(number.map(wei)),
        Err(RpcFailure::Refused(_) | RpcFailure::Rejected { .. } | RpcFailure::Malformed(_)) => {
            Ok(None)
        }
        Err(failure) => Err(chain.explain(method, failure)),
    }
}

async fn gas_price(chain: &Chain) -> Result<u128, ChainError> {
    let method = "eth_gasPrice";
    let price: Result<U256, _> = chain.request(method, json!([])).await;
    price
        .map(wei)
        .map_err(|failure| chain.explain(method, failure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_exceeds_that_of_the_block() {
        let market = |block_gas| Market {
            quote: Quote::Legacy { price: 1 },
            block_gas,
            asked: Instant::now(),
            renewed: Instant::now(),
        };
        let small = market(Some(11_500_000));
        assert_eq!(small.gas_limit(9_268_692, 11_585_865), 11_500_000);
        assert_eq!(small.gas_limit(100, 125), 125);
        assert_eq!(
            market(None).gas_limit(15_000_000, 18_750_000),
            crate::calls::MAX_GAS
        );
        // What is needed is asked for all the same: the endpoint says why it refuses.
        assert_eq!(small.gas_limit(12_000_000, 15_000_000), 12_000_000);
    }
}
