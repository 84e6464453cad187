//! A member's mind: which gates it works on, which votes it has seen, when two thirds agree, and whose turn
//! it is to submit.
//!
//! Inputs are method calls, outputs are [`Effect`]s; time is an argument, in milliseconds of any clock that does
//! not run backwards. Nothing here is durable: what must be, [`crate::journal`] writes, and after a restart
//! the caller plays the votes on disk and the open gates in again.

mod tally;

use crate::{
    eip712::Domain,
    journal::Draft,
    message::{Outputs, Vote},
    quorum::{quorum, submitters},
    Address, Digest,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tally::Tally;

/// Gates of which only votes are known so far; more of them push out the oldest.
pub const MAX_UNKNOWN_GATES: usize = 4096;
/// First pause before a computation that this machine failed to make is tried again, in milliseconds.
pub const RETRY_MIN: u64 = 500;
/// Longest such pause.
pub const RETRY_MAX: u64 = 60_000;

/// What the caller has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Fetch the inputs of this gate, run its program, then call [`Member::computed`],
    /// [`Member::abstained`] or [`Member::declined`].
    Compute {
        /// The gate.
        gate: Address,
    },
    /// Journal, sign and log this vote; then send the node and call [`Member::vote`] with the vote.
    Vote(Draft),
    /// Send the registration. Whether it worked, the chain says; if it did not, call [`Member::submission_failed`].
    Submit(Registration),
    /// This member's vote differs from the result on chain.
    Diverged {
        /// The gate.
        gate: Address,
        /// The member.
        member: Address,
    },
    /// This member signed a second result for the gate; the first counts.
    Equivocated {
        /// The gate.
        gate: Address,
        /// The member.
        member: Address,
    },
}

/// Outputs that two thirds have signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The gate.
    pub gate: Address,
    /// The epoch of the signatures.
    pub epoch: u64,
    /// The outputs.
    pub outputs: Outputs,
    /// The votes, in ascending order of their signers: as many as are needed.
    pub votes: Vec<(Address, Vote)>,
}

/// How far a member is with a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Only votes of others are known; the chain has not shown it yet.
    Unknown,
    /// The program runs, or will.
    Computing,
    /// This machine could not compute it; it is tried again.
    Abstaining {
        /// Why.
        reason: String,
        /// When it is tried again.
        until: u64,
    },
    /// This member will not spend on it what it may cost: no vote, and no other try.
    Declined {
        /// Why.
        reason: String,
    },
    /// This member has its result, and votes for it in every epoch.
    Voted(Computed),
    /// This member had signed another result before, and will not sign this one.
    Refused,
}

/// What a computation gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Computed {
    /// The outputs.
    pub outputs: Outputs,
    /// Fuel used.
    pub fuel: u64,
    /// The engine that ran it.
    pub engine: String,
}

/// When what happened, for those who measure: milliseconds of the caller's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timings {
    /// The gate became ready.
    pub ready: Option<u64>,
    /// The own result was there.
    pub computed: Option<u64>,
    /// Two thirds agreed.
    pub quorum: Option<u64>,
    /// The chain accepted it.
    pub resolved: Option<u64>,
}

/// Whether this member may submit a gate's registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Submission {
    /// As soon as two thirds agree and its turn comes.
    Due,
    /// It is under way.
    Sent,
    /// Two thirds agree on what this member found to be wrong: others may submit that.
    Barred,
}

/// One gate in a member's mind.
#[derive(Debug)]
struct Work {
    phase: Phase,
    tally: Tally,
    timings: Timings,
    submission: Submission,
    tries: u32,
}

