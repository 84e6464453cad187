//! The signing journal: what must be on disk before a signature may leave.
//!
//! For each computation (a gate with what its futures hold) it holds the one result that this member ever signed, on
//! one chain and for one ring. The same result may be signed again, also in a later epoch; any other result is refused
//! for ever. Compare EIP-3076 and the `priv_validator_state` of CometBFT.
//!
//! [`prepare`] takes [`Draft`]s and a [`Journal`] and gives a [`Prepared`]: the signed node, which
//! [`Prepared::committed`] hands out only when the caller says that node and results are on disk.

use crate::{
    assembly::Endorsement,
    crypto::{CryptoError, Signer},
    eip712::{Domain, TypedData},
    gate::Computation,
    log::{seal, LogNode, NodeError, OwnLog, SealError, MAX_BODY_MESSAGES, MAX_NODE_BYTES},
    message::{Message, MessageError, Outputs, Vote},
    private::{Keyring, PrivateSealError, SealedError},
    request::{RequestKey, RequestVote},
    ringlog::Outcome,
    Digest,
};
use cid::Cid;
use std::collections::VecDeque;

/// A vote that is not signed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What was computed.
    pub computation: Computation,
    /// The epoch in which the vote is to count.
    pub epoch: u64,
    /// Fuel that the program used.
    pub fuel: u64,
    /// The outputs.
    pub outputs: Outputs,
    /// The profile that ran the program.
    pub profile: String,
}

/// Read access to the signing journal on disk, inside the transaction that will write the vote.
///
/// One journal is for one chain and one ring: those of the [`Domain`] that is given to [`prepare`].
pub trait Journal: OwnLog {
    /// The result that was signed for this computation, in any epoch.
    fn signed(&self, computation: Computation) -> Result<Option<Digest>, Self::Error>;
}

/// Read access to that part of the journal that is for requests. What it holds for a request may be forgotten when the
/// ring node that lists it, or the last one that may, is final.
pub trait RequestJournal: Journal {
    /// The result that was voted for: [`RequestVote::result`].
    fn voted(&self, key: RequestKey) -> Result<Option<Digest>, Self::Error>;
}

/// What a member has to write at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// Votes on gates.
    pub votes: Vec<Draft>,
    /// Votes on requests.
    pub request_votes: Vec<RequestVote>,
    /// Ring nodes to endorse: the digest of the header, and what is signed.
    pub endorsements: Vec<(Digest, TypedData)>,
    /// Messages that no rule forbids to write: requests, choices, proposals, applications' messages.
    pub messages: Vec<Message>,
}

/// A draft that was refused: signing it would contradict what this member signed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What was computed.
    pub computation: Computation,
    /// The result signed before.
    pub signed: Digest,
    /// The result that was to be signed now.
    pub refused: Digest,
}

/// A signed node that is not on disk yet. Only [`Prepared::committed`] gives it out.
#[derive(Debug, Default)]
pub struct Prepared {
    /// What the journal must hold for these computations, in the same transaction as the node.
    pub results: Vec<(Computation, Digest)>,
    /// Drafts that are not in the node.
    pub refused: Vec<Refusal>,
    /// What the journal must hold for these requests, in the same transaction as the node.
    pub request_results: Vec<(RequestKey, Digest)>,
    /// Requests on which this member had voted otherwise.
    pub refused_requests: Vec<RequestKey>,
    node: Option<LogNode>,
    votes: Vec<Vote>,
}

