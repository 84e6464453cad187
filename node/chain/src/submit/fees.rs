//! What a transaction offers to pay.

use crate::{
    chain::{Chain, Header},
    convert::count,
    error::ChainError,
    rpc::RpcFailure,
};
use ethers_core::types::U256;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::{Duration, Instant};

/// A quote is used for so long without asking again; over a websocket each new head renews it.
pub(super) const QUOTE_LIFE: Duration = Duration::from_secs(3);
/// The tip is asked for again after so long.
pub(super) const TIP_LIFE: Duration = Duration::from_secs(60);
/// The tip where an endpoint does not suggest one: 1 gwei.
const DEFAULT_TIP: u128 = 1_000_000_000;

/// Fees per gas, in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Fees {
    /// EIP-1559.
    Dynamic { max: u128, tip: u128 },
    /// Before it.
    Legacy { price: u128 },
}

/// What the chain asks for now, in wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quote {
    Dynamic { base: u128, tip: u128 },
    Legacy { price: u128 },
}

/// One eighth more, and at least one wei: nodes replace a transaction only for 10 to 12.5 % more.
fn bumped(fee: u128) -> u128 {
    fee.saturating_add(fee / 8).saturating_add(1)
}

impl Fees {
    /// Fees for a quote: twice the base fee, so that it may rise for six full blocks, and the tip.
    pub(super) fn offer(quote: Quote, cap: u128) -> Self {
        match quote {
            Quote::Dynamic { base, tip } => {
                let max = base.saturating_mul(2).saturating_add(tip).min(cap);
                let tip = tip.min(max);
                Self::Dynamic { max, tip }
            }
            Quote::Legacy { price } => Self::Legacy {
                price: price.min(cap),
            },
        }
    }

    /// Fees for which a transaction with `self` is replaced, at least those of the quote; `None` when
    /// that would be more than `cap`.
    pub(super) fn raise(self, quote: Quote, cap: u128) -> Option<Self> {
        let raised = match (self, Self::offer(quote, cap)) {
            (Self::Dynamic { max, tip }, Self::Dynamic { max: m, tip: t }) => {
                let max = bumped(max).max(m);
                let tip = bumped(tip).max(t).min(max);
                Self::Dynamic { max, tip }
            }
            (Self::Legacy { price }, Self::Legacy { price: p }) => Self::Legacy {
                price: bumped(price).max(p),
            },
            // The chain has changed its kind of fees, which happens at a fork.
            (_, offer) => offer,
        };
        (raised.most() <= cap).then_some(raised)
    }

    /// The most that one gas may cost.
    pub(super) fn most(self) -> u128 {
        match self {
            Self::Dynamic { max, .. } => max,
            Self::Legacy { price } => price,
        }
    }
}

/// The newest quote.
pub(super) struct Market {
    pub quote: Quote,
    asked: Instant,
    renewed: Instant,
}

impl Market {
    /// Asks the chain.
    pub(super) async fn ask(chain: &Chain) -> Result<Self, ChainError> {
        let (header, tip) = tokio::join!(chain.latest(), suggested_tip(chain));
        let quote = match base_fee(&header?) {
            Some(base) => Quote::Dynamic { base, tip: tip? },
            None => Quote::Legacy {
                price: gas_price(chain).await?,
            },
        };
        let asked = Instant::now();
        Ok(Self {
            quote,
            asked,
            renewed: asked,
        })
    }

    /// A new head tells the base fee.
    pub(super) fn renew(&mut self, header: &Header) {
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

    /// Whether the quote may be used as it is; with pushed heads it is always as new as the chain.
    pub(super) fn is_fresh(&self, pushed: bool) -> bool {
        pushed || self.renewed.elapsed() < QUOTE_LIFE
    }

    /// The chain is being asked: once is enough.
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

/// Not every endpoint suggests a tip; that one does not is no failure.
async fn suggested_tip(chain: &Chain) -> Result<u128, ChainError> {
    let method = "eth_maxPriorityFeePerGas";
    match chain.request::<U256>(method, json!([])).await {
        Ok(tip) => Ok(wei(tip)),
        Err(RpcFailure::Refused(_)) => Ok(DEFAULT_TIP),
        Err(failure) => Err(chain.explain(method, failure)),
    }
}

async fn gas_price(chain: &Chain) -> Result<u128, ChainError> {
    let method = "eth_gasPrice";
    let price: U256 = chain
        .request(method, json!([]))
        .await
        .map_err(|failure| chain.explain(method, failure))?;
    Ok(u128::from(count(price)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CAP: u128 = 500_000_000_000;

    proptest! {
        #[test]
        fn a_raise_is_an_eighth_or_nothing(max in 0..2 * CAP, tip in 0..2 * CAP, base in 0..CAP) {
            let tip = tip.min(max);
            let old = Fees::Dynamic { max, tip };
            let quote = Quote::Dynamic { base, tip: 1 };
            match old.raise(quote, CAP) {
                Some(Fees::Dynamic { max: m, tip: t }) => {
                    prop_assert!(m <= CAP && t <= m);
                    prop_assert!(8 * m >= 9 * max, "{m} {max}");
                    prop_assert!(8 * t >= 9 * tip, "{t} {tip}");
                }
                Some(Fees::Legacy { .. }) => prop_assert!(false),
                None => prop_assert!(bumped(max) > CAP),
            }
        }

        #[test]
        fn an_offer_is_within_the_cap(base: u128, tip: u128, cap: u128) {
            let offer = Fees::offer(Quote::Dynamic { base, tip }, cap);
            prop_assert!(offer.most() <= cap);
            let offer = Fees::offer(Quote::Legacy { price: base }, cap);
            prop_assert!(offer.most() <= cap);
        }
    }

    #[test]
    fn raises_reach_the_cap_and_stop() {
        let mut fees = Fees::Legacy { price: 1 };
        let mut raises = 0;
        while let Some(raised) = fees.raise(Quote::Legacy { price: 0 }, CAP) {
            fees = raised;
            raises += 1;
        }
        assert!(fees.most() <= CAP && fees.most() > CAP / 2 && raises < 300);
    }
}
