//! The first look at a process: each node by itself, and the names that it uses.

use super::{
    settlement,
    step::{Settlement, StepKind, TaskStep, WaitStep, CAME, DONE, EXPIRED, NO, VALUE, YES},
};
use crate::{
    bounds::MAX_WAIT_SECONDS,
    data::{Data, Fields},
    event::SCHEDULED,
    formula::Formula,
    process::{Node, Trigger},
    reference::{Reference, EVENT, ITEM},
    schedule::Schedule,
    service::{EventKind, Fault, Service, Task},
    shape::{Record, Shape, ShapeError},
    template::Template,
};
use cid::Cid;
use std::collections::BTreeMap;

/// What starts a process.
#[derive(Debug)]
pub struct Started {
    /// A service and its event.
    pub event: Option<(String, String)>,
    /// A schedule.
    pub schedule: Option<Schedule>,
    /// The fields of the event.
    pub data: Record,
}

/// A node with its names read.
#[derive(Debug)]
pub enum Parsed {
    /// A task.
    Task {
        /// The process's name for the service.
        service_name: String,
        /// The service's hash.
        service: Cid,
        /// The task's name.
        name: String,
        /// Its definition.
        task: Box<Task>,
        /// The list for each of whose elements it is run.
        each: Option<Reference>,
        /// How its result is settled by a gate.
        settlement: Option<Settlement>,
        /// Its inputs.
        inputs: BTreeMap<String, Template>,
    },
    /// A filter.
    Filter(Formula),
    /// A map, and the shape of its value.
    Map(Formula, Shape),
    /// A wait for one more event.
    Wait {
        /// The process's name for the service.
        service_name: String,
        /// The service's hash.
        service: Cid,
        /// The event.
        event: String,
        /// Its fields.
        data: Record,
        /// What some of them have to be.
        matches: BTreeMap<String, Template>,
        /// Seconds.
        within: u64,
    },
}

impl Parsed {
    /// The statuses with which it can end.
    pub fn statuses(&self) -> Vec<&str> {
        match self {
            Self::Task {
                task, settlement, ..
            } => {
                let own = task.statuses.keys().map(String::as_str);
                let within = settlement.and_then(|settlement| settlement.within);
                own.chain(within.map(|_| EXPIRED)).collect()
            }
            Self::Filter(_) => vec![YES, NO],
            Self::Map(..) => vec![DONE],
            Self::Wait { .. } => vec![CAME, EXPIRED],
        }
    }

    /// The status that follows when none is named: that of a filter is `yes`, that of a wait `came`, that of
    /// others the only one besides `expired`.
    pub fn usual(&self) -> Option<&str> {
        match (self, self.statuses().as_slice()) {
            (Self::Filter(_), _) => Some(YES),
            (Self::Wait { .. }, _) => Some(CAME),
            (_, [only]) => Some(only),
            (Self::Task { .. }, [only, last]) if *last == EXPIRED => Some(only),
            _ => None,
        }
    }

    /// All references, each with the key under which it stands.
    pub fn references(&self) -> Vec<(Vec<&str>, &Reference)> {
        match self {
            Self::Task { each, inputs, .. } => {
                let each = each.iter().map(|each| (vec!["each"], each));
                each.chain(within(inputs, "inputs")).collect()
            }
            Self::Wait { matches, .. } => within(matches, "match").collect(),
            Self::Filter(formula) => of(formula, "filter"),
            Self::Map(formula, _) => of(formula, "map"),
        }
    }

    /// Makes what the run needs.
    ///
    /// # Errors
    /// When a shape is not valid.
    pub fn finish(self) -> Result<StepKind, ShapeError> {
        Ok(match self {
            Self::Filter(formula) => StepKind::Filter(formula),
            Self::Map(formula, gives) => StepKind::Map {
                formula,
                checker: Record::new(BTreeMap::from([(VALUE.to_owned(), gives)])).checker()?,
            },
            Self::Wait {
                service_name,
                service,
                event,
                data,
                matches,
                within,
            } => StepKind::Wait(Box::new(WaitStep {
                checker: data.checker()?,
                service_name,
                service,
                event,
                matches,
                within,
            })),
            Self::Task {
                service_name,
                service,
                name,
                task,
                each,
                settlement,
                inputs,
            } => StepKind::Task(Box::new(TaskStep {
                checker: task.inputs.checker()?,
                statuses: task.checkers()?,
                service_name,
                service,
                name,
                task: *task,
                each,
                settlement,
                inputs,
            })),
        })
    }
}

fn of<'f>(formula: &'f Formula, key: &'static str) -> Vec<(Vec<&'f str>, &'f Reference)> {
    let references = formula.references().iter();
    references.map(|reference| (vec![key], reference)).collect()
}

