//! The signing journal: what must be on disk before a signature may leave.
//!
//! For each gate it holds the one result that this member ever signed. The same result again, in a later
//! epoch too, is fine; another is refused for ever. Compare EIP-3076 and the `priv_validator_state` of CometBFT.

use crate::{
    crypto::{CryptoError, SecretKey},
    eip712::Domain,
    log::{skip_target, Content, LogNode, NodeError, Tip, MAX_BODY_MESSAGES, MAX_NODE_BYTES},
    message::{MessageError, Outputs, Vote},
    Address, Digest,
};
use cid::Cid;

/// A vote that is not signed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The compute engine that ran the program.
    pub engine: String,
    /// The epoch in which it is to count.
    pub epoch: u64,
    /// Fuel that the program used.
    pub fuel: u64,
    /// The gate.
    pub gate: Address,
    /// Its outputs.
    pub outputs: Outputs,
}

/// What a member's disk says, inside the transaction that will write the vote.
pub trait Journal {
    /// What the storage fails with.
    type Error;
    /// The result that was signed for this gate, ever.
    fn signed(&self, gate: Address) -> Result<Option<Digest>, Self::Error>;
    /// The end of the own log.
    fn tip(&self) -> Result<Option<Tip>, Self::Error>;
    /// The digest of the own node at this position.
    fn digest_at(&self, seq: u64) -> Result<Option<Digest>, Self::Error>;
}

/// A draft that was refused: signing it would contradict what this member signed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The gate.
    pub gate: Address,
    /// The result signed before.
    pub signed: Digest,
    /// The result that was to be signed now.
    pub refused: Digest,
}

/// A signed node that is not on disk yet. Only [`Prepared::committed`] gives it out.
#[derive(Debug)]
pub struct Prepared {
    /// What the journal must hold for these gates, in the same transaction as the node.
    pub results: Vec<(Address, Digest)>,
    /// Drafts that are not in the node.
    pub refused: Vec<Refusal>,
    node: Option<LogNode>,
    votes: Vec<Vote>,
}

