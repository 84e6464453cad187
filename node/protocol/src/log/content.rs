//! What the author of a log node says: a [`Content`], which [`seal`](super::seal) signs and [`LogNode`](super::LogNode)
//! carries.
//!
//! The bounds here are those of the log format: no node is larger, and none has more messages or references. They are
//! checked when a node is made and when it is opened.

use crate::message::Message;
use cid::Cid;
use serde::{Deserialize, Serialize};

/// Largest serialised node, in bytes.
pub const MAX_NODE_BYTES: usize = 256 * 1024;
/// Most messages in one node.
pub const MAX_BODY_MESSAGES: usize = 1024;
/// Most heads of other logs in one node: one for each other member of the largest ring.
pub const MAX_REFS: usize = 255;

/// The content of a node: everything that its author signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// What it says: one signature covers them all.
    pub body: Vec<Message>,
    /// The node before; absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<Cid>,
    /// The heads of other members' logs that the author had seen, sorted by their bytes.
    pub refs: Vec<Cid>,
    /// Position in the log: from 0, with no gap.
    pub seq: u64,
    /// The node at [`skip_target`](super::skip_target) of this position; absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<Cid>,
    /// When the author says it was written, in seconds since 1970. It is for people; no rule depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<u64>,
}
