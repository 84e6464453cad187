//! A YAML file as a tree in which each value knows its place.
//!
//! The file is read event by event (saphyr-parser). Anchors, aliases and tags are refused: a definition has one spelling of
//! each value, and no value can be multiplied by a short text. Plain scalars follow the core schema of YAML 1.2, except that
//! numbers beginning with `0x` stay texts, because addresses are written so, and that fractions are refused.

use crate::{
    bounds::{MAX_DATA_DEPTH, MAX_DATA_VALUES, MAX_DOCUMENT_BYTES},
    data::Data,
    mistake::{At, Mistakes, Notes},
};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::BTreeMap;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Yaml {
    /// Where it begins.
    pub at: At,
    /// What it is.
    pub value: Value,
}

/// A value of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Yaml>),
    /// A map, in the order of the file.
    Map(Vec<(Key, Yaml)>),
}

/// A key of a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Where it begins.
    pub at: At,
    /// The key itself.
    pub text: String,
}

impl Yaml {
    /// Reads a file that holds one document.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn read(file: &str, text: &str) -> Result<Self, Mistakes> {
        let mut notes = Notes::of(file);
        let read = match text.len() {
            length if length > MAX_DOCUMENT_BYTES => {
                notes.add(
                    At { line: 1, column: 1 },
                    format!(
                        "the file has {length} bytes; at most {MAX_DOCUMENT_BYTES} are accepted"
                    ),
                );
                None
            }
            _ => Tree::read(text, &mut notes),
        };
        notes.end(read)
    }

    /// The same as data, without places.
    pub fn to_data(&self) -> Data {
        match &self.value {
            Value::Null => Data::Null,
            Value::Bool(value) => Data::Bool(*value),
            Value::Int(value) => Data::Int(*value),
            Value::Text(text) => Data::Text(text.clone()),
            Value::List(list) => Data::List(list.iter().map(Self::to_data).collect()),
            Value::Map(entries) => {
                let fields = entries.iter();
                let fields = fields.map(|(key, value)| (key.text.clone(), value.to_data()));
                Data::Map(fields.collect::<BTreeMap<_, _>>())
            }
        }
    }

    /// The place of the value at the end of a path of keys and indexes, or of the nearest value around it.
    pub fn place(&self, path: &[&str]) -> At {
        let Some((first, rest)) = path.split_first() else {
            return self.at;
        };
        let inner = match &self.value {
            Value::Map(entries) => {
                entries
                    .iter()
                    .find(|(key, _)| key.text == *first)
                    .map(|(key, value)| {
                        if rest.is_empty() {
                            key.at
                        } else {
                            value.place(rest)
                        }
                    })
            }
            Value::List(list) => first
                .parse::<usize>()
                .ok()
                .and_then(|index| list.get(index))
                .map(|value| value.place(rest)),
            _ => None,
        };
        inner.unwrap_or(self.at)
    }

    /// What it is, in a word.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Int(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Something that is being read and has not ended yet.
enum Open {
    List(At, Vec<Yaml>),
    Map(At, Vec<(Key, Yaml)>, Option<Key>),
}

struct Tree<'n> {
    notes: &'n mut Notes,
    open: Vec<Open>,
    root: Option<Yaml>,
    values: usize,
}

fn at(span: &Span) -> At {
    At {
        line: span.start.line(),
        column: span.start.col() + 1,
    }
}

