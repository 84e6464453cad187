//! `service.yml`: the definition of a service as a person writes it.
//!
//! It differs from the canonical definition in that a program is named by its file, and that a service on which it depends may be.
//! Whoever reads it hashes the files ([`ServiceDraft::programs`], [`ServiceDraft::depends`]) and gives their CIDs to
//! [`ServiceDraft::resolve`] and [`ServiceDraft::finish`].

use crate::{
    bounds::{MAX_FIELDS, MAX_STATUSES, MAX_TASKS},
    data::Fields,
    event_origin::EventOrigin,
    external_file::{retry, runners},
    message_origin::MessageOrigin,
    mistake::{At, Mistakes, Notes},
    origin::Origin,
    reader::{name, named, number, text, texts, Keys},
    result_origin::ResultOrigin,
    service::{EventKind, Fault, Observed, Service, Task, VERSION},
    shape::{Record, Shape},
    yaml::Yaml,
};
use cid::Cid;
use rings_protocol::{Address, ParseIdError};
use std::collections::BTreeMap;

/// A service whose programs are not hashed yet.
#[derive(Debug)]
pub struct ServiceDraft {
    file: String,
    root: Yaml,
    service: Service,
    programs: BTreeMap<String, (At, String)>,
    /// Dependencies that are named by a file, until they are resolved.
    depends: BTreeMap<String, (At, String)>,
    /// Those that cannot be resolved, and why.
    unresolved: Vec<(At, String)>,
}

impl ServiceDraft {
    /// Reads `service.yml`.
    ///
    /// # Errors
    /// All mistakes that can be seen without the programs.
    pub fn read(file: &str, content: &str) -> Result<Self, Mistakes> {
        let root = Yaml::read(file, content)?;
        let mut notes = Notes::of(file);
        let read = service(&root, &mut notes);
        let (service, Files { programs, depends }) = notes.end(read)?;
        Ok(Self {
            file: file.to_owned(),
            root,
            service,
            programs,
            depends,
            unresolved: Vec::new(),
        })
    }

    /// The dependencies that are named by a file: the path of a `service.yml`, or its directory.
    pub fn depends(&self) -> impl Iterator<Item = &str> {
        self.depends.values().map(|(_, file)| file.as_str())
    }

    /// Puts the service hash in the place of each dependency that is named by a file. One that `read` cannot give is a mistake
    /// of [`ServiceDraft::finish`].
    pub fn resolve(&mut self, mut read: impl FnMut(&str) -> Result<Cid, String>) {
        for (name, (at, file)) in std::mem::take(&mut self.depends) {
            match read(&file) {
                Ok(cid) => drop(self.service.depends.insert(name, cid)),
                Err(what) => self.unresolved.push((at, what)),
            }
        }
    }

    /// The tasks that have a program, and how the file names it: a path beside the file, or a CID.
    pub fn programs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.programs
            .iter()
            .map(|(task, (_, program))| (task.as_str(), program.as_str()))
    }

    /// The definition, with the CID of each program, or why there is none.
    ///
    /// # Errors
    /// All mistakes, with their places.
    pub fn finish(
        mut self,
        mut program: impl FnMut(&str) -> Result<Cid, String>,
    ) -> Result<Service, Mistakes> {
        let mut notes = Notes::of(&self.file);
        self.resolve(|file| {
            Err(format!(
                "{file} is no service hash; `rings service show` prints one"
            ))
        });
        for (at, what) in &self.unresolved {
            notes.add(*at, what.clone());
        }
        for (task, (at, named)) in &self.programs {
            match (program(named), self.service.tasks.get_mut(task)) {
                (Ok(cid), Some(task)) => task.program = Some(cid),
                (Err(what), _) => notes.add(*at, what),
                _ => {}
            }
        }
        if notes.is_empty() {
            add(&self.root, self.service.faults(), &mut notes);
        }
        notes.end(Some(self.service))
    }
}

/// Notes faults of a definition at the places of the file that it was read from.
pub(crate) fn add(root: &Yaml, faults: Vec<Fault>, notes: &mut Notes) {
    for fault in faults {
        let path: Vec<&str> = fault.path.iter().map(String::as_str).collect();
        notes.add(root.place(&path), fault.what);
    }
}

/// What is named by its file.
struct Files {
    programs: BTreeMap<String, (At, String)>,
    depends: BTreeMap<String, (At, String)>,
}

