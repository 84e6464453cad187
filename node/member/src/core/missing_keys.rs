//! What is known of keys that are missing: what `keys.rs` remembers.

use rings_protocol::Digest;
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How long nobody is asked again for a key that was asked for.
const PAUSE: Duration = Duration::from_secs(1);
/// Keys that are asked for at one time: names stand on nodes that anybody can make up.
const MAX_ASKED: usize = 64;

/// What is known of keys that are missing.
#[derive(Debug, Default)]
pub(super) struct MissingKeys {
    /// When each was asked for.
    asked: HashMap<Digest, Instant>,
    /// When it is this member's turn to make the key of the epoch.
    pub turn: Option<(u64, Instant)>,
}

impl MissingKeys {
    /// Whether a key is to be asked for now, which is noted.
    pub fn asks(&mut self, name: Digest, now: Instant) -> bool {
        self.asked.retain(|_, since| *since + PAUSE > now);
        let is_new = self.asked.len() < MAX_ASKED && !self.asked.contains_key(&name);
        if is_new {
            self.asked.insert(name, now);
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_asked_for_once_in_a_while_and_made_up_names_have_a_bound() {
        let (mut missing, now) = (MissingKeys::default(), Instant::now());
        let name = |n: u8| Digest([n; 32]);
        assert!(missing.asks(name(0), now) && !missing.asks(name(0), now));
        let asked = (0..=u8::MAX).filter(|n| missing.asks(name(*n), now));
        assert_eq!(asked.count(), MAX_ASKED - 1);
        assert!(missing.asks(name(0), now + PAUSE) && missing.asked.len() == 1);
    }
}
