//! Which member claims to hold which log, and whom to ask for the nodes that are missing.
//!
//! The author is asked first, because only the author surely has its newest nodes. Then come the members that said that
//! they have more of the log; those that gave nothing before come last. A member that is slow holds up nobody: after
//! [`PATIENCE`] the next one is asked beside it, and each is asked once until there is a reason to ask it again. Of
//! a log that is far behind, others, or the same one, are asked at the same time for what comes later ([`Claims::next_ahead`]).
//!
//! [`Claims`] has no I/O: `sync.rs` asks it whom to ask ([`Claims::next`]) and tells it how each request ended
//! ([`Claims::ended`], [`Claims::failed`], [`Claims::refused`], [`Claims::advanced`]). A claim is only somebody's word.
//! A position is called proven when a node by the author was seen there. Whoever claims nodes and does not give them is
//! counted and named; whoever is busy and says so is not blamed.

use rings_network::PeerId;
use rings_protocol::Address;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

/// Members that are asked for one author's nodes at the same time.
const ASKED_AT_ONCE: usize = 4;
/// Parts of one author's log that one member is asked for at the same time, where nobody else has them: while one part is
/// checked here, the next one is read there.
const PARTS_OF_ONE: usize = 3;
/// How long the last member that was asked may take before the next one is asked too.
const PATIENCE: Duration = Duration::from_secs(1);
/// Claims that are kept for one author: no ring has more members.
const MAX_CLAIMS: usize = 256;

/// Which member has which log, and which logs are being requested.
#[derive(Debug, Default)]
pub(super) struct Claims {
    logs: HashMap<Address, Log>,
    /// How often each member did not give what it should have.
    stalls: HashMap<PeerId, u64>,
    /// How often each member was busy.
    refusals: HashMap<PeerId, u64>,
}

/// What is known of one author's log.
#[derive(Debug, Default)]
struct Log {
    /// Who says that it holds nodes of this log, and up to which.
    claims: BTreeMap<PeerId, u64>,
    /// A position for which a node was seen that the author signed.
    proven: Option<u64>,
    /// Requests that are under way.
    asked: Vec<Asked>,
    /// Who gave nothing since the log advanced last, or since it claimed to have more.
    tried: BTreeSet<PeerId>,
}

/// A request that is under way.
#[derive(Debug)]
struct Asked {
    peer: PeerId,
    /// The first position that was asked for.
    from: u64,
    since: Instant,
    /// Whether it has taken so long that others were asked beside it.
    is_late: bool,
}

impl Claims {
    /// A member says how far it holds a log.
    pub fn claimed(&mut self, author: Address, peer: PeerId, seq: u64) {
        let log = self.logs.entry(author).or_default();
        if log.claims.len() < MAX_CLAIMS || log.claims.contains_key(&peer) {
            log.claims.insert(peer, seq);
            log.tried.remove(&peer);
        }
    }

    /// A node of the author was seen at this position.
    pub fn proved(&mut self, author: Address, seq: u64) {
        let log = self.logs.entry(author).or_default();
        log.proven = log.proven.max(Some(seq));
    }

    /// Whether the author is known to have signed a node at `next` or behind.
    pub fn is_proven(&self, author: Address, next: u64) -> bool {
        let log = self.logs.get(&author);
        log.is_some_and(|log| log.is_proven(next))
    }

    /// Whether some log is longer than what is held here, as a node proves or as a member says that has always kept its
    /// word. `next` gives the position that comes next in a log.
    pub fn is_behind(&self, next: impl Fn(Address) -> u64) -> bool {
        let mut logs = self.logs.iter();
        logs.any(|(author, log)| {
            let next = next(*author);
            let mut claims = log.claims.iter();
            let is_claimed =
                claims.any(|(peer, seq)| *seq >= next && !self.stalls.contains_key(peer));
            is_claimed || log.is_proven(next)
        })
    }

