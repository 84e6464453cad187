//! New heads that the endpoint pushes over a websocket. One task keeps the subscription for all readers, and keeps only
//! the newest head: a reader that was busy sees where the chain is now, not each step on the way.
//!
//! Only a pushed head that follows the newest one directly is believed. Any other (the same one again, an older one, one
//! of another branch, one far ahead) only says that something may have happened, and the endpoint is asked for its head.
//! It is also asked when it pushes nothing ([`Questions`] says when), and after each subscribing, because blocks that
//! came while there was no subscription are never pushed later. The task ends with its last reader.

use super::{failure::RpcFailure, providers::Providers, questions::Questions};
use crate::{backoff::Backoff, header::Header};
use ethers_providers::JsonRpcClient;
use serde_json::json;
use tokio::{
    sync::watch,
    time::{sleep_until, Instant},
};

/// The newest head, or the reason why no heads come.
type Newest = Option<Result<Header, RpcFailure>>;
pub(crate) type HeadReceiver = watch::Receiver<Newest>;

/// Starts the task that keeps the subscription; it ends when nobody reads any more. `hints` changes when somebody else
/// has told of something that is in no block that was pushed.
pub(crate) fn follow(rpc: Providers, hints: watch::Receiver<()>) -> HeadReceiver {
    let (newest, receiver) = watch::channel(None);
    let feed = Feed { rpc, newest, hints };
    tokio::spawn(feed.run());
    receiver
}

/// The task that follows the endpoint's heads.
struct Feed {
    rpc: Providers,
    newest: watch::Sender<Newest>,
    hints: watch::Receiver<()>,
}

/// Whether a pushed head is the block after the newest one that is known.
fn follows(known: &Newest, pushed: &Header) -> bool {
    let Some(Ok(known)) = known else {
        return false;
    };
    pushed.parent_hash == known.hash && Some(pushed.height()) == known.height().checked_add(1)
}

/// Whether two headers are of one block. An endpoint may push a hash with a number that is not that block's.
fn is_same(one: &Header, other: &Header) -> bool {
    (one.hash, one.number) == (other.hash, other.number)
}

impl Feed {
    async fn run(self) {
        let newest = self.newest.clone();
        tokio::select! {
            () = newest.closed() => {}
            () = self.keep_following() => {}
        }
    }

    /// Subscribes again after each failure. Readers see the failure in place of a head until then.
    async fn keep_following(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let failure = self.follow_once(&mut backoff).await;
            tracing::warn!(endpoint = self.rpc.endpoint(), error = %failure, "new blocks are not coming in");
            self.newest.send_replace(Some(Err(failure)));
            backoff.wait().await;
        }
    }

    /// Reads one subscription until it ends, and says why it did.
    async fn follow_once(&mut self, backoff: &mut Backoff) -> RpcFailure {
        let mut heads = match self.rpc.subscribe_heads().await {
            Ok(heads) => heads,
            Err(failure) => return failure,
        };
        if let Err(failure) = self.ask().await {
            return failure;
        }
        backoff.reset();
        let mut questions = Questions::new(Instant::now());
        loop {
            tokio::select! {
                head = heads.next() => match head {
                    Some(Ok(header)) => self.take(header, &mut questions),
                    Some(Err(failure)) => return failure,
                    None => return RpcFailure::unreachable("the connection was lost"),
                },
                Ok(()) = self.hints.changed(), if !questions.is_hinted() => questions.hinted(Instant::now()),
                () = sleep_until(questions.next()) => match self.ask().await {
                    Ok(is_news) => questions.answered(Instant::now(), is_news),
                    Err(failure) => return failure,
                },
            }
        }
    }

    /// Takes in a head that was pushed.
    fn take(&self, header: Header, questions: &mut Questions) {
        if follows(&self.newest.borrow(), &header) {
            questions.followed(Instant::now());
            self.newest.send_replace(Some(Ok(header)));
        } else {
            questions.doubted(Instant::now());
        }
    }

    /// Asks for the head, shows it to the readers, and returns whether it is a new one.
    async fn ask(&self) -> Result<bool, RpcFailure> {
        let params = json!(["latest", false]);
        let header: Header = self.rpc.request("eth_getBlockByNumber", params).await?;
        Ok(self.newest.send_if_modified(|current| {
            let is_known = matches!(current, Some(Ok(known)) if is_same(known, &header));
            if !is_known {
                *current = Some(Ok(header));
            }
            !is_known
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ethers_core::types::{H256, U256};

    fn header(number: u64, hash: u64, parent: u64) -> Header {
        Header {
            hash: H256::from_low_u64_be(hash),
            parent_hash: H256::from_low_u64_be(parent),
            number: number.into(),
            timestamp: U256::zero(),
            base_fee_per_gas: None,
            gas_limit: None,
            gas_used: None,
            logs_bloom: None,
        }
    }

    #[test]
    fn only_a_head_that_follows_directly_is_believed() {
        let known = Some(Ok(header(7, 70, 60)));
        assert!(follows(&known, &header(8, 80, 70)));
        let others = [
            header(7, 70, 60),
            header(8, 80, 71),
            header(9, 80, 70),
            header(7, 71, 60),
            header(6, 60, 50),
            // The newest block's hash with another number.
            header(0, 70, 60),
            header(u64::MAX, 70, 60),
        ];
        for other in others {
            assert!(!follows(&known, &other), "{other:?}");
        }
        for unknown in [None, Some(Err(RpcFailure::Timeout))] {
            assert!(!follows(&unknown, &header(8, 80, 70)));
        }
        let last = Some(Ok(header(u64::MAX, 70, 60)));
        assert!(!follows(&last, &header(0, 80, 70)));
    }
}
