//! A member's state machine: which gates it works on, which votes it has seen, when two thirds agree, and whose turn it
//! is to submit.
//!
//! Inputs are method calls, outputs are [`Effect`]s; time is an argument, in milliseconds of any clock that does
//! not run backwards. Nothing here is durable: what must be, [`crate::journal`] writes. The caller keeps all votes on
//! disk and hands them over when a gate becomes ready ([`Member::ready`]) or is taken up again after a restart
//! ([`Member::restore`]); votes on gates that are not open are not held in memory, so nobody can fill it with them.
//!
//! A [`Member`] holds one `Work` for each open gate. Things to do later (trying a computation again, submitting when
//! the own turn comes) are in one ordered schedule. So the cost of a round depends on what is due in it, not on how
//! many gates are open.

mod patience;
mod tally;
mod work;

pub use work::{Computed, Phase, Registration, Timings, RETRY_MAX, RETRY_MIN};

use crate::{
    eip712::Domain,
    gate::Computation,
    journal::Draft,
    message::{Outputs, Vote},
    quorum::submitters,
    Address,
};
use patience::Patience;
use std::collections::{BTreeMap, BTreeSet};
use tally::Rules;
use work::{Submission, Work};

/// What the caller has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Fetch the inputs, run the program, then call [`Member::computed`], [`Member::abstained`] or
    /// [`Member::declined`].
    Compute(Computation),
    /// Journal, sign and log this vote; then send the node and call [`Member::vote`] with the vote.
    Vote(Draft),
    /// Send the registration. The chain's events say whether it worked; if it did not, call
    /// [`Member::submission_failed`].
    Submit(Registration),
    /// This member's vote differs from the result on chain.
    Diverged {
        /// What was computed.
        computation: Computation,
        /// The member.
        member: Address,
    },
    /// This member signed a second result for the computation; the first counts.
    Equivocated {
        /// What was computed.
        computation: Computation,
        /// The member.
        member: Address,
    },
}

/// The rules and facts that a member starts with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its own account.
    pub me: Address,
    /// Chain and ring.
    pub domain: Domain,
    /// How long the next in line waits for a submitter, in milliseconds: some blocks.
    pub turn: u64,
}

/// A member's state machine.
#[derive(Debug)]
pub struct Member {
    setup: Setup,
    patience: Patience,
    /// The epoch in which votes count.
    epoch: u64,
    /// The members of this epoch, sorted.
    members: Vec<Address>,
    /// How many votes for one result are two thirds, as the contract counts.
    needed: usize,
    /// Members that can be reached now: only they are waited for.
    connected: BTreeSet<Address>,
    /// Members whose accounts cannot pay for a registration.
    poor: BTreeSet<Address>,
    /// The open gates.
    works: BTreeMap<Address, Work>,
    /// When to look at which gate again: (time, gate).
    schedule: BTreeSet<(u64, Address)>,
}

impl Member {
    /// A member that knows nothing yet.
    pub fn new(setup: Setup) -> Self {
        Self {
            patience: Patience::new(setup.turn),
            setup,
            epoch: 0,
            members: Vec::new(),
            needed: usize::MAX,
            connected: BTreeSet::new(),
            poor: BTreeSet::new(),
            works: BTreeMap::new(),
            schedule: BTreeSet::new(),
        }
    }