    /// Whom to ask now for nodes from `next` on; nobody while the last who was asked may still answer soon. `own` is the
    /// author, if it is connected. The request has to be ended by [`Claims::ended`].
    pub fn next(
        &mut self,
        author: Address,
        own: Option<PeerId>,
        next: u64,
        now: Instant,
    ) -> Option<PeerId> {
        let log = self.logs.get_mut(&author)?;
        let mut asked = log.asked.iter().filter(|asked| asked.from <= next);
        let is_waiting = asked.clone().any(|asked| !asked.is_late);
        if is_waiting || asked.nth(ASKED_AT_ONCE - 1).is_some() || !log.has_more(next) {
            return None;
        }
        let peer = log.best(own, next, |peer| {
            in_vain(&self.stalls, &self.refusals, peer)
        })?;
        log.ask(peer, next, now);
        Some(peer)
    }

    /// Whom to ask at the same time for nodes from `from` on, which is behind `next`: somebody who is not asked for anything
    /// of this log now, else one who is asked for few parts of it; nobody if that was asked already. The request has to be ended
    /// by [`Claims::ended`].
    pub fn next_ahead(
        &mut self,
        author: Address,
        own: Option<PeerId>,
        from: u64,
        now: Instant,
    ) -> Option<PeerId> {
        let log = self.logs.get_mut(&author)?;
        let mut asked = log.asked.iter();
        let is_asked = asked.any(|asked| asked.from == from && !asked.is_late);
        if is_asked || log.asked.len() >= ASKED_AT_ONCE || !log.has_more(from) {
            return None;
        }
        let own = own.filter(|_| log.is_proven(from));
        let in_vain = |peer: &PeerId| in_vain(&self.stalls, &self.refusals, peer);
        let peer = log.best(own, from, in_vain);
        let peer = peer.or_else(|| log.one_more_part(own, from, in_vain))?;
        log.ask(peer, from, now);
        Some(peer)
    }

    /// When the next request becomes late.
    pub fn deadline(&self) -> Option<Instant> {
        let asked = self.logs.values().flat_map(|log| &log.asked);
        let waiting = asked.filter(|asked| !asked.is_late);
        waiting.map(|asked| asked.since + PATIENCE).min()
    }

    /// The authors of whom a request has become late by now, so that others are to be asked.
    pub fn late(&mut self, now: Instant) -> Vec<Address> {
        let mut authors = Vec::new();
        for (author, log) in &mut self.logs {
            for asked in &mut log.asked {
                if !asked.is_late && asked.since + PATIENCE <= now {
                    asked.is_late = true;
                    authors.push(*author);
                }
            }
        }
        authors
    }

    /// The request to a member for nodes from `from` on has ended, with or without nodes.
    pub fn ended(&mut self, author: Address, peer: PeerId, from: u64) {
        if let Some(log) = self.logs.get_mut(&author) {
            log.asked
                .retain(|asked| (asked.peer, asked.from) != (peer, from));
        }
    }

    /// Nodes came: everybody may have more now.
    pub fn advanced(&mut self, author: Address) {
        if let Some(log) = self.logs.get_mut(&author) {
            log.tried.clear();
        }
    }

    /// A member was asked for nodes from `from` on and gave no valid ones, so its claim is dropped. Returns how often
    /// that has happened, if it is to blame: it had said that it has them, or it is `own`, the author, and has signed
    /// them.
    pub fn failed(
        &mut self,
        author: Address,
        own: Option<PeerId>,
        peer: PeerId,
        from: u64,
    ) -> Option<u64> {
        let log = self.logs.entry(author).or_default();
        log.tried.insert(peer);
        let claimed = log.claims.remove(&peer);
        let said = claimed.max(log.proven.filter(|_| own == Some(peer)));
        if said.is_none_or(|said| said < from) {
            return None;
        }
        let count = self.stalls.entry(peer).or_default();
        *count += 1;
        Some(*count)
    }

    /// A member is busy: others are asked before it, and it is not blamed.
    pub fn refused(&mut self, author: Address, peer: PeerId) {
        self.logs.entry(author).or_default().tried.insert(peer);
        *self.refusals.entry(peer).or_default() += 1;
    }

    /// Everybody may be asked again: heads are being compared.
    pub fn begin_again(&mut self) {
        self.logs.values_mut().for_each(|log| log.tried.clear());
    }

