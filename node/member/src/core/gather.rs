//! How long a busy member waits before it writes the next round.
//!
//! A round costs a signature, a transaction that waits for the disk, and a message to each other member, whatever is in it. While
//! computations wait for a worker, the next result is near, so rounds keep a distance from each other, and one of them carries
//! the votes of many requests. A member that has nothing else to compute writes at once.

use std::time::{Duration, Instant};

/// From the end of a round to the next one, while computations wait for a worker.
const DISTANCE: Duration = Duration::from_millis(20);

/// When the last round ended.
#[derive(Debug, Default)]
pub(super) struct Gather {
    wrote: Option<Instant>,
}

impl Gather {
    /// A round has ended.
    pub fn wrote(&mut self, now: Instant) {
        self.wrote = Some(now);
    }

    /// Until when the next round waits; nothing if it may be written now.
    pub fn until(&self, is_busy: bool, now: Instant) -> Option<Instant> {
        let until = self.wrote.filter(|_| is_busy)? + DISTANCE;
        (until > now).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_busy_member_waits_and_not_for_long() {
        let (mut gather, began) = (Gather::default(), Instant::now());
        assert_eq!(gather.until(true, began), None, "nothing was written yet");
        gather.wrote(began);
        assert_eq!(gather.until(false, began), None);
        assert_eq!(gather.until(true, began), Some(began + DISTANCE));
        assert_eq!(gather.until(true, began + DISTANCE), None);
    }
}
