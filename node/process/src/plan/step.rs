//! A node of a plan.

use crate::{
    formula::Formula, reference::Reference, service::Task, shape::Checker, template::Template,
};
use cid::Cid;
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
}

/// The field as which the value of a map is checked.
pub const VALUE: &str = "value";
/// The status of a filter that is true.
pub const YES: &str = "yes";
/// The status of a filter that is false.
pub const NO: &str = "no";
/// The status of a map.
pub const DONE: &str = "done";

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
    /// Its inputs.
    pub inputs: BTreeMap<String, Template>,
    /// Checks the inputs.
    pub checker: Checker,
    /// Checks the outputs of each status.
    pub statuses: BTreeMap<String, Checker>,
}