fn service(root: &Yaml, notes: &mut Notes) -> Option<(Service, Files)> {
    let mut keys = Keys::of(root, "a service", notes)?;
    let title = keys.must("service", notes);
    let title =
        title.and_then(|yaml| Some((text(yaml, "the name of the service", notes)?, yaml.at)));
    let title = title.and_then(|(title, at)| name(&title, at, notes));
    let about = about(&mut keys, notes);
    let config = texts(keys.maybe("config"), "a name of the configuration", notes);
    let config = config
        .into_iter()
        .filter_map(|(at, text)| name(text, at, notes))
        .collect();
    let (mut depends, mut files) = (BTreeMap::new(), BTreeMap::new());
    for (key, value) in named(keys.maybe("depends"), ("depends", MAX_FIELDS), notes) {
        let Some(hash) = text(value, "a dependency", notes) else {
            continue;
        };
        match hash.parse::<Cid>() {
            Ok(cid) => {
                depends.insert(key.text.clone(), cid);
            }
            Err(_) => {
                files.insert(key.text.clone(), (value.at, hash));
            }
        }
    }
    let mut events = BTreeMap::new();
    for (key, value) in named(keys.maybe("events"), ("events", MAX_TASKS), notes) {
        events.extend(event(value, notes).map(|event| (key.text.clone(), event)));
    }
    let (mut tasks, mut programs) = (BTreeMap::new(), BTreeMap::new());
    for (key, value) in named(keys.maybe("tasks"), ("tasks", MAX_TASKS), notes) {
        let Some((task, program)) = task(value, notes) else {
            continue;
        };
        tasks.insert(key.text.clone(), task);
        programs.extend(program.map(|program| (key.text.clone(), program)));
    }
    keys.end(notes);
    let service = Service {
        about,
        config,
        depends,
        events,
        service: title?,
        tasks,
        version: VERSION,
    };
    let files = Files {
        programs,
        depends: files,
    };
    Some((service, files))
}

/// The value of `about`.
pub(crate) fn about(keys: &mut Keys<'_>, notes: &mut Notes) -> String {
    let yaml = keys.maybe("about");
    yaml.and_then(|yaml| text(yaml, "about", notes))
        .unwrap_or_default()
}

fn event(yaml: &Yaml, notes: &mut Notes) -> Option<EventKind> {
    let mut keys = Keys::of(yaml, "an event", notes)?;
    let about = about(&mut keys, notes);
    let data = record(keys.maybe("data"), "data", notes);
    let from = keys.maybe("from").and_then(|yaml| origin(yaml, notes));
    let observed = keys.maybe("observed");
    let observed = observed.and_then(|yaml| match text(yaml, "observed", notes)?.as_str() {
        "quorum" => Some(Observed::Quorum),
        other => {
            notes.add(
                yaml.at,
                format!("observed is {other}; write quorum, or leave it out"),
            );
            None
        }
    });
    keys.end(notes);
    Some(EventKind {
        about,
        data,
        from,
        observed,
    })
}

/// Where events come from that nobody has to tell.
fn origin(yaml: &Yaml, notes: &mut Notes) -> Option<EventOrigin> {
    let mut keys = Keys::of(yaml, "from", notes)?;
    let has = [
        keys.maybe("message").is_some(),
        keys.maybe("results").is_some(),
        keys.maybe("contract").is_some(),
    ];
    if has.iter().filter(|has| **has).count() > 1 {
        notes.add(
            keys.at,
            "from has more than one of contract, message and results; make an event of each",
        );
        return None;
    }
    let choice = keys.maybe("where");
    let choice = choice.and_then(|yaml| text(yaml, "where", notes));
    let origin = match has {
        [true, ..] => messages(&mut keys, choice, notes).map(EventOrigin::Message),
        [_, true, _] => results(&mut keys, choice, notes).map(EventOrigin::Result),
        _ => logs(&mut keys, choice, notes).map(EventOrigin::Log),
    };
    keys.end(notes);
    origin
}

fn address(yaml: Option<&Yaml>, what: &str, notes: &mut Notes) -> Option<Address> {
    let yaml = yaml?;
    let address = text(yaml, what, notes)?.parse();
    let told = |error: ParseIdError| notes.add(yaml.at, error.to_string());
    address.map_err(told).ok()
}

