//! Logs: append-only, single-writer chains of signed nodes.

mod node;
mod replica;
mod skip;

pub use node::{Content, LogNode, NodeError, Tip, MAX_BODY_MESSAGES, MAX_NODE_BYTES, MAX_REFS};
pub use replica::{Offer, Replica};
pub use skip::{path, skip_target};
