//! A log node as text for people: where it is, when and by whom it was written, and what happened.

use super::happening::happenings;
use crate::when::When;
use rings_protocol::log::LogNode;
use std::fmt::{self, Display};

/// A node as text: a line with its place, and a line for each message.
pub struct NodeText<'a>(pub &'a LogNode);

impl Display for NodeText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = self.0;
        write!(f, "{}  {}  {}", node.seq(), written(node), node.author())?;
        write!(f, "  {}", node.cid())?;
        let lines = happenings(node);
        if lines.is_empty() {
            return f.write_str("\n    nothing");
        }
        lines.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

/// When its author says that it was written.
pub fn written(node: &LogNode) -> String {
    let time = node.content().time;
    time.map_or_else(|| "no time".into(), |time| When(time).to_string())
}
