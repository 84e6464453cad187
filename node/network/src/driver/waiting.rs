//! What the driver waits for: verdicts and answers of the consumer, and answers of peers.

use bytes::Bytes;
use futures::future::BoxFuture;
use libp2p::gossipsub::{MessageAcceptance, MessageId};
use libp2p::request_response::ResponseChannel;
use libp2p::PeerId as Id;
use tokio::sync::{oneshot, OwnedSemaphorePermit};

use crate::codec::Response;
use crate::event::tell;
use crate::NetworkError;

/// A message, the neighbour it came through, and what the consumer decided.
pub(super) type Judged = (MessageId, Id, MessageAcceptance);
pub(super) type Judging = BoxFuture<'static, Judged>;

/// Where an answer goes, and what it is.
pub(super) type Answered = (ResponseChannel<Response>, Response);
pub(super) type Answering = BoxFuture<'static, Answered>;

/// The caller who waits for a peer's answer, and its turn, which ends with the request itself: a caller
/// that gives up does not make room for more than the peer can take.
#[derive(Debug)]
pub(super) struct Asked {
    done: oneshot::Sender<Result<Bytes, NetworkError>>,
    turn: OwnedSemaphorePermit,
}

impl Asked {
    pub(super) fn new(
        turn: OwnedSemaphorePermit,
        done: oneshot::Sender<Result<Bytes, NetworkError>>,
    ) -> Self {
        Self { done, turn }
    }

    /// Gives the caller the answer, or why there is none.
    pub(super) fn tell(self, result: Result<Bytes, NetworkError>) {
        drop(self.turn);
        tell(self.done, result);
    }
}
