//! Which peers were asked whether they are still there, and which of them did not answer in time. There is no I/O
//! here, and time is an argument.
//!
//! libp2p's own timeout of a request begins only when its stream is negotiated. On a dead connection that takes another
//! ten seconds to fail.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use libp2p::PeerId;

/// The questions that wait for an answer, the oldest first.
#[derive(Debug)]
pub(crate) struct Liveness<Q> {
    timeout: Duration,
    waiting: VecDeque<(Instant, Q, PeerId)>,
}

impl<Q: PartialEq> Liveness<Q> {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            waiting: VecDeque::new(),
        }
    }

    /// Whether the peer owes us an answer.
    pub(crate) fn is_asked(&self, peer: &PeerId) -> bool {
        self.waiting.iter().any(|(_, _, other)| other == peer)
    }

    pub(crate) fn asked(&mut self, peer: PeerId, question: Q, now: Instant) {
        self.waiting.push_back((now + self.timeout, question, peer));
    }

    pub(crate) fn answered(&mut self, question: &Q) {
        self.waiting.retain(|(_, other, _)| other != question);
    }

    /// When the oldest question times out.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.waiting.front().map(|(due, _, _)| *due)
    }

    /// Takes a peer that did not answer in time.
    pub(crate) fn take_overdue(&mut self, now: Instant) -> Option<PeerId> {
        self.next_due().filter(|due| *due <= now)?;
        self.waiting.pop_front().map(|(_, _, peer)| peer)
    }

    /// The peer is gone.
    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.waiting.retain(|(_, _, other)| other != peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_unanswered_run_out_in_order() {
        let (mut liveness, now) = (Liveness::new(Duration::from_secs(1)), Instant::now());
        let peers: Vec<_> = (0..4).map(|_| PeerId::random()).collect();
        for (question, peer) in peers.iter().enumerate() {
            liveness.asked(
                *peer,
                question,
                now + Duration::from_millis(question as u64),
            );
        }
        liveness.answered(&0);
        liveness.forget(&peers[2]);
        assert!(liveness.is_asked(&peers[1]) && !liveness.is_asked(&peers[2]));
        let due = liveness.next_due().unwrap();
        assert_eq!(due, now + Duration::from_millis(1001));
        assert_eq!(liveness.take_overdue(due - Duration::from_millis(1)), None);
        assert_eq!(liveness.take_overdue(due), Some(peers[1]));
        assert_eq!(liveness.take_overdue(due), None);
        assert_eq!(
            liveness.take_overdue(due + Duration::from_secs(1)),
            Some(peers[3])
        );
        assert_eq!(liveness.next_due(), None);
    }
}
