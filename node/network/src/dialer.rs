//! Whom to dial, when, and at which address. No I/O and no clock: time is an argument.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

use libp2p::{Multiaddr, PeerId};

use crate::address::Forms;
use crate::Limits;

/// Of two peers that know each other's address, the one with the greater id waits this long, so that
/// they do not dial each other at the same moment and end up with two connections.
const COURTESY: Duration = Duration::from_millis(150);

/// A connection that lasted this long was a success: the next dial starts anew. One that ended sooner
/// counts as a failed dial (the peer took the call and hung up).
const STABLE: Duration = Duration::from_secs(5);

/// Every fourth dial tries a derived address, if there is one: rarely, as a QUIC dial to a peer that is
/// down takes its whole timeout, while TCP's is refused at once.
const DERIVED_EVERY: u32 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Scheduled(Instant),
    Dialing,
    Connected(Instant),
    /// No address to dial: the peer has to come to us.
    Unreachable,
}

#[derive(Debug)]
struct Entry {
    forms: Forms,
    state: State,
    /// Dials so far; picks the address.
    dials: u32,
    /// Failed dials in a row; gives the wait.
    failures: u32,
}

/// Keeps a dial planned for each peer that is not connected.
#[derive(Debug)]
pub(crate) struct Dialer {
    local: PeerId,
    redial_min: Duration,
    redial_max: Duration,
    entries: HashMap<PeerId, Entry>,
    schedule: BTreeSet<(Instant, PeerId)>,
    jitter: Jitter,
}

impl Dialer {
    pub(crate) fn new(local: PeerId, limits: &Limits) -> Self {
        Self {
            local,
            redial_min: limits.redial_min,
            redial_max: limits.redial_max,
            entries: HashMap::new(),
            schedule: BTreeSet::new(),
            jitter: Jitter::from_system(),
        }
    }

    /// Takes the new list of peers; returns those that are new and those that are gone.
    pub(crate) fn set(
        &mut self,
        peers: HashMap<PeerId, Forms>,
        now: Instant,
    ) -> (Vec<PeerId>, Vec<PeerId>) {
        let gone: Vec<_> = self
            .entries
            .keys()
            .filter(|id| !peers.contains_key(id))
            .copied()
            .collect();
        for peer in &gone {
            self.remove(peer);
        }
        let mut new = Vec::new();
        for (peer, forms) in peers {
            if !self.entries.contains_key(&peer) {
                new.push(peer);
                self.insert(peer, forms, now);
            } else {
                self.update(peer, forms, now);
            }
        }
        (new, gone)
    }

    fn remove(&mut self, peer: &PeerId) {
        self.unschedule(peer);
        self.entries.remove(peer);
    }

    fn insert(&mut self, peer: PeerId, forms: Forms, now: Instant) {
        let entry = Entry {
            forms,
            state: State::Unreachable,
            dials: 0,
            failures: 0,
        };
        self.entries.insert(peer, entry);
        self.plan(peer, now + self.courtesy(&peer));
    }

    /// New addresses are tried at once, unless the peer is connected or being dialed.
    fn update(&mut self, peer: PeerId, forms: Forms, now: Instant) {
        let Some(entry) = self
            .entries
            .get_mut(&peer)
            .filter(|entry| entry.forms != forms)
        else {
            return;
        };
        entry.forms = forms;
        entry.failures = 0;
        if matches!(entry.state, State::Scheduled(_) | State::Unreachable) {
            self.plan(peer, now + self.courtesy(&peer));
        }
    }

