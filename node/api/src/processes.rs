//! What is asked of a member about processes: to install them, to tell it of events, to pause and cancel, and what became of
//! all that.
//!
//! These are the parameters and answers of the trait [`ProcessKeeper`](crate::ProcessKeeper). What changes something needs the
//! member's token; the rest only reads. `docs/processes.md` says what processes are.

use super::{json::text, schema};
use cid::Cid;
use rings_protocol::{Address, Digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Processes, runs or executions in one page when the caller gives no limit.
const DEFAULT_PAGE: u32 = 50;
/// The same at most.
pub const MAX_PAGE: u32 = 256;

/// Parameters of `rings_createProcess`.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateProcessParams {
    /// the ring's contract
    #[schemars(with = "schema::Address")]
    pub ring: Address,
    /// the definition of the process: a file that this member, or another one, has
    #[serde(with = "text")]
    #[schemars(with = "schema::Cid")]
    pub process: Cid,
    /// the instance of each of its services, by the process's names for them
    #[schemars(with = "BTreeMap<String, schema::Digest>")]
    pub instances: BTreeMap<String, Digest>,
    /// tells installations apart that join the same; 0 when it is not given
    #[serde(default)]
    pub nonce: u64,
}

/// Parameters of the methods that are about one installed process.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstallationParams {
    /// the installation, as rings_createProcess and rings_listProcesses name it
    #[schemars(with = "schema::Digest")]
    pub installation: Digest,
}

/// Parameters of `rings_listProcesses`.
#[derive(Debug, Clone, Default, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListProcessesParams {
    /// the page behind this installation; the first one when it is not given
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Digest>")]
    pub from: Option<Digest>,
    /// processes in the page, from 1 to 256; 50 when it is not given
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Parameters of `rings_listInstances`.
#[derive(Debug, Clone, Default, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListInstancesParams {
    /// the page behind this instance; the first one when it is not given
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Digest>")]
    pub from: Option<Digest>,
    /// instances in the page, from 1 to 256; 50 when it is not given
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Parameters of `rings_getProcess`.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GetProcessParams {
    /// the installation
    #[schemars(with = "schema::Digest")]
    pub installation: Digest,
    /// the page of runs before the one with this number; the newest ones when it is not given
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// runs in the page, from 1 to 256; 50 when it is not given
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Parameters of `rings_emit`.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmitParams {
    /// the instance in which it happened
    #[schemars(with = "schema::Digest")]
    pub instance: Digest,
    /// the event, as the service names it
    pub event: String,
    /// its data: an object without fractions
    pub data: serde_json::Value,
    /// tells events apart that say the same; 0 when it is not given
    #[serde(default)]
    pub nonce: u64,
}

/// An event that a webhook brings.
#[derive(Debug, Clone)]
pub struct HookedEvent {
    /// The instance in which it happened.
    pub instance: Digest,
    /// The event, as the service names it.
    pub event: String,
    /// Its data: an object without fractions.
    pub data: serde_json::Value,
    /// Its name among the events of the instance: the same again is the same event.
    pub id: String,
}

/// Parameters of `rings_listExecutions`.
#[derive(Debug, Clone, Default, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListExecutionsParams {
    /// only those that follow from this event
    #[serde(default, with = "maybe_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Cid>")]
    pub event: Option<Cid>,
    /// executions in the answer, from 1 to 256; 50 when it is not given
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Parameters of `rings_getExecution`.
#[derive(Debug, Clone, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutionParams {
    /// the execution
    #[serde(with = "text")]
    #[schemars(with = "schema::Cid")]
    pub execution: Cid,
}

/// How many are in a page.
///
/// # Errors
/// What is wrong, when it is out of bounds.
pub fn page(limit: Option<u32>) -> Result<usize, String> {
    match limit.unwrap_or(DEFAULT_PAGE) {
        limit @ 1..=MAX_PAGE => Ok(limit as usize),
        limit => Err(format!(
            "limit is {limit}; give a number from 1 to {MAX_PAGE}"
        )),
    }
}

/// What a process does with what happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProcessState {
    /// It goes on.
    Active,
    /// Events are taken down, and nothing is asked of the ring until it goes on.
    Paused,
    /// Nothing is asked any more, for good.
    Cancelled,
}

/// A process that the ring runs.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(rename = "Process")]
#[serde(rename_all = "camelCase")]
pub struct ProcessView {
    /// Its name among the processes that the ring runs.
    #[schemars(with = "schema::Digest")]
    pub installation: Digest,
    /// Its definition.
    #[serde(with = "text")]
    #[schemars(with = "schema::Cid")]
    pub process: Cid,
    /// The name in the definition, once that was read here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What starts it, once the definition was read here: an event of a service, or a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// The instance of each of its services.
    #[schemars(with = "BTreeMap<String, schema::Digest>")]
    pub instances: BTreeMap<String, Digest>,
    /// The services, by the process's names for them, once the definition was read here.
    #[schemars(with = "BTreeMap<String, schema::Cid>")]
    #[serde(default, with = "texts")]
    pub services: BTreeMap<String, Cid>,
    /// The first block whose events start it.
    pub since: u64,
    /// The member in whose log it was found first.
    #[schemars(with = "schema::Address")]
    pub by: Address,
    /// What it does with what happens.
    pub state: ProcessState,
    /// How many changes of the state the ring has decided.
    pub changes: u64,
    /// How many events have started it, as far as this member knows.
    pub runs: u64,
    /// How many of these runs are not over.
    pub open: u64,
}

