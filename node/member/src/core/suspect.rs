//! A node that may prove a fork.

use rings_network::Verdict;
use rings_protocol::{log::LogNode, Digest};

/// A node that contradicts one that is held, while the other one is being looked up.
pub(super) struct Suspect {
    pub node: LogNode,
    pub held: Digest,
    /// The verdict to give, if the node came by gossip: a proven fork is passed on.
    pub verdict: Option<Verdict>,
}