    /// Forgets a peer that is gone, and its claims.
    pub fn gone(&mut self, peer: &PeerId) {
        for log in self.logs.values_mut() {
            log.claims.remove(peer);
            log.tried.remove(peer);
        }
        self.stalls.remove(peer);
        self.refusals.remove(peer);
    }
}

/// How often a member was asked and gave nothing.
fn in_vain(stalls: &HashMap<PeerId, u64>, refusals: &HashMap<PeerId, u64>, peer: &PeerId) -> u64 {
    let counts = [stalls, refusals];
    counts.iter().filter_map(|of| of.get(peer)).sum()
}

impl Log {
    /// Who is asked for nodes from `from` on: the author, if it is given, before those who say that they have them; those who
    /// were asked in vain last.
    fn best(
        &self,
        own: Option<PeerId>,
        from: u64,
        in_vain: impl Fn(&PeerId) -> u64,
    ) -> Option<PeerId> {
        let candidates = self.candidates(own, from);
        let candidates = candidates.filter(|peer| self.parts_of(peer) == 0);
        candidates.min_by_key(|peer| (in_vain(peer), Some(*peer) != own))
    }

    /// Who is asked for one more part, when everybody who has it is asked for another one already: who is asked for the fewest.
    /// One that was asked in vain is not.
    fn one_more_part(
        &self,
        own: Option<PeerId>,
        from: u64,
        in_vain: impl Fn(&PeerId) -> u64,
    ) -> Option<PeerId> {
        let candidates = self.candidates(own, from);
        let candidates =
            candidates.filter(|peer| in_vain(peer) == 0 && self.parts_of(peer) < PARTS_OF_ONE);
        candidates.min_by_key(|peer| (self.parts_of(peer), Some(*peer) != own))
    }

