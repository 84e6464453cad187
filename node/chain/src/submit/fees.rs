//! What a transaction offers to pay. This file only computes; `market` asks the chain.
//!
//! A quote is what the chain asks for now, and [`Fees`] is what a transaction offers, by EIP-1559 or as one price. From
//! a quote come the fees of a new transaction, of one that replaces a stuck one (an eighth more, because nodes demand
//! it), and of one that offers more than the account can pay. Nothing is ever above the cap of the configuration.
//!
//! All amounts are wei for one unit of gas. An offer of twice the base fee is not what is paid: the chain charges the
//! base fee of the block, and the rest of the offer is only room for it to rise, by an eighth with each full block.

use crate::error::ChainError;
use serde::{Deserialize, Serialize};

/// What a transaction offers for one gas, in wei.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Fees {
    /// Of EIP-1559: the base fee of the block and a tip, together at most `max`.
    Dynamic { max: u128, tip: u128 },
    /// As before EIP-1559: one price.
    Legacy { price: u128 },
}

/// What the chain asks for now, in wei per gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quote {
    Dynamic { base: u128, tip: u128 },
    Legacy { price: u128 },
}

impl Quote {
    /// The lowest price at which a block takes a transaction.
    fn least(self) -> u128 {
        match self {
            Self::Dynamic { base, .. } => base,
            Self::Legacy { price } => price,
        }
    }

    /// Whether transactions can be sent at all for at most `cap`.
    ///
    /// # Errors
    /// [`ChainError::FeeCap`] when the chain asks for more.
    pub(super) fn within(self, cap: u128) -> Result<(), ChainError> {
        let price = self.least();
        if price > cap {
            return Err(ChainError::FeeCap { price, cap });
        }
        Ok(())
    }
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

    /// The fees of a new offer, if they are so much lower than `self` that signing the transaction again is worth it.
    pub(super) fn lower(self, quote: Quote, cap: u128) -> Option<Self> {
        let offer = Self::offer(quote, cap);
        (bumped(offer.most()) < self.most()).then_some(offer)
    }

    /// The most that one gas may cost.
    pub(super) fn most(self) -> u128 {
        match self {
            Self::Dynamic { max, .. } => max,
            Self::Legacy { price } => price,
        }
    }
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
    fn a_price_above_the_cap_is_refused_and_one_below_is_used() {
        let gwei = 1_000_000_000;
        let quote = |base| Quote::Dynamic { base, tip: gwei };
        assert!(quote(CAP).within(CAP).is_ok());
        let refused = quote(10 * CAP).within(CAP);
        assert!(
            matches!(refused, Err(ChainError::FeeCap { price, cap: CAP }) if price == 10 * CAP)
        );
        let dear = Fees::offer(quote(CAP), CAP);
        assert_eq!(dear.lower(quote(CAP), CAP), None);
        assert_eq!(
            dear.lower(quote(gwei), CAP),
            Some(Fees::offer(quote(gwei), CAP))
        );
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
