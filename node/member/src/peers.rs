//! Brings events of peers into the core's inbox, and answers their requests from the [`Shelf`].
//!
//! Answering never delays events: a request beyond a peer's share is refused, and the peer asks again. How many answers
//! are made at one time has a bound, and so have the bytes that wait to be written to one peer. Events and requests come
//! from the network in two queues, so that many requests cannot hold up a vote. Events wait while the inbox of the core
//! is full; what the network does when its own queue is full is said there.

use super::{
    core::Input,
    error::MemberError,
    serve::{is_answered_at_length, ServeError, Shelf},
};
use bytes::Bytes;
use rings_network::{Event, PeerId, PeerRequest};
use rings_protocol::wire::{WireRequest, MAX_ANSWER_BYTES};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{mpsc, OwnedSemaphorePermit, Semaphore};

/// Answers to other members that are made at one time.
const MADE_AT_ONCE: usize = 32;
/// Requests of one member that are being answered, or wait for it.
const SERVED_PER_PEER: usize = 8;
/// Bytes of long answers to one member that are being made, or wait to be written to it. While one answer of blocks is written the
/// next is made. A member that reads slowly holds up nobody else.
const SERVED_BYTES_PER_PEER: usize = MAX_ANSWER_BYTES + (2 << 20);

/// Brings what peers do to the core.
pub(super) async fn listen(
    mut events: mpsc::Receiver<Event>,
    outbox: mpsc::Sender<Input>,
) -> Result<(), MemberError> {
    while let Some(event) = events.recv().await {
        let input = match event {
            Event::Gossip {
                from,
                data,
                verdict,
            } => Input::Gossip {
                from,
                data,
                verdict,
            },
            Event::Connected(peer) => Input::Connected(peer),
            Event::Disconnected(peer) => Input::Disconnected(peer),
        };
        if outbox.send(input).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Answers what peers ask, without ever waiting itself.
pub(super) async fn answer_all(
    mut requests: mpsc::Receiver<PeerRequest>,
    shelf: Shelf,
) -> Result<(), MemberError> {
    let counter = Counter::default();
    let making = Arc::new(Semaphore::new(MADE_AT_ONCE));
    while let Some(request) = requests.recv().await {
        match counter.take(request.from) {
            Some(place) => drop(tokio::spawn(answer(
                shelf.clone(),
                request,
                place,
                Arc::clone(&making),
            ))),
            // The reply is dropped with the request, which tells the peer that no answer will come.
            None => {
                tracing::debug!(from = %request.from, "too many requests at once: one is refused");
            }
        }
    }
    Ok(())
}

async fn answer(shelf: Shelf, request: PeerRequest, place: AnswerSlot, making: Arc<Semaphore>) {
    let from = request.from;
    match make(&shelf, &request, &place, &making).await {
        Ok(answer) => request.reply.send(answer),
        Err(error @ ServeError::NotKept { .. }) => {
            tracing::debug!(%from, %error, "a request is left to others");
        }
        Err(ServeError::Client(error)) => {
            let cause = rings_api::with_causes(&error);
            tracing::debug!(%from, cause, "a request about a client ring was not answered");
        }
        Err(error) => {
            tracing::warn!(%from, error = &error as &dyn std::error::Error, "a request was not answered");
        }
    }
    drop(place);
}

/// Makes an answer, when there is room for it.
async fn make(
    shelf: &Shelf,
    request: &PeerRequest,
    place: &AnswerSlot,
    making: &Semaphore,
) -> Result<Bytes, ServeError> {
    let wanted = WireRequest::decode(&request.data)?;
    // The peer's own room first: one that reads slowly must not hold a place of others.
    let room = match is_answered_at_length(&wanted) {
        true => place.room().await,
        false => None,
    };
    let _made = making.acquire().await;
    let answer = shelf.answer(request.from, wanted).await?;
    Ok(Unwritten::of(answer, room))
}

/// An answer that the network has not written yet. Its bytes are free for another one when it is dropped.
struct Unwritten {
    answer: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Unwritten {
    /// Keeps as much room as the answer has bytes.
    fn of(answer: Bytes, room: Option<OwnedSemaphorePermit>) -> Bytes {
        let kept = room.and_then(|mut room| {
            let bytes = answer.len().min(room.num_permits());
            room.split(bytes)
        });
        Bytes::from_owner(Self {
            answer,
            _room: kept,
        })
    }
}

impl AsRef<[u8]> for Unwritten {
    fn as_ref(&self) -> &[u8] {
        &self.answer
    }
}

/// Counts the requests that are being answered, by peer.
#[derive(Debug, Clone, Default)]
struct Counter(Arc<Mutex<HashMap<PeerId, Served>>>);

/// What one peer is given.
#[derive(Debug)]
struct Served {
    /// Requests that are being answered.
    requests: usize,
    /// Room for the bytes of its answers.
    room: Arc<Semaphore>,
}

impl Default for Served {
    fn default() -> Self {
        Self {
            requests: 0,
            room: Arc::new(Semaphore::new(SERVED_BYTES_PER_PEER)),
        }
    }
}

impl Served {
    /// Whether nothing is being answered, and everything is written.
    fn is_over(&self) -> bool {
        self.requests == 0 && self.room.available_permits() == SERVED_BYTES_PER_PEER
    }
}

/// A request that is being answered; the place is free again when it is dropped.
#[derive(Debug)]
struct AnswerSlot {
    counter: Counter,
    peer: PeerId,
    room: Arc<Semaphore>,
}

impl Counter {
    /// A place for one more request of `peer`, if there is one.
    fn take(&self, peer: PeerId) -> Option<AnswerSlot> {
        let mut served = self.lock();
        served.retain(|_, served| !served.is_over());
        let own = served.entry(peer).or_default();
        if own.requests >= SERVED_PER_PEER {
            return None;
        }
        own.requests += 1;
        Some(AnswerSlot {
            counter: self.clone(),
            peer,
            room: Arc::clone(&own.room),
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PeerId, Served>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AnswerSlot {
    /// Waits until there is room for the longest answer.
    async fn room(&self) -> Option<OwnedSemaphorePermit> {
        let room = Arc::clone(&self.room);
        // The semaphore is never closed.
        room.acquire_many_owned(MAX_ANSWER_BYTES as u32).await.ok()
    }
}

impl Drop for AnswerSlot {
    fn drop(&mut self) {
        if let Some(served) = self.counter.lock().get_mut(&self.peer) {
            served.requests -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use rings_protocol::crypto::SecretKey;

    fn peer(n: u8) -> PeerId {
        let key = SecretKey::from_bytes(&[n; 32]).unwrap().public_key();
        PeerId::from_public_key(&key.compressed()).unwrap()
    }

    #[test]
    fn who_asks_for_more_than_its_share_is_refused_and_others_are_not() {
        let counter = Counter::default();
        let held: Vec<_> = (0..2 * SERVED_PER_PEER)
            .filter_map(|_| counter.take(peer(1)))
            .collect();
        assert_eq!(held.len(), SERVED_PER_PEER);
        assert!(counter.take(peer(2)).is_some());
        drop(held);
        drop(counter.take(peer(2)));
        assert!(counter.lock().keys().all(|served| *served == peer(2)));
    }

    #[tokio::test]
    async fn an_answer_waits_until_the_last_one_is_written_to_the_same_peer() {
        let counter = Counter::default();
        let slot = || counter.take(peer(1)).unwrap();
        let long = Bytes::from(vec![7; MAX_ANSWER_BYTES]);
        let unwritten = Unwritten::of(long.clone(), slot().room().await);
        assert_eq!(unwritten, long);
        let next = slot();
        assert!(next.room().now_or_never().is_none());
        // Another peer does not wait.
        let other = counter.take(peer(2)).unwrap();
        assert!(other.room().now_or_never().is_some());
        drop(unwritten);
        let short = Unwritten::of(Bytes::from_static(b"short"), next.room().await);
        assert_eq!(next.room.available_permits(), SERVED_BYTES_PER_PEER - 5);
        drop(short);
        assert_eq!(next.room.available_permits(), SERVED_BYTES_PER_PEER);
    }
}
