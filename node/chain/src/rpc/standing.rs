//! Whether one of several endpoints is used, or put aside for a while and why.
//!
//! The first endpoint of the configuration that is not put aside is asked. The time for which one is put aside grows
//! with each failure in a row, so that a dead endpoint costs little. If all are put aside, they are asked all the same,
//! for there is nothing better.

use crate::backoff::Backoff;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// First and longest time that an endpoint is put aside.
const ASIDE: Duration = Duration::from_secs(5);
/// The longest is a few comparisons of heads: these ask it anyway.
const LONGEST_ASIDE: Duration = Duration::from_secs(60);

/// How one endpoint of a chain stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderState {
    /// Scheme and host; the rest of its URL may hold a secret.
    pub endpoint: String,
    /// Whether it is the one that is asked first now.
    pub is_used: bool,
    /// Why it is put aside, or what is wrong with it.
    pub trouble: Option<String>,
}

/// Whether an endpoint is put aside.
#[derive(Debug, Default)]
pub(super) struct Standing(Mutex<StandingState>);

/// Whether a provider is put aside, and how long it will be the next time.
#[derive(Debug)]
struct StandingState {
    /// Until when, and why.
    aside: Option<(Instant, String)>,
    /// How long the next time.
    pauses: Backoff,
}

impl Default for StandingState {
    fn default() -> Self {
        Self {
            aside: None,
            pauses: Backoff::between(ASIDE, LONGEST_ASIDE),
        }
    }
}

impl Standing {
    fn lock(&self) -> MutexGuard<'_, StandingState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is put aside now. One whose time is over is tried again.
    pub(super) fn is_aside(&self) -> bool {
        let state = self.lock();
        state
            .aside
            .as_ref()
            .is_some_and(|(until, _)| *until > Instant::now())
    }

    /// Puts it aside. Returns whether that is news; one that is aside stays so for as long as was said before.
    pub(super) fn put_aside(&self, reason: &str) -> bool {
        let mut state = self.lock();
        let now = Instant::now();
        let was_aside = state.aside.as_ref().map(|(until, _)| *until > now);
        if was_aside != Some(true) {
            let until = now + state.pauses.next();
            state.aside = Some((until, reason.to_owned()));
        }
        was_aside.is_none()
    }

    /// It does what it should. Returns whether that is news.
    pub(super) fn is_good(&self) -> bool {
        let mut state = self.lock();
        let is_over = state
            .aside
            .as_ref()
            .is_none_or(|(until, _)| *until <= Instant::now());
        if !is_over {
            return false;
        }
        state.pauses.reset();
        state.aside.take().is_some()
    }

    /// Why it is, or was last, put aside; `None` once it does what it should again.
    pub(super) fn trouble(&self) -> Option<String> {
        self.lock().aside.as_ref().map(|(_, reason)| reason.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_put_aside_once_and_told_once() {
        let standing = Standing::default();
        assert!(!standing.is_aside() && !standing.is_good());
        assert!(standing.put_aside("it is away"));
        assert!(!standing.put_aside("it is still away"));
        assert!(standing.is_aside());
        assert_eq!(standing.trouble().as_deref(), Some("it is away"));
        assert!(!standing.is_good(), "one good answer does not take it back");
        assert!(standing.is_aside());
    }
}
