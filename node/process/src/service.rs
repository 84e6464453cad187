//! Services: what they can do (tasks), what can happen (events), and the canonical definition whose CID is the service hash.

mod external_task;

use crate::{
    bounds::{MAX_FIELDS, MAX_STATUSES, MAX_TASKS},
    data::Fields,
    document::Document,
    event_origin::EventOrigin,
    runners::{Retry, Runners},
    shape::{Checker, Record, ShapeError},
};
use cid::Cid;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Version of the form of definitions.
pub const VERSION: u32 = 1;
/// Fuel of a task that names none.
pub const TASK_FUEL: u64 = rings_protocol::operation::DEFAULT_FUEL;
/// Memory of a task that names none, in bytes.
pub const TASK_MEMORY: u64 = rings_protocol::operation::DEFAULT_MEMORY;

/// The definition of a service. Fields stand in the order of their names, which makes the encoding canonical.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// What it is for, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The names of what an instance configures.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub config: BTreeSet<String>,
    /// The services that it needs, by its own names for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub depends: BTreeMap<String, Cid>,
    /// What can happen.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<String, EventKind>,
    /// Its name.
    pub service: String,
    /// What it can do.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tasks: BTreeMap<String, Task>,
    /// [`VERSION`].
    pub version: u32,
}

/// A kind of event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventKind {
    /// What happened, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The data that an event brings.
    #[serde(default)]
    pub data: Record,
    /// What every member finds that are such events, as logs of a contract; without it, they come by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<EventOrigin>,
    /// How many members have to have seen such an event before it counts; one, without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,
}

/// How many members have to have seen an event that not every member can find itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Observed {
    /// As many as agree on results: two thirds.
    Quorum,
}

/// Something that a service can do: inputs, and several outcomes, of which one run gives one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// What it does, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// Arguments of the program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// The events of the same service that happen when it ends, by its statuses; their data are the outputs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub emits: BTreeMap<String, String>,
    /// The connector that does it, where no ring can repeat it: see [`Task::program`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<String>,
    /// Most units of fuel of one run; [`TASK_FUEL`] without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// What it needs.
    #[serde(default)]
    pub inputs: Record,
    /// Most bytes of memory of one run; [`TASK_MEMORY`] without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// The WASI program that two thirds of a ring agree on; without it, the task is external.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<Cid>,
    /// Of an external task: what is done when a try has failed. Without it, there is one try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Of an external task: who runs it. One member, without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Runners>,
    /// Of an external task: seconds that one try may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// Its outcomes, and what each gives.
    pub statuses: BTreeMap<String, Record>,
    /// Of an external task: what its connector gets. `${inputs.NAME}` and `${config.NAME}` stand for an input and for a value
    /// of the configuration.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub with: Fields,
}

impl Document for Service {
    const WHAT: &'static str = "a definition of a service";
}

/// What is wrong with a definition: the keys to the place, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", path.join("."))]
pub struct Fault {
    /// Keys from the root of the definition.
    pub path: Vec<String>,
    /// What is wrong, and what to do.
    pub what: String,
}

impl Fault {
    pub(crate) fn new(path: &[&str], what: impl Into<String>) -> Self {
        Self {
            path: path.iter().map(|&key| key.to_owned()).collect(),
            what: what.into(),
        }
    }

    pub(crate) fn of_shape(path: &[&str], error: ShapeError) -> Self {
        let mut fault = Self::new(path, error.what);
        fault.path.extend(error.path);
        fault
    }
}

impl Task {
    /// The input that is a file: its content follows the execution on the program's standard input.
    pub fn file(&self) -> Option<&str> {
        let mut files = self.inputs.iter().filter(|(_, shape)| shape.is_file());
        files.next().map(|(name, _)| name)
    }