/// The references in the values under `key`.
fn within<'t>(
    values: &'t BTreeMap<String, Template>,
    key: &'static str,
) -> impl Iterator<Item = (Vec<&'t str>, &'t Reference)> {
    values.iter().flat_map(move |(name, template)| {
        let found = template.references().into_iter();
        found.map(move |reference| (vec![key, name.as_str()], reference))
    })
}

/// Reads what starts the process.
pub fn trigger(
    on: &Trigger,
    services: &BTreeMap<String, Service>,
    faults: &mut Vec<Fault>,
) -> Option<Started> {
    let scheduled = |schedule: Schedule| {
        let integer = Fields::from([("type".to_owned(), Data::from("integer"))]);
        let time = Shape::new(integer.into()).ok()?;
        Some(Started {
            event: None,
            schedule: Some(schedule),
            data: Record::new(BTreeMap::from([("time".to_owned(), time)])),
        })
    };
    let mut fault = |key: &str, what: String| faults.push(Fault::new(&["on", key], what));
    match (&on.event, &on.every, &on.cron) {
        (Some(named), None, None) => event(named, services)
            .map_err(|what| fault("event", what))
            .ok(),
        (None, Some(seconds), None) => Schedule::every(*seconds)
            .map_err(|error| fault("every", error.to_string()))
            .ok()
            .and_then(scheduled),
        (None, None, Some(pattern)) => Schedule::cron(pattern)
            .map_err(|error| fault("cron", error.to_string()))
            .ok()
            .and_then(scheduled),
        _ => {
            faults.push(Fault::new(&["on"], "a process has exactly one start; write service.event, or every: SECONDS, or cron: PATTERN"));
            None
        }
    }
}

fn event(named: &str, services: &BTreeMap<String, Service>) -> Result<Started, String> {
    let (service, event, kind) = event_kind(named, services)?;
    Ok(Started {
        event: Some((service.to_owned(), event.to_owned())),
        schedule: None,
        data: kind.data.clone(),
    })
}

/// The service and the event that `service.event` names.
fn event_kind<'n, 's>(
    named: &'n str,
    services: &'s BTreeMap<String, Service>,
) -> Result<(&'n str, &'n str, &'s EventKind), String> {
    let (service, event) = named
        .split_once('.')
        .ok_or_else(|| format!("{named} is no event; write service.event"))?;
    let definition = find(service, services)?;
    let kind = definition.events.get(event).ok_or_else(|| {
        let known = list(definition.events.keys());
        format!("the service {service} has no event {event}; it has {known}")
    })?;
    Ok((service, event, kind))
}

fn find<'s>(name: &str, services: &'s BTreeMap<String, Service>) -> Result<&'s Service, String> {
    services.get(name).ok_or_else(|| {
        let known = list(services.keys());
        format!("there is no service {name}; under services there are: {known}")
    })
}

fn list<'n>(names: impl Iterator<Item = &'n String>) -> String {
    let names: Vec<_> = names.map(String::as_str).collect();
    match names.is_empty() {
        true => "none".into(),
        false => names.join(", "),
    }
}

/// Reads a node; a node with a fault gives nothing.
pub fn node(
    name: &str,
    node: &Node,
    services: &BTreeMap<String, Service>,
    faults: &mut Vec<Fault>,
) -> Option<Parsed> {
    let fault = |path: &[&str], what: String| Fault::new(&[&["nodes", name], path].concat(), what);
    if [EVENT, ITEM, SCHEDULED].contains(&name) {
        faults.push(fault(
            &[],
            format!("{name} has a meaning of its own; give the node another name"),
        ));
        return None;
    }
    let formula = |text: &str, key: &str| {
        Formula::compile(text).map_err(|error| fault(&[key], error.to_string()))
    };
    let of_tasks = !node.inputs.is_empty() || node.each.is_some();
    if node.wait.is_none()
        && ((node.task.is_none() && node.within.is_some()) || !node.matches.is_empty())
    {
        faults.push(fault(
            &[],
            "within and match are for a node that waits; add wait: service.event, or leave them out".into(),
        ));
        return None;
    }
    if node.task.is_none() && (node.settle.is_some() || node.ring.is_some()) {
        let what = "settle and ring are for tasks; leave them out";
        faults.push(fault(&[], what.into()));
        return None;
    }
    let read = match (&node.task, &node.filter, &node.map) {
        (None, None, None) if node.wait.is_some() => self::wait(node, services)
            .map_err(|(path, what)| fault(&path.iter().map(String::as_str).collect::<Vec<_>>(), what)),
        _ if node.wait.is_some() => {
            Err(fault(&["wait"], "a node that waits does nothing else; give what follows a node of its own, after this one".into()))
        }
        (Some(_), None, None) if node.gives.is_some() => {
            Err(fault(&["gives"], "gives is for a map; the statuses of a task say what it gives".into()))
        }
        (Some(task), None, None) => self::task(node, task, services)
            .map_err(|(path, what)| fault(&path.iter().map(String::as_str).collect::<Vec<_>>(), what)),
        (None, Some(_), None) | (None, None, Some(_)) if of_tasks => {
            Err(fault(&[], "inputs and each are for tasks; a formula names values itself, such as event.amount".into()))
        }
        (None, Some(filter), None) => formula(filter, "filter").map(Parsed::Filter),
        (None, None, Some(map)) => match &node.gives {
            Some(gives) => formula(map, "map").map(|formula| Parsed::Map(formula, gives.clone())),
            None => Err(fault(&[], "a map has no gives; add the shape of its value, such as gives: integer".into())),
        },
        _ => Err(fault(&[], "a node is a task, a filter, a map or a wait; write one of task: service.task, filter: FORMULA, map: FORMULA, wait: service.event".into())),
    };
    match read {
        Ok(parsed) => Some(parsed),
        Err(fault) => {
            faults.push(fault);
            None
        }
    }
}

