//! Logs: append-only, single-writer chains of signed nodes.
//!
//! A [`LogNode`] exists only with a signature that was made or checked here. An author makes the next node of its own
//! log with [`seal`]; everybody else opens what it receives with [`LogNode::open`] and asks a [`Replica`] how the node
//! fits the copy of that log: it is the next one, it is held already, nodes before it are missing, or it proves a fork.
//! [`skip_target`] is the rule for back links, by which any earlier node is a few steps away.

mod anchored;
mod beginning;
mod content;
mod fork;
mod fork_claim;
mod form;
mod keepers;
mod node;
mod replica;
mod seal;
mod skip;
mod skip_proof;

pub use anchored::{verify_anchored, verify_parts, AnchoredError, LogPart};
pub use beginning::{Beginning, BeginningError};
pub use content::{Content, MAX_BODY_MESSAGES, MAX_NODE_BYTES, MAX_REFS};
pub use fork::{ForkProof, ForkProofError, Forks};
pub use fork_claim::{ForkClaim, ForkClaimError};
pub(crate) use form::{read_messages, write_messages};
pub use keepers::{keepers_needed, log_keepers};
pub use node::{LogNode, NodeError, SignedNode, Tip};
pub use replica::{Offer, Replica};
pub use seal::{seal, OwnLog, SealError};
pub use skip::{path, skip_target};
pub use skip_proof::{
    Links, Opening, ProofNode, SkipProof, SkipProofError, MAX_LOG_PROOF_BYTES, MAX_PROOF_NODES,
};
