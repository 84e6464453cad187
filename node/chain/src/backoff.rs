//! The project's schedule of waits ([`rings_protocol::backoff`]), with this room's times, and with sleep and chance added.

use rings_protocol::backoff::Backoff as Schedule;
use std::time::Duration;

/// The longest wait after the first failure.
const FIRST: Duration = Duration::from_millis(50);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(5);

/// Counts failures in a row and waits after each.
#[derive(Debug)]
pub(crate) struct Backoff(Schedule);

impl Default for Backoff {
    fn default() -> Self {
        Self::between(FIRST, LONGEST)
    }
}

impl Backoff {
    /// Waits that grow from `first` to `longest`.
    pub(crate) fn between(first: Duration, longest: Duration) -> Self {
        Self(Schedule::new(first, longest))
    }

    /// Back to the shortest wait.
    pub(crate) fn reset(&mut self) {
        self.0.reset();
    }

    /// The wait after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        self.0.failed(rand::random())
    }

    /// Sleeps for [`Backoff::next`].
    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.next()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_start_again() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..100).map(|_| backoff.next()).collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST / 2);
        assert!(waits[99] <= LONGEST && waits[99] >= LONGEST / 2);
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
