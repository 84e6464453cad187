//! The accusation file: that a member signed another result than the one that two thirds registered.
//!
//! It is portable and is checked offline. For a gate it holds the member's signed [`Vote`] and the signatures with which
//! the ring registered another result for the same computation. For a request it holds the member's log node with its
//! [`RequestVote`], and an [`EntryProof`] of the entry that is listed. Beside both stand the tokens that the inputs
//! resolved to, so that anybody can compute the result again and say who was right.
//!
//! What a file cannot know is left to its reader: whether the members were those of the ring ([`Verdict::members`], to be
//! compared with `membersHash()` in that epoch), or whether the chain names the anchor of the proof ([`Verdict::anchor`]).

use crate::{
    cbor::{CborError, Reader, Writer},
    crypto::Signature,
    eip712::{members_hash, Domain},
    gate::{inputs_hash, Computation},
    log::{LogNode, NodeError, MAX_NODE_BYTES},
    message::{Message, MessageError, Outputs, Vote},
    quorum::{quorum, MAX_MEMBERS},
    request::{RequestKey, RequestVote, MAX_REQUEST_INPUTS},
    ringlog::{Entry, EntryProof, ProofError, MAX_PROOF_BYTES},
    Address, Digest,
};

/// Most bytes of an accusation file.
pub const MAX_ACCUSATION_BYTES: usize = 1024 * 1024;
const VERSION: u64 = 1;
const GATE: u64 = 0;
const REQUEST: u64 = 1;

/// What a member is accused with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accusation {
    /// About a gate.
    Gate(Box<GateAccusation>),
    /// About a request.
    Request(Box<RequestAccusation>),
}

/// A member's vote on a gate, and the result that was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateAccusation {
    /// The chain's id.
    pub chain: u64,
    /// The ring.
    pub ring: Address,
    /// What the futures of the gate held.
    pub tokens: Vec<Digest>,
    /// The vote of the accused.
    pub vote: Vote,
    /// A vote of another member for the registered result: it has outputs and epoch.
    pub registered: Vote,
    /// The members of that epoch, sorted.
    pub members: Vec<Address>,
    /// The signatures of the registered result, in ascending order of their signers.
    pub signatures: Vec<Signature>,
}

/// A member's vote on a request, and the entry that is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestAccusation {
    /// What those inputs of the request held that are outputs of others.
    pub tokens: Vec<Digest>,
    /// The log node of the accused, as it was signed.
    pub node: Vec<u8>,
    /// The entry, with its proof. It names chain and ring.
    pub proof: EntryProof,
}

/// What an accusation shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Who voted otherwise.
    pub accused: Address,
    /// The gate's computation, or the request's.
    pub about: About,
    /// What the accused signed: [`Outputs::result`].
    pub voted: Digest,
    /// What was registered, in the same form.
    pub registered: Digest,
    /// For a gate: epoch and `membersHash()` of those whose signatures count.
    pub members: Option<(u64, Digest)>,
    /// For a request: the number of the ring node that the chain must name, and the digest that it must have.
    pub anchor: Option<(u64, Digest)>,
}

/// What a verdict is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// A gate.
    Gate(Computation),
    /// A request.
    Request(RequestKey),
}

