//! Brings events of peers into the core's inbox, and answers their requests from the [`Shelf`].
//!
//! Answering never delays events: a request beyond a peer's share, or beyond what is answered at one time, is refused,
//! and the peer asks again. Events and requests come from the network in two queues, so that many requests cannot hold
//! up a vote. Events wait while the inbox of the core is full; what the network does when its own queue is full is said
//! there.

use super::{
    core::Input,
    error::MemberError,
    serve::{ServeError, Shelf},
};
use rings_network::{Event, PeerId, PeerRequest};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::mpsc;

/// Requests of other members that are answered at one time.
const SERVED_AT_ONCE: usize = 32;
/// Of these, how many of one member.
const SERVED_PER_PEER: usize = 8;

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
    while let Some(request) = requests.recv().await {
        match counter.take(request.from) {
            Some(place) => drop(tokio::spawn(answer(shelf.clone(), request, place))),
            // The reply is dropped with the request, which tells the peer that no answer will come.
            None => {
                tracing::debug!(from = %request.from, "too many requests at once: one is refused");
            }
        }
    }
    Ok(())
}

async fn answer(shelf: Shelf, request: PeerRequest, place: AnswerSlot) {
    let from = request.from;
    match shelf.answer(from, &request.data).await {
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

/// Counts the requests that are being answered, by peer.
#[derive(Debug, Clone, Default)]
struct Counter(Arc<Mutex<HashMap<PeerId, usize>>>);

/// A request that is being answered; the place is free again when it is dropped.
#[derive(Debug)]
struct AnswerSlot {
    counter: Counter,
    peer: PeerId,
}

impl Counter {
    /// A place for one more request of `peer`, if there is one.
    fn take(&self, peer: PeerId) -> Option<AnswerSlot> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = counts.get(&peer).copied().unwrap_or(0);
        if own >= SERVED_PER_PEER || counts.values().sum::<usize>() >= SERVED_AT_ONCE {
            return None;
        }
        counts.insert(peer, own + 1);
        Some(AnswerSlot {
            counter: self.clone(),
            peer,
        })
    }
}

impl Drop for AnswerSlot {
    fn drop(&mut self) {
        let mut counts = self
            .counter
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(&self.peer) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(counts.remove(&self.peer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        assert!(counter.0.lock().unwrap().is_empty());
    }

    #[test]
    fn all_together_have_a_bound() {
        let counter = Counter::default();
        let peers = (1..=2 * SERVED_AT_ONCE as u8).map(peer);
        let held: Vec<_> = peers.filter_map(|peer| counter.take(peer)).collect();
        assert_eq!(held.len(), SERVED_AT_ONCE);
    }
}
