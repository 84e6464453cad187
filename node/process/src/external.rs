//! External tasks: what no ring can repeat, such as a mail or a question to a web page, is done by a connector of a member.
//!
//! The definition of such a task says what the connector gets (`with`), who runs it ([`Runners`](crate::runners::Runners)), how
//! long it may take, and how often it is tried. [`Call`] is what a connector reads, [`read`] takes what it has written. Where
//! each member runs it, every answer counts, and [`together`] makes one of them. Values of a configuration go into a call and nowhere else:
//! [`Secrets`] finds them in what a connector has written.

use crate::{
    bounds::MAX_ANSWER_BYTES,
    data::{Data, Fields},
    document::{Document, DocumentError},
    execution::{Answer, Execution},
    runners::{BY, CONFIG, INPUTS, SEEN},
    service::Task,
    template::Template,
};
use rings_protocol::Address;
use serde::Serialize;
use std::collections::BTreeMap;

/// Values of a configuration that are shorter are too common to be looked for.
const SHORTEST_SECRET: usize = 4;

/// What a connector reads: one line of JSON. It may hold values of the configuration, so it is printed nowhere.
#[derive(Clone, Serialize)]
pub struct Call {
    /// The how many-th try this is, from 1.
    pub attempt: u64,
    /// The task's inputs.
    pub inputs: Fields,
    /// The same for each try and each member: the id of the execution. What was done under it is not to be done again.
    pub key: String,
    /// The task.
    pub task: String,
    /// What the definition of the task gives to the connector.
    pub with: Fields,
}

impl Call {
    /// The first try of an execution, with the values of an instance.
    ///
    /// # Errors
    /// Why it cannot be made, in words, and without any value of the configuration.
    pub fn new(task: &Task, execution: &Execution, config: &Fields) -> Result<Self, String> {
        let key = execution.cid().map_err(|error| error.to_string())?;
        let template =
            Template::read(&Data::Map(task.with.clone())).map_err(|error| error.to_string())?;
        let known = Fields::from([
            (INPUTS.to_owned(), Data::Map(execution.inputs.clone())),
            (CONFIG.to_owned(), Data::Map(config.clone())),
        ]);
        let with = match template
            .resolve(&known)
            .map_err(|error| error.to_string())?
        {
            Data::Map(with) => with,
            _ => Fields::new(),
        };
        Ok(Self {
            attempt: 1,
            inputs: execution.inputs.clone(),
            key: key.to_string(),
            task: execution.task.clone(),
            with,
        })
    }
}

/// Values of a configuration, to be found in what somebody has written.
pub struct Secrets(Vec<String>);

impl Secrets {
    /// The texts and numbers of a configuration that are long enough to be told from others.
    pub fn of(config: &Fields) -> Self {
        let mut found = Vec::new();
        let mut open: Vec<&Data> = config.values().collect();
        while let Some(value) = open.pop() {
            match value {
                Data::List(list) => open.extend(list),
                Data::Map(fields) => open.extend(fields.values()),
                Data::Text(_) | Data::Int(_) => {
                    let text = value.to_text();
                    let quoted = serde_json::Value::from(text.as_str()).to_string();
                    found.push(quoted.trim_matches('"').to_owned());
                    found.push(text);
                }
                Data::Null | Data::Bool(_) => {}
            }
        }
        found.retain(|text| text.len() >= SHORTEST_SECRET);
        Self(found)
    }

    /// Whether one of them stands in a text.
    pub fn are_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret.as_str()))
    }

    /// A reason, unless one of them stands in it.
    pub fn without(&self, reason: String) -> String {
        match self.are_in(&reason) {
            true => "its failure cannot be shown: a value of the configuration is in what it says"
                .into(),
            false => reason,
        }
    }
}

