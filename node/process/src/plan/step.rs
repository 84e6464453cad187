//! A node of a plan.

use crate::{
    data::{Data, Fields},
    document::Document,
    event::Event,
    formula::Formula,
    reference::Reference,
    service::Task,
    shape::Checker,
    template::Template,
};
use cid::Cid;
use rings_protocol::Address;
use std::collections::BTreeMap;

/// A node that was checked.
#[derive(Debug)]
pub struct Step {
    /// The nodes that come directly before it, each with the status that it must have ended with.
    pub after: Vec<(String, String)>,
    /// All nodes that come before it, with the same.
    pub before: BTreeMap<String, String>,
    /// What it does.
    pub kind: StepKind,
}

/// What a node does.
#[derive(Debug)]
pub enum StepKind {
    /// Runs a task.
    Task(Box<TaskStep>),
    /// Says whether what follows happens.
    Filter(Formula),
    /// Makes a value for later nodes.
    Map {
        /// How.
        formula: Formula,
        /// Checks the value, as the one field [`VALUE`].
        checker: Checker,
    },
    /// Waits for one more event.
    Wait(Box<WaitStep>),
}

/// The field as which the value of a map is checked.
pub const VALUE: &str = "value";
/// The status of a filter that is true.
pub const YES: &str = "yes";
/// The status of a filter that is false.
pub const NO: &str = "no";
/// The status of a map.
pub const DONE: &str = "done";
/// The status of a wait whose event has come.
pub const CAME: &str = "came";
/// The status of a wait whose event has not come in time, and of a task whose gate had no result in time.
pub const EXPIRED: &str = "expired";

/// A wait for one more event.
#[derive(Debug)]
pub struct WaitStep {
    /// The process's name for the service.
    pub service_name: String,
    /// The service's hash.
    pub service: Cid,
    /// The event, as the service names it.
    pub event: String,
    /// What fields of the event have to be.
    pub matches: BTreeMap<String, Template>,
    /// Seconds after which it has expired, in the time of blocks.
    pub within: u64,
    /// Checks the event's data.
    pub checker: Checker,
}

/// How the result of a task is settled by a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// The ring that computes it; the own one without it.
    pub ring: Option<Address>,
    /// Seconds in the time of blocks after which it has expired.
    pub within: Option<u64>,
}

/// A task with its inputs.
#[derive(Debug)]
pub struct TaskStep {
    /// The process's name for the service.
    pub service_name: String,
    /// The service's hash.
    pub service: Cid,
    /// The task's name.
    pub name: String,
    /// Its definition.
    pub task: Task,
    /// The list for each of whose elements it is run.
    pub each: Option<Reference>,
    /// How its result is settled by a gate; with the next ring node without it.
    pub settlement: Option<Settlement>,
    /// Its inputs.
    pub inputs: BTreeMap<String, Template>,
    /// Checks the inputs.
    pub checker: Checker,
    /// Checks the outputs of each status.
    pub statuses: BTreeMap<String, Checker>,
}

impl TaskStep {
    /// Seconds after which it has expired, if it may expire.
    pub fn within(&self) -> Option<u64> {
        self.settlement.and_then(|settlement| settlement.within)
    }
}

impl WaitStep {
    /// The event in these bytes, if it is one that an execution with these inputs waits for. Whether it happened in the right
    /// instance is for the caller to see.
    ///
    /// # Errors
    /// Why it is not, in words: the same for everybody.
    pub fn event(&self, inputs: &Fields, bytes: &[u8]) -> Result<Event, String> {
        let event = Event::from_bytes(bytes).map_err(|error| error.to_string())?;
        if event.service != Some(self.service) || event.event != self.event {
            return Err(format!(
                "event {} of another service is not what it waits for",
                event.event
            ));
        }
        self.checker
            .check(&event.data)
            .map_err(|misfit| format!("its event does not fit: {misfit}"))?;
        let differs = |(field, value): (&String, &Data)| event.data.get(field) != Some(value);
        match inputs.iter().any(differs) {
            true => Err("its event has other fields than it waits for".into()),
            false => Ok(event),
        }
    }
}
