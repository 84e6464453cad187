//! What a person, or a file, tells `rings process dev`: events, and the time.
//!
//! One line is one thing: the data of an event as JSON, `again` and the data for one that was there before, or `time SECONDS`
//! for the time of a block, which makes due what a schedule or a deadline waits for. The name of an event for which a node waits
//! stands before its data.

use crate::{exit::ExitError, run::content::Content};
use cid::Cid;
use rings_process::{
    data::{Data, Fields},
    event::{Event, Source, VERSION},
    files,
    plan::{Plan, WaitStep},
    reference::Reference,
    shape::Record,
};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Nothing: it is empty, or a comment.
    Nothing,
    /// An event with these data; a new one even if it was there before.
    Event {
        /// Its name, if it is not the one that starts the process.
        name: Option<String>,
        /// The data.
        data: Fields,
        /// Whether it is another event than one with the same data.
        again: bool,
    },
    /// The time of a block, in seconds since 1970.
    Time(u64),
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            return Ok(Self::Nothing);
        }
        if let Some(time) = text.strip_prefix("time ") {
            let time = time.trim().parse();
            return time.map(Self::Time).map_err(|_| {
                format!("{text:?} names no time; write time and the seconds since 1970")
            });
        }
        let (text, again) = match text.strip_prefix("again ") {
            Some(text) => (text, true),
            None => (text, false),
        };
        let (name, text) = match text.split_once(char::is_whitespace) {
            Some((name, data)) if is_name(name) => (Some(name.to_owned()), data.trim()),
            _ => (None, text),
        };
        let data = data(text)?;
        Ok(Self::Event { name, data, again })
    }
}

/// Whether this is the name of an event, alone or behind that of its service.
fn is_name(text: &str) -> bool {
    Reference::parse(text).is_some_and(|reference| reference.path.len() <= 1)
}

/// The data of an event.
///
/// # Errors
/// What is wrong with them, in words.
pub fn data(text: &str) -> Result<Fields, String> {
    match serde_json::from_str(text) {
        Ok(Data::Map(fields)) => Ok(fields),
        Ok(other) => Err(format!(
            "the data of an event are {}, and not an object; write {{\"field\": value}}",
            other.kind()
        )),
        Err(error) => Err(format!(
            "not the data of an event: {error}; write {{\"field\": value}}"
        )),
    }
}

/// An event by hand for which a node waits, by its name, and the shape of its data.
pub fn awaited<'p>(plan: &'p Plan, named: &str) -> Option<(&'p WaitStep, &'p Record)> {
    let is_it = |wait: &WaitStep| match named.split_once('.') {
        Some((service, event)) => wait.service_name == service && wait.event == event,
        None => wait.event == named,
    };
    let (_, wait) = plan.waits().find(|(_, wait)| is_it(wait))?;
    let service = plan.services().get(&wait.service_name)?;
    Some((wait, &service.events.get(&wait.event)?.data))
}

/// An event by hand that starts the process of this plan.
///
/// # Errors
/// When the process is started by its schedule only.
pub fn by_hand(plan: &Plan, data: Fields, nonce: u64) -> Result<Event, String> {
    let Some((service, event)) = plan.event() else {
        return Err(
            "this process is started by its schedule; write time and the seconds since 1970".into(),
        );
    };
    Ok(Event {
        data,
        event: event.to_owned(),
        instance: None,
        process: None,
        service: Some(service),
        source: Source::Hand { nonce },
        version: VERSION,
    })
}

/// Reads the files that the data name as `@PATH`, and puts their CIDs in the place of the paths.
///
/// # Errors
/// Status 2 when a file cannot be read.
pub async fn take_files(
    shape: &Record,
    data: &mut Fields,
) -> Result<BTreeMap<Cid, Arc<Content>>, ExitError> {
    let mut paths = Vec::new();
    files::visit(shape, data, &mut |text| {
        paths.extend(text.strip_prefix('@').map(str::to_owned));
    });
    let mut contents = BTreeMap::new();
    let mut cids = Vec::with_capacity(paths.len());
    for path in paths {
        let content = Content::path(Path::new(&path)).await?;
        cids.push(content.cid());
        contents.insert(content.cid(), Arc::new(content));
    }
    let mut cids = cids.into_iter();
    files::visit(shape, data, &mut |text| {
        if text.starts_with('@') {
            if let Some(cid) = cids.next() {
                *text = cid.to_string();
            }
        }
    });
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_event_or_a_time() {
        let fields = Fields::from([("n".to_owned(), Data::Int(1))]);
        let named = |name: Option<&str>, again| {
            Ok(Line::Event {
                name: name.map(str::to_owned),
                data: fields.clone(),
                again,
            })
        };
        let event = |again| named(None, again);
        assert_eq!(Line::read(r#"paid {"n": 1}"#), named(Some("paid"), false));
        assert_eq!(
            Line::read(r#"again s.paid {"n": 1}"#),
            named(Some("s.paid"), true)
        );
        assert_eq!(Line::read(r#" {"n": 1} "#), event(false));
        assert_eq!(Line::read(r#"again {"n":1}"#), event(true));
        assert_eq!(Line::read("time 60"), Ok(Line::Time(60)));
        assert_eq!(Line::read("# a comment"), Ok(Line::Nothing));
        assert_eq!(Line::read(""), Ok(Line::Nothing));
        for (text, told) in [
            ("7", "not an object"),
            ("{n}", "not the data"),
            ("time soon", "names no time"),
            (r#"{"n":0.5}"#, "smallest unit"),
        ] {
            let wrong = Line::read(text).unwrap_err();
            assert!(wrong.contains(told), "{wrong}");
        }
    }
}