    /// When the next dial is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.schedule.first().map(|(at, _)| *at)
    }

    /// Takes one peer whose dial is due, with the address to dial. The caller reports what came of it
    /// with [`Dialer::connected`] or [`Dialer::failed`].
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(PeerId, Multiaddr)> {
        let (_, peer) = *self.schedule.first().filter(|(at, _)| *at <= now)?;
        self.unschedule(&peer);
        let entry = self.entries.get_mut(&peer)?;
        let address = pick(&entry.forms, entry.dials);
        entry.dials = entry.dials.wrapping_add(1);
        entry.state = if address.is_some() {
            State::Dialing
        } else {
            State::Unreachable
        };
        address.map(|address| (peer, address))
    }

    /// A connection is up, whoever dialed.
    pub(crate) fn connected(&mut self, peer: &PeerId, now: Instant) {
        self.unschedule(peer);
        if let Some(entry) = self.entries.get_mut(peer) {
            if !matches!(entry.state, State::Connected(_)) {
                entry.state = State::Connected(now);
            }
        }
    }

    /// The last connection is gone.
    pub(crate) fn disconnected(&mut self, peer: &PeerId, now: Instant) {
        let Some(entry) = self.entries.get_mut(peer) else {
            return;
        };
        let State::Connected(since) = entry.state else {
            return;
        };
        let lasted = now.saturating_duration_since(since) >= STABLE;
        entry.failures = if lasted {
            0
        } else {
            entry.failures.saturating_add(1)
        };
        self.plan_again(*peer, now);
    }

    /// A dial failed.
    pub(crate) fn failed(&mut self, peer: &PeerId, now: Instant) {
        let Some(entry) = self.entries.get_mut(peer) else {
            return;
        };
        if entry.state == State::Dialing {
            entry.failures = entry.failures.saturating_add(1);
            self.plan_again(*peer, now);
        }
    }

    fn plan_again(&mut self, peer: PeerId, now: Instant) {
        let failures = self.entries.get(&peer).map_or(0, |entry| entry.failures);
        let wait = self.wait(failures) + self.courtesy(&peer);
        self.plan(peer, now + wait);
    }

    /// Half to the whole of the doubled wait: peers that failed together do not come back together.
    fn wait(&mut self, failures: u32) -> Duration {
        let doubled = self
            .redial_min
            .saturating_mul(1 << failures.saturating_sub(1).min(16));
        doubled
            .min(self.redial_max)
            .mul_f64(self.jitter.between(0.5, 1.0))
    }

    fn courtesy(&self, peer: &PeerId) -> Duration {
        if self.local < *peer {
            Duration::ZERO
        } else {
            COURTESY
        }
    }

    fn plan(&mut self, peer: PeerId, at: Instant) {
        self.unschedule(&peer);
        if let Some(entry) = self.entries.get_mut(&peer) {
            if entry.forms.announced.is_empty() {
                entry.state = State::Unreachable;
            } else {
                entry.state = State::Scheduled(at);
                self.schedule.insert((at, peer));
            }
        }
    }

    fn unschedule(&mut self, peer: &PeerId) {
        if let Some(State::Scheduled(at)) = self.entries.get(peer).map(|entry| entry.state) {
            self.schedule.remove(&(at, *peer));
        }
    }
}

/// One address per dial: a dial of several would be as slow as its slowest.
fn pick(forms: &Forms, dials: u32) -> Option<Multiaddr> {
    let (list, turn) = if dials % DERIVED_EVERY == DERIVED_EVERY - 1 && !forms.derived.is_empty() {
        (&forms.derived, dials / DERIVED_EVERY)
    } else {
        (&forms.announced, dials - dials / DERIVED_EVERY)
    };
    let index = usize::try_from(turn).ok()?.checked_rem(list.len())?;
    list.get(index).cloned()
}

/// A small generator (splitmix64): jitter needs no more.
#[derive(Debug)]
struct Jitter(u64);

