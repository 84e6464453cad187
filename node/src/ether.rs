//! What members' accounts hold, and when that is little.

use futures::future::join_all;
use rings_chain::Chain;
use rings_protocol::Address;
use std::collections::BTreeMap;

/// A member that can pay for fewer registrations than this is short of ether.
const FEW_REGISTRATIONS: u64 = 20;
/// One that does not say so itself, and has less wei than this, is: a tenth of what `rings up --fund` gives.
const LITTLE: u128 = 5_000_000_000_000_000;

/// The wei of each account whose balance can be read.
pub async fn balances(chain: &Chain, accounts: &[Address]) -> BTreeMap<Address, u128> {
    let asked = accounts
        .iter()
        .map(|account| async { Some((*account, chain.balance(*account).await.ok()?)) });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Whether a member will soon not be able to register results: as it says itself, or else by its wei.
pub fn is_short(registrations: Option<u64>, wei: Option<u128>) -> bool {
    match registrations {
        Some(registrations) => registrations < FEW_REGISTRATIONS,
        None => wei.is_some_and(is_little),
    }
}

/// Whether this balance will soon not be enough to register results.
pub fn is_little(wei: u128) -> bool {
    wei < LITTLE
}
