//! The signing journal and the indexes of the logs: which node is at which position, and which votes it carries.
//!
//! The journal is read inside the transaction that writes: [`MemberState::append`] stores a signed node's votes with
//! the results that the journal must hold, nodes of other members, and contradictions that were found, all or nothing.
//! Blocks of nodes are in the block store, and must be there before.
//!
//! This is the rule "disk first" in its last step: when `append` returns without an error, the transaction is durable,
//! and only then may a signature leave. Nodes of the own log that come back from other members (after a backup was put
//! back) write their votes into the journal too, so that none of them is ever contradicted.

use super::{
    drafts::Drafts,
    error::StateError,
    keys::Rotations,
    late::LateBlocks,
    quota::{charge, count_duty},
    recorded::{Recorded, Recorder},
    records::{Duty, Equivocations, ReceivedNode, Usage},
    requests::Petitions,
    tables::{
        beginning_of, nodes_behind, Account, Word, Work, DUTIES, EARLIER, JOURNAL, NODES, PLACES,
        REQUEST_JOURNAL, TIPS, USAGE,
    },
    votes::Ballots,
    MemberState,
};
use redb::{ReadOnlyTable, WriteTransaction};
use rings_protocol::{
    gate::Computation,
    journal::{Journal, Prepared, RequestJournal},
    log::{LogNode, OwnLog, Tip},
    message::Vote,
    request::RequestKey,
    Address, Digest,
};
use std::collections::BTreeMap;

/// The journal and this member's log in a read transaction. Only one task writes, so what is read here stays true until
/// that task writes.
struct Reader {
    me: Address,
    journal: ReadOnlyTable<Work, Word>,
    requests: ReadOnlyTable<(Word, Word), Word>,
    nodes: ReadOnlyTable<(Account, u64), Word>,
    tips: ReadOnlyTable<Account, (u64, Word)>,
}

impl Journal for Reader {
    fn signed(&self, computation: Computation) -> Result<Option<Digest>, StateError> {
        let signed = self.journal.get(key(computation))?;
        Ok(signed.map(|result| Digest(result.value())))
    }
}

impl RequestJournal for Reader {
    fn voted(&self, key: RequestKey) -> Result<Option<Digest>, StateError> {
        let voted = self.requests.get((key.request.0, key.inputs.0))?;
        Ok(voted.map(|result| Digest(result.value())))
    }
}

impl OwnLog for Reader {
    type Error = StateError;

    fn tip(&self) -> Result<Option<Tip>, StateError> {
        Ok(self.tips.get(self.me.0)?.map(|tip| as_tip(tip.value())))
    }

    fn digest_at(&self, seq: u64) -> Result<Option<Digest>, StateError> {
        let digest = self.nodes.get((self.me.0, seq))?;
        Ok(digest.map(|digest| Digest(digest.value())))
    }
}

fn key(Computation { gate, inputs }: Computation) -> Work {
    (gate.0, inputs.0)
}

fn as_tip((seq, digest): (u64, Word)) -> Tip {
    Tip {
        seq,
        digest: Digest(digest),
    }
}

