//! Flow control of a WebSocket session.
//!
//! jsonrpsee starts a task for every message that it reads, and each waits with its answer until the client has
//! taken those before it. Nothing there bounds the tasks or the answers, so a client that sends faster than it
//! reads would fill the memory. Here calls of one session are answered one after the other; the next one waits
//! until most of what was answered is written; and while several wait, nothing more is read.

use futures::task::AtomicWaker;
use jsonrpsee::{
    core::middleware::{Batch, Notification, RpcServiceT},
    server::MethodResponse,
    types::Request,
};
use std::{
    future::Future,
    sync::{
        atomic::{AtomicUsize, Ordering::SeqCst},
        Arc,
    },
    task::Context,
};
use tokio::sync::{Mutex, Notify};

/// References to messages at work, beyond which nothing is read. A call counts two or three times, a batch once
/// more than it has calls.
const MAX_REFERENCES: usize = 12;
/// Bytes of answers that wait to be written, beyond which no further call is begun.
const MAX_UNWRITTEN: usize = 64 * 1024;

/// What reader, calls and writer of a session tell each other.
#[derive(Debug, Default)]
pub(super) struct Session {
    references: AtomicUsize,
    reader: AtomicWaker,
    turn: Mutex<()>,
    unwritten: AtomicUsize,
    written: Notify,
}

/// A reference to a message at work: jsonrpsee clones the extensions of the request, in which this is, for
/// every message that it reads.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Session>);

/// The service of one session, which lets calls in one at a time.
#[derive(Debug, Clone)]
pub(super) struct InTurn<S> {
    inner: S,
    session: Arc<Session>,
}

impl Session {
    /// Whether another message may be read; if not, the reader is woken when it is worth asking again.
    pub(super) fn may_read(&self, cx: &Context<'_>) -> bool {
        self.reader.register(cx.waker());
        self.references.load(SeqCst) <= MAX_REFERENCES
    }

    /// Bytes went out.
    pub(super) fn wrote(&self, bytes: usize) {
        let rest = |unwritten: usize| Some(unwritten.saturating_sub(bytes));
        let before = self
            .unwritten
            .fetch_update(SeqCst, SeqCst, rest)
            .unwrap_or_default();
        if before >= MAX_UNWRITTEN {
            self.written.notify_one();
        }
    }

    /// Answers when those before are answered and nearly written.
    async fn in_turn(&self, answering: impl Future<Output = MethodResponse>) -> MethodResponse {
        let _turn = self.turn.lock().await;
        while self.unwritten.load(SeqCst) >= MAX_UNWRITTEN {
            self.written.notified().await;
        }
        let answer = answering.await;
        if !answer.is_notification() {
            self.unwritten.fetch_add(answer.as_ref().len(), SeqCst);
        }
        answer
    }
}

impl InFlight {
    pub(super) fn new(session: Arc<Session>) -> Self {
        session.references.fetch_add(1, SeqCst);
        Self(session)
    }
}

impl Clone for InFlight {
    fn clone(&self) -> Self {
        Self::new(self.0.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.references.fetch_sub(1, SeqCst);
        self.0.reader.wake();
    }
}

impl<S> InTurn<S> {
    pub(super) fn new(inner: S, session: Arc<Session>) -> Self {
        Self { inner, session }
    }
}

impl<S> RpcServiceT for InTurn<S>
where
    S: RpcServiceT<
            MethodResponse = MethodResponse,
            BatchResponse = MethodResponse,
            NotificationResponse = MethodResponse,
        > + Clone
        + Send
        + Sync
        + 'static,
{
    type MethodResponse = MethodResponse;
    type BatchResponse = MethodResponse;
    type NotificationResponse = MethodResponse;

    fn call<'a>(&self, call: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        async move { this.session.in_turn(this.inner.call(call)).await }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let this = self.clone();
        async move { this.session.in_turn(this.inner.batch(batch)).await }
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.notification(notification)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::poll;
    use jsonrpsee::types::{Id, ResponsePayload};
    use std::{pin::pin, task::Waker};

    fn answer(bytes: usize) -> MethodResponse {
        let payload = ResponsePayload::success("x".repeat(bytes));
        MethodResponse::response(Id::Number(1), payload.into(), usize::MAX)
    }

    #[tokio::test]
    async fn the_next_call_waits_until_the_last_answer_is_nearly_written() {
        let session = Session::default();
        let big = session.in_turn(async { answer(2 * MAX_UNWRITTEN) }).await;
        let mut next = pin!(session.in_turn(async { answer(1) }));
        assert!(poll!(&mut next).is_pending());
        session.wrote(MAX_UNWRITTEN / 2);
        assert!(poll!(&mut next).is_pending());
        session.wrote(big.as_ref().len());
        assert!(poll!(&mut next).is_ready());
    }

    #[test]
    fn nothing_is_read_while_many_messages_are_at_work() {
        let session = Arc::new(Session::default());
        let cx = Context::from_waker(Waker::noop());
        let mut messages = vec![InFlight::new(session.clone())];
        while messages.len() < MAX_REFERENCES {
            messages.push(messages[0].clone());
        }
        assert!(session.may_read(&cx));
        messages.push(messages[0].clone());
        assert!(!session.may_read(&cx));
        messages.pop();
        assert!(session.may_read(&cx));
    }
}
