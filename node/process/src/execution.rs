//! Executions: one run of one node. The document names what caused it, by hashes: the event, the executions before it, and
//! their results. Its bytes are what the program reads, so a result that members agreed on is tied to its causes.

use crate::{data::Fields, document::Document};
use cid::Cid;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Version of the form of executions.
pub const VERSION: u32 = 1;

/// An execution. Its CID is its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Execution {
    /// Of a node that waits: the event that is waited for. `inputs` are what its fields have to be, and there is no task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaits: Option<String>,
    /// Of a node with `each`: the number of the element, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<u64>,
    /// The event that started the process.
    pub event: Cid,
    /// The task's inputs.
    pub inputs: Fields,
    /// The node.
    pub node: String,
    /// The executions directly before it.
    pub parents: Vec<Parent>,
    /// The process.
    pub process: Cid,
    /// The service of the task, or of the event that is waited for.
    pub service: Cid,
    /// The task.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub task: String,
    /// [`VERSION`].
    pub version: u32,
}

/// An execution before another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parent {
    /// Its id.
    pub execution: Cid,
    /// What it gave.
    pub result: Cid,
}

impl Document for Answer {
    const WHAT: &'static str = "an answer";
}

impl Document for Execution {
    const WHAT: &'static str = "an execution";
}

impl Execution {
    /// The node, and of one with `each` the number of the element: `price`, or `price[3]`.
    pub fn label(&self) -> String {
        match self.each {
            Some(number) => format!("{}[{number}]", self.node),
            None => self.node.clone(),
        }
    }
}

/// What a program writes to standard output: one of the task's statuses, and the outputs of that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The outputs.
    #[serde(default)]
    pub outputs: Fields,
    /// The status.
    pub status: String,
}

/// How far an execution is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Its inputs are known.
    Created,
    /// It runs.
    Started,
    /// It ended with a status.
    Succeeded(String),
    /// It gave no result that could be used, for this reason.
    Failed(String),
    /// Its time was over before it ended.
    Expired,
}

impl State {
    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Started => "started",
            Self::Succeeded(_) => "succeeded",
            Self::Failed(_) => "failed",
            Self::Expired => "expired",
        }
    }

    /// Whether nothing more happens to it.
    pub fn is_end(&self) -> bool {
        !matches!(self, Self::Created | Self::Started)
    }

    /// Whether it may become `next`.
    pub fn may_become(&self, next: &State) -> bool {
        match (self, next) {
            (Self::Created, Self::Started | Self::Expired) => true,
            (Self::Started, next) => next.is_end(),
            _ => false,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded(status) => write!(f, "succeeded({status})"),
            Self::Failed(reason) => write!(f, "failed: {reason}"),
            other => f.write_str(other.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_go_forward_only() {
        let done = State::Succeeded("done".into());
        let failed = State::Failed("no".into());
        let all = [State::Created, State::Started, done, failed, State::Expired];
        let allowed = |from: usize, to: usize| matches!((from, to), (0, 1 | 4) | (1, 2..=4));
        for (from, state) in all.iter().enumerate() {
            for (to, next) in all.iter().enumerate() {
                assert_eq!(
                    state.may_become(next),
                    allowed(from, to),
                    "{state} to {next}"
                );
            }
        }
    }
}
