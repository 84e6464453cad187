//! New heads that the endpoint pushes over a websocket. One task keeps the subscription for all readers, and keeps only
//! the newest head: a reader that was busy sees where the chain is now, not each step on the way.
//!
//! A subscription can die without a sign. So after [`SILENCE`] without a push the head is asked for, and after a hint
//! from elsewhere (a transaction that is in a block which was not pushed) much sooner. Blocks that came while there was
//! no subscription are never pushed later, so the head is also asked for after each subscribing. A push that brings no
//! higher block counts as silence, and an endpoint whose head had to be asked for is asked again and again until it pushes one
//! by itself. The task ends with its last reader.

use super::{failure::RpcFailure, providers::Providers};
use crate::{backoff::Backoff, header::Header};
use ethers_providers::JsonRpcClient;
use serde_json::json;
use std::time::Duration;
use tokio::{
    sync::watch,
    time::{sleep_until, Instant},
};

/// After this long without a pushed block, the head is asked for. This finds a subscription that the endpoint has
/// forgotten; a lost connection is noticed much sooner, by its pings.
const SILENCE: Duration = Duration::from_secs(90);
/// After a hint that there is a newer block, this long is left to the endpoint to push it. While the answer is no newer
/// block, the pause before the next question doubles, up to [`SILENCE`]: false hints cost little.
const HINT_PATIENCE: Duration = Duration::from_secs(2);

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

/// When the head is asked for although none was pushed.
struct Question {
    at: Instant,
    pause: Duration,
    /// Whether a hint is the reason.
    hinted: bool,
}

impl Question {
    fn after_silence() -> Self {
        Self {
            at: Instant::now() + SILENCE,
            pause: SILENCE,
            hinted: false,
        }
    }

    fn in_a_moment(pause: Duration) -> Self {
        let pause = pause.min(SILENCE);
        Self {
            at: Instant::now() + pause,
            pause,
            hinted: true,
        }
    }

    /// The next one, after an answer that was a new head, which should have been pushed, or was not.
    fn next(&self, is_news: bool) -> Self {
        match (is_news, self.hinted) {
            (true, _) => Self::in_a_moment(HINT_PATIENCE),
            (false, true) => Self::in_a_moment(self.pause * 2),
            (false, false) => Self::after_silence(),
        }
    }
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
        // Blocks that came while there was no subscription are not pushed later, so the head is asked for.
        if let Err(failure) = self.ask().await {
            return failure;
        }
        backoff.reset();
        let mut question = Question::after_silence();
        loop {
            tokio::select! {
                head = heads.next() => match head {
                    Some(Ok(header)) => {
                        if self.is_higher(&header) {
                            question = Question::after_silence();
                        }
                        self.publish(header);
                    }
                    Some(Err(failure)) => return failure,
                    None => return RpcFailure::unreachable("the connection was lost"),
                },
                Ok(()) = self.hints.changed(), if !question.hinted => {
                    question = Question::in_a_moment(HINT_PATIENCE);
                }
                () = sleep_until(question.at) => match self.ask().await {
                    Ok(is_news) => question = question.next(is_news),
                    Err(failure) => return failure,
                },
            }
        }
    }

    /// Asks for the head, and returns whether it is a new one.
    async fn ask(&self) -> Result<bool, RpcFailure> {
        let params = json!(["latest", false]);
        let header: Header = self.rpc.request("eth_getBlockByNumber", params).await?;
        Ok(self.publish(header))
    }

    fn is_higher(&self, header: &Header) -> bool {
        match &*self.newest.borrow() {
            Some(Ok(known)) => header.height() > known.height(),
            Some(Err(_)) | None => true,
        }
    }

    /// Shows a head to the readers, unless it is the one that they have.
    fn publish(&self, header: Header) -> bool {
        self.newest.send_if_modified(|current| {
            let known = matches!(current, Some(Ok(known)) if known.hash == header.hash);
            if !known {
                *current = Some(Ok(header));
            }
            !known
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn false_hints_cost_less_and_less() {
        let mut question = Question::in_a_moment(HINT_PATIENCE);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pauses.push(question.pause.as_secs());
            question = question.next(false);
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 90, 90]);
        assert!(question.hinted);
        for question in [question, Question::after_silence()] {
            let next = question.next(true);
            assert!(next.hinted, "the head should have been pushed");
            assert_eq!(next.pause, HINT_PATIENCE);
        }
        assert_eq!(
            Question::after_silence().next(false).pause,
            SILENCE,
            "without a hint nothing is hurried"
        );
    }
}
