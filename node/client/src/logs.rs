//! Checked copies of the logs of a ring's avatars, as they come from replicas.
//!
//! Of each node only its digest stays, so that long logs need little memory: the caller keeps what it wants of a node, when
//! [`LogCopies::add`] gives it.

use crate::{keys::KeyNews, log::Secrecy};
use rings_protocol::{
    eip712::Domain,
    log::{LogNode, Offer, Replica, Tip},
    message::Message,
    private::SealedError,
    Address, Digest,
};
use std::collections::BTreeMap;

/// Copies of the logs of one ring.
#[derive(Debug, Clone)]
pub struct LogCopies {
    domain: Domain,
    secrecy: Secrecy,
    logs: BTreeMap<Address, Vec<Digest>>,
    key_news: Vec<(Address, KeyNews)>,
}

/// Why a node is not the next of a log.
#[derive(Debug, thiserror::Error)]
pub enum LogCopyError {
    /// It cannot be read.
    #[error("node {seq} of the log of {author} cannot be read")]
    Node {
        /// Whose log it was to be in.
        author: Address,
        /// The position.
        seq: u64,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Somebody else has signed it.
    #[error("{found} signed what was to be node {seq} of the log of {author}")]
    Author {
        /// Whose log it was to be in.
        author: Address,
        /// The position.
        seq: u64,
        /// Who signed.
        found: Address,
    },
    /// It does not come next.
    #[error("what was to be node {seq} of the log of {author} does not follow the node before it")]
    Unlinked {
        /// The author.
        author: Address,
        /// The position.
        seq: u64,
    },
}

impl LogCopies {
    /// No logs yet.
    pub fn new(domain: Domain, secrecy: Secrecy) -> Self {
        Self {
            domain,
            secrecy,
            logs: BTreeMap::new(),
            key_news: Vec::new(),
        }
    }

    /// Chain and ring.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Who can read the logs.
    pub fn secrecy(&self) -> &Secrecy {
        &self.secrecy
    }

    /// The authors of whose logs there is something, in ascending order.
    pub fn authors(&self) -> impl Iterator<Item = Address> + '_ {
        self.logs.keys().copied()
    }

    /// The sequence number of the node that comes next.
    pub fn next_seq(&self, author: Address) -> u64 {
        self.logs.get(&author).map_or(0, |log| log.len() as u64)
    }

    /// The newest node of a log; zero while there is none.
    pub fn head(&self, author: Address) -> Digest {
        let log = self.logs.get(&author);
        log.and_then(|log| log.last().copied()).unwrap_or_default()
    }

    /// The newest nodes of all logs except one: what the next node of that one refers to.
    pub fn heads_beside(&self, author: Address) -> Vec<Digest> {
        let others = self.logs.iter().filter(|(other, _)| **other != author);
        others.filter_map(|(_, log)| log.last().copied()).collect()
    }

    /// Where a node is in a log. The newest ones are found at once.
    pub fn position(&self, author: Address, digest: Digest) -> Option<u64> {
        let log = self.logs.get(&author)?;
        let position = log.iter().rposition(|other| *other == digest)?;
        Some(position as u64)
    }

    /// The digest of a node.
    pub fn digest_at(&self, author: Address, seq: u64) -> Option<Digest> {
        let log = self.logs.get(&author)?;
        log.get(usize::try_from(seq).ok()?).copied()
    }

    /// Adds the node that comes next in a log. Its signature and its links are checked. New keys that stand in it open what
    /// comes then ([`LogCopies::key_news`] tells of them).
    ///
    /// # Errors
    /// [`LogCopyError`]; then nothing is added.
    pub fn add(&mut self, author: Address, bytes: &[u8]) -> Result<LogNode, LogCopyError> {
        let node = self.check(author, bytes)?;
        self.logs.entry(author).or_default().push(node.digest());
        let news = self.secrecy.hear(&node).into_iter();
        self.key_news.extend(news.map(|news| (author, news)));
        Ok(node)
    }

    /// What was learnt about keys since it was asked last, and who made them.
    pub fn key_news(&mut self) -> Vec<(Address, KeyNews)> {
        std::mem::take(&mut self.key_news)
    }

    fn check(&self, author: Address, bytes: &[u8]) -> Result<LogNode, LogCopyError> {
        let log = self.logs.get(&author).map_or(&[][..], Vec::as_slice);
        let seq = log.len() as u64;
        let node = self.secrecy.open(&self.domain, bytes);
        let node = node.map_err(|source| LogCopyError::Node {
            author,
            seq,
            source,
        })?;
        if node.author() != author {
            let found = node.author();
            return Err(LogCopyError::Author { author, seq, found });
        }
        let tip = log.last().map(|digest| Tip {
            seq: seq - 1,
            digest: *digest,
        });
        let offer =
            Replica::new(tip).offer(&node, |seq| log.get(usize::try_from(seq).ok()?).copied());
        match offer {
            Offer::Next => Ok(node),
            _ => Err(LogCopyError::Unlinked { author, seq }),
        }
    }

    /// What a node says.
    ///
    /// # Errors
    /// [`SealedError`] when it is sealed, and the key is not held.
    pub fn messages(&self, node: &LogNode) -> Result<Vec<Message>, SealedError> {
        self.secrecy.messages(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chat::Said, log::Log};
    use rings_protocol::{crypto::SecretKey, private::ReadKey};

    fn key(n: u8) -> SecretKey {
        SecretKey::from_bytes(&[n; 32]).unwrap()
    }

    fn domain() -> Domain {
        Domain::new(31337, Address([7; 20]))
    }

    fn said(secrecy: &Secrecy, by: u8, lines: usize, refs: &[Digest]) -> Log {
        let mut log = Log::new(domain(), secrecy.clone());
        for n in 0..lines {
            let line = vec![Said::line(&n.to_string()).to_message()];
            log.append(&key(by), line, refs, None).unwrap();
        }
        log
    }

    #[test]
    fn a_copy_grows_by_what_comes_next_and_by_nothing_else() {
        let private = Secrecy::with_key(&domain(), ReadKey::from_bytes([5; 32], &domain()));
        for secrecy in [Secrecy::Open, private] {
            let (log, author) = (said(&secrecy, 1, 5, &[]), key(1).address());
            let mut copies = LogCopies::new(domain(), secrecy.clone());
            let nodes = log.nodes();
            let early = copies.add(author, nodes[1].bytes());
            assert!(matches!(early, Err(LogCopyError::Unlinked { seq: 0, .. })));
            for node in nodes {
                let added = copies.add(author, node.bytes()).unwrap();
                let lines = copies.messages(&added).unwrap();
                let line = Said::Line(node.seq().to_string());
                assert_eq!(Said::from_message(&lines[0]), Some(line));
            }
            assert_eq!(copies.next_seq(author), 5);
            assert_eq!(copies.head(author), log.head());
            assert_eq!(copies.position(author, nodes[3].digest()), Some(3));
            assert_eq!(copies.digest_at(author, 2), Some(nodes[2].digest()));
            let again = copies.add(author, nodes[4].bytes());
            assert!(matches!(again, Err(LogCopyError::Unlinked { seq: 5, .. })));
            let foreign = copies.add(key(2).address(), nodes[0].bytes());
            assert!(matches!(foreign, Err(LogCopyError::Author { .. })));
            assert!(matches!(
                copies.add(author, b"x"),
                Err(LogCopyError::Node { .. })
            ));
            assert_eq!(copies.heads_beside(key(2).address()), [log.head()]);
            assert_eq!(copies.heads_beside(author), []);
        }
    }
}
