//! Plans: a process that was checked against its services, ready to run.
//!
//! All that can be wrong is found here, when a process is made: names that do not exist (`parse.rs`), nodes that wait for each
//! other or can never start (`links.rs`), and fields that are not there or of another kind (`types.rs`). What is left for
//! the run are values: data that do not fit the shape of a task's input.

mod links;
mod parse;
mod settlement;
mod step;
#[cfg(test)]
mod tests;
mod types;

pub use step::{
    Settlement, Step, StepKind, TaskStep, WaitStep, CAME, DONE, EXPIRED, NO, VALUE, YES,
};

use crate::{
    bounds::{MAX_NODES, MAX_SERVICES},
    document::Document,
    event::{Event, SCHEDULED},
    event_origin::{EventReader, NotTold},
    origin::LogReader,
    process::{Process, VERSION},
    schedule::Schedule,
    service::{Fault, Observed, Service},
    shape::{Checker, Record},
};
use cid::Cid;
use parse::{Parsed, Started};
use std::collections::BTreeMap;

/// A process that can be run.
#[derive(Debug)]
pub struct Plan {
    process: Process,
    cid: Cid,
    services: BTreeMap<String, Service>,
    started: Started,
    event: Checker,
    order: Vec<String>,
    steps: BTreeMap<String, Step>,
}

impl Plan {
    /// Checks a process against its services, which are given by the process's names for them.
    ///
    /// # Errors
    /// Everything that is wrong, by its place in the definition.
    pub fn new(process: Process, services: BTreeMap<String, Service>) -> Result<Self, Vec<Fault>> {
        let mut faults = bounds(&process);
        faults.extend(strangers(&process, &services));
        let started = parse::trigger(&process.on, &services, &mut faults);
        let mut parsed = BTreeMap::new();
        for (name, node) in &process.nodes {
            let read = parse::node(name, node, &services, &mut faults);
            parsed.extend(read.map(|read| (name.clone(), read)));
        }
        // What follows would only repeat what is wrong already.
        let (Some(started), true) = (started, faults.is_empty()) else {
            return Err(faults);
        };
        let links = links::of(&process.nodes, &parsed).map_err(|fault| vec![fault])?;
        types::check(&started.data, &parsed, &links.before, &mut faults);
        let cid = process
            .cid()
            .map_err(|error| vec![Fault::new(&[], error.to_string())])?;
        let checker = started.data.checker();
        let event = checker.map_err(|error| vec![Fault::of_shape(&["on"], error)])?;
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            steps: steps(parsed, &links)?,
            order: links.order,
            process,
            cid,
            services,
            started,
            event,
        })
    }

    /// The definition.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its CID.
    pub fn cid(&self) -> Cid {
        self.cid
    }

    /// Its services, by its names for them.
    pub fn services(&self) -> &BTreeMap<String, Service> {
        &self.services
    }

    /// The service and the event that start it, unless it is a schedule.
    pub fn event(&self) -> Option<(Cid, &str)> {
        let (service, event) = self.started.event.as_ref()?;
        Some((*self.process.services.get(service)?, event))
    }

    /// The process's name for the service whose event starts it, unless it is a schedule.
    pub fn event_service(&self) -> Option<&str> {
        let (service, _) = self.started.event.as_ref()?;
        Some(service)
    }

    /// What reads the events that start it, if they are logs of a contract.
    pub fn log_reader(&self) -> Option<LogReader> {
        let (service, event) = self.started.event.as_ref()?;
        self.reader_of(service, event)
    }

    /// What reads the events of a service that are logs of a contract; `service` is the process's name for it.
    pub fn reader_of(&self, service: &str, event: &str) -> Option<LogReader> {
        match self.event_reader_of(service, event)? {
            EventReader::Log(reader) => Some(reader),
            EventReader::Message(_) | EventReader::Result(_) => None,
        }
    }

    /// What reads the events of a service that nobody has to tell; `service` is the process's name for it.
    pub fn event_reader_of(&self, service: &str, event: &str) -> Option<EventReader> {
        let kind = self.services.get(service)?.events.get(event)?;
        // It was read without a fault when the plan was made.
        kind.from.as_ref()?.reader(&kind.data).ok()
    }

    /// Whether somebody may tell of this event of a service on a ring; `service` is the process's name for it. The events of
    /// tasks may be told too.
    ///
    /// # Errors
    /// [`NotTold`]: the members find it themselves.
    pub fn may_be_told(&self, service: &str, event: &str) -> Result<(), NotTold> {
        let kind = self.services.get(service);
        let kind = kind.and_then(|service| service.events.get(event));
        match kind.and_then(|kind| kind.from.as_ref()) {
            Some(origin) => Err(NotTold {
                event: event.to_owned(),
                origin: origin.to_string(),
            }),
            None => Ok(()),
        }
    }

    /// The same for the event of its schedule.
    ///
    /// # Errors
    /// [`NotTold`]: `event` is that one.
    pub fn may_be_due(&self, event: &str) -> Result<(), NotTold> {
        match self.started.schedule.is_some() && event == SCHEDULED {
            true => Err(NotTold {
                event: event.to_owned(),
                origin: "the schedule of the process".into(),
            }),
            false => Ok(()),
        }
    }

    /// Whether an event that starts it on a ring is the word of somebody, although the members find such events themselves.
    ///
    /// # Errors
    /// [`NotTold`]: then it starts nothing, whoever says it.
    pub fn check_told(&self, event: &Event) -> Result<(), NotTold> {
        match (event.source.is_found(), self.event_service()) {
            (false, Some(service)) => self.may_be_told(service, &event.event),
            _ => Ok(()),
        }
    }

    /// The service and the name of the event that starts it, unless it is a schedule, and of those for which nodes wait; the
    /// service by the process's name for it.
    pub fn events(&self) -> impl Iterator<Item = (&str, &str)> {
        let started = self.started.event.iter();
        let started = started.map(|(service, event)| (service.as_str(), event.as_str()));
        let awaited = self.waits();
        let awaited = awaited.map(|(_, wait)| (wait.service_name.as_str(), wait.event.as_str()));
        started.chain(awaited)
    }

    /// The nodes that wait for one more event, in the order of the plan.
    pub fn waits(&self) -> impl Iterator<Item = (&str, &WaitStep)> {
        self.order().filter_map(|(name, step)| match &step.kind {
            StepKind::Wait(wait) => Some((name, wait.as_ref())),
            _ => None,
        })
    }

    /// Whether two thirds of the members have to have seen the event that starts it, where not every member can find it itself.
    pub fn needs_quorum(&self) -> bool {
        let event = self.started.event.as_ref();
        event.is_some_and(|(service, event)| self.is_for_quorum(service, event))
    }

    /// The same for any event of a service; `service` is the process's name for it.
    pub fn is_for_quorum(&self, service: &str, event: &str) -> bool {
        let events = self.services.get(service).map(|service| &service.events);
        let kind = events.and_then(|events| events.get(event));
        kind.is_some_and(|kind| kind.observed == Some(Observed::Quorum))
    }

    /// The fields of the event that starts it.
    pub fn event_data(&self) -> &Record {
        &self.started.data
    }

    /// What checks the data of the event.
    pub(crate) fn event_checker(&self) -> &Checker {
        &self.event
    }

    /// The schedule that starts it, if it is one.
    pub fn schedule(&self) -> Option<&Schedule> {
        self.started.schedule.as_ref()
    }

    /// The nodes in an order in which each comes after all that it waits for.
    pub fn order(&self) -> impl Iterator<Item = (&str, &Step)> {
        let steps = self.order.iter();
        steps.filter_map(|name| Some((name.as_str(), self.steps.get(name)?)))
    }

    /// One node.
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.get(name)
    }
}

