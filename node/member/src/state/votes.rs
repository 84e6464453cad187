//! The votes of all members, and the contradictions in them.
//!
//! A vote is stored under its gate, inputs, epoch and member, because after a reorganisation an earlier epoch may be
//! the current one again. `Ballots` adds votes in one write transaction and finds members that signed two results for
//! one computation. Proofs of forks and the gates on which a member voted for a wrong result are kept here too.
//!
//! A member can vote at no cost for anything, so all that is kept of one member is bounded: [`KEPT_EPOCHS`] of its
//! votes on one computation, and [`MAX_DIVERGED`] gates with a wrong vote.

use super::{
    circuit::newest,
    error::StateError,
    gates::votes_on,
    recorded::{Recorded, Recorder},
    records::Equivocations,
    tables::{Account, VoteKey, DIVERGED, FORKS, GATES, UNASKED, VOTES},
    when_used::WhenUsed,
    MemberState,
};
use redb::WriteTransaction;
use rings_protocol::{
    gate::Computation,
    log::ForkProof,
    message::{Outputs, Vote},
    private::LogForm,
    Address,
};
use serde_bytes::ByteBuf;

/// Epochs of which a member's votes on one computation are kept: the newest. After a reorganisation an earlier epoch may
/// be the current one again.
pub const KEPT_EPOCHS: usize = 4;
/// At most this many gates with a wrong vote are remembered for one member, because a member can vote for anything at
/// no cost.
const MAX_DIVERGED: usize = 1024;

impl MemberState {
    /// All votes seen on a gate, in the order of their inputs, members and epochs.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn votes(&self, gate: Address) -> Result<Vec<(Address, Vote)>, StateError> {
        let (first, last) = votes_on(gate);
        self.votes_between(first, last)
    }

    /// All votes seen on one computation, of all epochs that are kept.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn votes_for(
        &self,
        Computation { gate, inputs }: Computation,
    ) -> Result<Vec<(Address, Vote)>, StateError> {
        let first = (gate.0, inputs.0, [0; 20], 0);
        let last = (gate.0, inputs.0, [0xff; 20], u64::MAX);
        self.votes_between(first, last)
    }

    fn votes_between(
        &self,
        first: VoteKey,
        last: VoteKey,
    ) -> Result<Vec<(Address, Vote)>, StateError> {
        self.database.read(|transaction| {
            let mut votes = Vec::new();
            for entry in transaction.open_table(VOTES)?.range(first..=last)? {
                let (key, value) = entry?;
                votes.push((Address(key.value().2), read(value.value())?));
            }
            Ok(votes)
        })
    }

    /// The gates for which a member voted for another result than the chain holds: `limit` of them at most.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn divergences(&self, member: Address, limit: usize) -> Result<Vec<Address>, StateError> {
        self.database.read(|transaction| {
            let table = transaction.open_table(DIVERGED)?;
            let mut gates = Vec::new();
            for entry in table.range(of_member(member))?.take(limit) {
                gates.push(Address(entry?.0.value().1));
            }
            Ok(gates)
        })
    }

    /// Keeps the proof that an author signed two nodes for one position. Nothing is written if there is one already.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn add_fork(&self, proof: &ForkProof) -> Result<(), StateError> {
        if self.fork_authors()?.contains(&proof.author()) {
            return Ok(());
        }
        let nodes = proof.nodes().each_ref();
        let nodes = nodes.map(|node| ByteBuf::from(node.bytes()));
        let bytes =
            serde_ipld_dagcbor::to_vec(&nodes).map_err(|error| StateError::Format(error.into()))?;
        self.database.write(|transaction| {
            let mut table = transaction.open_table(FORKS)?;
            table.insert(proof.author().0, bytes.as_slice())?;
            Ok(())
        })
    }

    /// The proofs that are kept, in the order of their authors.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn fork_proofs(&self, form: &LogForm) -> Result<Vec<ForkProof>, StateError> {
        self.database.read(|transaction| {
            let mut proofs = Vec::new();
            for entry in transaction.open_table(FORKS)?.range::<Account>(..)? {
                proofs.push(read_fork(entry?.1.value(), form)?);
            }
            Ok(proofs)
        })
    }

    /// The authors against whom there is such a proof.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn fork_authors(&self) -> Result<Vec<Address>, StateError> {
        self.database.read(|transaction| {
            let mut authors = Vec::new();
            for entry in transaction.open_table(FORKS)?.range::<Account>(..)? {
                authors.push(Address(entry?.0.value()));
            }
            Ok(authors)
        })
    }
}