/// The logs of a contract.
fn logs(keys: &mut Keys<'_>, choice: Option<String>, notes: &mut Notes) -> Option<Origin> {
    let contract = address(keys.must("contract", notes), "the contract", notes);
    let log = keys.must("log", notes);
    let log = log.and_then(|yaml| text(yaml, "the log", notes));
    let confirmations = keys.maybe("confirmations");
    let confirmations = confirmations.and_then(|yaml| number(yaml, "confirmations", notes));
    Some(Origin {
        confirmations,
        contract: contract?,
        log: log?,
        choice,
    })
}

/// Messages in logs of a ring.
fn messages(
    keys: &mut Keys<'_>,
    choice: Option<String>,
    notes: &mut Notes,
) -> Option<MessageOrigin> {
    let (author, ring) = (keys.maybe("author"), keys.maybe("ring"));
    let message = keys.must("message", notes);
    let (kind, status) = (keys.maybe("type"), keys.maybe("status"));
    Some(MessageOrigin {
        author: address(author, "the author", notes),
        message: message.and_then(|yaml| text(yaml, "the domain of the messages", notes))?,
        ring: address(ring, "the ring", notes),
        status: status.and_then(|yaml| text(yaml, "the status", notes)),
        kind: kind.and_then(|yaml| text(yaml, "the type", notes)),
        choice,
    })
}

/// Results of a ring.
fn results(keys: &mut Keys<'_>, choice: Option<String>, notes: &mut Notes) -> Option<ResultOrigin> {
    let results = address(keys.must("results", notes), "the ring", notes);
    let confirmations = keys.maybe("confirmations");
    let confirmations = confirmations.and_then(|yaml| number(yaml, "confirmations", notes));
    Some(ResultOrigin {
        confirmations,
        results: results?,
        choice,
    })
}

type Program = Option<(At, String)>;

fn task(yaml: &Yaml, notes: &mut Notes) -> Option<(Task, Program)> {
    let mut keys = Keys::of(yaml, "a task", notes)?;
    let about = about(&mut keys, notes);
    let program = keys.maybe("program");
    let program = program.and_then(|yaml| Some((yaml.at, text(yaml, "the program", notes)?)));
    let external = keys.maybe("external");
    let external = external.and_then(|yaml| text(yaml, "the connector", notes));
    if program.is_some() == external.is_some() {
        notes.add(keys.at, "a task has either a program (program: FILE.wasm) or a connector (external: NAME); write one of the two");
    }
    let args = texts(keys.maybe("args"), "an argument", notes);
    let fuel = keys
        .maybe("fuel")
        .and_then(|yaml| number(yaml, "fuel", notes));
    let memory = keys
        .maybe("memory")
        .and_then(|yaml| number(yaml, "memory", notes));
    let seconds = keys
        .maybe("seconds")
        .and_then(|yaml| number(yaml, "seconds", notes));
    let retry = keys.maybe("retry").and_then(|yaml| retry(yaml, notes));
    let run = keys.maybe("run").and_then(|yaml| runners(yaml, notes));
    let mut with = Fields::new();
    for (key, value) in named(keys.maybe("with"), ("with", MAX_FIELDS), notes) {
        with.insert(key.text.clone(), value.to_data());
    }
    let inputs = record(keys.maybe("inputs"), "inputs", notes);
    let mut emits = BTreeMap::new();
    for (key, value) in named(keys.maybe("emits"), ("emits", MAX_STATUSES), notes) {
        let event = text(value, "the event", notes);
        emits.extend(event.map(|event| (key.text.clone(), event)));
    }
    let mut statuses = BTreeMap::new();
    let written = keys.must("statuses", notes);
    for (key, value) in named(written, ("statuses", MAX_STATUSES), notes) {
        statuses.insert(
            key.text.clone(),
            record(Some(value), "the outputs of a status", notes),
        );
    }
    keys.end(notes);
    let task = Task {
        about,
        args: args.into_iter().map(|(_, text)| text.to_owned()).collect(),
        emits,
        external,
        fuel,
        inputs,
        memory,
        program: None,
        retry,
        run,
        seconds,
        statuses,
        with,
    };
    Some((task, program))
}