fn bounds(process: &Process) -> Vec<Fault> {
    let mut faults = Vec::new();
    if process.version != VERSION {
        let what = format!(
            "version {}; this program reads version {VERSION}",
            process.version
        );
        faults.push(Fault::new(&["version"], what));
    }
    match process.nodes.len() {
        0 => faults.push(Fault::new(&["nodes"], "a process has no nodes; add one")),
        1..=MAX_NODES => {}
        length => {
            let what = format!("{length} nodes; at most {MAX_NODES} are accepted");
            faults.push(Fault::new(&["nodes"], what));
        }
    }
    if process.services.len() > MAX_SERVICES {
        let what = format!(
            "{} services; at most {MAX_SERVICES} are accepted",
            process.services.len()
        );
        faults.push(Fault::new(&["services"], what));
    }
    faults
}

/// Services that are not there, or are not those that the process names.
fn strangers(process: &Process, services: &BTreeMap<String, Service>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (name, cid) in &process.services {
        let told = match services.get(name) {
            None => Some(format!("the service {cid} is not here; add its definition")),
            Some(service) => match service.cid() {
                Ok(found) if found == *cid => None,
                Ok(found) => Some(format!("the service is {found} and not {cid}; take the definition that the process names")),
                Err(error) => Some(error.to_string()),
            },
        };
        faults.extend(told.map(|what| Fault::new(&["services", name], what)));
        let inner = services.get(name).map(Service::faults).unwrap_or_default();
        faults.extend(inner.into_iter().take(1).map(|fault| {
            Fault::new(
                &["services", name],
                format!("its definition is wrong: {fault}"),
            )
        }));
    }
    faults
}

fn steps(
    parsed: BTreeMap<String, Parsed>,
    links: &links::Links,
) -> Result<BTreeMap<String, Step>, Vec<Fault>> {
    let mut steps = BTreeMap::new();
    for (name, parsed) in parsed {
        let kind = parsed
            .finish()
            .map_err(|error| vec![Fault::of_shape(&["nodes", &name], error)])?;
        let step = Step {
            after: links.edges.get(&name).cloned().unwrap_or_default(),
            before: links.before.get(&name).cloned().unwrap_or_default(),
            kind,
        };
        steps.insert(name, step);
    }
    Ok(steps)
}