/// Where votes are added, in one write transaction.
pub(super) struct Ballots<'a> {
    votes: Recorded<'a, VoteKey, &'static [u8]>,
    diverged: Recorded<'a, (Account, Account), ()>,
    unasked: Recorded<'a, (u64, Account), ()>,
    gates: WhenUsed<'a, Account, &'static [u8]>,
    transaction: &'a WriteTransaction,
    /// What was found while votes were added.
    pub equivocations: Equivocations,
}

impl<'a> Ballots<'a> {
    pub const fn new(recorded: (&'a WriteTransaction, &'a Recorder)) -> Self {
        Self {
            transaction: recorded.0,
            votes: Recorded::new(recorded, VOTES),
            diverged: Recorded::new(recorded, DIVERGED),
            unasked: Recorded::new(recorded, UNASKED),
            gates: WhenUsed::new(recorded.0, GATES),
            equivocations: Vec::new(),
        }
    }

    /// The first result of a member is kept, for every epoch in which it votes for it. A second result is reported.
    pub fn add(&mut self, member: Address, vote: &Vote) -> Result<(), StateError> {
        let epochs = match self.held(member, vote.computation())? {
            Some((outputs, _)) if outputs != vote.outputs => return self.equivocated(member, vote),
            Some((_, epochs)) => epochs,
            None => Vec::new(),
        };
        let bytes =
            serde_ipld_dagcbor::to_vec(vote).map_err(|error| StateError::Format(error.into()))?;
        let (gate, inputs) = (vote.gate.0, vote.inputs.0);
        self.votes
            .insert((gate, inputs, member.0, vote.epoch), bytes.as_slice())?;
        // An epoch too many: the oldest goes, which may be the one that has just come.
        if epochs.len() >= KEPT_EPOCHS && !epochs.contains(&vote.epoch) {
            let oldest = epochs.iter().copied().min().unwrap_or(vote.epoch);
            self.votes
                .remove((gate, inputs, member.0, oldest.min(vote.epoch)))?;
        }
        if self.gates.get(gate)?.is_none() {
            // Events up to this block are known.
            let block = newest(self.transaction)?.map_or(0, |cursor| cursor.number);
            self.unasked.insert((block, gate), ())?;
        }
        Ok(())
    }

    /// What the member voted for, and in which epochs.
    fn held(
        &self,
        member: Address,
        Computation { gate, inputs }: Computation,
    ) -> Result<Option<(Outputs, Vec<u64>)>, StateError> {
        let key = |epoch| (gate.0, inputs.0, member.0, epoch);
        let (mut outputs, mut epochs) = (None, Vec::new());
        for entry in self.votes.range(key(0)..=key(u64::MAX))? {
            let (key, value) = entry?;
            epochs.push(key.value().3);
            outputs = Some(read(value.value())?.outputs);
        }
        Ok(outputs.map(|outputs| (outputs, epochs)))
    }

    fn equivocated(&mut self, member: Address, vote: &Vote) -> Result<(), StateError> {
        self.equivocations.push((vote.computation(), member));
        self.diverged(vote.gate, member)
    }

    /// Remembers that a member voted for another result than the chain holds, or for two.
    pub fn diverged(&mut self, gate: Address, member: Address) -> Result<(), StateError> {
        if self.diverged.range(of_member(member))?.count() < MAX_DIVERGED {
            self.diverged.insert((member.0, gate.0), ())?;
        }
        Ok(())
    }
}

fn of_member(member: Address) -> std::ops::RangeInclusive<(Account, Account)> {
    (member.0, [0; 20])..=(member.0, [0xff; 20])
}

fn read_fork(bytes: &[u8], form: &LogForm) -> Result<ForkProof, StateError> {
    let [one, other]: [ByteBuf; 2] =
        serde_ipld_dagcbor::from_slice(bytes).map_err(|error| StateError::Format(error.into()))?;
    let open = |node: &ByteBuf| {
        form.open(node)
            .map_err(|error| StateError::Format(error.into()))
    };
    ForkProof::new(open(&one)?, open(&other)?).map_err(|error| StateError::Format(error.into()))
}

pub(super) fn read(bytes: &[u8]) -> Result<Vote, StateError> {
    serde_ipld_dagcbor::from_slice(bytes).map_err(|error| StateError::Format(error.into()))
}
