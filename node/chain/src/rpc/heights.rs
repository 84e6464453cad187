//! Compares the heads of several endpoints from time to time.
//!
//! An endpoint that lags answers everything, but from the past. It is put aside when it is [`LAG`] blocks behind, or
//! behind and standing still, and taken back when it is well again. What counts as the newest block is the height that
//! as many endpoints as must agree have reached, because a head that fewer have may be invented.

use super::{
    failure::RpcFailure,
    providers::{Inner, Providers, PATIENCE},
};
use ethers_core::types::U64;
use ethers_providers::JsonRpcClient;
use futures::future::join_all;
use serde_json::json;
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::time::timeout;

/// How often the heads of all are compared.
const COMPARE: Duration = Duration::from_secs(15);
/// An endpoint lags when it is more than this many blocks behind the others.
const LAG: u64 = 5;

impl Providers {
    /// Starts the comparison of heads, which ends with the last handle. With one endpoint there is nothing to compare.
    pub(crate) fn watch_over(&self) {
        if self.only().is_none() {
            tokio::spawn(compare_heads(Arc::downgrade(&self.0)));
        }
    }
}

/// Puts aside those that are behind the others, and takes back those that are well again.
async fn compare_heads(inner: Weak<Inner>) {
    let mut before = Vec::new();
    loop {
        tokio::time::sleep(COMPARE).await;
        let Some(inner) = inner.upgrade() else { return };
        before = Providers(inner).compare(&before).await;
    }
}

impl Providers {
    /// Compares the heads of all once. `before` is at which head each was behind the last time; what it is now is given back.
    pub(super) async fn compare(&self, before: &[Option<u64>]) -> Vec<Option<u64>> {
        let asked = self.0.all.iter().map(|provider| async move {
            let head = provider.rpc.request("eth_blockNumber", json!([]));
            let head: Result<U64, _> = timeout(PATIENCE, head)
                .await
                .unwrap_or(Err(RpcFailure::Timeout));
            head.map(|head| head.as_u64())
        });
        let heads = join_all(asked).await;
        let newest = newest(&heads, self.0.agree);
        let standing = self.0.all.iter().zip(&heads).enumerate();
        for (index, (provider, head)) in standing {
            match head {
                Err(failure) => self.put_aside(provider, &failure.in_words()),
                Ok(head) if lags(*head, before.get(index).copied(), newest) => {
                    let reason = format!(
                        "it is behind: its newest block is {head}, and others have {newest}"
                    );
                    self.put_aside(provider, &reason);
                }
                Ok(_) => self.is_good(provider),
            }
        }
        // What each was behind then counts the next time.
        let behind = heads.into_iter();
        behind
            .map(|head| head.ok().filter(|head| *head < newest))
            .collect()
    }
}

/// The newest block that as many have as must agree: a head that fewer have may be invented.
fn newest(heads: &[Result<u64, RpcFailure>], agree: usize) -> u64 {
    let mut known: Vec<u64> = heads.iter().flatten().copied().collect();
    known.sort_unstable();
    known.into_iter().rev().nth(agree - 1).unwrap_or(0)
}

/// Whether a head is far behind, or stands where it stood when it was behind already.
fn lags(head: u64, was_behind_at: Option<Option<u64>>, newest: u64) -> bool {
    let stands = was_behind_at.flatten() == Some(head);
    head.saturating_add(LAG) < newest || (stands && head < newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_lags_when_it_is_far_behind_or_stands_behind() {
        assert!(!lags(10, None, 12), "it may have the block in a moment");
        assert!(lags(10, Some(Some(10)), 12), "it had a moment");
        assert!(!lags(11, Some(Some(10)), 12), "it goes on");
        assert!(!lags(12, Some(Some(12)), 12));
        assert!(lags(10, None, 16));
    }

    #[test]
    fn a_head_that_one_invents_is_not_the_newest_where_two_must_agree() {
        let heads = [Ok(1_000), Ok(12), Ok(11)];
        assert_eq!(newest(&heads, 2), 12);
        assert_eq!(newest(&heads, 1), 1_000);
        assert_eq!(newest(&[Err(RpcFailure::Timeout)], 1), 0);
    }
}