/// What a connector has written, as a document that others can name: one of the task's statuses with its outputs.
///
/// # Errors
/// Why it is none, in words, and without any value of the configuration.
pub fn read(task: &Task, bytes: &[u8], secrets: &Secrets) -> Result<Vec<u8>, String> {
    if bytes.len() > MAX_ANSWER_BYTES {
        return Err(format!("it wrote more than {MAX_ANSWER_BYTES} bytes"));
    }
    // What the decoder says could show a value.
    let answer: Answer = serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("its output is no answer (line {line}, column {column}); a connector writes {{\"status\": …, \"outputs\": {{…}}}}, without fractions")
    })?;
    fits(task, &answer).map_err(|what| secrets.without(what))?;
    let bytes = answer.to_bytes().map_err(|error| error.to_string())?;
    match secrets.are_in(&String::from_utf8_lossy(&bytes)) {
        true => Err(
            "a value of the configuration is in its answer; a connector must not tell it".into(),
        ),
        false => Ok(bytes),
    }
}

/// Whether an answer of one member is one of the task's statuses, with its outputs.
///
/// # Errors
/// Why it is not, in words.
pub fn fits(task: &Task, answer: &Answer) -> Result<(), String> {
    let record = task.statuses.get(&answer.status).ok_or_else(|| {
        let known: Vec<_> = task.statuses.keys().map(String::as_str).collect();
        let shown: String = answer.status.chars().take(80).collect();
        format!(
            "its status {shown:?} is none of the task's: {}",
            known.join(", ")
        )
    })?;
    let checker = record.checker().map_err(|error| error.what)?;
    checker
        .check(&answer.outputs)
        .map_err(|misfit| format!("its output {misfit}"))?;
    match Data::Map(answer.outputs.clone()).is_within_bounds() {
        true => Ok(()),
        false => Err("its outputs are nested too deep, or too many".into()),
    }
}