    /// Takes the current membership. Votes of other epochs do not count from now on, and the member votes again for its
    /// own results.
    ///
    /// `needed` is what the ring's `quorum()` returns at the same block. It may be more than two thirds of `members`, since
    /// members that the keeper has exited are counted until the entry delay has passed, and it may fall without a new
    /// epoch. After a reorganisation the epoch may be an earlier one, or the same with other members.
    pub fn membership(
        &mut self,
        epoch: u64,
        mut members: Vec<Address>,
        needed: usize,
        now: u64,
    ) -> Vec<Effect> {
        members.sort_unstable();
        let changed = (epoch, &members) != (self.epoch, &self.members);
        if !changed && needed == self.needed {
            return Vec::new();
        }
        (self.epoch, self.members, self.needed) = (epoch, members, needed);
        let mut effects = Vec::new();
        // A vote names its epoch, so the member votes again. If only `needed` changed, the same votes are counted again.
        if changed {
            effects.extend(self.vote_again());
        }
        let gates: Vec<_> = self.works.keys().copied().collect();
        for gate in gates {
            if let Some(work) = self.works.get_mut(&gate) {
                work.begin_epoch();
            }
            effects.extend(self.progress(gate, now));
        }
        effects
    }

    /// The own results once more, as votes in the current epoch. Nothing is computed again.
    fn vote_again(&self) -> Vec<Effect> {
        let voted = self.works.values().filter_map(|work| match &work.phase {
            Phase::Voted(computed) => Some(computed.draft(work.computation, self.epoch)),
            _ => None,
        });
        match self.is_member(self.setup.me) {
            true => voted.map(Effect::Vote).collect(),
            false => Vec::new(),
        }
    }

    /// Takes the members that can be reached now. The others are skipped when the turns to submit are computed.
    pub fn connected(&mut self, connected: BTreeSet<Address>) {
        self.connected = connected;
        self.reschedule_agreed();
    }

    /// Takes the members whose accounts cannot pay for a registration now. Their turns pass to those who can. If this
    /// member is one of them, its turn comes after everybody else's: its account may have been filled meanwhile.
    pub fn cannot_pay(&mut self, poor: BTreeSet<Address>) {
        if self.poor != poor {
            self.poor = poor;
            self.reschedule_agreed();
        }
    }

    /// Finds the turns anew at which this member may submit.
    fn reschedule_agreed(&mut self) {
        let agreed = self.works.iter();
        let agreed = agreed.filter(|(_, work)| work.timings.quorum.is_some());
        let gates: Vec<_> = agreed.map(|(gate, _)| *gate).collect();
        for gate in gates {
            self.reschedule(gate);
        }
    }

    /// The epoch in which votes count.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The members, sorted.
    pub fn members(&self) -> &[Address] {
        &self.members
    }

    /// How many signatures a result needs.
    pub fn needed(&self) -> usize {
        self.needed
    }

    /// Whether this account is a member.
    pub fn is_member(&self, account: Address) -> bool {
        self.members.binary_search(&account).is_ok()
    }

    /// A gate of this ring is ready and was asked for by somebody whose work is accepted. `votes` are all that are on
    /// disk for this computation.
    ///
    /// A gate has one computation at a time: one with other inputs, from before a reorganisation, is forgotten.
    pub fn ready(
        &mut self,
        computation: Computation,
        votes: Vec<(Address, Vote)>,
        now: u64,
    ) -> Vec<Effect> {
        if self.work(computation).is_some() {
            return Vec::new();
        }
        self.open_work(computation, Phase::Computing, now);
        let mut effects = vec![Effect::Compute(computation)];
        effects.extend(self.count(computation, votes, now));
        effects
    }

    /// After a restart, or when a reorganisation took the result away: this member voted for this before, last in
    /// `epoch`. `votes` are all that are on disk for this computation, the own ones included. Nothing happens where the
    /// computation is open already.
    pub fn restore(
        &mut self,
        computation: Computation,
        computed: Computed,
        epoch: u64,
        votes: Vec<(Address, Vote)>,
        now: u64,
    ) -> Vec<Effect> {
        if self.work(computation).is_some() {
            return Vec::new();
        }
        let mut effects = Vec::new();
        if epoch != self.epoch && self.is_member(self.setup.me) {
            effects.push(Effect::Vote(computed.draft(computation, self.epoch)));
        }
        self.open_work(computation, Phase::Voted(computed), now);
        effects.extend(self.count(computation, votes, now));
        effects
    }