/// Why an accusation shows nothing.
#[derive(Debug, thiserror::Error)]
pub enum AccusationError {
    /// Not the canonical encoding.
    #[error("not an accusation in DAG-CBOR")]
    Form(#[source] CborError),
    /// Larger than [`MAX_ACCUSATION_BYTES`].
    #[error("an accusation of {length} bytes; at most {MAX_ACCUSATION_BYTES} are accepted")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// A vote in it.
    #[error("a vote in the accusation cannot be read")]
    Vote(#[source] MessageError),
    /// The log node of the accused.
    #[error("the log node of the accused cannot be read")]
    Node(#[source] NodeError),
    /// The proof that the entry is listed.
    #[error("the entry is not proven")]
    Proof(#[source] ProofError),
    /// The two are about different things, or agree.
    #[error("the vote and the registered result are not two results of one computation")]
    NoContradiction,
    /// The tokens are not what the inputs resolved to.
    #[error("the tokens in the accusation are not those that the vote names by their hash")]
    Tokens,
    /// The accused, or who voted for the registered result, is not one of the members that the accusation names.
    #[error("{account} is not one of the members that the accusation names")]
    Stranger {
        /// The account.
        account: Address,
    },
    /// A signature is missing, malformed, out of order or by a stranger.
    #[error("the signatures are not two thirds of the members that the accusation names")]
    Signatures,
}

impl From<CborError> for AccusationError {
    fn from(error: CborError) -> Self {
        Self::Form(error)
    }
}

impl From<MessageError> for AccusationError {
    fn from(error: MessageError) -> Self {
        Self::Vote(error)
    }
}

impl GateAccusation {
    fn verify(&self) -> Result<Verdict, AccusationError> {
        let domain = Domain::new(self.chain, self.ring);
        let computation = self.vote.computation();
        if self.registered.computation() != computation
            || !self.vote.contradicts(computation, &self.registered.outputs)
        {
            return Err(AccusationError::NoContradiction);
        }
        if inputs_hash(&self.tokens) != computation.inputs {
            return Err(AccusationError::Tokens);
        }
        self.check_signatures(&self.registered.digest(&domain))?;
        self.member(&self.registered, &domain)?;
        Ok(Verdict {
            accused: self.member(&self.vote, &domain)?,
            about: About::Gate(computation),
            voted: self.vote.outputs.result(),
            registered: self.registered.outputs.result(),
            members: Some((self.registered.epoch, members_hash(&self.members))),
            anchor: None,
        })
    }

    /// Who signed a vote: one of the members.
    fn member(&self, vote: &Vote, domain: &Domain) -> Result<Address, AccusationError> {
        let account = vote.signer(domain).ok_or(AccusationError::Signatures)?;
        match self.members.binary_search(&account) {
            Ok(_) => Ok(account),
            Err(_) => Err(AccusationError::Stranger { account }),
        }
    }

    /// Checks that two thirds of the members signed this digest. The signers ascend, so none is counted twice; the
    /// members ascend too, so none of them is named twice to change how many are two thirds.
    fn check_signatures(&self, signed: &Digest) -> Result<(), AccusationError> {
        let keys = self
            .signatures
            .iter()
            .map(|signature| signature.recover(signed));
        let keys: Result<Vec<_>, _> = keys.collect();
        let signers = keys.map_err(|_| AccusationError::Signatures)?;
        let signers: Vec<_> = signers.iter().map(|key| key.address()).collect();
        let ascend = |accounts: &[Address]| accounts.windows(2).all(|pair| pair[0] < pair[1]);
        let members = signers
            .iter()
            .all(|signer| self.members.binary_search(signer).is_ok());
        let enough = signers.len() >= quorum(self.members.len());
        match ascend(&signers) && ascend(&self.members) && members && enough {
            true => Ok(()),
            false => Err(AccusationError::Signatures),
        }
    }
}

impl RequestAccusation {
    fn verify(&self) -> Result<Verdict, AccusationError> {
        let domain = Domain::new(self.proof.chain, self.proof.ring);
        // Only the chain can say whether this header is its own. So the proof is checked from here on, and the verdict
        // names the digest for the reader to compare.
        let anchor = self
            .proof
            .headers
            .first()
            .map(|header| crate::cids::sha256(header));
        let anchor = anchor.unwrap_or_default();
        self.proof.verify(anchor).map_err(AccusationError::Proof)?;
        let Entry::Result {
            request,
            inputs,
            outcome,
        } = &self.proof.entry
        else {
            return Err(AccusationError::NoContradiction);
        };
        let key = RequestKey {
            request: *request,
            inputs: *inputs,
        };
        if inputs_hash(&self.tokens) != key.inputs {
            return Err(AccusationError::Tokens);
        }
        let node = LogNode::open(&self.node, &domain).map_err(AccusationError::Node)?;
        let votes = node.content().body.iter();
        let votes = votes.filter_map(|message| RequestVote::from_message(message).ok().flatten());
        // The node is signed by its author, so one vote in it on the same request and inputs is enough.
        let mut against = votes.filter(|vote| vote.key == key && vote.outcome != *outcome);
        let vote = against.next().ok_or(AccusationError::NoContradiction)?;
        let number = self.proof.anchor().map_err(AccusationError::Proof)?;
        Ok(Verdict {
            accused: node.author(),
            about: About::Request(key),
            voted: vote.result()?,
            registered: outcome
                .to_outputs()
                .map(|outputs: Outputs| outputs.result())?,
            members: None,
            anchor: Some((number, anchor)),
        })
    }
}

impl Accusation {
    /// Checks the accusation, without chain or network.
    ///
    /// # Errors
    /// [`AccusationError`] when it shows nothing.
    pub fn verify(&self) -> Result<Verdict, AccusationError> {
        match self {
            Self::Gate(accusation) => accusation.verify(),
            Self::Request(accusation) => accusation.verify(),
        }
    }

    /// Its bytes: `[version, 0, chain, ring, tokens, vote, registered, members, signatures]` for a gate, where the votes
    /// are the payloads of their messages; `[version, 1, tokens, node, proof]` for a request.
    ///
    /// # Errors
    /// [`AccusationError::Vote`] when a vote is out of bounds.
    pub fn to_bytes(&self) -> Result<Vec<u8>, AccusationError> {
        let mut writer = Writer::with_capacity(4096);
        match self {
            Self::Gate(of) => {
                writer.list(9).uint(VERSION).uint(GATE);
                writer.uint(of.chain).bytes(&of.ring.0);
                write_tokens(&mut writer, &of.tokens);
                for vote in [&of.vote, &of.registered] {
                    writer.bytes(&vote.to_message()?.payload);
                }
                writer.list(of.members.len());
                for member in &of.members {
                    writer.bytes(&member.0);
                }
                writer.list(of.signatures.len());
                for signature in &of.signatures {
                    writer.bytes(&signature.to_bytes());
                }
            }
            Self::Request(of) => {
                writer.list(5).uint(VERSION).uint(REQUEST);
                write_tokens(&mut writer, &of.tokens);
                writer.bytes(&of.node).bytes(&of.proof.to_bytes());
            }
        }
        Ok(writer.finish())
    }

    /// Reads an accusation. It is not verified yet.
    ///
    /// # Errors
    /// [`AccusationError`] for anything but the canonical bytes of an accusation.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AccusationError> {
        if bytes.len() > MAX_ACCUSATION_BYTES {
            return Err(AccusationError::TooLong {
                length: bytes.len(),
            });
        }
        let mut reader = Reader::new(bytes);
        let parts = reader.list(9, 1)?;
        let at = reader.at();
        let accusation = match (reader.uint()?, reader.uint()?, parts) {
            (VERSION, GATE, 9) => Self::Gate(Box::new(read_gate(&mut reader)?)),
            (VERSION, REQUEST, 5) => Self::Request(Box::new(read_request(&mut reader)?)),
            _ => {
                return Err(AccusationError::Form(CborError::Type {
                    at,
                    expected: "an accusation of a known version and kind",
                }))
            }
        };
        reader.end()?;
        Ok(accusation)
    }
}

fn write_tokens(writer: &mut Writer, tokens: &[Digest]) {
    writer.list(tokens.len());
    for token in tokens {
        writer.bytes(&token.0);
    }
}

fn read_tokens(reader: &mut Reader<'_>) -> Result<Vec<Digest>, CborError> {
    let count = reader.list(MAX_REQUEST_INPUTS, 34)?;
    let mut tokens = Vec::with_capacity(count);
    for _ in 0..count {
        tokens.push(reader.digest()?);
    }
    Ok(tokens)
}

/// Reads a vote. Only its payload is in the file, because domain, status and type are the same for each vote.
fn read_vote(reader: &mut Reader<'_>) -> Result<Vote, AccusationError> {
    let at = reader.at();
    let message = Message {
        domain: "rings".into(),
        payload: reader.bytes(MAX_NODE_BYTES)?.to_vec().into(),
        status: "cast".into(),
        kind: "Vote".into(),
    };
    let expected = "the payload of a vote";
    Vote::from_message(&message)?.ok_or(CborError::Type { at, expected }.into())
}

fn read_gate(reader: &mut Reader<'_>) -> Result<GateAccusation, AccusationError> {
    let (chain, ring) = (reader.uint()?, Address(reader.fixed()?));
    let tokens = read_tokens(reader)?;
    let (vote, registered) = (read_vote(reader)?, read_vote(reader)?);
    let count = reader.list(MAX_MEMBERS, 21)?;
    let mut members = Vec::with_capacity(count);
    for _ in 0..count {
        members.push(Address(reader.fixed()?));
    }
    let count = reader.list(MAX_MEMBERS, 67)?;
    let mut signatures = Vec::with_capacity(count);
    for _ in 0..count {
        let bytes: [u8; 65] = reader.fixed()?;
        let signature = Signature::from_slice(&bytes).ok();
        // A `v` of 0 or 1 would be a second encoding.
        let signature = signature.filter(|signature| signature.to_bytes() == bytes);
        signatures.push(signature.ok_or(AccusationError::Signatures)?);
    }
    Ok(GateAccusation {
        chain,
        ring,
        tokens,
        vote,
        registered,
        members,
        signatures,
    })
}

fn read_request(reader: &mut Reader<'_>) -> Result<RequestAccusation, AccusationError> {
    Ok(RequestAccusation {
        tokens: read_tokens(reader)?,
        node: reader.bytes(MAX_NODE_BYTES)?.to_vec(),
        proof: EntryProof::from_bytes(reader.bytes(MAX_PROOF_BYTES)?)
            .map_err(AccusationError::Proof)?,
    })
}

#[cfg(test)]
#[path = "accusation_tests.rs"]
mod tests;
