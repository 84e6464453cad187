//! The records of the database of processes.

use cid::Cid;
use rings_process::{
    execution::Execution,
    words::{Activity, Installation, Stage},
};
use rings_protocol::{Address, Digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A run of a process: the installation, and the digest of the event that started it.
pub type RunKey = (Digest, Digest);

/// A process that is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Installed {
    /// What it joins.
    pub installation: Installation,
    /// Who installed it first, as this member heard.
    pub by: Address,
    /// What it does with what happens.
    pub activity: Activity,
    /// How many changes of it were decided.
    pub changes: u64,
}

/// Where an event stands on the chain: it was before all that stand behind it, however many blocks each has to have on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogPlace {
    /// The height of its block.
    pub block: u64,
    /// Its log's place among those of the block.
    pub log: u64,
}

/// A run of a process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// In whose log the event stands, of the first that this member heard.
    pub by: Option<Address>,
    /// The members in whose logs the event stands, where not every member can find it itself.
    #[serde(default)]
    pub seen_by: BTreeSet<Address>,
    /// Whether this member has found the event itself, on the chain.
    pub found: bool,
    /// Whether a reorganisation has taken its event from the chain since.
    #[serde(default)]
    pub orphaned: bool,
    /// Where its event stands on the chain, if this member has found it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<LogPlace>,
    /// Whether it may only begin when this member has found the event itself.
    pub must_find: bool,
    /// When this member knew of it, in milliseconds since 1970.
    pub since: u64,
    /// How it ended.
    pub end: Option<RunEnd>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunEnd {
    /// All nodes have ended, or were skipped.
    Done,
    /// At least one node failed.
    Failed,
}

impl RunRecord {
    /// Whether its event counts as come at this member, which gives the run its number. What every member finds itself comes when this one has found it,
    /// so that the order is that of the chain or the log, and not that in which members' words about it are read.
    pub fn has_come(&self) -> bool {
        self.found || !self.must_find
    }

    /// Whether it may begin: its event stands in a log, and was found where it has to be.
    pub fn may_begin(&self) -> bool {
        self.by.is_some() && self.has_come()
    }
}

/// Events of one name in one instance, for which processes may wait.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Awaited {
    /// Whether two thirds have to have seen them, where not every member can find them itself.
    pub quorum: bool,
    /// The sets of fields by which executions tell their event from others.
    pub forms: BTreeSet<BTreeSet<String>>,
}

/// The time at which an execution expires that waits for as long as it takes.
pub const NEVER: u64 = u64::MAX;

/// An execution that waits for an event, or for the result of a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// The installation in whose run it began.
    pub installation: Digest,
    /// The event of that run.
    pub event: Digest,
    /// What it is.
    pub execution: Execution,
    /// The source of its event; zero where it waits for a gate.
    pub source: Digest,
    /// The gate.
    #[serde(default)]
    pub gate: Option<Address>,
    /// The time of blocks at which it expires, in seconds since 1970; [`NEVER`] if it does not.
    pub until: u64,
    /// Where the event of the run stands on the chain: one that stands there too may be the one if it is behind that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<LogPlace>,
    /// The first time of another event that may be the one, in milliseconds since 1970: when this member knew of the run, or that
    /// of the block in which the event of the run stands.
    pub since: u64,
}

impl Waiting {
    /// Whether an event of which this is known came after the one that started the run.
    pub fn may_be(&self, event: &RunRecord) -> bool {
        match (self.behind, event.place) {
            (Some(start), Some(place)) => place > start,
            _ => event.since >= self.since,
        }
    }
}

/// What an execution gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// The installation in whose run it was asked.
    pub installation: Digest,
    /// The event.
    pub event: Digest,
    /// The request on which two thirds agreed; nothing where it failed before it could be asked.
    pub request: Option<Digest>,
    /// The gate that has settled it.
    #[serde(default)]
    pub gate: Option<Address>,
    /// The members on whose word it rests, where its task is external.
    #[serde(default)]
    pub by: Vec<Address>,
    /// Whether it gave one of the task's statuses.
    pub stage: Stage,
    /// What its program wrote.
    pub result: Option<Cid>,
    /// Why its program failed, in words.
    pub reason: Option<String>,
    /// When this member knew of it, in milliseconds since 1970.
    pub time: u64,
}