    fn open_work(&mut self, computation: Computation, phase: Phase, now: u64) {
        self.forget(computation.gate);
        let work = Work::new(computation, phase, now);
        self.works.insert(computation.gate, work);
    }

    /// The program has run. A failure of the program is a result too. If the gate was resolved meanwhile, the vote no
    /// longer decides anything, but it is written to the log all the same: it shows what this member found, and so who
    /// was wrong.
    pub fn computed(
        &mut self,
        computation: Computation,
        computed: Computed,
        now: u64,
    ) -> Vec<Effect> {
        let vote = computed.draft(computation, self.epoch);
        match self.work(computation) {
            Some(work) if matches!(work.phase, Phase::Computing | Phase::Abstaining { .. }) => {
                work.phase = Phase::Voted(computed);
                work.timings.computed = Some(now);
                self.reschedule(computation.gate);
            }
            // It has a result already, or will give none.
            Some(_) => return Vec::new(),
            None => {}
        }
        match self.is_member(self.setup.me) {
            true => vec![Effect::Vote(vote)],
            false => Vec::new(),
        }
    }

    /// This machine could not compute it: no vote, and another try after a pause.
    pub fn abstained(&mut self, computation: Computation, reason: String, now: u64) {
        let work = self.work(computation);
        let Some(work) = work.filter(|work| work.phase == Phase::Computing) else {
            return;
        };
        // The longest pause that the schedule allows. No jitter is needed, because only this machine waits.
        let pause = work.retries.failed(u64::MAX).as_millis();
        work.without = Some(reason);
        work.phase = Phase::Abstaining {
            until: now.saturating_add(u64::try_from(pause).unwrap_or(u64::MAX)),
        };
        self.reschedule(computation.gate);
    }

    /// The gate asks for what this member is not willing or not able to give: no vote. Votes of others are still
    /// counted.
    pub fn declined(&mut self, computation: Computation, reason: String) {
        let work = self.work(computation);
        if let Some(work) = work.filter(|work| work.phase == Phase::Computing) {
            work.phase = Phase::Declined { reason };
        }
    }

    /// The journal holds another result for this computation: this member will not vote on it.
    pub fn refused(&mut self, computation: Computation) {
        if let Some(work) = self.work(computation) {
            work.phase = Phase::Refused;
        }
        self.reschedule(computation.gate);
    }

    /// A vote from the log of `member`, whose node was checked and is on disk; the vote's own signature is checked when
    /// it is needed. A vote on a computation that is not open is ignored here; the caller gives it again, from disk,
    /// when the computation becomes ready.
    pub fn vote(&mut self, member: Address, vote: Vote, now: u64) -> Vec<Effect> {
        let computation = vote.computation();
        self.count(computation, vec![(member, vote)], now)
    }

    fn count(
        &mut self,
        computation: Computation,
        votes: Vec<(Address, Vote)>,
        now: u64,
    ) -> Vec<Effect> {
        let epoch = self.epoch;
        let (members, works) = (&self.members, &mut self.works);
        let work = works.get_mut(&computation.gate);
        let Some(work) = work.filter(|work| work.computation == computation) else {
            return Vec::new();
        };
        let mut effects = Vec::new();
        for (member, vote) in votes {
            // Only members' votes are held, and only those on this computation, so strangers cannot fill the memory.
            let counts =
                vote.computation() == computation && members.binary_search(&member).is_ok();
            if counts && !work.tally.add(member, vote, epoch) {
                effects.push(Effect::Equivocated {
                    computation,
                    member,
                });
            }
        }
        effects.extend(self.progress(computation.gate, now));
        effects
    }

