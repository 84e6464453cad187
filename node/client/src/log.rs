//! An avatar's own log: what it has said, in order, signed and linked.
//!
//! One avatar is one device. Two copies of a log that both grow are a fork, which freezes the log on chain; so each
//! node must be stored before it is sent, and a key that was restored from elsewhere never appends.
//!
//! A [`Log`] holds all its nodes in memory and stores nothing itself. [`Log::append`] signs the next node, open or
//! sealed as [`Secrecy`] says. [`Log::read`] takes nodes from the caller's disk or from a replica and checks every
//! signature and link, so a replica can leave the end of a log out and change nothing in it. [`Log::since`] gives the
//! nodes that a request has to carry.

use crate::{
    keys::{ClientKeys, KeyNews},
    recovery::LineKey,
};
use rings_protocol::{
    cids::node_cid,
    crypto::SecretKey,
    eip712::Domain,
    log::{seal, LogNode, NodeError, Offer, OwnLog, Replica, SealError, Tip},
    message::Message,
    private::{node_key, PrivateOpenError, PrivateSealError, ReadKey, SealedError},
    Digest,
};
use std::{collections::BTreeSet, convert::Infallible};

/// Who can read the log.
#[derive(Debug, Clone)]
pub enum Secrecy {
    /// Everybody.
    Open,
    /// Who has the ring's read keys. Replicas with its replica keys see order, links and signatures.
    Private(ClientKeys),
}

/// The log of one avatar in one ring.
#[derive(Debug, Clone)]
pub struct Log {
    domain: Domain,
    secrecy: Secrecy,
    nodes: Vec<LogNode>,
}

