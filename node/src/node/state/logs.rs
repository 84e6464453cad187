//! The logs' indexes and the signing journal.

use super::{State, StateError, JOURNAL, NODES, TIPS, VOTES};
use redb::{ReadOnlyTable, ReadableDatabase, ReadableTable};
use rings_protocol::{
    journal::{Journal, Prepared},
    log::{LogNode, Tip},
    message::Vote,
    Address, Digest,
};

/// A node of some log with the votes that it carries, checked and ready to be indexed.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The node.
    pub node: LogNode,
    /// Its votes.
    pub votes: Vec<Vote>,
}

/// The journal and the own log, as a reader sees them. There is one writer, so that what it reads stays true
/// until it writes.
struct Reader {
    me: Address,
    journal: ReadOnlyTable<super::Account, super::Word>,
    nodes: ReadOnlyTable<(super::Account, u64), super::Word>,
    tips: ReadOnlyTable<super::Account, (u64, super::Word)>,
}

impl Journal for Reader {
    type Error = StateError;

    fn signed(&self, gate: Address) -> Result<Option<Digest>, StateError> {
        Ok(self
            .journal
            .get(gate.0)?
            .map(|result| Digest(result.value())))
    }

    fn tip(&self) -> Result<Option<Tip>, StateError> {
        let tip = self.tips.get(self.me.0)?.map(|tip| tip.value());
        Ok(tip.map(|(seq, digest)| Tip {
            seq,
            digest: Digest(digest),
        }))
    }

    fn digest_at(&self, seq: u64) -> Result<Option<Digest>, StateError> {
        Ok(self
            .nodes
            .get((self.me.0, seq))?
            .map(|digest| Digest(digest.value())))
    }
}

impl State {
    /// The signing journal and the log of `me`.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn journal(&self, me: Address) -> Result<impl Journal<Error = StateError>, StateError> {
        let transaction = self.database.begin_read()?;
        Ok(Reader {
            me,
            journal: transaction.open_table(JOURNAL)?,
            nodes: transaction.open_table(NODES)?,
            tips: transaction.open_table(TIPS)?,
        })
    }

    /// Writes what was prepared, and nodes of other logs, in one durable transaction. The blocks themselves must
    /// be in the store before.
    ///
    /// # Errors
    /// [`StateError`]; then nothing is written, and nothing may be sent.
    pub fn append(&self, prepared: Option<&Prepared>, others: &[Entry]) -> Result<(), StateError> {
        let transaction = self.database.begin_write()?;
        {
            let mut journal = transaction.open_table(JOURNAL)?;
            let mut index = Index {
                nodes: transaction.open_table(NODES)?,
                tips: transaction.open_table(TIPS)?,
                votes: transaction.open_table(VOTES)?,
            };
            for (gate, result) in prepared.iter().flat_map(|prepared| &prepared.results) {
                journal.insert(gate.0, result.0)?;
            }
            if let Some((node, votes)) = prepared.and_then(|prepared| prepared.to_store()) {
                index.add(node, votes)?;
            }
            for entry in others {
                index.add(&entry.node, &entry.votes)?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// The end of an author's log, as far as it is held.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn tip(&self, author: Address) -> Result<Option<Tip>, StateError> {
        let transaction = self.database.begin_read()?;
        let tips = transaction.open_table(TIPS)?;
        let tip = tips.get(author.0)?.map(|tip| tip.value());
        Ok(tip.map(|(seq, digest)| Tip {
            seq,
            digest: Digest(digest),
        }))
    }

    /// The ends of all logs that are held.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn tips(&self) -> Result<Vec<(Address, Tip)>, StateError> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(TIPS)?;
        let mut tips = Vec::new();
        for entry in table.range::<super::Account>(..)? {
            let (author, tip) = entry?;
            let (seq, digest) = tip.value();
            tips.push((
                Address(author.value()),
                Tip {
                    seq,
                    digest: Digest(digest),
                },
            ));
        }
        Ok(tips)
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
        let transaction = self.database.begin_read()?;
        let nodes = transaction.open_table(NODES)?;
        let mut digests = Vec::new();
        for entry in nodes
            .range((author.0, from)..=(author.0, u64::MAX))?
            .take(limit)
        {
            digests.push(Digest(entry?.1.value()));
        }
        Ok(digests)
    }

    /// The digest of one node.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn node_at(&self, author: Address, seq: u64) -> Result<Option<Digest>, StateError> {
        let transaction = self.database.begin_read()?;
        let nodes = transaction.open_table(NODES)?;
        Ok(nodes
            .get((author.0, seq))?
            .map(|digest| Digest(digest.value())))
    }
}

struct Index<'a> {
    nodes: redb::Table<'a, (super::Account, u64), super::Word>,
    tips: redb::Table<'a, super::Account, (u64, super::Word)>,
    votes: redb::Table<'a, (super::Account, super::Account), &'static [u8]>,
}

impl Index<'_> {
    fn add(&mut self, node: &LogNode, votes: &[Vote]) -> Result<(), StateError> {
        let author = node.author().0;
        self.nodes.insert((author, node.seq()), node.digest().0)?;
        self.tips.insert(author, (node.seq(), node.digest().0))?;
        for vote in votes {
            self.add_vote(author, vote)?;
        }
        Ok(())
    }

    /// The first result of a member stays; the same result in a later epoch replaces it.
    fn add_vote(&mut self, author: super::Account, vote: &Vote) -> Result<(), StateError> {
        let key = (vote.gate.0, author);
        let decode = |bytes: &[u8]| serde_ipld_dagcbor::from_slice::<Vote>(bytes).ok();
        let held = self.votes.get(key)?.and_then(|bytes| decode(bytes.value()));
        if held.is_some_and(|held| held.outputs != vote.outputs) {
            return Ok(());
        }
        let bytes =
            serde_ipld_dagcbor::to_vec(vote).map_err(|error| StateError::Format(error.into()))?;
        self.votes.insert(key, bytes.as_slice())?;
        Ok(())
    }
}