    /// The chain holds this result. Names those of `votes`, which are all that are on disk for the gate, who voted
    /// for another result of the same computation.
    pub fn resolved(
        &mut self,
        computation: Computation,
        outputs: &Outputs,
        votes: &[(Address, Vote)],
    ) -> Vec<Effect> {
        let waited = self.work(computation).is_some_and(|work| {
            work.submission == Submission::Due && work.timings.quorum.is_some()
        });
        if waited {
            self.patience.was_enough();
        }
        self.forget(computation.gate);
        let diverged = votes
            .iter()
            .filter(|(_, vote)| vote.contradicts(computation, outputs));
        diverged
            .map(|(member, _)| Effect::Diverged {
                computation,
                member: *member,
            })
            .collect()
    }

    /// Forget a gate: it was resolved by another ring, is doomed, or a reorganisation took it away.
    pub fn forget(&mut self, gate: Address) {
        if let Some(at) = self.works.remove(&gate).and_then(|work| work.wake) {
            self.schedule.remove(&(at, gate));
        }
    }

    /// It was this member's turn to submit, and another one's transaction was there already: from now on it waits longer.
    pub fn came_too_early(&mut self) {
        self.patience.was_too_short();
    }

    /// The registration was not accepted, and the gate is not resolved: others have their turn before it is tried again.
    pub fn submission_failed(&mut self, computation: Computation, now: u64) {
        let next = now.saturating_add(self.patience.turn());
        let Some(work) = self.work(computation) else {
            return;
        };
        work.submission = Submission::Due;
        // The epoch may have changed since it was sent, so the votes are counted again.
        self.agree(computation.gate, now);
        if let Some(work) = self.work(computation) {
            work.timings.quorum = work.timings.quorum.map(|_| next);
        }
        self.reschedule(computation.gate);
    }

    /// To be called when time has passed: tries computations again, and submits when the turn has come.
    pub fn tick(&mut self, now: u64) -> Vec<Effect> {
        let due: Vec<_> = self
            .schedule
            .iter()
            .take_while(|(at, _)| *at <= now)
            .map(|(_, gate)| *gate)
            .collect();
        due.into_iter()
            .flat_map(|gate| self.progress(gate, now))
            .collect()
    }

    /// When [`Member::tick`] is needed next.
    pub fn deadline(&self) -> Option<u64> {
        self.schedule.first().map(|(at, _)| *at)
    }

    /// How far this member is with a gate, and when what happened.
    pub fn phase(&self, gate: Address) -> Option<(&Phase, Timings)> {
        self.works
            .get(&gate)
            .map(|work| (&work.phase, work.timings))
    }

    /// Why the newest try to compute a gate that has ended gave nothing here.
    pub fn without(&self, gate: Address) -> Option<&str> {
        self.works.get(&gate)?.without.as_deref()
    }

    /// The computation of a gate that is open here.
    pub fn computation(&self, gate: Address) -> Option<Computation> {
        self.works.get(&gate).map(|work| work.computation)
    }