/// One answer of what several members saw, in the order of their addresses.
///
/// # Errors
/// [`DocumentError::TooLong`].
pub fn together(task: &Task, seen: &BTreeMap<Address, Answer>) -> Result<Vec<u8>, DocumentError> {
    let by = seen.keys().map(|member| Data::Text(member.to_string()));
    let outputs = seen
        .values()
        .map(|answer| Data::Map(answer.outputs.clone()));
    let answer = Answer {
        outputs: Fields::from([
            (BY.to_owned(), Data::List(by.collect())),
            (SEEN.to_owned(), Data::List(outputs.collect())),
        ]),
        status: task.statuses.keys().next().cloned().unwrap_or_default(),
    };
    answer.to_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{document::cid_of, execution::VERSION, service_file::ServiceDraft};

    fn task(text: &str) -> Task {
        let text = format!("service: s\nconfig: [token]\ntasks:\n  t: {text}\n");
        let draft = ServiceDraft::read("service.yml", &text).unwrap();
        let service = draft.finish(|_| Ok(cid_of(b"program"))).unwrap();
        service.tasks["t"].clone()
    }

    fn fault(text: &str) -> String {
        let text = format!("service: s\nconfig: [token]\ntasks:\n  t: {text}\n");
        let draft = ServiceDraft::read("service.yml", &text).unwrap();
        let told = draft.finish(|_| Ok(cid_of(b"program"))).unwrap_err();
        told.to_string()
    }

    fn execution() -> Execution {
        Execution {
            awaits: None,
            each: None,
            event: cid_of(b"event"),
            inputs: Fields::from([("to".to_owned(), "Ada".into())]),
            node: "n".into(),
            parents: Vec::new(),
            process: cid_of(b"process"),
            service: cid_of(b"service"),
            task: "t".into(),
            version: VERSION,
        }
    }

    const MAIL: &str = "{external: mail, inputs: {to: string}, with: {token: '${config.token}', text: 'Dear ${inputs.to}'}, statuses: {sent: {count: integer}}}";

    #[test]
    fn a_call_has_what_the_definition_gives_and_the_same_key_each_time() {
        let config = Fields::from([("token".to_owned(), "open sesame".into())]);
        let call = Call::new(&task(MAIL), &execution(), &config).unwrap();
        assert_eq!(call.with["token"], Data::from("open sesame"));
        assert_eq!(call.with["text"], Data::from("Dear Ada"));
        assert_eq!(call.key, execution().cid().unwrap().to_string());
        let missing = Call::new(&task(MAIL), &execution(), &Fields::new());
        assert_eq!(missing.err().unwrap(), "config.token is not there");
    }

    #[test]
    fn an_answer_is_canonical_and_a_secret_in_it_is_refused_without_telling_it() {
        let task = task(MAIL);
        let config = Fields::from([("token".to_owned(), "open \"sesame\"".into())]);
        let secrets = Secrets::of(&config);
        let bytes = read(
            &task,
            b" {\"status\": \"sent\", \"outputs\": {\"count\": 2}}\n",
            &secrets,
        );
        assert_eq!(
            bytes.unwrap(),
            br#"{"outputs":{"count":2},"status":"sent"}"#
        );
        for (wrong, told) in [
            ("", "its output is no answer (line 1, column 0)"),
            (
                "{\"status\": \"sent\", \"outputs\": {}}",
                "its output count: is missing",
            ),
            (
                "{\"status\": \"lost\", \"outputs\": {}}",
                "its status \"lost\" is none of the task's: sent",
            ),
            (
                "{\"status\": \"sent\", \"outputs\": {\"count\": 1.5}}",
                "without fractions",
            ),
            ("{\"status\": \"open \\\"sesame\\\"\"}", "cannot be shown"),
            (
                "{\"status\": \"sent\"} {\"status\": \"sent\"}",
                "is no answer",
            ),
        ] {
            let reason = read(&task, wrong.as_bytes(), &secrets).unwrap_err();
            assert!(reason.contains(told), "{reason}");
            assert!(!reason.contains("sesame"), "{reason}");
        }
        let long = vec![b' '; MAX_ANSWER_BYTES + 1];
        assert!(read(&task, &long, &secrets)
            .unwrap_err()
            .contains("more than"));
        let text = self::task("{external: mail, statuses: {sent: {text: string}}}");
        let leak = r#"{"status": "sent", "outputs": {"text": "it is open \"sesame\" today"}}"#;
        let reason = read(&text, leak.as_bytes(), &secrets).unwrap_err();
        assert!(
            reason.contains("in its answer") && !reason.contains("sesame"),
            "{reason}"
        );
    }

    #[test]
    fn what_each_member_saw_is_a_list_of_the_shape_that_later_nodes_see() {
        let task = task("{external: feed, run: each, statuses: {seen: {cents: integer}}}");
        let answer = |cents: i64| Answer {
            outputs: Fields::from([("cents".to_owned(), cents.into())]),
            status: "seen".into(),
        };
        let seen = BTreeMap::from([(Address([2; 20]), answer(5)), (Address([1; 20]), answer(7))]);
        let bytes = together(&task, &seen).unwrap();
        let both: Answer = serde_json::from_slice(&bytes).unwrap();
        let checker = task.given("seen").unwrap().checker().unwrap();
        checker.check(&both.outputs).unwrap();
        let Data::List(values) = &both.outputs[SEEN] else {
            panic!("{both:?}")
        };
        assert_eq!(values[0].field("cents"), Some(&Data::Int(7)));
    }

    #[test]
    fn pauses_are_doubled_and_all_tries_have_an_end() {
        let task = task(
            "{external: mail, seconds: 10, retry: {tries: 3, pause: 5}, statuses: {sent: {}}}",
        );
        assert_eq!((task.pause(1), task.pause(2)), (5, 10));
        assert_eq!(task.longest(), 3 * 10 + 5 + 10);
    }

    #[test]
    fn what_cannot_be_is_told_when_the_service_is_made() {
        for (text, told) in [
            (
                "{external: mail, fuel: 3, statuses: {sent: {}}}",
                "fuel is for programs",
            ),
            (
                "{program: p, seconds: 3, statuses: {sent: {}}}",
                "seconds is for external tasks",
            ),
            (
                "{external: mail, seconds: 0, statuses: {sent: {}}}",
                "0 seconds; give a number from 1",
            ),
            (
                "{external: mail, retry: {tries: 11, pause: 0}, statuses: {sent: {}}}",
                "11 tries",
            ),
            (
                "{external: mail, run: each, statuses: {a: {}, b: {}}}",
                "has one status",
            ),
            (
                "{external: mail, with: {x: '${config.password}'}, statuses: {a: {}}}",
                "config.password is not known here",
            ),
            (
                "{external: mail, inputs: {f: file}, statuses: {a: {}}}",
                "gets no files",
            ),
        ] {
            let fault = fault(text);
            assert!(fault.contains(told), "{fault}");
        }
    }
}
