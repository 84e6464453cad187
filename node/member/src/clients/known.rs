//! What the chain has said a moment ago about client rings and their avatars.
//!
//! A line of a chat must not cost several questions to the chain at each replica. Only what is true is remembered, and only for
//! [`TRUE_FOR`]: so a ring that has just been registered is known at once, and one that has gone is served a moment longer.
//! Actions that cost gas are checked with the chain each time.

use rings_protocol::Address;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long an answer of the chain counts.
const TRUE_FOR: Duration = Duration::from_secs(5);
/// Most answers that are remembered.
const MOST: usize = 16_384;

/// A fact about a client ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ClientFact {
    /// Its logs are kept here.
    Kept(Address),
    /// The account is a member of the ring.
    Member(Address, Address),
    /// The account is or was a member of the ring, so that its log belongs to it.
    Author(Address, Address),
}

/// Facts that were true a moment ago.
#[derive(Debug, Default)]
pub(super) struct RecentFacts(Mutex<HashMap<ClientFact, Instant>>);

impl RecentFacts {
    /// Whether it is known to be true.
    pub(super) fn is_true(&self, fact: ClientFact) -> bool {
        let facts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = facts.get(&fact);
        known.is_some_and(|since| since.elapsed() < TRUE_FOR)
    }

    /// The chain has just said so.
    pub(super) fn learn(&self, fact: ClientFact) {
        let mut facts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if facts.len() >= MOST {
            facts.retain(|_, since| since.elapsed() < TRUE_FOR);
        }
        if facts.len() < MOST {
            facts.insert(fact, Instant::now());
        }
    }

    /// A ring is not kept any more.
    pub(super) fn forget(&self, ring: Address) {
        let mut facts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        facts.retain(|fact, _| match fact {
            ClientFact::Kept(of) | ClientFact::Member(of, _) | ClientFact::Author(of, _) => {
                *of != ring
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_learnt_is_known() {
        let (known, ring) = (RecentFacts::default(), Address([1; 20]));
        let (kept, member) = (
            ClientFact::Kept(ring),
            ClientFact::Member(ring, Address([2; 20])),
        );
        assert!(!known.is_true(kept));
        known.learn(kept);
        known.learn(member);
        assert!(known.is_true(kept) && known.is_true(member));
        assert!(!known.is_true(ClientFact::Author(ring, Address([2; 20]))));
        known.forget(ring);
        assert!(!known.is_true(kept) && !known.is_true(member));
    }
}
