//! Reads the values of a YAML file as what they should be, and notes what they are not.

use crate::{
    bounds::MAX_NAME_BYTES,
    mistake::{At, Notes},
    yaml::{Key, Value, Yaml},
};
use std::collections::BTreeSet;

/// A map of which the known keys are taken one by one.
#[derive(Debug)]
pub struct Keys<'y> {
    /// Where the map begins.
    pub at: At,
    what: String,
    entries: &'y [(Key, Yaml)],
    known: BTreeSet<&'static str>,
}

impl<'y> Keys<'y> {
    /// The map; `None`, and a note, if it is not a map.
    pub fn of(yaml: &'y Yaml, what: impl Into<String>, notes: &mut Notes) -> Option<Self> {
        let what = what.into();
        match &yaml.value {
            Value::Map(entries) => Some(Self {
                at: yaml.at,
                what,
                entries,
                known: BTreeSet::new(),
            }),
            _ => {
                notes.add(
                    yaml.at,
                    format!("{what} is {}; write a map of names and values", yaml.kind()),
                );
                None
            }
        }
    }

    /// The value of a key, if it is there.
    pub fn maybe(&mut self, key: &'static str) -> Option<&'y Yaml> {
        self.known.insert(key);
        let found = self.entries.iter().find(|(name, _)| name.text == key);
        found.map(|(_, value)| value)
    }

    /// The value of a key that has to be there.
    pub fn must(&mut self, key: &'static str, notes: &mut Notes) -> Option<&'y Yaml> {
        let found = self.maybe(key);
        if found.is_none() {
            notes.add(self.at, format!("{} has no {key}; add it", self.what));
        }
        found
    }

    /// Notes the keys that nobody has asked for.
    pub fn end(self, notes: &mut Notes) {
        for (key, _) in self.entries {
            if !self.known.contains(key.text.as_str()) {
                let known: Vec<_> = self.known.iter().copied().collect();
                notes.add(
                    key.at,
                    format!(
                        "{} has no key {}; it may have {}",
                        self.what,
                        key.text,
                        known.join(", ")
                    ),
                );
            }
        }
    }
}

/// The names and values of a map, at most `most`; nothing where it is left out.
pub fn named<'y>(
    yaml: Option<&'y Yaml>,
    (what, most): (&str, usize),
    notes: &mut Notes,
) -> Vec<(&'y Key, &'y Yaml)> {
    let Some(yaml) = yaml else {
        return Vec::new();
    };
    let entries = match &yaml.value {
        Value::Null => return Vec::new(),
        Value::Map(entries) => entries,
        _ => {
            notes.add(
                yaml.at,
                format!("{what} is {}; write a map of names and values", yaml.kind()),
            );
            return Vec::new();
        }
    };
    if entries.len() > most {
        notes.add(
            yaml.at,
            format!(
                "{what} has {} names; at most {most} are accepted",
                entries.len()
            ),
        );
        return Vec::new();
    }
    for (key, _) in entries {
        name(&key.text, key.at, notes);
    }
    entries.iter().map(|(key, value)| (key, value)).collect()
}

/// Notes a name that could not stand in a formula.
pub fn name(text: &str, at: At, notes: &mut Notes) -> Option<String> {
    let mut letters = text.chars();
    let first = letters.next().is_some_and(|c| c.is_ascii_alphabetic());
    let rest = letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
    if first && rest && text.len() <= MAX_NAME_BYTES {
        return Some(text.to_owned());
    }
    notes.add(
        at,
        format!("{text:?} is no name; begin with a letter, then letters, digits and _, {MAX_NAME_BYTES} at most"),
    );
    None
}

/// A text.
pub fn text(yaml: &Yaml, what: &str, notes: &mut Notes) -> Option<String> {
    match &yaml.value {
        Value::Text(text) => Some(text.clone()),
        _ => {
            notes.add(yaml.at, format!("{what} is {}; write a text", yaml.kind()));
            None
        }
    }
}

/// A number that is not negative.
pub fn number(yaml: &Yaml, what: &str, notes: &mut Notes) -> Option<u64> {
    match yaml.value {
        Value::Int(value) if value >= 0 => u64::try_from(value).ok(),
        _ => {
            notes.add(
                yaml.at,
                format!("{what} is {}; write a number from 0", yaml.kind()),
            );
            None
        }
    }
}

/// A list of texts, or one text; nothing where it is left out.
pub fn texts<'y>(yaml: Option<&'y Yaml>, what: &str, notes: &mut Notes) -> Vec<(At, &'y str)> {
    let Some(yaml) = yaml else {
        return Vec::new();
    };
    let one = std::slice::from_ref(yaml);
    let list = match &yaml.value {
        Value::Null => return Vec::new(),
        Value::List(list) => list,
        _ => one,
    };
    let mut found = Vec::with_capacity(list.len());
    for each in list {
        match &each.value {
            Value::Text(text) => found.push((each.at, text.as_str())),
            _ => notes.add(
                each.at,
                format!(
                    "{what} is {}; write a text, or a list of texts",
                    each.kind()
                ),
            ),
        }
    }
    found
}
