//! What a definition says about an external task: who runs it, how long and how often, and what is wrong with that.

use super::Task;
use crate::{
    bounds::{EXTERNAL_SECONDS, MAX_EXTERNAL_SECONDS, MAX_PAUSE_SECONDS, MAX_TRIES},
    data::{Data, Fields},
    runners::{
        Runners, BY, CONFIG, HTTP, HTTP_BODY, HTTP_CODE, HTTP_OK, HTTP_REFUSED, INPUTS, SEEN,
    },
    shape::{Record, Shape},
    template::Template,
};
use std::collections::{BTreeMap, BTreeSet};

impl Task {
    /// Who runs it, if it is external.
    pub fn runners(&self) -> Runners {
        self.run.unwrap_or_default()
    }

    /// Seconds that one try may take.
    pub fn limit(&self) -> u64 {
        self.seconds.unwrap_or(EXTERNAL_SECONDS)
    }

    /// How often it is tried in all.
    pub fn tries(&self) -> u64 {
        self.retry.as_ref().map_or(1, |retry| retry.tries)
    }

    /// Seconds between a try that failed and the next one: `failed` is how many have failed.
    pub fn pause(&self, failed: u64) -> u64 {
        let first = self.retry.as_ref().map_or(0, |retry| retry.pause);
        let doubled = first.checked_shl(u32::try_from(failed.saturating_sub(1)).unwrap_or(63));
        doubled.unwrap_or(MAX_PAUSE_SECONDS).min(MAX_PAUSE_SECONDS)
    }

    /// Seconds after which all tries of one member are over.
    pub fn longest(&self) -> u64 {
        let pauses: u64 = (1..self.tries()).map(|failed| self.pause(failed)).sum();
        self.limit() * self.tries() + pauses
    }

    /// What later nodes see of a status: its outputs, or what each member saw.
    pub fn given(&self, status: &str) -> Option<Record> {
        let outputs = self.statuses.get(status)?;
        if self.external.is_none() || self.runners() == Runners::One {
            return Some(outputs.clone());
        }
        let text = Data::from(Fields::from([("type".to_owned(), "string".into())]));
        let texts = Fields::from([
            ("items".to_owned(), text),
            ("type".to_owned(), "array".into()),
        ]);
        Some(Record::new(BTreeMap::from([
            (BY.to_owned(), Shape::new(texts.into()).ok()?),
            (SEEN.to_owned(), Shape::list_of(outputs)),
        ])))
    }

    /// What is wrong with the keys that are for external tasks, or for programs: the key, and what to do.
    pub(crate) fn external_faults(&self, config: &BTreeSet<String>) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if self.external.is_none() {
            for (key, is_there) in [
                ("retry", self.retry.is_some()),
                ("run", self.run.is_some()),
                ("seconds", self.seconds.is_some()),
                ("with", !self.with.is_empty()),
            ] {
                if is_there {
                    faults.push((
                        key,
                        format!("{key} is for external tasks; a program has args, fuel and memory"),
                    ));
                }
            }
            return faults;
        }
        for (key, is_there) in [
            ("args", !self.args.is_empty()),
            ("fuel", self.fuel.is_some()),
            ("memory", self.memory.is_some()),
        ] {
            if is_there {
                faults.push((
                    key,
                    format!(
                        "{key} is for programs; an external task has with, run, seconds and retry"
                    ),
                ));
            }
        }
        if self.file().is_some() {
            faults.push((
                "inputs",
                "an external task gets no files; give it the CID as a text (string)".into(),
            ));
        }
        if !(1..=MAX_EXTERNAL_SECONDS).contains(&self.limit()) {
            faults.push((
                "seconds",
                format!(
                    "{} seconds; give a number from 1 to {MAX_EXTERNAL_SECONDS}",
                    self.limit()
                ),
            ));
        }
        if !(1..=MAX_TRIES).contains(&self.tries()) {
            faults.push((
                "retry",
                format!(
                    "{} tries; give a number from 1 to {MAX_TRIES}",
                    self.tries()
                ),
            ));
        }
        if self
            .retry
            .as_ref()
            .is_some_and(|retry| retry.pause > MAX_PAUSE_SECONDS)
        {
            faults.push((
                "retry",
                format!("a pause of more than {MAX_PAUSE_SECONDS} seconds; give a shorter one"),
            ));
        }
        if self.runners() == Runners::Each && self.statuses.len() != 1 {
            faults.push(("statuses", "a task that each member runs has one status: what it gives is a list of what they saw".into()));
        }
        faults.extend(self.settings_fault(config).map(|what| ("with", what)));
        if self.external.as_deref() == Some(HTTP) {
            faults.extend(self.http_fault());
        }
        faults
    }

    /// What is wrong with a question to a web page.
    fn http_fault(&self) -> Option<(&'static str, String)> {
        const KNOWN: [&str; 5] = ["body", "headers", "method", "take", "url"];
        let known = KNOWN.join(", ");
        if let Some(other) = self.with.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            return Some(("with", format!("http has no {other}; it has {known}")));
        }
        if !matches!(self.with.get("url"), Some(Data::Text(_))) {
            return Some((
                "with",
                "http needs a url; write with: {url: \"https://…\"}".into(),
            ));
        }
        let other = self
            .statuses
            .keys()
            .find(|name| ![HTTP_OK, HTTP_REFUSED].contains(&name.as_str()));
        if other.is_some() || !self.statuses.contains_key(HTTP_OK) {
            return Some(("statuses", format!("http ends with {HTTP_OK}, or with {HTTP_REFUSED} where that is named; there are no others")));
        }
        let taken = self.with.get("take");
        for (status, outputs) in &self.statuses {
            for (output, _) in outputs.iter() {
                let is_taken =
                    taken.is_some_and(|taken| matches!(taken.field(output), Some(Data::Text(_))));
                if !is_taken && ![HTTP_CODE, HTTP_BODY].contains(&output) {
                    return Some(("statuses", format!("{status} has {output}, which http does not give; it gives {HTTP_CODE} and {HTTP_BODY}, and what with.take names: {{{output}: /path/in/the/json}}")));
                }
            }
        }
        None
    }

    /// What is wrong with what a connector gets.
    fn settings_fault(&self, config: &BTreeSet<String>) -> Option<String> {
        let template = match Template::read(&Data::Map(self.with.clone())) {
            Ok(template) => template,
            Err(error) => return Some(error.to_string()),
        };
        template.references().into_iter().find_map(|reference| {
            let first = reference.path.first().map(String::as_str).unwrap_or_default();
            match reference.root.as_str() {
                INPUTS if self.inputs.get(first).is_some() => None,
                CONFIG if config.contains(first) => None,
                _ => Some(format!(
                    "{reference} is not known here; write inputs.NAME (an input of the task) or config.NAME (a name under config)"
                )),
            }
        })
    }
}
