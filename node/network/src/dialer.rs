//! Whom to dial, when, and at which address. There is no I/O here, and time is an argument.
//!
//! The [`Dialer`] has a plan for each peer on the list: when it is dialed next, or that it is being dialed, or that it
//! is connected. After a failure the wait doubles, by the project's one back-off.
//!
//! The driver asks for dials that are due ([`Dialer::take_due`]) and reports what became of them. Each dial tries one
//! address, in turn, because a dial of several is as slow as its slowest; every fourth one tries a derived address (the
//! other transport of the same host). A connection that ends within [`STABLE`] counts as a failed dial, so a peer that
//! accepts and closes is not dialed in a loop. Of two peers that know each other, one waits a moment ([`COURTESY`]), so
//! that they do not dial each other at once.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use libp2p::{Multiaddr, PeerId};
use rings_protocol::backoff::Backoff;

use crate::address::Forms;
use crate::Limits;

/// Of two peers that know each other's address, the one with the greater id waits this long, so that
/// they do not dial each other at the same moment and end up with two connections.
const COURTESY: Duration = Duration::from_millis(150);

/// A connection that lasted this long was a success: after it, the wait starts again from the shortest. One that ended
/// sooner counts as a failed dial: the peer accepted the connection and closed it.
const STABLE: Duration = Duration::from_secs(5);

/// Every fourth dial tries a derived address, if there is one: only rarely, because a QUIC dial to a peer that is down
/// takes its whole timeout, while a TCP dial is refused at once.
const DERIVED_EVERY: u32 = 4;

/// How far it is with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DialState {
    Scheduled(Instant),
    Dialing,
    Connected(Instant),
    /// There is no address to dial: the peer has to dial us.
    Unreachable,
}

/// Where a peer may be dialed, and when next.
#[derive(Debug)]
struct PeerPlan {
    forms: Forms,
    state: DialState,
    /// Dials so far; picks the address.
    dials: u32,
    /// Counts failed dials in a row, and gives the wait.
    redials: Backoff,
}

/// Keeps a dial planned for each peer that is not connected.
#[derive(Debug)]
pub(crate) struct Dialer {
    local: PeerId,
    redials: Backoff,
    plans: HashMap<PeerId, PeerPlan>,
    schedule: BTreeSet<(Instant, PeerId)>,
}

impl Dialer {
    pub(crate) fn new(local: PeerId, limits: &Limits) -> Self {
        Self {
            local,
            redials: Backoff::new(limits.redial_min, limits.redial_max),
            plans: HashMap::new(),
            schedule: BTreeSet::new(),
        }
    }

    /// Takes the new list of peers; returns those that are new and those that are gone.
    pub(crate) fn set(
        &mut self,
        peers: HashMap<PeerId, Forms>,
        now: Instant,
    ) -> (Vec<PeerId>, Vec<PeerId>) {
        let gone: Vec<_> = self
            .plans
            .keys()
            .filter(|id| !peers.contains_key(id))
            .copied()
            .collect();
        for peer in &gone {
            self.remove(peer);
        }
        let mut new = Vec::new();
        for (peer, forms) in peers {
            if !self.plans.contains_key(&peer) {
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
        self.plans.remove(peer);
    }

    fn insert(&mut self, peer: PeerId, forms: Forms, now: Instant) {
        let plan = PeerPlan {
            forms,
            state: DialState::Unreachable,
            dials: 0,
            redials: self.redials,
        };
        self.plans.insert(peer, plan);
        self.plan(peer, now + self.courtesy(&peer));
    }

    /// New addresses are tried at once, unless the peer is connected or being dialed.
    fn update(&mut self, peer: PeerId, forms: Forms, now: Instant) {
        let Some(plan) = self.plans.get_mut(&peer).filter(|plan| plan.forms != forms) else {
            return;
        };
        plan.forms = forms;
        plan.redials.reset();
        if matches!(plan.state, DialState::Scheduled(_) | DialState::Unreachable) {
            self.plan(peer, now + self.courtesy(&peer));
        }
    }

    /// Whether a peer is on the list.
    pub(crate) fn knows(&self, peer: &PeerId) -> bool {
        self.plans.contains_key(peer)
    }

    /// How many peers are on the list.
    pub(crate) fn count(&self) -> usize {
        self.plans.len()
    }

    /// When the next dial is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.schedule.first().map(|(at, _)| *at)
    }

    /// Takes one peer whose dial is due, with the address to dial. The caller reports the outcome with
    /// [`Dialer::connected`] or [`Dialer::failed`].
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(PeerId, Multiaddr)> {
        let (_, peer) = *self.schedule.first().filter(|(at, _)| *at <= now)?;
        self.unschedule(&peer);
        let plan = self.plans.get_mut(&peer)?;
        let address = pick(&plan.forms, plan.dials);
        plan.dials = plan.dials.wrapping_add(1);
        plan.state = if address.is_some() {
            DialState::Dialing
        } else {
            DialState::Unreachable
        };
        address.map(|address| (peer, address))
    }

    /// A connection is up, whoever dialed.
    pub(crate) fn connected(&mut self, peer: &PeerId, now: Instant) {
        self.unschedule(peer);
        if let Some(plan) = self.plans.get_mut(peer) {
            if !matches!(plan.state, DialState::Connected(_)) {
                plan.state = DialState::Connected(now);
            }
        }
    }

    /// The last connection is gone.
    pub(crate) fn disconnected(&mut self, peer: &PeerId, now: Instant) {
        let Some(plan) = self.plans.get_mut(peer) else {
            return;
        };
        let DialState::Connected(since) = plan.state else {
            return;
        };
        if now.saturating_duration_since(since) >= STABLE {
            plan.redials.reset();
        }
        self.plan_again(*peer, now);
    }

    /// A dial failed.
    pub(crate) fn failed(&mut self, peer: &PeerId, now: Instant) {
        let state = self.plans.get(peer).map(|plan| plan.state);
        if state == Some(DialState::Dialing) {
            self.plan_again(*peer, now);
        }
    }

    /// Plans the next dial of a peer that could not be reached, or was lost.
    fn plan_again(&mut self, peer: PeerId, now: Instant) {
        let Some(plan) = self.plans.get_mut(&peer) else {
            return;
        };
        let wait = plan.redials.failed(rand::random());
        self.plan(peer, now + wait + self.courtesy(&peer));
    }

    fn courtesy(&self, peer: &PeerId) -> Duration {
        if self.local < *peer {
            Duration::ZERO
        } else {
            COURTESY
        }
    }

    /// Plans the next dial of a peer. One without addresses can only be waited for.
    fn plan(&mut self, peer: PeerId, at: Instant) {
        self.unschedule(&peer);
        if let Some(plan) = self.plans.get_mut(&peer) {
            if plan.forms.announced.is_empty() {
                plan.state = DialState::Unreachable;
            } else {
                plan.state = DialState::Scheduled(at);
                self.schedule.insert((at, peer));
            }
        }
    }

    fn unschedule(&mut self, peer: &PeerId) {
        if let Some(DialState::Scheduled(at)) = self.plans.get(peer).map(|plan| plan.state) {
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