    /// Gates that this member works on, or would if it could.
    pub fn open(&self) -> impl Iterator<Item = Address> + '_ {
        self.works.keys().copied()
    }

    fn work(&mut self, computation: Computation) -> Option<&mut Work> {
        let work = self.works.get_mut(&computation.gate);
        work.filter(|work| work.computation == computation)
    }

    /// Does what is due for a gate, and notes when to look at it again.
    fn progress(&mut self, gate: Address, now: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(work) = self.works.get_mut(&gate) {
            if work.is_to_run(now) {
                effects.push(Effect::Compute(work.computation));
            }
        }
        effects.extend(self.submit(gate, now));
        self.reschedule(gate);
        effects
    }

    /// Submits when two thirds agree and the turn has come. Signatures are checked only here, so that members whose
    /// turn never comes do not check them. A vote with a forged signature is dropped, and the others are counted.
    fn submit(&mut self, gate: Address, now: u64) -> Option<Effect> {
        self.agree(gate, now);
        if self.turn_at(gate)? > now {
            return None;
        }
        let rules = rules(self.epoch, &self.members, self.needed);
        let work = self.works.get_mut(&gate)?;
        // After forged votes are dropped there may be too few. Then this gate waits for more votes, as before.
        let Some(votes) = work.tally.two_thirds(&self.setup.domain, rules) else {
            work.timings.quorum = None;
            return None;
        };
        work.submission = Submission::Sent;
        let outputs = votes.first()?.1.outputs.clone();
        Some(Effect::Submit(Registration {
            computation: work.computation,
            epoch: self.epoch,
            outputs,
            votes,
        }))
    }

    /// Notes when two thirds agree, and whether they agree on a result that this member's own result contradicts.
    fn agree(&mut self, gate: Address, now: u64) {
        let rules = rules(self.epoch, &self.members, self.needed);
        let work = self.works.get_mut(&gate);
        let Some(work) = work.filter(|work| work.submission == Submission::Due) else {
            return;
        };
        match work.tally.leading(rules) {
            None => work.timings.quorum = None,
            Some(result) if work.contradicts(result) => work.submission = Submission::Barred,
            Some(_) => {
                work.timings.quorum.get_or_insert(now);
            }
        }
        if work.timings.quorum.is_some() && work.before.is_none() {
            work.before = places_before(self.setup.me, gate, &self.members);
        }
    }

    /// When this member submits: at once if it is first in the gate's order, else after those before it who can
    /// be reached and can pay have had their turn.
    fn turn_at(&self, gate: Address) -> Option<u64> {
        let work = self.works.get(&gate)?;
        let since = work.timings.quorum?;
        let before = work.before.as_deref()?;
        if work.submission != Submission::Due {
            return None;
        }
        // A member that cannot pay lets all others go first; the others let only those go first who stand before them
        // in the gate's order.
        let turns = match self.poor.contains(&self.setup.me) {
            true => self
                .members
                .iter()
                .filter(|other| self.submits(other))
                .count(),
            false => before
                .iter()
                .filter_map(|place| self.members.get(usize::from(*place)))
                .filter(|other| self.submits(other))
                .count(),
        };
        let turn = self.patience.turn();
        Some(since.saturating_add(turn.saturating_mul(turns as u64)))
    }

    /// Whether another member can be expected to submit in its turn.
    fn submits(&self, other: &Address) -> bool {
        *other != self.setup.me && self.connected.contains(other) && !self.poor.contains(other)
    }

    /// Puts a gate into the schedule at the time at which it is to be looked at next.
    fn reschedule(&mut self, gate: Address) {
        let turn = self.turn_at(gate);
        let Some(work) = self.works.get_mut(&gate) else {
            return;
        };
        let retry = match work.phase {
            Phase::Abstaining { until, .. } => Some(until),
            _ => None,
        };
        let wake = retry.into_iter().chain(turn).min();
        if wake == work.wake {
            return;
        }
        if let Some(at) = std::mem::replace(&mut work.wake, wake) {
            self.schedule.remove(&(at, gate));
        }
        self.schedule.extend(wake.map(|at| (at, gate)));
    }
}

fn rules(epoch: u64, members: &[Address], needed: usize) -> Rules<'_> {
    Rules {
        epoch,
        members,
        // At least one vote is needed, whatever the caller says.
        needed: needed.max(1),
    }
}

/// The places, in the sorted list of members, of those whose turn to submit comes before `me`; `None` if `me` is not a
/// member. A place fits a byte, for a ring has at most [`crate::quorum::MAX_MEMBERS`] members.
fn places_before(me: Address, gate: Address, members: &[Address]) -> Option<Box<[u8]>> {
    members.binary_search(&me).ok()?;
    let order = submitters(gate, members);
    let before = order.iter().take_while(|member| **member != me);
    let places = before.filter_map(|member| members.binary_search(member).ok());
    Some(
        places
            .filter_map(|place| u8::try_from(place).ok())
            .collect(),
    )
}

#[cfg(test)]
mod tests;
