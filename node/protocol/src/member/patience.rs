//! How long a turn to submit is, by what was seen.
//!
//! A turn is to be as long as it takes to see another member's transaction. How long that is depends on the endpoint, the load and
//! the network, and can change within a minute. When a member was about to submit, and found that another one's
//! transaction was there, the turn was too short: it becomes twice as long. Each result that comes within a turn makes it a bit
//! shorter again, down to the chain's own turn.

/// How much longer than the chain's own turn a turn may become.
const MOST: u64 = 4;
/// No turn becomes longer than this by what was seen, in milliseconds.
const LONGEST: u64 = 60_000;
/// The part of what was added that goes with each result that came in time.
const EASE: u64 = 32;

/// The length of a turn, in milliseconds.
#[derive(Debug)]
pub(super) struct Patience {
    /// The chain's own.
    least: u64,
    now: u64,
}

impl Patience {
    pub fn new(least: u64) -> Self {
        Self { least, now: least }
    }

    pub fn turn(&self) -> u64 {
        self.now
    }

    /// Another member's transaction was there when the turn was over, and had not been seen.
    pub fn was_too_short(&mut self) {
        let most = self.least.saturating_mul(MOST).min(LONGEST);
        self.now = self.now.saturating_mul(2).min(most).max(self.least);
    }

    /// Another member's result came before the own turn.
    pub fn was_enough(&mut self) {
        let added = self.now - self.least;
        self.now -= added.div_ceil(EASE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_grows_to_a_bound_and_comes_back() {
        let mut patience = Patience::new(1_000);
        patience.was_enough();
        assert_eq!(patience.turn(), 1_000);
        let mut turns = Vec::new();
        for _ in 0..3 {
            patience.was_too_short();
            turns.push(patience.turn());
        }
        assert_eq!(turns, [2_000, 4_000, 4_000]);
        patience.was_enough();
        assert_eq!(patience.turn(), 3_906);
        (0..300).for_each(|_| patience.was_enough());
        assert_eq!(patience.turn(), 1_000);
    }

    #[test]
    fn a_slow_chain_s_turn_stays_within_a_minute_unless_it_is_longer_itself() {
        let mut slow = Patience::new(36_000);
        slow.was_too_short();
        assert_eq!(slow.turn(), 60_000);
        let mut slower = Patience::new(90_000);
        slower.was_too_short();
        assert_eq!(slower.turn(), 90_000);
    }
}
