//! What happens at a member, told to the sessions that subscribe.
//!
//! The parts of a member [`tell`](News::tell) a [`Notice`]; each session reads them with a [`NewsReader`]. Telling never
//! waits: the last [`QUEUED`] notices are kept once, for all readers together. A reader that falls further behind is told
//! how many it has missed. So slow readers cost no memory, and hold nobody up.

use super::notices::Notice;
use std::{future::pending, sync::Arc};
use tokio::sync::broadcast::{self, error::RecvError};

/// Notices that are kept for readers that are behind.
pub(super) const QUEUED: usize = 1024;

/// Where a member tells what happens.
#[derive(Debug, Clone)]
pub struct News(Arc<broadcast::Sender<Notice>>);

impl Default for News {
    fn default() -> Self {
        let (sender, _) = broadcast::channel(QUEUED);
        Self(Arc::new(sender))
    }
}

impl News {
    /// Tells it to all that listen now.
    pub fn tell(&self, notice: Notice) {
        if self.is_heard() && self.0.send(notice).is_err() {
            tracing::debug!("the last session that listened has just ended");
        }
    }

    /// Whether anybody listens, so that work for a notice can be spared otherwise.
    pub fn is_heard(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// Listens from now on.
    pub(super) fn listen(&self) -> NewsReader {
        NewsReader(self.0.subscribe())
    }
}

/// What is told to one session.
#[derive(Debug)]
pub(super) struct NewsReader(broadcast::Receiver<Notice>);

impl NewsReader {
    /// The next notice; [`Notice::Missed`] when some were passed over because this reader was too slow. Nothing is lost when
    /// this is cancelled.
    pub(super) async fn next(&mut self) -> Notice {
        match self.0.recv().await {
            Ok(notice) => notice,
            Err(RecvError::Lagged(count)) => Notice::Missed { count },
            // Nobody tells anything any more: the session ends with the server.
            Err(RecvError::Closed) => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::notices::{GateChange, GateNotice},
        *,
    };
    use rings_protocol::Address;

    fn gate(number: usize) -> Notice {
        let mut gate = Address::default();
        gate.0[..8].copy_from_slice(&number.to_be_bytes());
        let change = GateChange::Made;
        Notice::Gates(GateNotice {
            gate,
            change,
            member: None,
        })
    }

    #[tokio::test]
    async fn who_is_too_slow_is_told_how_many_it_missed_and_goes_on_with_the_newest() {
        let news = News::default();
        news.tell(gate(0));
        assert!(!news.is_heard());
        let (mut slow, mut quick) = (news.listen(), news.listen());
        let more = 5;
        for number in 0..QUEUED + more {
            news.tell(gate(number));
            assert_eq!(quick.next().await, gate(number));
        }
        assert_eq!(slow.next().await, Notice::Missed { count: more as u64 });
        for number in more..QUEUED + more {
            assert_eq!(slow.next().await, gate(number));
        }
    }
}
