//! New heads of the chain. Only the newest is kept: a reader that was busy sees where the chain is now,
//! not each step on the way.

use crate::{
    chain::{Chain, Header},
    error::ChainError,
    rpc::{Backoff, Rpc, RpcFailure},
};
use ethers_core::types::H256;
use serde_json::json;
use std::time::Duration;
use tokio::{
    sync::watch,
    time::{interval, timeout, Interval, MissedTickBehavior},
};

/// A websocket that has told of no block for so long is asked.
const SILENCE: Duration = Duration::from_secs(15);

/// The newest head, or why there is none.
type Newest = Option<Result<Header, RpcFailure>>;
pub(crate) type Receiver = watch::Receiver<Newest>;

/// A reader of new heads.
pub(crate) struct Heads {
    chain: Chain,
    source: Source,
}

enum Source {
    Pushed(Receiver),
    Polled { every: Interval, last: Option<H256> },
}

impl Heads {
    pub(crate) fn pushed(chain: Chain, receiver: Receiver) -> Self {
        let source = Source::Pushed(receiver);
        Self { chain, source }
    }

    pub(crate) fn polled(chain: Chain, poll: Duration) -> Self {
        let mut every = interval(poll.max(Duration::from_millis(1)));
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let source = Source::Polled { every, last: None };
        Self { chain, source }
    }

    /// Waits for a head that this reader has not had. May be dropped and called again.
    ///
    /// # Errors
    /// What keeps the chain from being followed; calling again goes on.
    pub(crate) async fn next(&mut self) -> Result<Header, ChainError> {
        match &mut self.source {
            Source::Pushed(receiver) => next_pushed(&self.chain, receiver).await,
            Source::Polled { every, last } => next_polled(&self.chain, every, last).await,
        }
    }
}

async fn next_pushed(chain: &Chain, receiver: &mut Receiver) -> Result<Header, ChainError> {
    loop {
        if receiver.changed().await.is_err() {
            // The task has ended, with the runtime or by a panic. Do not let the reader spin.
            tokio::time::sleep(SILENCE).await;
            let ended = RpcFailure::unreachable("the subscription has ended");
            return Err(chain.explain("eth_subscribe", ended));
        }
        let newest = receiver.borrow_and_update().clone();
        match newest {
            Some(Ok(header)) => {
                chain.remember(&header);
                return Ok(header);
            }
            Some(Err(failure)) => return Err(chain.explain("eth_subscribe", failure)),
            None => {}
        }
    }
}

async fn next_polled(
    chain: &Chain,
    every: &mut Interval,
    last: &mut Option<H256>,
) -> Result<Header, ChainError> {
    loop {
        every.tick().await;
        let header = chain.latest().await?;
        if *last != Some(header.hash) {
            *last = Some(header.hash);
            return Ok(header);
        }
    }
}

/// Starts the task that keeps the subscription; it ends when nobody reads any more.
pub(crate) fn follow(rpc: Rpc) -> Receiver {
    let (newest, receiver) = watch::channel(None);
    tokio::spawn(async move {
        let following = keep_following(&rpc, &newest);
        tokio::select! {
            () = newest.closed() => {}
            () = following => {}
        }
    });
    receiver
}

async fn keep_following(rpc: &Rpc, newest: &watch::Sender<Newest>) {
    let mut backoff = Backoff::default();
    loop {
        let failure = follow_once(rpc, newest, &mut backoff).await;
        tracing::warn!(endpoint = rpc.endpoint(), error = %failure, "new blocks are not coming in");
        newest.send_replace(Some(Err(failure)));
        backoff.wait().await;
    }
}

/// Reads one subscription until it ends, and says why.
async fn follow_once(
    rpc: &Rpc,
    newest: &watch::Sender<Newest>,
    backoff: &mut Backoff,
) -> RpcFailure {
    let mut heads = match rpc.subscribe_heads().await {
        Ok(heads) => heads,
        Err(failure) => return failure,
    };
    // Blocks that came while there was no subscription are not told of.
    if let Err(failure) = ask(rpc, newest).await {
        return failure;
    }
    backoff.reset();
    loop {
        match timeout(SILENCE, heads.next()).await {
            Ok(Some(Ok(header))) => tell(newest, header),
            Ok(Some(Err(failure))) => return failure,
            Ok(None) => return RpcFailure::unreachable("the connection was lost"),
            Err(_) => {
                if let Err(failure) = ask(rpc, newest).await {
                    return failure;
                }
            }
        }
    }
}

async fn ask(rpc: &Rpc, newest: &watch::Sender<Newest>) -> Result<(), RpcFailure> {
    use ethers_providers::JsonRpcClient;
    let params = json!(["latest", false]);
    let header: Header = rpc.request("eth_getBlockByNumber", params).await?;
    tell(newest, header);
    Ok(())
}

fn tell(newest: &watch::Sender<Newest>, header: Header) {
    newest.send_if_modified(|current| {
        let known = matches!(current, Some(Ok(known)) if known.hash == header.hash);
        if !known {
            *current = Some(Ok(header));
        }
        !known
    });
}