    /// Who may have nodes from `from` on, and gave nothing in vain since the log advanced.
    fn candidates(&self, own: Option<PeerId>, from: u64) -> impl Iterator<Item = PeerId> + '_ {
        let claimants = self.claims.iter().filter(move |(_, seq)| **seq >= from);
        let others = claimants.map(|(peer, _)| *peer);
        let all = own.into_iter().chain(others);
        all.filter(|peer| !self.tried.contains(peer))
    }

    /// For how many parts a member is asked now.
    fn parts_of(&self, peer: &PeerId) -> usize {
        let asked = self.asked.iter();
        asked.filter(|asked| asked.peer == *peer).count()
    }

    fn ask(&mut self, peer: PeerId, from: u64, since: Instant) {
        self.asked.push(Asked {
            peer,
            from,
            since,
            is_late: false,
        });
    }

    fn is_proven(&self, next: u64) -> bool {
        self.proven.is_some_and(|seq| seq >= next)
    }

    fn has_more(&self, next: u64) -> bool {
        self.is_proven(next) || self.claims.values().any(|seq| *seq >= next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::crypto::SecretKey;

    const AUTHOR: Address = Address([7; 20]);

    fn peer(n: u8) -> PeerId {
        let key = SecretKey::from_bytes(&[n; 32]).unwrap().public_key();
        PeerId::from_public_key(&key.compressed()).unwrap()
    }

    /// Whom it asks one after the other, each of whom fails at once.
    fn order(claims: &mut Claims, own: Option<PeerId>, next: u64) -> Vec<PeerId> {
        let now = Instant::now();
        let asked = std::iter::from_fn(|| {
            let peer = claims.next(AUTHOR, own, next, now)?;
            claims.ended(AUTHOR, peer, next);
            claims.failed(AUTHOR, own, peer, next);
            Some(peer)
        });
        asked.collect()
    }

    #[test]
    fn the_author_is_asked_first_and_those_who_stalled_last() {
        let mut claims = Claims::default();
        for n in 1..=3 {
            claims.claimed(AUTHOR, peer(n), 9);
        }
        assert_eq!(claims.failed(AUTHOR, None, peer(1), 5), Some(1));
        claims.claimed(AUTHOR, peer(1), 1000);
        let asked = order(&mut claims, Some(peer(9)), 5);
        assert_eq!((asked.len(), asked[0], asked[3]), (4, peer(9), peer(1)));
        assert!(
            order(&mut claims, Some(peer(9)), 5).is_empty(),
            "all failed"
        );
        // An author that stalled itself comes last, too.
        claims.proved(AUTHOR, 9);
        claims.begin_again();
        assert_eq!(order(&mut claims, Some(peer(9)), 5), [peer(9)]);
        claims.claimed(AUTHOR, peer(4), 9);
        claims.begin_again();
        assert_eq!(order(&mut claims, Some(peer(9)), 5), [peer(4), peer(9)]);
    }

    #[test]
    fn claims_that_are_behind_or_were_found_empty_are_not_followed() {
        let (mut claims, now) = (Claims::default(), Instant::now());
        claims.claimed(AUTHOR, peer(1), 4);
        assert_eq!(claims.next(AUTHOR, Some(peer(9)), 5, now), None);
        assert!(!claims.is_behind(|_| 5) && claims.is_behind(|_| 4));
        claims.claimed(AUTHOR, peer(1), 5);
        assert_eq!(order(&mut claims, None, 5), [peer(1)]);
        claims.claimed(AUTHOR, peer(1), 5);
        claims.gone(&peer(1));
        assert!(order(&mut claims, None, 5).is_empty() && claims.stalls.is_empty());
        claims.proved(AUTHOR, 7);
        assert_eq!(order(&mut claims, Some(peer(9)), 5), [peer(9)]);
    }

    #[test]
    fn an_author_that_others_lie_about_is_not_to_blame() {
        let (mut claims, own) = (Claims::default(), Some(peer(9)));
        claims.claimed(AUTHOR, peer(1), 1_000_000);
        assert_eq!(claims.failed(AUTHOR, own, peer(9), 5), None);
        assert_eq!(claims.failed(AUTHOR, own, peer(1), 5), Some(1));
        claims.proved(AUTHOR, 5);
        assert_eq!(claims.failed(AUTHOR, own, peer(9), 5), Some(1));
        assert_eq!(claims.failed(AUTHOR, own, peer(9), 6), None);
    }

    #[test]
    fn one_who_is_busy_is_asked_after_others_and_not_blamed() {
        let (mut claims, now) = (Claims::default(), Instant::now());
        claims.claimed(AUTHOR, peer(1), 9);
        assert_eq!(claims.next(AUTHOR, None, 5, now), Some(peer(1)));
        claims.ended(AUTHOR, peer(1), 5);
        claims.refused(AUTHOR, peer(1));
        assert_eq!(claims.next(AUTHOR, None, 5, now), None, "not at once again");
        assert!(claims.is_behind(|_| 5));
        claims.claimed(AUTHOR, peer(2), 9);
        claims.begin_again();
        assert_eq!(order(&mut claims, None, 5), [peer(2), peer(1)]);
    }

    /// A log of ten nodes, and members of whom the first `stallers` never answer. All say at the start that they have it,
    /// the stallers that they have more. Returns how long it takes until the nodes are here.
    fn time_to_catch_up(stallers: u8, members: u8, deadline: Duration) -> Duration {
        let (mut claims, began) = (Claims::default(), Instant::now());
        for n in 1..=members {
            claims.claimed(AUTHOR, peer(n), if n <= stallers { 1_000 } else { 9 });
        }
        let (mut now, mut under_way) = (began, Vec::new());
        for _ in 0..1_000 {
            claims.late(now);
            while let Some(asked) = claims.next(AUTHOR, None, 0, now) {
                if (1..=stallers).all(|n| asked != peer(n)) {
                    return now - began;
                }
                under_way.push((now + deadline, asked));
            }
            under_way.retain(|(until, asked)| {
                let is_over = *until <= now;
                if is_over {
                    claims.ended(AUTHOR, *asked, 0);
                    claims.failed(AUTHOR, None, *asked, 0);
                }
                !is_over
            });
            let ends = under_way.iter().map(|(until, _)| *until);
            now = ends.chain(claims.deadline()).min().unwrap_or(now);
        }
        panic!("nobody else was asked: {claims:?}");
    }

    #[test]
    fn those_who_stall_cost_a_moment_each() {
        let deadline = Duration::from_secs(8);
        assert_eq!(time_to_catch_up(0, 4, deadline), Duration::ZERO);
        for stallers in 1..ASKED_AT_ONCE as u8 {
            let most = PATIENCE * u32::from(stallers);
            assert!(time_to_catch_up(stallers, 7, deadline) <= most);
        }
        // A third of a large ring.
        assert!(time_to_catch_up(33, 100, deadline) <= 9 * deadline);
    }

    #[test]
    fn several_are_asked_at_once_for_parts_of_a_long_log() {
        let (mut claims, began) = (Claims::default(), Instant::now());
        for n in 1..=3 {
            claims.claimed(AUTHOR, peer(n), 9_999);
        }
        let own = Some(peer(9));
        assert_eq!(claims.next(AUTHOR, own, 0, began), own);
        let mut ahead = |from| claims.next_ahead(AUTHOR, own, from, began);
        let (first, second) = (ahead(4_096).unwrap(), ahead(8_192).unwrap());
        assert!(first != second && Some(first) != own && Some(second) != own);
        assert_eq!(ahead(4_096), None, "that was asked");
        assert_eq!(ahead(12_288), None, "nobody says that it has that");
        // What was asked ahead is waited for when it comes next.
        claims.ended(AUTHOR, peer(9), 0);
        claims.advanced(AUTHOR);
        assert_eq!(claims.next(AUTHOR, own, 4_096, began), None);
        let late = began + PATIENCE;
        assert_eq!(claims.late(late), [AUTHOR, AUTHOR]);
        assert_eq!(claims.next(AUTHOR, own, 4_096, late), own);
        // Only so many at once, and each of them for one part.
        assert!(claims.next_ahead(AUTHOR, own, 8_192, late).is_some());
        assert_eq!(claims.next_ahead(AUTHOR, own, 8_193, late), None);
        assert_eq!(claims.failed(AUTHOR, own, first, 4_096), Some(1));
    }

    #[test]
    fn one_member_is_asked_for_several_parts_where_nobody_else_has_them() {
        let (mut claims, began) = (Claims::default(), Instant::now());
        claims.claimed(AUTHOR, peer(1), 99_999);
        assert_eq!(claims.next(AUTHOR, None, 0, began), Some(peer(1)));
        let mut ahead = |from| claims.next_ahead(AUTHOR, None, from, began);
        assert_eq!(ahead(4_096), Some(peer(1)));
        assert_eq!(ahead(8_192), Some(peer(1)));
        assert_eq!(ahead(12_288), None, "three are enough");
        // The end of one part leaves the others under way.
        claims.ended(AUTHOR, peer(1), 0);
        assert_eq!(claims.next(AUTHOR, None, 4_096, began), None);
        let more = claims.next_ahead(AUTHOR, None, 12_288, began);
        assert_eq!(more, Some(peer(1)));
        // Who failed once is asked for one at a time.
        claims.ended(AUTHOR, peer(1), 8_192);
        claims.failed(AUTHOR, None, peer(1), 8_192);
        claims.claimed(AUTHOR, peer(1), 99_999);
        assert_eq!(claims.next_ahead(AUTHOR, None, 8_192, began), None);
    }

    #[test]
    fn one_that_comes_while_another_stalls_is_asked() {
        let (mut claims, began) = (Claims::default(), Instant::now());
        claims.claimed(AUTHOR, peer(1), 1_000);
        assert_eq!(claims.next(AUTHOR, None, 0, began), Some(peer(1)));
        // The author connects, and says what it has.
        claims.claimed(AUTHOR, peer(2), 9);
        assert_eq!(claims.next(AUTHOR, Some(peer(2)), 0, began), None);
        let soon = claims.deadline().unwrap();
        assert_eq!(soon, began + PATIENCE);
        assert_eq!(claims.late(soon), [AUTHOR]);
        assert_eq!(claims.next(AUTHOR, Some(peer(2)), 0, soon), Some(peer(2)));
        assert_eq!(claims.deadline(), Some(soon + PATIENCE));
        assert!(claims.late(soon).is_empty(), "once");
    }
}
