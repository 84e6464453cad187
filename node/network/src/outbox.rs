//! The queue of events, and what happens when it is full.
//!
//! The network task never waits for its consumer. A gossip message needs a free place now, or it is dropped and
//! counted. Connection events must not be lost, so those without a place wait in a list, at most two for each peer, and
//! go out first when there is a place again.
//!
//! Two are enough. A consumer that was behind needs to know only whether a peer is connected now, and whether it was
//! away in between: then it did not get what was published meanwhile.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use crate::Event;

/// The network's end of the event queue. It never waits for the consumer: gossip is dropped when no place is free,
/// and connection events wait in a list of their own.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: mpsc::Sender<Event>,
    notices: VecDeque<Event>,
}

impl Outbox {
    pub(crate) fn new(queue: mpsc::Sender<Event>) -> Self {
        Self {
            queue,
            notices: VecDeque::new(),
        }
    }

    /// Queues a connection event. At most two events of one peer wait: `Disconnected`, then `Connected`. If a peer
    /// connected and disconnected while the consumer was behind, neither is reported. If it disconnected and came back,
    /// both are, because the peer did not get what was published in between.
    pub(crate) fn notify(&mut self, notice: Event) {
        if let Event::Disconnected(peer) = notice {
            let unseen = |event: &Event| matches!(event, Event::Connected(other) if *other == peer);
            if let Some(position) = self.notices.iter().position(unseen) {
                self.notices.remove(position);
                return;
            }
        }
        self.notices.push_back(notice);
        self.flush();
    }

    /// A place in the queue, if there is one after the connection events have had theirs.
    pub(crate) fn place(&mut self) -> Option<mpsc::Permit<'_, Event>> {
        self.flush();
        if self.notices.is_empty() {
            self.queue.try_reserve().ok()
        } else {
            None
        }
    }

    /// Whether connection events wait.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.notices.is_empty()
    }

    /// Waits for a place and gives it to the next connection event. Nothing is lost when it is cancelled.
    pub(crate) async fn deliver(&mut self) {
        match self.queue.reserve().await {
            Ok(place) => {
                if let Some(notice) = self.notices.pop_front() {
                    place.send(notice);
                }
            }
            // The consumer is gone.
            Err(_) => self.notices.clear(),
        }
    }

    /// Moves notices into the queue, in their order, as long as there is room.
    fn flush(&mut self) {
        while !self.notices.is_empty() {
            let Ok(place) = self.queue.try_reserve() else {
                return;
            };
            if let Some(notice) = self.notices.pop_front() {
                place.send(notice);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PeerId;

    fn peer() -> PeerId {
        PeerId(libp2p::PeerId::random())
    }

    fn full() -> (Outbox, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(1);
        let mut outbox = Outbox::new(sender);
        outbox.notify(Event::Connected(peer()));
        (outbox, receiver)
    }

    fn drain(outbox: &mut Outbox, receiver: &mut mpsc::Receiver<Event>) -> Vec<String> {
        let mut seen = Vec::new();
        while let Ok(event) = receiver.try_recv() {
            seen.push(format!("{event:?}"));
            outbox.flush();
        }
        seen.split_off(1)
    }

    #[test]
    fn connections_that_came_and_went_unseen_are_not_mentioned() {
        let (mut outbox, mut receiver) = full();
        let peer = peer();
        for _ in 0..100 {
            outbox.notify(Event::Connected(peer));
            outbox.notify(Event::Disconnected(peer));
        }
        assert!(drain(&mut outbox, &mut receiver).is_empty());
    }

    #[test]
    fn a_reconnection_is_mentioned_once_in_order() {
        let (mut outbox, mut receiver) = full();
        let peer = peer();
        for _ in 0..100 {
            outbox.notify(Event::Disconnected(peer));
            outbox.notify(Event::Connected(peer));
        }
        assert!(outbox.is_waiting());
        let expected = [
            format!("Disconnected({peer})"),
            format!("Connected({peer})"),
        ];
        assert_eq!(drain(&mut outbox, &mut receiver), expected);
    }

    #[test]
    fn nothing_overtakes_a_connection_event() {
        let (sender, mut receiver) = mpsc::channel(2);
        let mut outbox = Outbox::new(sender);
        for _ in 0..3 {
            outbox.notify(Event::Connected(peer()));
        }
        assert!(outbox.place().is_none());
        receiver.try_recv().unwrap();
        assert!(
            outbox.place().is_none(),
            "the place belongs to the waiting event"
        );
        assert!(!outbox.is_waiting());
    }

    #[test]
    fn a_consumer_that_is_gone_holds_nothing_up() {
        let (mut outbox, receiver) = full();
        outbox.notify(Event::Connected(peer()));
        drop(receiver);
        futures::executor::block_on(outbox.deliver());
        assert!(!outbox.is_waiting());
        assert!(outbox.place().is_none());
    }
}
