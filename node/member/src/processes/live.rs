//! Executions that are under way here, as they are shown.

use rings_protocol::{Address, Digest};

/// An execution that is under way, as it is shown.
#[derive(Debug, Clone)]
pub(super) struct Live {
    /// The installation.
    pub installation: Digest,
    /// The event.
    pub event: Digest,
    /// The node, and the number of the element.
    pub node: String,
    /// The task, unless it waits for an event.
    pub task: Option<String>,
    /// The request, as it would be asked now.
    pub request: Option<Digest>,
    /// Whether somebody has asked it.
    pub is_started: bool,
    /// Of an external task: the members that run it, or have run it.
    pub by: Vec<Address>,
}