type Wrong = (Vec<String>, String);

fn wrong(path: &[&str], what: impl Into<String>) -> Wrong {
    (
        path.iter().map(|&key| key.to_owned()).collect(),
        what.into(),
    )
}

fn wait(node: &Node, services: &BTreeMap<String, Service>) -> Result<Parsed, Wrong> {
    let named = node.wait.as_deref().unwrap_or_default();
    let no = |what: String| wrong(&["wait"], what);
    if !node.inputs.is_empty() || node.each.is_some() || node.gives.is_some() {
        return Err(wrong(
            &[],
            "a node that waits has no inputs, each or gives; name the fields that the event must have under match",
        ));
    }
    let within = node
        .within
        .ok_or_else(|| wrong(&[], "a node that waits has no end; add within: SECONDS"))?;
    if !(1..=MAX_WAIT_SECONDS).contains(&within) {
        return Err(wrong(
            &["within"],
            format!("{within} seconds; write 1 to {MAX_WAIT_SECONDS}"),
        ));
    }
    let (service_name, event, kind) = event_kind(named, services).map_err(no)?;
    let mut matches = BTreeMap::new();
    for (field, data) in &node.matches {
        if kind.data.get(field).is_none() {
            let known = kind.data.names();
            return Err(wrong(
                &["match", field],
                format!("the event {named} has no field {field}; it has {known}"),
            ));
        }
        let template =
            Template::read(data).map_err(|error| wrong(&["match", field], error.to_string()))?;
        matches.insert(field.clone(), template);
    }
    use crate::document::Document;
    let service = find(service_name, services)
        .and_then(|service| service.cid().map_err(|error| error.to_string()));
    Ok(Parsed::Wait {
        service_name: service_name.to_owned(),
        service: service.map_err(no)?,
        event: event.to_owned(),
        data: kind.data.clone(),
        matches,
        within,
    })
}

fn task(node: &Node, named: &str, services: &BTreeMap<String, Service>) -> Result<Parsed, Wrong> {
    let no = |what: String| wrong(&["task"], what);
    let (service_name, name) = named
        .split_once('.')
        .ok_or_else(|| no(format!("{named} is no task; write service.task")))?;
    let service = find(service_name, services).map_err(no)?;
    let task = service.tasks.get(name).ok_or_else(|| {
        let known = list(service.tasks.keys());
        wrong(
            &["task"],
            format!("the service {service_name} has no task {name}; it has {known}"),
        )
    })?;
    let each = match &node.each {
        None => None,
        Some(text) => Some(Reference::parse(text).ok_or_else(|| {
            wrong(
                &["each"],
                format!("{text} is no reference; write event.field or node.field"),
            )
        })?),
    };
    let mut inputs = BTreeMap::new();
    for (input, data) in &node.inputs {
        if task.inputs.get(input).is_none() {
            let known = task.inputs.names();
            return Err(wrong(
                &["inputs", input],
                format!("the task {named} has no input {input}; it has {known}"),
            ));
        }
        let template =
            Template::read(data).map_err(|error| wrong(&["inputs", input], error.to_string()))?;
        inputs.insert(input.clone(), template);
    }
    if let Some((missing, _)) = task
        .inputs
        .iter()
        .find(|(input, _)| !inputs.contains_key(*input))
    {
        return Err(wrong(
            &["inputs"],
            format!("the task {named} needs the input {missing}; add it"),
        ));
    }
    use crate::document::Document;
    Ok(Parsed::Task {
        service_name: service_name.to_owned(),
        service: service
            .cid()
            .map_err(|error| wrong(&["task"], error.to_string()))?,
        name: name.to_owned(),
        settlement: settlement::of(node, task).map_err(|(key, what)| wrong(&[key], what))?,
        task: Box::new(task.clone()),
        each,
        inputs,
    })
}
