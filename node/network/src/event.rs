//! What the network tells its consumer: events, and the requests of peers. With them come the handles to answer with.
//!
//! An [`Event`] is a gossip message, or a peer that can be reached or no longer. With a message comes a [`Verdict`]:
//! whether to pass it on, ignore it, or penalise the peer that sent it. A [`PeerRequest`] comes in a queue of its own,
//! with a [`Reply`] that takes the answer. Verdicts and replies can be dropped: that means "ignore" and "no answer".
//!
//! So a consumer that fails on a message, or forgets one, harms nobody: the message is not passed on, and its place is
//! free again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use bytes::Bytes;
use libp2p::gossipsub::MessageAcceptance;
use tokio::sync::oneshot;

use crate::codec::Response;
use crate::PeerId;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A message was published by a peer. Our own messages do not come back.
    Gossip {
        /// The neighbour it came through, which need not be its author.
        from: PeerId,
        /// The message.
        data: Bytes,
        /// Decides what happens to it.
        verdict: Verdict,
    },
    /// A peer can be reached: what is published from now on is sent to it.
    Connected(PeerId),
    /// The last connection to a peer is gone. Redials are under way if it is still on the list.
    Disconnected(PeerId),
}

/// A peer asks something. Requests have a queue of their own, so that answering them never delays events.
#[derive(Debug)]
pub struct PeerRequest {
    /// Who asks.
    pub from: PeerId,
    /// The question.
    pub data: Bytes,
    /// Takes the answer.
    pub reply: Reply,
}

/// Decides what happens to a gossip message. The verdict must be given within 10 seconds; after that the message is not
/// forwarded. Dropping it means [`Verdict::ignore`].
#[derive(Debug)]
pub struct Verdict {
    pub(crate) decision: oneshot::Sender<MessageAcceptance>,
    pub(crate) held: GossipShare,
}

impl Verdict {
    /// The message is good: it is forwarded.
    pub fn accept(self) {
        self.decide(MessageAcceptance::Accept);
    }

    /// The message is of no use here, or cannot be judged (an old epoch, an unknown gate): it is not
    /// forwarded, and no peer is penalised.
    pub fn ignore(self) {
        self.decide(MessageAcceptance::Ignore);
    }

    /// The message can only come from a faulty peer (it does not parse, its signature is wrong): it is not forwarded,
    /// and the neighbour that forwarded it is penalised. After three within a short time, its gossip is ignored for a
    /// while; its requests are still answered.
    pub fn reject(self) {
        self.decide(MessageAcceptance::Reject);
    }

    fn decide(self, acceptance: MessageAcceptance) {
        drop(self.held);
        tell(self.decision, acceptance);
    }
}

/// Takes the answer to a request, within [`crate::Limits::request_timeout`]. Dropping it tells the peer
/// that no answer will come.
#[derive(Debug)]
pub struct Reply {
    pub(crate) answer: oneshot::Sender<Response>,
    pub(crate) limit: usize,
}

impl Reply {
    /// Sends the answer. One that is longer than [`crate::Limits::response_bytes`] is not sent: the peer
    /// is told that no answer will come, and the log says why.
    pub fn send(self, data: Bytes) {
        if data.len() > self.limit {
            tracing::error!(
                bytes = data.len(),
                limit = self.limit,
                "an answer is too long to be sent"
            );
            return;
        }
        tell(self.answer, Response::Answer(data));
    }

    /// Tells the peer that this node has too much to do: it may ask somebody else, or again later.
    pub fn busy(self) {
        tell(self.answer, Response::Busy);
    }
}

/// A share of the bytes of gossip that may wait for a verdict; it is given back when dropped.
#[derive(Debug)]
pub(crate) struct GossipShare {
    total: Arc<AtomicUsize>,
    bytes: usize,
}

impl GossipShare {
    /// Takes the bytes, unless there would be more than the limit.
    pub(crate) fn take(total: &Arc<AtomicUsize>, bytes: usize, limit: usize) -> Option<Self> {
        let add = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= limit);
        total
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
            .ok()
            .map(|_| Self {
                total: Arc::clone(total),
                bytes,
            })
    }
}

impl Drop for GossipShare {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Sends an answer to a receiver that may have been dropped meanwhile.
pub(crate) fn tell<T>(sender: oneshot::Sender<T>, value: T) {
    if sender.send(value).is_err() {
        tracing::trace!("the receiver is gone; the answer is dropped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_bytes_are_bounded_and_given_back() {
        let total = Arc::default();
        let first = GossipShare::take(&total, 60, 100).unwrap();
        assert!(GossipShare::take(&total, 41, 100).is_none());
        let second = GossipShare::take(&total, 40, 100).unwrap();
        drop((first, second));
        assert_eq!(total.load(Ordering::Relaxed), 0);
        assert!(GossipShare::take(&total, usize::MAX, 100).is_none());
    }

    #[test]
    fn an_answer_over_the_limit_is_not_sent() {
        let (answer, mut sent) = oneshot::channel();
        Reply { answer, limit: 3 }.send(Bytes::from_static(b"four"));
        assert!(sent.try_recv().is_err());
    }
}
