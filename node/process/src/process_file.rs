//! `process.yml`: the definition of a process as a person writes it. Services are named by their files or hashes.

use crate::{
    bounds::{MAX_FIELDS, MAX_NODES, MAX_SERVICES},
    data::Fields,
    mistake::{At, Mistakes, Notes},
    plan::Plan,
    process::{Node, Process, Settle, Trigger, VERSION},
    reader::{name, named, number, text, texts, Keys},
    service::Service,
    service_file::{about, add, shape},
    yaml::{Value, Yaml},
};
use rings_protocol::Address;
use std::collections::BTreeMap;

/// A process whose services are not read yet.
#[derive(Debug)]
pub struct ProcessDraft {
    file: String,
    root: Yaml,
    process: Process,
    services: BTreeMap<String, (At, String)>,
}

impl ProcessDraft {
    /// Reads `process.yml`.
    ///
    /// # Errors
    /// All mistakes that can be seen without the services.
    pub fn read(file: &str, content: &str) -> Result<Self, Mistakes> {
        let root = Yaml::read(file, content)?;
        let mut notes = Notes::of(file);
        let read = process(&root, &mut notes);
        let (process, services) = notes.end(read)?;
        Ok(Self {
            file: file.to_owned(),
            root,
            process,
            services,
        })
    }

    /// The services, and how the file names them: the path of a `service.yml`, or a service hash.
    pub fn services(&self) -> impl Iterator<Item = (&str, &str)> {
        self.services
            .iter()
            .map(|(name, (_, file))| (name.as_str(), file.as_str()))
    }

    /// The process, checked against its services, or everything that is wrong with it.
    ///
    /// # Errors
    /// All mistakes, with their places. A service that `read` cannot give is one.
    pub fn finish(
        mut self,
        mut read: impl FnMut(&str) -> Result<Service, String>,
    ) -> Result<Plan, Mistakes> {
        let mut notes = Notes::of(&self.file);
        let mut services = BTreeMap::new();
        for (name, (at, file)) in &self.services {
            let service = read(file);
            let hashed = service.and_then(|service| {
                use crate::document::Document;
                let cid = service.cid().map_err(|error| error.to_string())?;
                Ok((cid, service))
            });
            match hashed {
                Ok((cid, service)) => {
                    self.process.services.insert(name.clone(), cid);
                    services.insert(name.clone(), service);
                }
                Err(what) => notes.add(*at, what),
            }
        }
        if !notes.is_empty() {
            return notes.end(None);
        }
        match Plan::new(self.process, services) {
            Ok(plan) => Ok(plan),
            Err(faults) => {
                add(&self.root, faults, &mut notes);
                notes.end(None)
            }
        }
    }
}

type Services = BTreeMap<String, (At, String)>;

fn process(root: &Yaml, notes: &mut Notes) -> Option<(Process, Services)> {
    let mut keys = Keys::of(root, "a process", notes)?;
    let title = keys.must("process", notes);
    let title =
        title.and_then(|yaml| Some((text(yaml, "the name of the process", notes)?, yaml.at)));
    let title = title.and_then(|(title, at)| name(&title, at, notes));
    let about = about(&mut keys, notes);
    let mut services = BTreeMap::new();
    for (key, value) in named(keys.maybe("services"), ("services", MAX_SERVICES), notes) {
        let file = text(value, "a service", notes);
        services.extend(file.map(|file| (key.text.clone(), (value.at, file))));
    }
    let on = keys.must("on", notes);
    let on = on.and_then(|yaml| trigger(yaml, notes));
    let mut nodes = BTreeMap::new();
    let written = keys.must("nodes", notes);
    for (key, value) in named(written, ("nodes", MAX_NODES), notes) {
        nodes.extend(node(value, notes).map(|node| (key.text.clone(), node)));
    }
    keys.end(notes);
    let process = Process {
        about,
        nodes,
        on: on?,
        process: title?,
        services: BTreeMap::new(),
        version: VERSION,
    };
    Some((process, services))
}

fn trigger(yaml: &Yaml, notes: &mut Notes) -> Option<Trigger> {
    if let Value::Text(event) = &yaml.value {
        return Some(Trigger {
            event: Some(event.clone()),
            ..Trigger::default()
        });
    }
    let mut keys = Keys::of(yaml, "on", notes)?;
    let mut word = |key: &'static str, notes: &mut Notes| {
        let yaml = keys.maybe(key)?;
        text(yaml, key, notes)
    };
    let (cron, event) = (word("cron", notes), word("event", notes));
    let every = keys
        .maybe("every")
        .and_then(|yaml| number(yaml, "every", notes));
    keys.end(notes);
    Some(Trigger { cron, event, every })
}

fn node(yaml: &Yaml, notes: &mut Notes) -> Option<Node> {
    let mut keys = Keys::of(yaml, "a node", notes)?;
    let after = texts(keys.maybe("after"), "what comes before", notes);
    let mut after: Vec<String> = after.into_iter().map(|(_, text)| text.to_owned()).collect();
    // The order in which they are written means nothing.
    after.sort_unstable();
    after.dedup();
    let mut word = |key: &'static str, notes: &mut Notes| {
        let yaml = keys.maybe(key)?;
        text(yaml, key, notes)
    };
    let (each, filter) = (word("each", notes), word("filter", notes));
    let (map, task) = (word("map", notes), word("task", notes));
    let wait = word("wait", notes);
    let gives = keys.maybe("gives").and_then(|yaml| shape(yaml, notes));
    let within = keys
        .maybe("within")
        .and_then(|yaml| number(yaml, "within", notes));
    let ring = keys.maybe("ring").and_then(|yaml| ring(yaml, notes));
    let settle = keys.maybe("settle").and_then(|yaml| settle(yaml, notes));
    let inputs = fields(&mut keys, "inputs", notes);
    let matches = fields(&mut keys, "match", notes);
    keys.end(notes);
    Some(Node {
        after,
        each,
        filter,
        gives,
        inputs,
        map,
        matches,
        ring,
        settle,
        task,
        wait,
        within,
    })
}

fn ring(yaml: &Yaml, notes: &mut Notes) -> Option<Address> {
    let ring = text(yaml, "the ring", notes)?.parse();
    let told = |error: rings_protocol::ParseIdError| notes.add(yaml.at, error.to_string());
    ring.map_err(told).ok()
}

fn settle(yaml: &Yaml, notes: &mut Notes) -> Option<Settle> {
    match text(yaml, "settle", notes)?.as_str() {
        "chain" => Some(Settle::Chain),
        other => {
            let what = format!("settle is {other}; write chain, or leave it out");
            notes.add(yaml.at, what);
            None
        }
    }
}

/// Values by the names of fields, as they are written.
fn fields(keys: &mut Keys<'_>, key: &'static str, notes: &mut Notes) -> Fields {
    let written = named(keys.maybe(key), (key, MAX_FIELDS), notes);
    let fields = written.into_iter();
    fields
        .map(|(key, value)| (key.text.clone(), value.to_data()))
        .collect()
}