/// Why nothing could be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError<E> {
    /// The journal cannot be read.
    #[error("the signing journal cannot be read, so nothing is signed")]
    Journal(#[source] E),
    /// A vote is out of bounds.
    #[error("the vote cannot be written")]
    Message(#[source] MessageError),
    /// A signature could not be made.
    #[error("a vote or an endorsement cannot be signed")]
    Sign(#[source] CryptoError),
    /// The node that carries the votes cannot be made.
    #[error("the votes cannot be added to the own log")]
    Seal(#[source] SealError<E>),
    /// The same, in a private ring.
    #[error("the votes cannot be sealed into the own log")]
    Private(#[source] Box<PrivateSealError<E>>),
    /// What was sealed cannot be read again.
    #[error("the own log node cannot be read after it was sealed")]
    Reread(#[source] Box<SealedError>),
}

impl<E> PrepareError<E> {
    /// Why there is no signature, if that is all that is missing.
    pub fn unsigned(&self) -> Option<&CryptoError> {
        match self {
            Self::Sign(error) => Some(error),
            Self::Seal(SealError::Node(node)) => of_node(node),
            Self::Private(error) => match &**error {
                PrivateSealError::Node(SealError::Node(node)) => of_node(node),
                _ => None,
            },
            _ => None,
        }
    }
}

fn of_node(node: &NodeError) -> Option<&CryptoError> {
    match node {
        NodeError::Signature { source, .. } => Some(source),
        _ => None,
    }
}

impl Round {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.votes.is_empty()
            && self.request_votes.is_empty()
            && self.endorsements.is_empty()
            && self.messages.is_empty()
    }
}

impl Prepared {
    /// The node as it will be stored, and its votes; `None` when every draft was refused.
    pub fn to_store(&self) -> Option<(&LogNode, &[Vote])> {
        self.node.as_ref().map(|node| (node, self.votes.as_slice()))
    }

    /// The node and its votes, to be sent. Call it only after the node and the results are on disk.
    pub fn committed(self) -> Option<(LogNode, Vec<Vote>)> {
        self.node.map(|node| (node, self.votes))
    }
}

/// Bytes that one vote takes in a node besides its outputs, and that one output takes. Both are upper bounds, so that a
/// batch always fits.
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

/// How the own node is written.
#[derive(Debug, Clone, Copy)]
pub enum Sealing<'a> {
    /// As it is signed.
    Open(&'a Domain),
    /// Sealed with the keys of a private ring.
    Private {
        /// The keys.
        keys: &'a Keyring,
        /// The ring's epoch: a key from before it seals nothing any more.
        epoch: u64,
    },
}

impl Sealing<'_> {
    fn domain(&self) -> &Domain {
        match self {
            Self::Open(domain) => domain,
            Self::Private { keys, .. } => keys.domain(),
        }
    }
}

/// What waits to be written, in the order in which it came.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    /// Votes on gates.
    pub votes: VecDeque<Draft>,
    /// Votes on requests.
    pub request_votes: VecDeque<RequestVote>,
    /// Ring nodes to endorse.
    pub endorsements: VecDeque<(Digest, TypedData)>,
    /// Other messages.
    pub messages: VecDeque<Message>,
}

/// Bytes that a message takes in a node besides its payload, at most: domain, status and type of Rings' own messages.
const MESSAGE_BYTES: usize = 256;
/// The payload of an endorsement, at most.
const ENDORSEMENT_BYTES: usize = 256;

impl Waiting {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.votes.is_empty()
            && self.request_votes.is_empty()
            && self.endorsements.is_empty()
            && self.messages.is_empty()
    }

    /// Takes out as much as fits into one node: votes on gates first, then votes on requests, then
    /// endorsements, then the rest.
    pub fn take(&mut self) -> Round {
        let (mut room, mut places) = (MAX_NODE_BYTES - NODE_OVERHEAD, MAX_BODY_MESSAGES);
        let size = |vote: &Draft| VOTE_BYTES + OUTPUT_BYTES * vote.outputs.iter().count();
        let votes = fitting(&mut self.votes, &mut room, &mut places, size);
        let size = |vote: &RequestVote| match &vote.outcome {
            Outcome::Outputs(outputs) => VOTE_BYTES + OUTPUT_BYTES * outputs.len(),
            Outcome::Failure(_) => VOTE_BYTES,
        };
        let request_votes = fitting(&mut self.request_votes, &mut room, &mut places, size);
        let size = |_: &(Digest, TypedData)| MESSAGE_BYTES + ENDORSEMENT_BYTES;
        let endorsements = fitting(&mut self.endorsements, &mut room, &mut places, size);
        let size = |message: &Message| MESSAGE_BYTES + message.payload.len();
        let messages = fitting(&mut self.messages, &mut room, &mut places, size);
        Round {
            votes,
            request_votes,
            endorsements,
            messages,
        }
    }

    /// Puts back what could not be written, before all that came since.
    pub fn put_back(&mut self, round: Round) {
        let Round {
            votes,
            request_votes,
            endorsements,
            messages,
        } = round;
        votes
            .into_iter()
            .rev()
            .for_each(|vote| self.votes.push_front(vote));
        request_votes
            .into_iter()
            .rev()
            .for_each(|vote| self.request_votes.push_front(vote));
        endorsements
            .into_iter()
            .rev()
            .for_each(|endorsement| self.endorsements.push_front(endorsement));
        messages
            .into_iter()
            .rev()
            .for_each(|message| self.messages.push_front(message));
    }
}

/// The first of a queue that fit into the room and the places that are left.
fn fitting<T>(
    queue: &mut VecDeque<T>,
    room: &mut usize,
    places: &mut usize,
    size: impl Fn(&T) -> usize,
) -> Vec<T> {
    let mut count = 0;
    for each in queue.iter().take(*places) {
        let size = size(each);
        if size > *room {
            break;
        }
        *room -= size;
        count += 1;
    }
    *places -= count;
    queue.drain(..count).collect()
}

/// Signs those drafts that contradict nothing, and the log node that carries them.
///
/// # Errors
/// [`PrepareError`]; then the caller has no signature that it could send.
pub fn prepare<J: Journal>(
    journal: &J,
    drafts: &[Draft],
    refs: Vec<Cid>,
    time: Option<u64>,
    domain: &Domain,
    key: &(impl Signer + ?Sized),
) -> Result<Prepared, PrepareError<J::Error>> {
    let mut prepared = Prepared::default();
    for draft in drafts {
        prepared.take(journal, draft, domain, key)?;
    }
    prepared.seal(
        journal,
        Vec::new(),
        (refs, time),
        Sealing::Open(domain),
        key,
    )?;
    Ok(prepared)
}

/// As [`prepare`], for all that a member has to write at one moment: one signature covers it.
///
/// # Errors
/// [`PrepareError`]; then the caller has no signature that it could send.
pub fn prepare_round<J: RequestJournal>(
    journal: &J,
    round: &Round,
    refs: Vec<Cid>,
    time: Option<u64>,
    sealing: Sealing<'_>,
    key: &(impl Signer + ?Sized),
) -> Result<Prepared, PrepareError<J::Error>> {
    let domain = sealing.domain();
    let (mut prepared, mut messages) = (Prepared::default(), Vec::new());
    for draft in &round.votes {
        prepared.take(journal, draft, domain, key)?;
    }
    for vote in &round.request_votes {
        if prepared.admits(journal, vote)? {
            messages.push(vote.to_message().map_err(PrepareError::Message)?);
        }
    }
    for (node, data) in &round.endorsements {
        let endorsement = Endorsement::sign(*node, data, key).map_err(PrepareError::Sign)?;
        messages.push(endorsement.to_message());
    }
    messages.extend_from_slice(&round.messages);
    prepared.seal(journal, messages, (refs, time), sealing, key)?;
    Ok(prepared)
}

impl Prepared {
    /// Signs the draft, or refuses it.
    fn take<J: Journal>(
        &mut self,
        journal: &J,
        draft: &Draft,
        domain: &Domain,
        key: &(impl Signer + ?Sized),
    ) -> Result<(), PrepareError<J::Error>> {
        let (computation, result) = (draft.computation, draft.outputs.result());
        match self.signed(journal, computation)? {
            // The journal is read in the transaction that will write it, so no other vote can come between.
            Some(signed) if signed != result => self.refused.push(Refusal {
                computation,
                signed,
                refused: result,
            }),
            _ => {
                self.results.push((computation, result));
                let vote = sign(draft, domain, key).map_err(PrepareError::Sign)?;
                self.votes.push(vote);
            }
        }
        Ok(())
    }

    /// Whether a vote on a request contradicts nothing. If so, the journal is to hold it.
    fn admits<J: RequestJournal>(
        &mut self,
        journal: &J,
        vote: &RequestVote,
    ) -> Result<bool, PrepareError<J::Error>> {
        let result = vote.result().map_err(PrepareError::Message)?;
        let mut batch = self.request_results.iter();
        let before = match batch.find(|(key, _)| *key == vote.key) {
            Some((_, before)) => Some(*before),
            None => journal.voted(vote.key).map_err(PrepareError::Journal)?,
        };
        let admitted = before.is_none_or(|before| before == result);
        match admitted {
            true => self.request_results.push((vote.key, result)),
            false => self.refused_requests.push(vote.key),
        }
        Ok(admitted)
    }

    /// Seals the node of the votes and these messages, if there are any.
    fn seal<J: Journal>(
        &mut self,
        journal: &J,
        others: Vec<Message>,
        (refs, time): (Vec<Cid>, Option<u64>),
        sealing: Sealing<'_>,
        key: &(impl Signer + ?Sized),
    ) -> Result<(), PrepareError<J::Error>> {
        let mut body = messages(&self.votes).map_err(PrepareError::Message)?;
        body.extend(others);
        if body.is_empty() {
            return Ok(());
        }
        self.node = Some(match sealing {
            Sealing::Open(domain) => {
                seal(journal, body, refs, time, domain, key).map_err(PrepareError::Seal)?
            }
            Sealing::Private { keys, epoch } => {
                let node = keys.seal_in(journal, epoch, &body, (refs, time), key);
                let node = node.map_err(|error| PrepareError::Private(Box::new(error)))?;
                // As every other member sees it, its messages are readable.
                let body = keys
                    .read(&node)
                    .map_err(|error| PrepareError::Reread(Box::new(error)))?;
                node.with_body(body)
            }
        });
        Ok(())
    }

    /// What was signed for a computation, in this batch or before it.
    fn signed<J: Journal>(
        &self,
        journal: &J,
        computation: Computation,
    ) -> Result<Option<Digest>, PrepareError<J::Error>> {
        let mut batch = self.results.iter();
        match batch.find(|(earlier, _)| *earlier == computation) {
            Some((_, result)) => Ok(Some(*result)),
            None => journal.signed(computation).map_err(PrepareError::Journal),
        }
    }
}

fn messages(votes: &[Vote]) -> Result<Vec<Message>, MessageError> {
    votes.iter().map(Vote::to_message).collect()
}

fn sign(draft: &Draft, domain: &Domain, key: &(impl Signer + ?Sized)) -> Result<Vote, CryptoError> {
    let Draft {
        computation,
        epoch,
        fuel,
        outputs,
        profile,
    } = draft.clone();
    let data = domain.outputs(computation, epoch, &outputs.pins(), &outputs.cids());
    Ok(Vote {
        epoch,
        fuel,
        gate: computation.gate,
        inputs: computation.inputs,
        outputs,
        profile,
        signature: key.sign_hashed(&data.bytes())?,
    })
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