/// Why a log cannot be read or continued.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The node would be malformed, or cannot be signed.
    #[error("the log node cannot be written")]
    Seal(#[source] SealError<Infallible>),
    /// The node of a private log would be malformed, or cannot be sealed or signed.
    #[error("the log node cannot be written")]
    Private(#[source] PrivateSealError<Infallible>),
    /// Bytes that are not a node.
    #[error("node {position} cannot be read")]
    Node {
        /// Its place among the bytes that were given, from 0.
        position: usize,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A node that does not come next.
    #[error("node {position} does not come next in the log: something is missing, or was changed")]
    Broken {
        /// Its place among the bytes that were given, from 0.
        position: usize,
    },
}

impl Secrecy {
    /// With one read key, with which the ring began.
    pub fn with_key(domain: &Domain, key: ReadKey) -> Self {
        Self::of(
            domain,
            &[LineKey {
                epoch: Some(0),
                key,
            }],
            None,
        )
    }

    /// With the keys of a recovery line; nodes that everybody can read where it has none. `own` is the avatar for whom new keys are
    /// wrapped, when one is made.
    pub fn of(domain: &Domain, keys: &[LineKey], own: Option<&SecretKey>) -> Self {
        match keys.is_empty() {
            true => Self::Open,
            false => Self::Private(ClientKeys::new(domain, keys, own)),
        }
    }

    /// The keys of a private ring.
    pub fn keys(&self) -> Option<&ClientKeys> {
        match self {
            Self::Open => None,
            Self::Private(keys) => Some(keys),
        }
    }

    /// Learns new keys from a node that stands in its author's log.
    pub fn hear(&self, node: &LogNode) -> Vec<KeyNews> {
        self.keys().map_or_else(Vec::new, |keys| keys.hear(node))
    }

    /// Opens a node of the ring. Its signature is checked.
    ///
    /// # Errors
    /// When it is no node, or is sealed with a key that is not held.
    pub fn open(
        &self,
        domain: &Domain,
        bytes: &[u8],
    ) -> Result<LogNode, Box<dyn std::error::Error + Send + Sync>> {
        let plain = |error: NodeError| error.into();
        match self {
            Self::Private(keys) if node_key(bytes).is_ok() => {
                let sealed = |error: PrivateOpenError| error.into();
                keys.open(bytes).map_err(sealed)
            }
            _ => LogNode::open(bytes, domain).map_err(plain),
        }
    }

    /// What a node says.
    ///
    /// # Errors
    /// [`SealedError`] when it is sealed, and the key is not held.
    pub fn messages(&self, node: &LogNode) -> Result<Vec<Message>, SealedError> {
        match self {
            Self::Open => Ok(node.content().body.clone()),
            Self::Private(keys) => keys.read(node),
        }
    }
}

impl Log {
    /// An empty log.
    pub fn new(domain: Domain, secrecy: Secrecy) -> Self {
        Self {
            domain,
            secrecy,
            nodes: Vec::new(),
        }
    }

    /// A log from the bytes of its nodes, oldest first. Every signature and every link is checked.
    ///
    /// # Errors
    /// [`LogError`] at the first node that does not fit.
    pub fn read<B: AsRef<[u8]>>(
        domain: Domain,
        secrecy: Secrecy,
        nodes: impl IntoIterator<Item = B>,
    ) -> Result<Self, LogError> {
        let mut log = Self::new(domain, secrecy);
        let mut replica = Replica::default();
        for (position, bytes) in nodes.into_iter().enumerate() {
            let node = log.secrecy.open(&log.domain, bytes.as_ref());
            let node = node.map_err(|source| LogError::Node { position, source })?;
            let is_by_same = log
                .nodes
                .first()
                .is_none_or(|first| first.author() == node.author());
            let offer = replica.offer(&node, |seq| {
                log.nodes.get(seq as usize).map(LogNode::digest)
            });
            if offer != Offer::Next || !is_by_same {
                return Err(LogError::Broken { position });
            }
            replica.advance(&node);
            log.secrecy.hear(&node);
            log.nodes.push(node);
        }
        Ok(log)
    }

    /// Chain and ring.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// All nodes, oldest first.
    pub fn nodes(&self) -> &[LogNode] {
        &self.nodes
    }

    /// The newest node's digest; zero while the log is empty.
    pub fn head(&self) -> Digest {
        self.nodes.last().map(LogNode::digest).unwrap_or_default()
    }

    /// Signs the node that comes next. `refs` are the heads of others' logs that the avatar has seen, and `time` is for
    /// people, in seconds since 1970.
    ///
    /// Store the node before it is sent: after a crash another one for the same position would be a fork.
    ///
    /// # Errors
    /// [`LogError`]; then nothing was signed.
    pub fn append(
        &mut self,
        key: &SecretKey,
        messages: Vec<Message>,
        refs: &[Digest],
        time: Option<u64>,
    ) -> Result<&LogNode, LogError> {
        // All of their CIDs begin alike, so they are in the order of their digests.
        let refs: BTreeSet<_> = refs.iter().copied().collect();
        let refs = refs.into_iter().map(node_cid).collect();
        let own = Own(&self.nodes);
        let node = match &self.secrecy {
            Secrecy::Open => {
                seal(&own, messages, refs, time, &self.domain, key).map_err(LogError::Seal)?
            }
            Secrecy::Private(keys) => keys
                .seal(&own, &messages, (refs, time), key)
                .map_err(LogError::Private)?,
        };
        let at = self.nodes.len();
        self.secrecy.hear(&node);
        self.nodes.push(node);
        Ok(&self.nodes[at])
    }

    /// What a node says.
    ///
    /// # Errors
    /// [`SealedError`] when it is sealed, and the key is not held.
    pub fn messages(&self, node: &LogNode) -> Result<Vec<Message>, SealedError> {
        self.secrecy.messages(node)
    }

    /// The nodes after `head`, newest first, as replicas want them. All of them when `head` is zero, or is not in this log.
    pub fn since(&self, head: Digest) -> Vec<&LogNode> {
        let after = self.nodes.iter().rev();
        after.take_while(|node| node.digest() != head).collect()
    }
}

/// A log as the rules for the next node want it.
struct Own<'a>(&'a [LogNode]);

impl OwnLog for Own<'_> {
    type Error = Infallible;

    fn tip(&self) -> Result<Option<Tip>, Infallible> {
        Ok(self.0.last().map(LogNode::tip))
    }

    fn digest_at(&self, seq: u64) -> Result<Option<Digest>, Infallible> {
        let seq = usize::try_from(seq).ok();
        Ok(seq.and_then(|seq| self.0.get(seq)).map(LogNode::digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::Address;

    fn key(n: u8) -> SecretKey {
        SecretKey::from_bytes(&[n; 32]).unwrap()
    }

    fn domain() -> Domain {
        Domain::new(31337, Address([7; 20]))
    }

    fn line(text: &str) -> Vec<Message> {
        vec![Message {
            domain: "chat".into(),
            payload: text.as_bytes().to_vec().into(),
            status: "new".into(),
            kind: "message".into(),
        }]
    }

    fn grown(secrecy: Secrecy, length: u64) -> Log {
        let mut log = Log::new(domain(), secrecy);
        for seq in 0..length {
            let refs = [Digest([9; 32]), Digest([3; 32])];
            log.append(&key(1), line(&seq.to_string()), &refs, Some(seq))
                .unwrap();
        }
        log
    }

    fn private() -> Secrecy {
        Secrecy::with_key(&domain(), ReadKey::from_bytes([5; 32], &domain()))
    }

    #[test]
    fn a_log_is_read_back_and_goes_on() {
        for secrecy in [Secrecy::Open, private()] {
            let log = grown(secrecy.clone(), 9);
            let bytes: Vec<_> = log
                .nodes()
                .iter()
                .map(|node| node.bytes().to_vec())
                .collect();
            let mut again = Log::read(domain(), secrecy, &bytes).unwrap();
            assert_eq!((again.nodes(), again.head()), (log.nodes(), log.head()));
            let said = again.messages(&again.nodes()[4]).unwrap();
            assert_eq!(said, line("4"));
            let next = again.append(&key(1), line("9"), &[], None).unwrap().seq();
            assert_eq!(next, 9);
        }
    }

    #[test]
    fn what_is_missing_or_changed_is_seen() {
        let log = grown(Secrecy::Open, 5);
        let bytes: Vec<_> = log
            .nodes()
            .iter()
            .map(|node| node.bytes().to_vec())
            .collect();
        let read = |bytes: &[Vec<u8>]| Log::read(domain(), Secrecy::Open, bytes).map(drop);
        let gap = [&bytes[..2], &bytes[3..]].concat();
        assert!(matches!(read(&gap), Err(LogError::Broken { position: 2 })));
        let mut changed = bytes.clone();
        changed[1][40] ^= 1;
        assert!(read(&changed).is_err());
        let elsewhere = Domain::new(1, Address([7; 20]));
        // For another ring each signature recovers to some other account.
        let read = Log::read(elsewhere, Secrecy::Open, &bytes);
        assert!(matches!(
            read,
            Err(LogError::Broken { .. } | LogError::Node { .. })
        ));
    }

    #[test]
    fn a_private_log_shows_no_word_of_it() {
        let log = grown(private(), 3);
        for node in log.nodes() {
            assert!(!node.bytes().windows(4).any(|part| part == b"chat"));
        }
        let other = Secrecy::with_key(&domain(), ReadKey::from_bytes([6; 32], &domain()));
        let bytes: Vec<_> = log.nodes().iter().map(LogNode::bytes).collect();
        assert!(Log::read(domain(), other, bytes).is_err());
    }

    #[test]
    fn replicas_get_what_comes_after_a_head_newest_first() {
        let log = grown(Secrecy::Open, 5);
        let seqs = |head| {
            log.since(head)
                .iter()
                .map(|node| node.seq())
                .collect::<Vec<_>>()
        };
        assert_eq!(seqs(log.nodes()[2].digest()), [4, 3]);
        assert_eq!(seqs(Digest::ZERO), [4, 3, 2, 1, 0]);
        assert_eq!(seqs(log.head()), Vec::<u64>::new());
    }
}