impl MemberState {
    /// The signing journal and the own log.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn journal(&self) -> Result<impl RequestJournal<Error = StateError>, StateError> {
        self.database.read(|transaction| {
            Ok(Reader {
                me: self.identity.member,
                journal: transaction.open_table(JOURNAL)?,
                requests: transaction.open_table(REQUEST_JOURNAL)?,
                nodes: transaction.open_table(NODES)?,
                tips: transaction.open_table(TIPS)?,
            })
        })
    }

    /// Writes what was prepared, nodes of other logs, and who voted for another result than the chain holds (gate, member),
    /// in one durable transaction. The blocks themselves must be in the store before. Returns the members that signed two
    /// results for one computation.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written, and nothing may be sent.
    pub fn append(
        &self,
        prepared: Option<&Prepared>,
        others: &[ReceivedNode],
        diverged: &[(Address, Address)],
    ) -> Result<Equivocations, StateError> {
        self.append_with((prepared, others, diverged), &LateBlocks::default())
    }

    /// As [`MemberState::append`], where the block store gets these blocks later.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written, and nothing may be sent.
    pub fn append_with(
        &self,
        (prepared, others, diverged): (Option<&Prepared>, &[ReceivedNode], &[(Address, Address)]),
        late: &LateBlocks,
    ) -> Result<Equivocations, StateError> {
        self.database.write_recorded(|transaction, recorder| {
            let recorded = (transaction, recorder);
            late.write(recorded)?;
            let mut index = Index::new(recorded, self.identity.member);
            // The journal and the node that carries the signatures are in one transaction: neither can be on disk
            // without the other.
            for (computation, result) in prepared.iter().flat_map(|prepared| &prepared.results) {
                index.journal.insert(key(*computation), result.0)?;
            }
            let voted = prepared
                .iter()
                .flat_map(|prepared| &prepared.request_results);
            for (key, result) in voted {
                index.petitions.journal(*key, *result)?;
            }
            if let Some((node, votes)) = prepared.and_then(Prepared::to_store) {
                index.add(node, votes)?;
            }
            for ReceivedNode {
                node,
                votes,
                usage,
                duties,
            } in others
            {
                // Nodes of the own log come from others after a loss of the disk. What they signed enters the journal,
                // so that nothing else is signed now.
                if node.author() == self.identity.member {
                    index.recall(votes)?;
                    index.petitions.recall(node)?;
                } else {
                    index.count(node.author(), *usage, duties)?;
                }
                index.add(node, votes)?;
            }
            index.end()?;
            for (gate, member) in diverged {
                index.ballots.diverged(*gate, *member)?;
            }
            Ok(index.ballots.equivocations)
        })
    }

    /// The head of an author's log, as far as the log is held.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn tip(&self, author: Address) -> Result<Option<Tip>, StateError> {
        self.database.read(|transaction| {
            let tip = transaction.open_table(TIPS)?.get(author.0)?;
            Ok(tip.map(|tip| as_tip(tip.value())))
        })
    }

    /// The heads of all logs that are held.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn tips(&self) -> Result<Vec<(Address, Tip)>, StateError> {
        self.database.read(|transaction| {
            let mut tips = Vec::new();
            for entry in transaction.open_table(TIPS)?.range::<Account>(..)? {
                let (author, tip) = entry?;
                tips.push((Address(author.value()), as_tip(tip.value())));
            }
            Ok(tips)
        })
    }

    /// The digests of an author's nodes from `from` on, ascending, `limit` at most.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn nodes(
        &self,
        author: Address,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Digest>, StateError> {
        self.database.read(|transaction| {
            let nodes = transaction.open_table(NODES)?;
            let range = nodes.range((author.0, from)..=(author.0, u64::MAX))?;
            let mut digests = Vec::new();
            for entry in range.take(limit) {
                digests.push(Digest(entry?.1.value()));
            }
            Ok(digests)
        })
    }

    /// Nodes of all logs behind this author and position, in that order, `limit` at most.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn nodes_after(
        &self,
        after: Option<(Address, u64)>,
        limit: usize,
    ) -> Result<Vec<(Address, u64, Digest)>, StateError> {
        self.database
            .read(|transaction| nodes_behind(&transaction.open_table(NODES)?, after, limit))
    }

    /// The position of a node in an author's log, if it is held there.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn position(&self, author: Address, node: Digest) -> Result<Option<u64>, StateError> {
        self.database.read(|transaction| {
            let nodes = transaction.open_table(NODES)?;
            let beginning = beginning_of(node.0);
            let alike = (beginning, 0)..=(beginning, u64::MAX);
            for place in transaction.open_table(PLACES)?.range(alike)? {
                let (_, seq) = place?.0.value();
                let held = nodes.get((author.0, seq))?;
                if held.is_some_and(|held| held.value() == node.0) {
                    return Ok(Some(seq));
                }
            }
            Ok(None)
        })
    }

    /// The digest of one node, which is held, or known because later nodes link to it.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn node_at(&self, author: Address, seq: u64) -> Result<Option<Digest>, StateError> {
        self.database.read(|transaction| {
            let place = (author.0, seq);
            if let Some(held) = transaction.open_table(NODES)?.get(place)? {
                return Ok(Some(Digest(held.value())));
            }
            let earlier = transaction.open_table(EARLIER)?.get(place)?;
            Ok(earlier.map(|digest| Digest(digest.value())))
        })
    }
}

