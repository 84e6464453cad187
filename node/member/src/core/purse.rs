//! What is known of members' accounts, and reading it from the chain.

use super::input::Balances;
use futures::future::join_all;
use rings_chain::Chain;
use rings_protocol::Address;
use std::{collections::BTreeMap, time::Instant};

/// What is known of accounts.
#[derive(Debug, Default)]
pub(super) struct Funds {
    /// When each account was asked about.
    pub asked: BTreeMap<Address, Instant>,
    /// What each has.
    pub wei: BTreeMap<Address, u128>,
    /// The chain's price of a unit of gas.
    pub price: u128,
    /// When the own account was looked at last.
    pub looked: Option<Instant>,
    /// How much the own account had when it was told last.
    pub told: Level,
}

/// How much ether an account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Level {
    #[default]
    Enough,
    Little,
    None,
}

/// What the chain says of accounts. One that cannot be asked about is left out: it is taken to be as it was.
pub(super) async fn read(chain: &Chain, accounts: &[Address]) -> Balances {
    let asked = accounts.iter().map(|account| async move {
        let wei = chain.balance(*account).await;
        wei.ok().map(|wei| (*account, wei))
    });
    let (price, wei) = tokio::join!(chain.gas_price(), join_all(asked));
    Balances {
        wei: wei.into_iter().flatten().collect(),
        price: price.ok(),
    }
}