impl Work {
    fn new(phase: Phase) -> Self {
        Self {
            phase,
            tally: Tally::default(),
            timings: Timings::default(),
            submission: Submission::Due,
            tries: 0,
        }
    }
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

/// A member's mind.
#[derive(Debug)]
pub struct Member {
    setup: Setup,
    epoch: u64,
    members: Vec<Address>,
    connected: BTreeSet<Address>,
    works: BTreeMap<Address, Work>,
    unknown: VecDeque<Address>,
}

impl Member {
    /// A member that knows nothing yet.
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            epoch: 0,
            members: Vec::new(),
            connected: BTreeSet::new(),
            works: BTreeMap::new(),
            unknown: VecDeque::new(),
        }
    }

    /// The membership is this now. Votes of earlier epochs count no more; own results are voted for again.
    pub fn membership(&mut self, epoch: u64, mut members: Vec<Address>) -> Vec<Effect> {
        members.sort_unstable();
        let changed = epoch != self.epoch;
        (self.epoch, self.members) = (epoch, members);
        for work in self.works.values_mut() {
            work.timings.quorum = None;
        }
        if changed {
            self.vote_again()
        } else {
            Vec::new()
        }
    }

    fn vote_again(&self) -> Vec<Effect> {
        if !self.is_member(self.setup.me) {
            return Vec::new();
        }
        let voted = self
            .works
            .iter()
            .filter_map(|(gate, work)| match &work.phase {
                Phase::Voted(computed) => Some(draft(*gate, self.epoch, computed)),
                _ => None,
            });
        voted.map(Effect::Vote).collect()
    }

    /// These members can be reached now: a turn is not left to one who cannot take it.
    pub fn connected(&mut self, connected: BTreeSet<Address>) {
        self.connected = connected;
    }

    /// The epoch in which votes count.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The members, sorted.
    pub fn members(&self) -> &[Address] {
        &self.members
    }

    /// Whether this account is a member.
    pub fn is_member(&self, account: Address) -> bool {
        self.members.binary_search(&account).is_ok()
    }

    /// A gate of this ring is ready and was asked for by somebody whose work is accepted.
    pub fn ready(&mut self, gate: Address, now: u64) -> Vec<Effect> {
        let work = self
            .works
            .entry(gate)
            .or_insert_with(|| Work::new(Phase::Unknown));
        if work.phase != Phase::Unknown {
            return Vec::new();
        }
        work.phase = Phase::Computing;
        work.timings.ready = Some(now);
        self.unknown.retain(|unknown| *unknown != gate);
        vec![Effect::Compute { gate }]
    }

    /// The program has run. A failure of the program is a result too. Where the gate was resolved meanwhile the vote
    /// decides nothing any more, and still the log says what this member found: it proves who was wrong.
    pub fn computed(&mut self, gate: Address, computed: Computed, now: u64) -> Vec<Effect> {
        let vote = draft(gate, self.epoch, &computed);
        match self.works.get_mut(&gate) {
            Some(work) if matches!(work.phase, Phase::Computing | Phase::Abstaining { .. }) => {
                work.phase = Phase::Voted(computed);
                work.timings.computed = Some(now);
            }
            Some(_) => return Vec::new(),
            None => {}
        }
        match self.is_member(self.setup.me) {
            true => vec![Effect::Vote(vote)],
            false => Vec::new(),
        }
    }

    /// This machine could not compute the gate: no vote, and another try after a pause.
    pub fn abstained(&mut self, gate: Address, reason: String, now: u64) {
        let Some(work) = self.works.get_mut(&gate) else {
            return;
        };
        if work.phase != Phase::Computing {
            return;
        }
        let pause = RETRY_MIN
            .saturating_mul(1 << work.tries.min(16))
            .min(RETRY_MAX);
        work.tries += 1;
        work.phase = Phase::Abstaining {
            reason,
            until: now + pause,
        };
    }

    /// The gate asks for more than this member is willing to spend: no vote. Votes of others are still counted.
    pub fn declined(&mut self, gate: Address, reason: String) {
        let work = self.works.get_mut(&gate);
        if let Some(work) = work.filter(|work| work.phase == Phase::Computing) {
            work.phase = Phase::Declined { reason };
        }
    }

    /// The journal holds another result for this gate: this member will not vote on it.
    pub fn refused(&mut self, gate: Address) {
        if let Some(work) = self.works.get_mut(&gate) {
            work.phase = Phase::Refused;
        }
    }

    /// After a restart: this member voted for this result before, last in `epoch`.
    pub fn restore(
        &mut self,
        gate: Address,
        computed: Computed,
        epoch: u64,
        now: u64,
    ) -> Vec<Effect> {
        let vote = draft(gate, self.epoch, &computed);
        let work = self
            .works
            .entry(gate)
            .or_insert_with(|| Work::new(Phase::Unknown));
        work.timings.ready.get_or_insert(now);
        work.phase = Phase::Voted(computed);
        let again = epoch < self.epoch && self.is_member(self.setup.me);
        if again {
            vec![Effect::Vote(vote)]
        } else {
            Vec::new()
        }
    }

    /// A vote from the log of `member`, whose node was checked; its own signature is checked when it is needed.
    pub fn vote(&mut self, member: Address, vote: Vote, now: u64) -> Vec<Effect> {
        if !self.is_member(member) || vote.epoch < self.epoch {
            return Vec::new();
        }
        let gate = vote.gate;
        self.make_room_for(gate);
        let work = self
            .works
            .entry(gate)
            .or_insert_with(|| Work::new(Phase::Unknown));
        let honest = work.tally.add(member, vote);
        let mut effects = self.progress(gate, now);
        if !honest {
            effects.push(Effect::Equivocated { gate, member });
        }
        effects
    }

    fn make_room_for(&mut self, gate: Address) {
        if self.works.contains_key(&gate) {
            return;
        }
        self.unknown.push_back(gate);
        if self.unknown.len() > MAX_UNKNOWN_GATES {
            if let Some(oldest) = self.unknown.pop_front() {
                self.works.remove(&oldest);
            }
        }
    }

    /// The chain holds this result. Names those who voted for another.
    pub fn resolved(&mut self, gate: Address, outputs: &Outputs) -> Vec<Effect> {
        let Some(work) = self.works.remove(&gate) else {
            return Vec::new();
        };
        self.unknown.retain(|unknown| *unknown != gate);
        let result = outputs.result();
        let diverged = work.tally.others_than(result);
        diverged
            .map(|member| Effect::Diverged { gate, member })
            .collect()
    }

    /// Forget a gate: it was resolved by another ring, is doomed, or a reorganisation took it away.
    pub fn forget(&mut self, gate: Address) {
        self.works.remove(&gate);
        self.unknown.retain(|unknown| *unknown != gate);
    }

    /// The registration was not accepted, and the gate is not resolved: others have their turn before it is tried again.
    pub fn submission_failed(&mut self, gate: Address, now: u64) {
        let turn = self.setup.turn;
        if let Some(work) = self.works.get_mut(&gate) {
            work.submission = Submission::Due;
            work.timings.quorum = work.timings.quorum.map(|_| now + turn);
        }
    }

    /// Time has passed: computations are tried again, and turns come.
    pub fn tick(&mut self, now: u64) -> Vec<Effect> {
        let gates: Vec<_> = self.works.keys().copied().collect();
        gates
            .into_iter()
            .flat_map(|gate| self.progress(gate, now))
            .collect()
    }

    /// When [`Member::tick`] is needed next.
    pub fn deadline(&self) -> Option<u64> {
        let retries = self.works.values().filter_map(|work| match work.phase {
            Phase::Abstaining { until, .. } => Some(until),
            _ => None,
        });
        let turns = self.works.keys().filter_map(|gate| self.turn_at(*gate));
        retries.chain(turns).min()
    }

    /// How far this member is with a gate, and when what happened.
    pub fn phase(&self, gate: Address) -> Option<(&Phase, Timings)> {
        self.works
            .get(&gate)
            .map(|work| (&work.phase, work.timings))
    }

    /// Gates that are not resolved and are known to be this ring's.
    pub fn open(&self) -> impl Iterator<Item = Address> + '_ {
        self.works
            .iter()
            .filter(|(_, work)| work.phase != Phase::Unknown)
            .map(|(gate, _)| *gate)
    }

    fn progress(&mut self, gate: Address, now: u64) -> Vec<Effect> {
        let mut effects = self.retry(gate, now);
        effects.extend(self.submit(gate, now));
        effects
    }

    fn retry(&mut self, gate: Address, now: u64) -> Vec<Effect> {
        let Some(work) = self.works.get_mut(&gate) else {
            return Vec::new();
        };
        match work.phase {
            Phase::Abstaining { until, .. } if until <= now => {
                work.phase = Phase::Computing;
                vec![Effect::Compute { gate }]
            }
            _ => Vec::new(),
        }
    }

    /// Submits when two thirds agree and the turn has come. Signatures are checked here, where they are needed,
    /// and not by those whose turn never comes; a forged one is dropped, and the tally goes on without it.
    fn submit(&mut self, gate: Address, now: u64) -> Option<Effect> {
        self.agree(gate, now);
        if self.turn_at(gate)? > now {
            return None;
        }
        let (domain, epoch, needed) = self.rules();
        let work = self.works.get_mut(&gate)?;
        let Some(votes) = work.tally.two_thirds(&domain, epoch, needed, &self.members) else {
            work.timings.quorum = None;
            return None;
        };
        work.submission = Submission::Sent;
        let outputs = votes.first()?.1.outputs.clone();
        Some(Effect::Submit(Registration {
            gate,
            epoch,
            outputs,
            votes,
        }))
    }

    /// Notes when two thirds agree, and whether on what this member found to be wrong.
    fn agree(&mut self, gate: Address, now: u64) {
        let (_, epoch, needed) = self.rules();
        let due =
            |work: &&mut Work| work.submission == Submission::Due && work.phase != Phase::Unknown;
        let Some(work) = self.works.get_mut(&gate).filter(due) else {
            return;
        };
        match work.tally.leading(epoch, needed, &self.members) {
            None => work.timings.quorum = None,
            Some(result) if contradicts(&work.phase, result) => {
                work.submission = Submission::Barred
            }
            Some(_) => {
                work.timings.quorum.get_or_insert(now);
            }
        }
    }

    fn rules(&self) -> (Domain, u64, usize) {
        (self.setup.domain, self.epoch, quorum(self.members.len()))
    }

    /// When this member submits: at once if it is first in the gate's order, else after those before it who can
    /// be reached have had their turn.
    fn turn_at(&self, gate: Address) -> Option<u64> {
        let due =
            |work: &&Work| work.submission == Submission::Due && self.is_member(self.setup.me);
        let since = self.works.get(&gate).filter(due)?.timings.quorum?;
        let order = submitters(gate, &self.members);
        let before = order.iter().take_while(|member| **member != self.setup.me);
        let waiting = before
            .filter(|member| self.connected.contains(member))
            .count();
        Some(since + self.setup.turn * waiting as u64)
    }
}

fn draft(gate: Address, epoch: u64, computed: &Computed) -> Draft {
    let Computed {
        outputs,
        fuel,
        engine,
    } = computed.clone();
    Draft {
        engine,
        epoch,
        fuel,
        gate,
        outputs,
    }
}

/// Whether this member found another result itself: then others may submit what it believes to be wrong.
fn contradicts(phase: &Phase, result: Digest) -> bool {
    matches!(phase, Phase::Voted(computed) if computed.outputs.result() != result)
}