    fn faults(&self, path: &[&str], config: &BTreeSet<String>, faults: &mut Vec<Fault>) {
        if self.program.is_some() == self.external.is_some() {
            faults.push(Fault::new(
                path,
                "a task has either a program or an external connector; write one of the two",
            ));
        }
        if self.statuses.is_empty() {
            faults.push(Fault::new(
                path,
                "a task has no statuses; name at least one outcome, such as done: {}",
            ));
        }
        if self.statuses.len() > MAX_STATUSES {
            faults.push(Fault::new(
                path,
                format!("more than {MAX_STATUSES} statuses; use fewer"),
            ));
        }
        if self
            .inputs
            .iter()
            .filter(|(_, shape)| shape.is_file())
            .count()
            > 1
        {
            faults.push(Fault::new(
                path,
                "more than one input is a file (format: cid); a task has one at most",
            ));
        }
        let external = self.external_faults(config).into_iter();
        faults.extend(external.map(|(key, what)| Fault::new(&[path, &[key]].concat(), what)));
        let mut checked = |record: &Record, path: &[&str]| {
            if let Err(error) = record.checker() {
                faults.push(Fault::of_shape(path, error));
            }
        };
        checked(&self.inputs, &[path, &["inputs"]].concat());
        for (status, record) in &self.statuses {
            checked(record, &[path, &["statuses", status]].concat());
        }
    }

    /// What checks the outputs of each status.
    ///
    /// # Errors
    /// [`ShapeError`] when a shape is none.
    pub fn checkers(&self) -> Result<BTreeMap<String, Checker>, ShapeError> {
        let given = self.statuses.keys();
        let given = given.filter_map(|status| Some((status, self.given(status)?)));
        let checkers = given.map(|(status, record)| Ok((status.clone(), record.checker()?)));
        checkers.collect()
    }
}

impl Service {
    /// What is wrong with an event that a task emits with a status.
    fn emit_fault(&self, task: &Task, status: &str, event: &str) -> Option<String> {
        let Some(outputs) = task.given(status) else {
            return Some(format!("the task has no status {status}"));
        };
        let Some(kind) = self.events.get(event) else {
            return Some(format!("the service has no event {event}"));
        };
        if kind.from.is_some() {
            return Some(format!(
                "event {event} comes from elsewhere (from); name another one"
            ));
        }
        let missing = kind
            .data
            .iter()
            .find(|(field, shape)| outputs.get(field) != Some(shape));
        missing.map(|(field, _)| {
            format!("the data of event {event} have {field}, which is no output of status {status} of the same shape")
        })
    }

    /// Everything that is wrong with it.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.version != VERSION {
            let what = format!(
                "version {}; this program reads version {VERSION}",
                self.version
            );
            faults.push(Fault::new(&["version"], what));
        }
        for (key, length, most) in [
            ("config", self.config.len(), MAX_FIELDS),
            ("events", self.events.len(), MAX_TASKS),
            ("tasks", self.tasks.len(), MAX_TASKS),
        ] {
            if length > most {
                faults.push(Fault::new(
                    &[key],
                    format!("{length} names; at most {most} are accepted"),
                ));
            }
        }
        if self.tasks.is_empty() && self.events.is_empty() {
            faults.push(Fault::new(
                &[],
                "a service has neither tasks nor events; add one",
            ));
        }
        for (name, kind) in &self.events {
            if let Err(error) = kind.data.checker() {
                faults.push(Fault::of_shape(&["events", name, "data"], error));
                continue;
            }
            if kind.observed.is_some() && kind.from.is_some() {
                let what = "each member finds events with from itself; leave observed out";
                faults.push(Fault::new(&["events", name, "observed"], what));
            }
            let reader = kind.from.as_ref().map(|from| from.reader(&kind.data));
            if let Some(Err((key, what))) = reader {
                faults.push(Fault::new(&["events", name, "from", key], what));
            }
        }
        for (name, task) in &self.tasks {
            task.faults(&["tasks", name], &self.config, &mut faults);
            for (status, event) in &task.emits {
                let told = self.emit_fault(task, status, event);
                faults.extend(told.map(|what| Fault::new(&["tasks", name, "emits", status], what)));
            }
        }
        faults
    }
}
