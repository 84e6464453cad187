//! Processes: a graph of nodes that one event starts, as a canonical document.

use crate::{data::Fields, document::Document, shape::Shape};
use cid::Cid;
use rings_protocol::Address;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the form of processes.
pub const VERSION: u32 = 1;

/// The definition of a process. Fields stand in the order of their names, which makes the encoding canonical.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// What it is for, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// What is done.
    pub nodes: BTreeMap<String, Node>,
    /// What starts it.
    pub on: Trigger,
    /// Its name.
    pub process: String,
    /// The services that it joins, by its own names for them.
    pub services: BTreeMap<String, Cid>,
    /// [`VERSION`].
    pub version: u32,
}

/// What starts a process: one of the three.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// A cron pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// An event of a service, as `service.event`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// An interval in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
}

/// A node: a task, a filter, a map, or a wait for one more event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// What has to come before it, as `node.status`, or as `node` where there is only one status to follow. Without it, the
    /// nodes that its inputs name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Of a task: the list for each of whose elements it is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// A filter: a formula that is true or false. Its statuses are `yes` and `no`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Of a map: the shape of what its formula gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gives: Option<Shape>,
    /// Of a task: its inputs.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub inputs: Fields,
    /// A map: a formula whose value later nodes use. Its status is `done`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<String>,
    /// Of a wait: the fields of the event that tell it from others, and what they have to be.
    #[serde(default, rename = "match", skip_serializing_if = "Fields::is_empty")]
    pub matches: Fields,
    /// Of a task: the ring that computes it, by a gate; the own one without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<Address>,
    /// Of a task: where its result is settled. Without it, with the next ring node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<Settle>,
    /// A task, as `service.task`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// A wait: the event that is waited for, as `service.event`. Its statuses are `came` and `expired`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
    /// Of a wait, or of a task that a gate settles: the seconds after which it has expired, in the time of blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<u64>,
}

/// Where the result of a task is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Settle {
    /// By a gate.
    Chain,
}

impl Document for Process {
    const WHAT: &'static str = "a definition of a process";
}