/// Where nodes and results are added, in one write transaction.
struct Index<'a> {
    /// Computation to the result that was signed.
    journal: Recorded<'a, Work, Word>,
    /// Author and position to digest.
    nodes: Recorded<'a, (Account, u64), Word>,
    /// Author to the head of its log.
    tips: Recorded<'a, Account, (u64, Word)>,
    /// Author to what it has written on the day that is counted.
    usage: Recorded<'a, Account, (u64, u64, u64)>,
    duties: Recorded<'a, (Account, Account), u64>,
    /// Beginning of the digest, and position.
    places: Recorded<'a, (u64, u64), ()>,
    ballots: Ballots<'a>,
    petitions: Petitions<'a>,
    drafts: Drafts<'a>,
    rotations: Rotations<'a>,
    /// The heads and the use of quotas after this transaction: of a range of thousands of nodes, the last counts.
    heads: BTreeMap<Account, (u64, Word)>,
    used: BTreeMap<Account, Usage>,
}

impl<'a> Index<'a> {
    const fn new(recorded: (&'a WriteTransaction, &'a Recorder), me: Address) -> Self {
        Self {
            journal: Recorded::new(recorded, JOURNAL),
            nodes: Recorded::new(recorded, NODES),
            tips: Recorded::new(recorded, TIPS),
            usage: Recorded::new(recorded, USAGE),
            duties: Recorded::new(recorded, DUTIES),
            places: Recorded::new(recorded, PLACES),
            ballots: Ballots::new(recorded),
            petitions: Petitions::new(recorded, me),
            drafts: Drafts::new(recorded),
            rotations: Rotations::new(recorded),
            heads: BTreeMap::new(),
            used: BTreeMap::new(),
        }
    }

    /// Writes what is known only after the last node.
    fn end(&mut self) -> Result<(), StateError> {
        for (author, head) in &self.heads {
            self.tips.insert(author, head)?;
        }
        for (author, usage) in &self.used {
            charge(&mut self.usage, Address(*author), *usage)?;
        }
        Ok(())
    }

    /// Enters a node: its place, the new head of its log, and what it says.
    fn add(&mut self, node: &LogNode, votes: &[Vote]) -> Result<(), StateError> {
        let author = node.author();
        self.nodes.insert((author.0, node.seq()), node.digest().0)?;
        self.heads.insert(author.0, (node.seq(), node.digest().0));
        let place = (beginning_of(node.digest().0), node.seq());
        self.places.insert(place, ())?;
        self.petitions.add(node)?;
        self.drafts.add(node)?;
        self.rotations.add(node)?;
        for vote in votes {
            self.ballots.add(author, vote)?;
        }
        Ok(())
    }

    /// Counts a node of another member against its quota.
    fn count(&mut self, author: Address, usage: Usage, duties: &[Duty]) -> Result<(), StateError> {
        for duty in duties {
            count_duty(&mut self.duties, author, *duty)?;
        }
        self.used.insert(author.0, usage);
        Ok(())
    }

    /// Nodes of the own log came from another member, so this disk is older than they are. Their votes go into the
    /// signing journal, so that they are not contradicted.
    fn recall(&mut self, votes: &[Vote]) -> Result<(), StateError> {
        for vote in votes {
            let key = key(vote.computation());
            if self.journal.get(key)?.is_none() {
                self.journal.insert(key, vote.outputs.result().0)?;
            }
        }
        Ok(())
    }
}