/// Why nothing could be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError<E> {
    /// The journal cannot be read.
    #[error("the signing journal cannot be read, so nothing is signed")]
    Journal(#[source] E),
    /// The own log misses a node.
    #[error("the own log has no node {seq}; restore the data directory from a copy taken when this member was stopped")]
    Missing {
        /// The position without a node.
        seq: u64,
    },
    /// A vote is out of bounds.
    #[error("the vote cannot be written")]
    Message(#[source] MessageError),
    /// A signature could not be made.
    #[error("the vote cannot be signed")]
    Sign(#[source] CryptoError),
    /// The node cannot be written.
    #[error("the log node cannot be written")]
    Node(#[source] NodeError),
}

impl Prepared {
    /// The node as it will be stored, and its votes; nothing when every draft was refused.
    pub fn to_store(&self) -> Option<(&LogNode, &[Vote])> {
        self.node.as_ref().map(|node| (node, self.votes.as_slice()))
    }

    /// The node and its votes, to be sent. To be called when node and results are on disk, and not before.
    pub fn committed(self) -> Option<(LogNode, Vec<Vote>)> {
        self.node.map(|node| (node, self.votes))
    }
}

/// Room for one vote besides its outputs, and for one output, in a node: generous, so that a batch surely fits.
const VOTE_BYTES: usize = 1024;
const OUTPUT_BYTES: usize = 64;
/// What a node's links, references and signature take at most.
const NODE_OVERHEAD: usize = 32 * 1024;

/// How many of these drafts fit into one node.
pub fn batch(drafts: &[Draft]) -> usize {
    let mut room = MAX_NODE_BYTES - NODE_OVERHEAD;
    let fitting = drafts.iter().take(MAX_BODY_MESSAGES).take_while(|draft| {
        let size = VOTE_BYTES + OUTPUT_BYTES * draft.outputs.iter().count();
        let fits = size <= room;
        room = room.saturating_sub(size);
        fits
    });
    // One vote alone always fits: MAX_OUTPUTS is far below what the room allows.
    fitting.count().max(1).min(drafts.len())
}

/// Signs those drafts that contradict nothing, and the log node that carries them.
///
/// # Errors
/// [`PrepareError`]; then nothing was signed that could leave.
pub fn prepare<J: Journal>(
    journal: &J,
    drafts: &[Draft],
    refs: Vec<Cid>,
    time: Option<u64>,
    domain: &Domain,
    key: &SecretKey,
) -> Result<Prepared, PrepareError<J::Error>> {
    let (mut results, mut refused, mut votes) = (Vec::new(), Vec::new(), Vec::new());
    for draft in drafts {
        let result = draft.outputs.result();
        let earlier = results
            .iter()
            .find(|(gate, _)| *gate == draft.gate)
            .map(|(_, result)| *result);
        let signed = earlier.or(journal.signed(draft.gate).map_err(PrepareError::Journal)?);
        match signed {
            Some(signed) if signed != result => {
                refused.push(Refusal {
                    gate: draft.gate,
                    signed,
                    refused: result,
                });
            }
            _ => {
                results.push((draft.gate, result));
                votes.push(sign(draft, domain, key).map_err(PrepareError::Sign)?);
            }
        }
    }
    let node = match votes.is_empty() {
        true => None,
        false => Some(seal(journal, &votes, refs, time, domain, key)?),
    };
    Ok(Prepared {
        results,
        refused,
        node,
        votes,
    })
}

fn sign(draft: &Draft, domain: &Domain, key: &SecretKey) -> Result<Vote, CryptoError> {
    let digest = domain.outputs(
        draft.gate,
        draft.epoch,
        &draft.outputs.pins(),
        &draft.outputs.cids(),
    );
    let Draft {
        engine,
        epoch,
        fuel,
        gate,
        outputs,
    } = draft.clone();
    Ok(Vote {
        engine,
        epoch,
        fuel,
        gate,
        outputs,
        signature: key.sign(&digest)?,
    })
}

fn seal<J: Journal>(
    journal: &J,
    votes: &[Vote],
    refs: Vec<Cid>,
    time: Option<u64>,
    domain: &Domain,
    key: &SecretKey,
) -> Result<LogNode, PrepareError<J::Error>> {
    let tip = journal.tip().map_err(PrepareError::Journal)?;
    let seq = tip.map_or(0, |tip| tip.seq + 1);
    let skip = match skip_target(seq) {
        None => None,
        Some(target) => {
            let digest = journal.digest_at(target).map_err(PrepareError::Journal)?;
            Some(digest.ok_or(PrepareError::Missing { seq: target })?)
        }
    };
    let body = votes
        .iter()
        .map(Vote::to_message)
        .collect::<Result<_, _>>()
        .map_err(PrepareError::Message)?;
    let content = Content {
        body,
        prev: tip.map(|tip| crate::cids::node_cid(tip.digest)),
        refs,
        seq,
        skip: skip.map(crate::cids::node_cid),
        time,
    };
    LogNode::seal(content, domain, key).map_err(PrepareError::Node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MAX_OUTPUTS;
    use std::{collections::BTreeMap, convert::Infallible};

    #[derive(Default)]
    struct Disk {
        results: BTreeMap<Address, Digest>,
        nodes: Vec<LogNode>,
    }

    impl Journal for Disk {
        type Error = Infallible;
        fn signed(&self, gate: Address) -> Result<Option<Digest>, Infallible> {
            Ok(self.results.get(&gate).copied())
        }
        fn tip(&self) -> Result<Option<Tip>, Infallible> {
            Ok(self.nodes.last().map(LogNode::tip))
        }
        fn digest_at(&self, seq: u64) -> Result<Option<Digest>, Infallible> {
            Ok(self.nodes.get(seq as usize).map(LogNode::digest))
        }
    }

    fn draft(gate: u8, result: u8, epoch: u64) -> Draft {
        let outputs = Outputs::new([(0, Digest([result; 32]))]).unwrap();
        Draft {
            engine: "e".into(),
            epoch,
            fuel: 1,
            gate: Address([gate; 20]),
            outputs,
        }
    }

    fn sign_all(disk: &mut Disk, drafts: &[Draft]) -> (usize, Vec<Refusal>) {
        let key = SecretKey::from_bytes(&[3; 32]).unwrap();
        let domain = Domain::new(1, Address([1; 20]));
        let prepared = prepare(disk, drafts, vec![], None, &domain, &key).unwrap();
        disk.results.extend(prepared.results.iter().copied());
        let refused = prepared.refused.clone();
        let votes = prepared.committed().map_or(0, |(node, votes)| {
            assert!(votes
                .iter()
                .all(|vote| vote.signer(&domain) == Some(key.address())));
            disk.nodes.push(node);
            votes.len()
        });
        (votes, refused)
    }

    #[test]
    fn another_result_is_refused_for_ever_and_in_every_epoch() {
        let mut disk = Disk::default();
        assert_eq!(sign_all(&mut disk, &[draft(1, 1, 1)]), (1, vec![]));
        let (votes, refused) = sign_all(&mut disk, &[draft(1, 2, 1), draft(1, 2, 2)]);
        assert_eq!((votes, refused.len()), (0, 2));
        assert_eq!(disk.nodes.len(), 1, "a node is not written for nothing");
        assert_eq!(
            sign_all(&mut disk, &[draft(1, 1, 9)]),
            (1, vec![]),
            "the same result in a later epoch"
        );
    }

    #[test]
    fn one_batch_cannot_contradict_itself() {
        let mut disk = Disk::default();
        let (votes, refused) =
            sign_all(&mut disk, &[draft(1, 1, 1), draft(1, 2, 1), draft(2, 2, 1)]);
        assert_eq!((votes, refused.len()), (2, 1));
    }

    #[test]
    fn the_log_grows_with_its_links() {
        let mut disk = Disk::default();
        for n in 0..20 {
            sign_all(&mut disk, &[draft(n, 1, 1)]);
        }
        for (seq, node) in disk.nodes.iter().enumerate() {
            let skip = skip_target(seq as u64).map(|target| disk.nodes[target as usize].cid());
            assert_eq!(node.content().skip, skip);
        }
    }

    #[test]
    fn a_full_batch_fits_into_a_node() {
        let mut disk = Disk::default();
        let wide = |gate: u8| Draft {
            outputs: Outputs::new(
                (0..MAX_OUTPUTS as u128).map(|pin| ((1 << 90) + pin, Digest([1; 32]))),
            )
            .unwrap(),
            engine: "x".repeat(128),
            ..draft(gate, 1, u64::MAX)
        };
        for drafts in [
            (0..50).map(wide).collect::<Vec<_>>(),
            (50..250).map(|gate| draft(gate, 1, 1)).collect(),
        ] {
            let size = batch(&drafts);
            assert!(size >= 1);
            assert_eq!(sign_all(&mut disk, &drafts[..size]).0, size);
        }
        assert_eq!(batch(&[]), 0);
    }
}