/// The processes that the ring runs.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(rename = "Processes")]
pub struct ProcessesView {
    /// The processes, in the order of their installations.
    pub processes: Vec<ProcessView>,
    /// `from` of the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Digest>")]
    pub next: Option<Digest>,
}

/// An instance of a service that processes of the ring use.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(rename = "Instance")]
#[serde(rename_all = "camelCase")]
pub struct InstanceView {
    /// The instance hash.
    #[schemars(with = "schema::Digest")]
    pub instance: Digest,
    /// The service, once a process that uses it was read here.
    #[serde(default, with = "maybe_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Cid>")]
    pub service: Option<Cid>,
    /// Processes that use it, the first 256.
    #[schemars(with = "Vec<schema::Digest>")]
    pub processes: Vec<Digest>,
    /// Whether this member has the values of its configuration.
    pub values: bool,
}

/// Instances that processes of the ring use.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(rename = "Instances")]
pub struct InstancesView {
    /// The instances, in the order of their hashes.
    pub instances: Vec<InstanceView>,
    /// `from` of the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Digest>")]
    pub next: Option<Digest>,
}

/// How far a run of a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Its event was found, and stands in no log yet.
    Waiting,
    /// It goes on.
    Open,
    /// It is over, and no node has failed.
    Done,
    /// It is over, and at least one node has failed.
    Failed,
}

/// A run of a process.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(rename = "Run")]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// The how many-th run of the process it is, as this member counts.
    pub number: u64,
    /// The event that started it.
    #[serde(with = "text")]
    #[schemars(with = "schema::Cid")]
    pub event: Cid,
    /// The member in whose log the event was found first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Address>")]
    pub by: Option<Address>,
    /// The members in whose logs the event stands, where not every member can find it itself: on their word it rests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<schema::Address>")]
    pub seen_by: Vec<Address>,
    /// How far it is.
    pub state: RunState,
    /// Whether a reorganisation has taken its event from the chain since. What was computed stays; what external tasks did is not undone.
    #[serde(default)]
    pub orphaned: bool,
    /// When this member knew of it, in milliseconds since 1970.
    pub since: u64,
}

/// A process, and its newest runs.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(rename = "ProcessWithRuns")]
pub struct ProcessRunsView {
    /// The process.
    pub process: ProcessView,
    /// Runs, the newest first.
    pub runs: Vec<RunView>,
    /// `before` of the next page; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// An event that was taken down.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(rename = "Emitted")]
pub struct EmittedView {
    /// The event's name.
    #[serde(with = "text")]
    #[schemars(with = "schema::Cid")]
    pub event: Cid,
    /// The installations that it starts.
    #[schemars(with = "Vec<schema::Digest>")]
    pub starts: Vec<Digest>,
    /// Whether a process may wait for it.
    #[serde(default)]
    pub awaited: bool,
    /// Whether it was written now; otherwise it was known before.
    pub fresh: bool,
}

/// How far an execution is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutionState {
    /// Its inputs are known.
    Created,
    /// It was asked of the ring.
    Started,
    /// Two thirds have agreed on an output that is one of the task's statuses.
    Succeeded,
    /// It gives none.
    Failed,
    /// The event for which it waited has not come in time, as the ring decided.
    Expired,
}

/// An execution of a process.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(rename = "Execution")]
#[serde(rename_all = "camelCase")]
pub struct ExecutionView {
    /// Its name: the CID of its document.
    #[serde(with = "text")]
    #[schemars(with = "schema::Cid")]
    pub execution: Cid,
    /// How far it is.
    pub state: ExecutionState,
    /// The process, as the ring runs it.
    #[schemars(with = "schema::Digest")]
    pub installation: Digest,
    /// The event from which it follows.
    #[serde(with = "text")]
    #[schemars(with = "schema::Cid")]
    pub event: Cid,
    /// The node of the process; with `each`, and the number of the element.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The event for which it waits, or has waited, instead of running a task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaits: Option<String>,
    /// The time of blocks after which it expires, in seconds since 1970, as this member counts: the ring decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// The request with which it was asked, or would be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Digest>")]
    pub request: Option<Digest>,
    /// The gate that settles it, where its result is settled on the chain or by another ring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Address>")]
    pub gate: Option<Address>,
    /// Of an external task: the members on whose word it rests; before it has ended, those that run it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<schema::Address>")]
    pub by: Vec<Address>,
    /// What its program, or its connector, wrote.
    #[serde(default, with = "maybe_text", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Cid>")]
    pub result: Option<Cid>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When this member knew that it has ended, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<u64>,
}

/// Executions.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[schemars(rename = "Executions")]
pub struct ExecutionsView {
    /// Those that are under way here, then those that have ended, the newest first.
    pub executions: Vec<ExecutionView>,
}

/// A CID as text, or nothing.
pub(super) mod maybe_text {
    use cid::Cid;
    use serde::{de, Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(cid: &Option<Cid>, serializer: S) -> Result<S::Ok, S::Error> {
        match cid {
            Some(cid) => serializer.collect_str(cid),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Cid>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(de::Error::custom))
            .transpose()
    }
}

/// CIDs as texts, by names.
mod texts {
    use cid::Cid;
    use serde::{de, Deserialize, Deserializer, Serializer};
    use std::collections::BTreeMap;

    pub fn serialize<S: Serializer>(
        cids: &BTreeMap<String, Cid>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(cids.iter().map(|(name, cid)| (name, cid.to_string())))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Cid>, D::Error> {
        let texts = BTreeMap::<String, String>::deserialize(deserializer)?;
        let cids = texts.into_iter().map(|(name, text)| {
            let cid = text.parse().map_err(de::Error::custom)?;
            Ok((name, cid))
        });
        cids.collect()
    }
}