/// Fields and their shapes. A shape that is a word is a type: `kwh: integer`.
fn record(yaml: Option<&Yaml>, what: &str, notes: &mut Notes) -> Record {
    let mut fields = BTreeMap::new();
    for (key, value) in named(yaml, (what, MAX_FIELDS), notes) {
        fields.extend(shape(value, notes).map(|shape| (key.text.clone(), shape)));
    }
    Record::new(fields)
}

/// A shape as it is written in a file.
pub(crate) fn shape(yaml: &Yaml, notes: &mut Notes) -> Option<Shape> {
    use crate::data::{Data, Fields};
    let schema = match yaml.to_data() {
        Data::Text(word) if word == "file" => Fields::from([
            ("format".into(), crate::shape::FILE_FORMAT.into()),
            ("type".into(), "string".into()),
        ])
        .into(),
        Data::Text(word) => Fields::from([("type".into(), word.into())]).into(),
        other => other,
    };
    match Shape::new(schema) {
        Ok(shape) => Some(shape),
        Err(error) => {
            let path: Vec<&str> = error.path.iter().map(String::as_str).collect();
            notes.add(yaml.place(&path), error.what);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{cid_of, Document};

    const CAR: &str = "\
service: car
about: Charging electric cars
config: [tariff]
events:
  charged:
    data: {kwh: {type: integer, minimum: 1}, driver: string}
tasks:
  price:
    program: price.wasm
    args: [--fast]
    inputs: {kwh: integer}
    statuses:
      priced: {cents: integer}
      unknown: {}
  tell:
    external: mail
    inputs: {text: string}
    statuses: {sent: {}}
";

    fn service(text: &str) -> Result<Service, Mistakes> {
        ServiceDraft::read("service.yml", text)?.finish(|_| Ok(cid_of(b"program")))
    }

    #[test]
    fn a_definition_has_one_canonical_form() {
        let one = service(CAR).unwrap();
        let bytes = one.to_bytes().unwrap();
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(
            text.starts_with(
                r#"{"about":"Charging electric cars","config":["tariff"],"events":{"charged":"#
            ),
            "{text}"
        );
        assert_eq!(Service::from_bytes(&bytes).unwrap(), one);
        // Another order of lines, quotes and comments are the same definition.
        let other = CAR.replace(
            "about: Charging electric cars\nconfig: [tariff]\n",
            "config:\n  - 'tariff' # in cents\n",
        ) + "about: \"Charging electric cars\"\n";
        assert_eq!(service(&other).unwrap().cid().unwrap(), one.cid().unwrap());
        assert_ne!(
            service(&CAR.replace("minimum: 1", "minimum: 2"))
                .unwrap()
                .cid()
                .unwrap(),
            one.cid().unwrap()
        );
        let spaced = text.replacen(':', ": ", 1);
        assert!(Service::from_bytes(spaced.as_bytes()).is_err());
    }

    #[test]
    fn mistakes_have_a_line_and_say_what_to_do() {
        for (from, to, told) in [
            (
                "service: car\n",
                "",
                "service.yml:1:1: a service has no service; add it",
            ),
            (
                "    args: [--fast]\n",
                "    argz: []\n",
                "service.yml:10:5: a task has no key argz; it may have about, args",
            ),
            (
                "type: integer, minimum",
                "type: integr, minimum",
                "service.yml:6:",
            ),
            (
                "external: mail",
                "program: x.wasm\n    external: mail",
                "service.yml:16:5: a task has either a program",
            ),
            (
                "statuses: {sent: {}}",
                "statuses: {}",
                "name at least one outcome",
            ),
            ("kwh: integer}", "a-b: integer}", "\"a-b\" is no name"),
            (
                "fast]",
                "fast, 1]",
                "service.yml:10:20: an argument is a number",
            ),
            (
                "inputs: {text: string}",
                "inputs: {a: file, b: file}",
                "a task has one at most",
            ),
            ("config: [tariff]", "config: 7", "service.yml:3:9"),
            (
                "  tell:",
                "    emits: {priced: charged}\n  tell:",
                "service.yml:15:13: the data of event charged have driver",
            ),
            (
                "  tell:",
                "    emits: {prised: charged}\n  tell:",
                "service.yml:15:13: the task has no status prised",
            ),
            (
                "driver: string}",
                "driver: string}\n    from: {contract: \"0x12\", log: \"C(uint256 kwh)\"}",
                "expected 0x and 40",
            ),
            (
                "driver: string}",
                "driver: string}\n    from: {contract: \"0x0101010101010101010101010101010101010101\", log: \"C(uint256 kwh)\"}",
                "the log has no parameter driver",
            ),
            (
                "driver: string}",
                "driver: string}\n    from: {message: chat, results: \"0x0101010101010101010101010101010101010101\"}",
                "service.yml:7:11: from has more than one of contract, message and results",
            ),
            (
                "driver: string}",
                "driver: string}\n    from: {message: chat, log: x}",
                "service.yml:7:27: from has no key log; it may have",
            ),
            (
                "driver: string}",
                "driver: string}\n    from: {message: processes}",
                "service.yml:7:12: messages of domain processes follow from what processes do",
            ),
            (
                "driver: string}",
                "driver: string}\n    from: {message: chat, author: Bob}",
                "service.yml:7:35: expected 0x and 40",
            ),
            (
                "driver: string}",
                "driver: string}\n    from: {results: \"0x0101010101010101010101010101010101010101\"}",
                "service.yml:7:12: a result has no driver, which the data name; it has failed, gate",
            ),
        ] {
            let text = CAR.replace(from, to);
            assert_ne!(text, CAR, "{from}");
            let told_us = service(&text).unwrap_err().to_string();
            assert!(told_us.contains(told), "{told}\n{told_us}");
        }
    }

    #[test]
    fn messages_and_results_are_sources_of_events() {
        let at = "0x0101010101010101010101010101010101010101";
        for (from, canonical) in [
            (
                format!("{{message: chat, type: message, ring: \"{at}\", where: event.kwh > 1}}"),
                format!(
                    r#""from":{{"message":"chat","ring":"{at}","type":"message","where":"event.kwh > 1"}}"#
                ),
            ),
            (
                format!("{{message: chat, status: new, author: \"{at}\"}}"),
                format!(r#""from":{{"author":"{at}","message":"chat","status":"new"}}"#),
            ),
        ] {
            let text = CAR.replace(
                "driver: string}",
                &format!("driver: string}}\n    from: {from}"),
            );
            let bytes = service(&text).unwrap().to_bytes().unwrap();
            let shown = String::from_utf8(bytes.clone()).unwrap();
            assert!(shown.contains(&canonical), "{shown}");
            assert!(Service::from_bytes(&bytes).is_ok());
        }
        let text = format!("service: s\nevents:\n  landed:\n    from: {{results: \"{at}\", confirmations: 3}}\n    data: {{output: file}}\n");
        let bytes = service(&text).unwrap().to_bytes().unwrap();
        let shown = String::from_utf8(bytes.clone()).unwrap();
        let canonical = format!(r#""from":{{"confirmations":3,"results":"{at}"}}"#);
        assert!(shown.contains(&canonical), "{shown}");
        assert!(Service::from_bytes(&bytes).is_ok());
    }

    #[test]
    fn a_dependency_is_named_by_its_hash_or_its_file() {
        let text = CAR.replace("config:", "depends: {mail: ../mail}\nconfig:");
        let mut draft = ServiceDraft::read("service.yml", &text).unwrap();
        assert_eq!(draft.depends().collect::<Vec<_>>(), ["../mail"]);
        draft.resolve(|_| Ok(cid_of(b"mail")));
        let by_file = draft.finish(|_| Ok(cid_of(b"program"))).unwrap();
        let hash = cid_of(b"mail").to_string();
        let by_hash = service(&text.replace("../mail", &hash)).unwrap();
        assert_eq!(by_file.cid().unwrap(), by_hash.cid().unwrap());
        let mut draft = ServiceDraft::read("service.yml", &text).unwrap();
        draft.resolve(|file| Err(format!("{file} leads back here")));
        let told = draft.finish(|_| Ok(cid_of(b"program"))).unwrap_err();
        let at = told.to_string();
        assert!(
            at.contains("service.yml:3:17: ../mail leads back here"),
            "{at}"
        );
        let told = service(&text).unwrap_err().to_string();
        assert!(told.contains("is no service hash"), "{told}");
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let text = CAR
            .replace("service: car", "service: 7")
            .replace("config: [tariff]", "confg: []");
        let mistakes = service(&text).unwrap_err();
        let lines: Vec<_> = mistakes.0.iter().map(|mistake| mistake.at.line).collect();
        assert_eq!(lines, [1, 3]);
    }
}