impl Tree<'_> {
    fn read(text: &str, notes: &mut Notes) -> Option<Yaml> {
        let mut tree = Tree {
            notes,
            open: Vec::new(),
            root: None,
            values: 0,
        };
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            match event {
                Ok((event, span)) => tree.take(event, at(&span))?,
                Err(error) => {
                    let place = At {
                        line: error.marker().line(),
                        column: error.marker().col() + 1,
                    };
                    let what = format!("not YAML: {}; check indentation and quotes", error.info());
                    tree.notes.add(place, what);
                    return None;
                }
            }
        }
        tree.root
    }

    /// Takes one event in; `None` when reading ends.
    fn take(&mut self, event: Event<'_>, at: At) -> Option<()> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.plain(at, anchor, tag.is_some())?;
                let value = self.scalar(at, &text, style)?;
                self.put(Yaml { at, value })
            }
            Event::SequenceStart(anchor, tag) => {
                self.plain(at, anchor, tag.is_some())?;
                self.open(Open::List(at, Vec::new()), at)
            }
            Event::MappingStart(anchor, tag) => {
                self.plain(at, anchor, tag.is_some())?;
                self.open(Open::Map(at, Vec::new(), None), at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(_) => self.refuse(at, "an alias (*name); write the value out"),
            Event::DocumentStart(_) if self.root.is_some() => self.refuse(
                at,
                "a second document in one file; put it into a file of its own",
            ),
            _ => Some(()),
        }
    }

    fn refuse(&mut self, at: At, what: &str) -> Option<()> {
        self.notes.add(at, what);
        None
    }

    fn plain(&mut self, at: At, anchor: usize, has_tag: bool) -> Option<()> {
        match (anchor, has_tag) {
            (0, false) => Some(()),
            (0, true) => self.refuse(at, "a tag (!name); leave it out"),
            _ => self.refuse(at, "an anchor (&name); leave it out"),
        }
    }

    fn open(&mut self, open: Open, at: At) -> Option<()> {
        if matches!(self.open.last(), Some(Open::Map(_, _, None))) {
            return self.refuse(at, "a key that is a list or a map; a key is a text");
        }
        self.open.push(open);
        match self.open.len() > MAX_DATA_DEPTH {
            true => self.refuse(
                at,
                &format!("more than {MAX_DATA_DEPTH} levels of lists and maps; use fewer"),
            ),
            false => Some(()),
        }
    }

    fn close(&mut self) -> Option<()> {
        let closed = match self.open.pop()? {
            Open::List(at, list) => Yaml {
                at,
                value: Value::List(list),
            },
            Open::Map(at, entries, _) => Yaml {
                at,
                value: Value::Map(entries),
            },
        };
        self.put(closed)
    }

    fn put(&mut self, value: Yaml) -> Option<()> {
        self.values += 1;
        if self.values > MAX_DATA_VALUES {
            return self.refuse(
                value.at,
                &format!("more than {MAX_DATA_VALUES} values; split the file"),
            );
        }
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some(Open::List(_, list)) => list.push(value),
            Some(Open::Map(_, entries, key @ Some(_))) => {
                entries.extend(key.take().map(|key| (key, value)))
            }
            Some(Open::Map(_, entries, key)) => {
                let text = value.to_data().to_text();
                if entries.iter().any(|(other, _)| other.text == text) {
                    return self.refuse(value.at, &format!("{text} stands here twice; remove one"));
                }
                *key = Some(Key { at: value.at, text });
            }
        }
        Some(())
    }

    fn scalar(&mut self, at: At, text: &str, style: ScalarStyle) -> Option<Value> {
        if !matches!(style, ScalarStyle::Plain) {
            return Some(Value::Text(text.to_owned()));
        }
        Some(match text {
            "" | "~" | "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => match (text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(value), _) => Value::Int(value),
                (_, Ok(_))
                    if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) =>
                {
                    self.refuse(
                        at,
                        &format!("{text} is not an integer of 64 bits; write an amount in its smallest unit, or a text in quotes"),
                    )?;
                    Value::Null
                }
                _ => Value::Text(text.to_owned()),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        Yaml::read("a.yml", text).unwrap_err().to_string()
    }

    #[test]
    fn values_know_their_places() {
        let read = Yaml::read("a.yml", "a: 1\nb:\n  - x\n  - {c: true, d: 0x1f}\n").unwrap();
        let data = r#"{"a":1,"b":["x",{"c":true,"d":"0x1f"}]}"#;
        assert_eq!(read.to_data(), serde_json::from_str(data).unwrap());
        assert_eq!(
            read.place(&["b", "1", "d"]),
            At {
                line: 4,
                column: 15
            }
        );
        assert_eq!(read.place(&["b", "7"]).line, 3, "the nearest that is there");
    }

    #[test]
    fn what_is_refused_is_named_with_its_line() {
        for (text, told) in [
            ("a: &x 1\nb: *x", "a.yml:1:"),
            ("a: [1\nb: 2", "a.yml:2:"),
            ("a: 1\n---\nb: 2", "second document"),
            ("a: !!str 1", "tag"),
            ("a: 1\nb: 1.5", "a.yml:2:4: 1.5 is not an integer"),
            ("a: 1\na: 2", "a.yml:2:1: a stands here twice"),
            ("? [a]\n: b", "a key is a text"),
            ("", "nothing can be read"),
        ] {
            let wrong = wrong(text);
            assert!(wrong.contains(told), "{text}: {wrong}");
        }
        let deep = "[".repeat(MAX_DATA_DEPTH + 1);
        assert!(wrong(&deep).contains("levels"));
    }
}