impl Jitter {
    fn from_system() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let unit =
            f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(0)) / f64::from(u32::MAX);
        low + (high - low) * unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn forms(announced: &[&str], derived: &[&str]) -> Forms {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Forms {
            announced: parse(announced),
            derived: parse(derived),
        }
    }

    fn tcp() -> Forms {
        forms(&["/ip4/10.0.0.1/tcp/1"], &["/ip4/10.0.0.1/udp/1/quic-v1"])
    }

    /// Two ids, the smaller first.
    fn ordered() -> (PeerId, PeerId) {
        let (a, b) = (PeerId::random(), PeerId::random());
        (a.min(b), a.max(b))
    }

    /// A dialer of the smaller id with one peer.
    fn dialer(now: Instant) -> (Dialer, PeerId) {
        let (local, peer) = ordered();
        let mut dialer = Dialer::new(local, &Limits::default());
        dialer.set(HashMap::from([(peer, tcp())]), now);
        (dialer, peer)
    }

    #[test]
    fn the_smaller_dials_at_once_and_the_greater_waits() {
        let now = Instant::now();
        let (mut first, peer) = dialer(now);
        assert_eq!(first.take_due(now).map(|due| due.0), Some(peer));
        assert_eq!(first.take_due(now), None);

        let (smaller, local) = ordered();
        let mut second = Dialer::new(local, &Limits::default());
        second.set(HashMap::from([(smaller, tcp())]), now);
        assert_eq!(second.take_due(now), None);
        assert_eq!(second.next_due(), Some(now + COURTESY));
    }

    #[test]
    fn waits_double_up_to_the_maximum() {
        let mut now = Instant::now();
        let (mut dialer, peer) = dialer(now);
        let limits = Limits::default();
        for failures in 0..40_u32 {
            assert!(dialer.take_due(now).is_some());
            dialer.failed(&peer, now);
            let wait = dialer.next_due().unwrap() - now;
            let full = limits
                .redial_min
                .saturating_mul(1 << failures.min(16))
                .min(limits.redial_max);
            assert!(wait >= full / 2 && wait <= full, "{failures}: {wait:?}");
            now += wait;
        }
    }

    #[test]
    fn a_connected_peer_is_not_dialed() {
        let now = Instant::now();
        let (mut dialer, peer) = dialer(now);
        dialer.connected(&peer, now);
        assert_eq!(dialer.next_due(), None);
        dialer.failed(&peer, now);
        assert_eq!(dialer.next_due(), None);
    }

    #[test]
    fn a_lasting_connection_forgives_failures_and_a_short_one_counts_as_one() {
        let now = Instant::now();
        let (mut dialer, peer) = dialer(now);
        for _ in 0..6 {
            dialer.take_due(now + 100 * SECOND);
            dialer.failed(&peer, now);
        }
        dialer.connected(&peer, now);
        dialer.disconnected(&peer, now + SECOND);
        assert!(dialer.next_due().unwrap() > now + 2 * SECOND);

        dialer.connected(&peer, now);
        dialer.disconnected(&peer, now + STABLE);
        assert!(dialer.next_due().unwrap() <= now + STABLE + Limits::default().redial_min);
    }

    #[test]
    fn addresses_take_turns_and_derived_ones_come_fourth() {
        let (a, b) = ("/ip4/1.0.0.1/tcp/1", "/ip4/1.0.0.2/tcp/1");
        let derived = "/ip4/1.0.0.1/udp/1/quic-v1";
        let forms = forms(&[a, b], &[derived]);
        let picked: Vec<_> = (0..8)
            .map(|n| pick(&forms, n).unwrap().to_string())
            .collect();
        assert_eq!(picked, [a, b, a, derived, b, a, b, derived]);
    }

    #[test]
    fn a_peer_without_addresses_is_never_due_until_it_has_one() {
        let now = Instant::now();
        let (local, peer) = ordered();
        let mut dialer = Dialer::new(local, &Limits::default());
        dialer.set(HashMap::from([(peer, Forms::default())]), now);
        assert_eq!(dialer.next_due(), None);
        dialer.set(HashMap::from([(peer, tcp())]), now);
        assert!(dialer.take_due(now).is_some());
    }

    #[test]
    fn set_names_the_new_and_the_gone_and_forgets_their_dials() {
        let now = Instant::now();
        let (mut dialer, peer) = dialer(now);
        let other = PeerId::random();
        let (new, gone) = dialer.set(HashMap::from([(other, tcp())]), now);
        assert_eq!((new, gone), (vec![other], vec![peer]));
        assert_eq!(dialer.schedule.len(), 1);
        dialer.disconnected(&peer, now);
        dialer.failed(&peer, now);
        assert_eq!(dialer.schedule.len(), 1);
    }

    #[test]
    fn the_same_list_again_changes_no_plan() {
        let now = Instant::now();
        let (mut dialer, peer) = dialer(now);
        dialer.take_due(now);
        dialer.failed(&peer, now);
        let due = dialer.next_due();
        dialer.set(HashMap::from([(peer, tcp())]), now + SECOND);
        assert_eq!(dialer.next_due(), due);
    }
}
