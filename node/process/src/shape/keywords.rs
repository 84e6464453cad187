//! The keywords of shapes: which there are, and whether data fit.
//!
//! They mean what they mean in JSON Schema 2020-12. There are no regular expressions and no combinations (`oneOf` and the
//! like): what a shape allows can be told from it at a glance, and checking costs no more than reading data and shape once.

use crate::data::Data;
use std::collections::BTreeSet;

/// The kinds of values.
pub const KINDS: [&str; 6] = ["null", "boolean", "integer", "string", "array", "object"];
/// References that are followed one after the other.
const MAX_REFERENCES: usize = 16;
/// What a shape may say: the keyword, and what its value has to be.
const KEYWORDS: [(&str, Value); 21] = [
    ("$defs", Value::Schemas),
    ("$ref", Value::Reference),
    ("additionalProperties", Value::SchemaOrFalse),
    ("const", Value::Anything),
    ("default", Value::Anything),
    ("description", Value::Text),
    ("enum", Value::List),
    ("examples", Value::List),
    ("format", Value::Text),
    ("items", Value::Schema),
    ("maxItems", Value::Count),
    ("maxLength", Value::Count),
    ("maxProperties", Value::Count),
    ("maximum", Value::Integer),
    ("minItems", Value::Count),
    ("minLength", Value::Count),
    ("minimum", Value::Integer),
    ("properties", Value::Schemas),
    ("required", Value::Names),
    ("title", Value::Text),
    ("type", Value::Kinds),
];
/// As [`KEYWORDS`], for the one that is true or left out.
const UNIQUE: &str = "uniqueItems";

/// What the value of a keyword has to be.
#[derive(Debug, Clone, Copy)]
enum Value {
    Anything,
    Count,
    Integer,
    Kinds,
    List,
    Names,
    Reference,
    Schema,
    SchemaOrFalse,
    Schemas,
    Text,
}

/// Why a schema is not a shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ShapeError {
    /// Keys and indexes to the place in the schema.
    pub path: Vec<String>,
    /// What is wrong, and what to do.
    pub what: String,
}

impl ShapeError {
    /// At this place.
    pub fn at(path: &[&str], what: impl Into<String>) -> Self {
        Self {
            path: path.iter().map(|&key| key.to_owned()).collect(),
            what: what.into(),
        }
    }

    /// The same error, of a schema that stands under a key.
    pub fn under(mut self, key: &str) -> Self {
        self.path.insert(0, key.to_owned());
        self
    }
}

/// Whether this is a shape.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check_schema(schema: &Data) -> Result<(), ShapeError> {
    check(schema, schema)
}

fn check(root: &Data, schema: &Data) -> Result<(), ShapeError> {
    let Data::Map(fields) = schema else {
        let what = format!(
            "a shape is a JSON Schema, and this is {}; write {{type: string}}, for example",
            schema.kind()
        );
        return Err(ShapeError::at(&[], what));
    };
    for (keyword, value) in fields {
        let known = KEYWORDS.iter().find(|(name, _)| name == keyword);
        let told = match known {
            Some((_, wanted)) => check_value(root, *wanted, value),
            None if keyword == UNIQUE && matches!(value, Data::Bool(_)) => Ok(()),
            None => Err(ShapeError::at(&[], no_keyword(keyword))),
        };
        told.map_err(|error| error.under(keyword))?;
    }
    Ok(())
}

fn no_keyword(keyword: &str) -> String {
    let known: Vec<_> = KEYWORDS.iter().map(|(name, _)| *name).collect();
    format!(
        "a shape has no keyword {keyword}; it may have {}, {UNIQUE}",
        known.join(", ")
    )
}

fn check_value(root: &Data, wanted: Value, value: &Data) -> Result<(), ShapeError> {
    let is_kind = |name: &Data| matches!(name, Data::Text(name) if KINDS.contains(&name.as_str()));
    let told = match (wanted, value) {
        (Value::Schema, schema) => return check(root, schema),
        (Value::SchemaOrFalse, Data::Bool(false)) => return Ok(()),
        (Value::SchemaOrFalse, schema) => return check(root, schema),
        (Value::Schemas, Data::Map(schemas)) => {
            return schemas.iter().try_for_each(|(name, schema)| {
                check(root, schema).map_err(|error| error.under(name))
            })
        }
        (Value::Reference, Data::Text(to)) => return reference(root, to),
        (Value::Anything, _) | (Value::Text, Data::Text(_)) | (Value::List, Data::List(_)) => true,
        (Value::Integer, Data::Int(_)) => true,
        (Value::Count, Data::Int(count)) => *count >= 0,
        (Value::Names, Data::List(names)) => names.iter().all(|name| matches!(name, Data::Text(_))),
        (Value::Kinds, Data::List(kinds)) => !kinds.is_empty() && kinds.iter().all(is_kind),
        (Value::Kinds, kind) => is_kind(kind),
        _ => false,
    };
    let expected = match wanted {
        Value::Kinds => "one of null, boolean, integer, string, array, object (numbers are integers), or a list of them",
        Value::Count => "a number from 0",
        Value::Integer => "an integer",
        Value::Names => "a list of names",
        Value::List => "a list",
        Value::Schemas => "a map of names and shapes",
        _ => "a text",
    };
    match told {
        true => Ok(()),
        false => Err(ShapeError::at(
            &[],
            format!(
                "{} is not a valid value here; write {expected}",
                value.to_json()
            ),
        )),
    }
}

fn reference(root: &Data, to: &str) -> Result<(), ShapeError> {
    if to != "#" && !to.starts_with("#/$defs/") {
        return Err(ShapeError::at(
            &[],
            format!("{to:?} leads out of the shape; copy it under $defs, and write #/$defs/name"),
        ));
    }
    match target(root, to) {
        Some(_) => Ok(()),
        None => Err(ShapeError::at(
            &[],
            format!("there is no {to}; define it under $defs"),
        )),
    }
}

fn target<'s>(root: &'s Data, to: &str) -> Option<&'s Data> {
    let mut names = to.trim_start_matches('#').split('/').skip(1);
    names.try_fold(root, |at, name| at.field(name))
}

/// The schema that is meant, where one refers to another; the last one, if they go on for ever.
pub fn resolved<'s>(root: &'s Data, schema: &'s Data) -> &'s Data {
    let mut here = schema;
    for _ in 0..MAX_REFERENCES {
        let Some(Data::Text(to)) = here.field("$ref") else {
            break;
        };
        match target(root, to) {
            Some(found) => here = found,
            None => break,
        }
    }
    here
}

/// Where data do not fit, and why; nothing if they fit.
pub fn misfit(schema: &Data, data: &Data) -> Option<(String, String)> {
    first(schema, schema, data)
}

fn first(root: &Data, schema: &Data, data: &Data) -> Option<(String, String)> {
    let schema = resolved(root, schema);
    if schema.field("$ref").is_some() {
        return Some((
            String::new(),
            "its shape refers to itself and defines nothing".into(),
        ));
    }
    let here = |what: String| Some((String::new(), what));
    if let Some(what) = kind(schema, data).or_else(|| value(schema, data)) {
        return here(what);
    }
    match data {
        Data::List(list) => of_list(root, schema, list),
        Data::Map(_) => of_map(root, schema, data),
        _ => None,
    }
}

fn kind(schema: &Data, data: &Data) -> Option<String> {
    let names = match schema.field("type")? {
        Data::List(names) => names.iter().map(Data::to_text).collect(),
        name => vec![name.to_text()],
    };
    let fits = names.iter().any(|name| name == data.kind());
    (!fits).then(|| format!("is {} and not {}", data.kind(), names.join(" or ")))
}

fn value(schema: &Data, data: &Data) -> Option<String> {
    let limit = |keyword: &str| match schema.field(keyword) {
        Some(Data::Int(limit)) => Some(*limit),
        _ => None,
    };
    if let Some(wanted) = schema.field("const").filter(|wanted| *wanted != data) {
        return Some(format!("is not {}", wanted.to_json()));
    }
    if let Some(Data::List(values)) = schema.field("enum") {
        if !values.contains(data) {
            let values: Vec<_> = values
                .iter()
                .map(|value| value.to_json().to_string())
                .collect();
            return Some(format!("is none of {}", values.join(", ")));
        }
    }
    let (number, below, above, what) = match data {
        Data::Int(number) => (*number, "minimum", "maximum", ""),
        Data::Text(text) => (
            count(text.chars().count()),
            "minLength",
            "maxLength",
            " characters",
        ),
        Data::List(list) => (count(list.len()), "minItems", "maxItems", " items"),
        Data::Map(fields) => (count(fields.len()), "", "maxProperties", " fields"),
        _ => return None,
    };
    match (limit(below), limit(above)) {
        (Some(least), _) if number < least => Some(format!("{number}{what} is below {least}")),
        (_, Some(most)) if number > most => Some(format!("{number}{what} is above {most}")),
        _ => None,
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn of_list(root: &Data, schema: &Data, list: &[Data]) -> Option<(String, String)> {
    if schema.field(UNIQUE) == Some(&Data::Bool(true)) {
        let different: BTreeSet<_> = list.iter().collect();
        if different.len() < list.len() {
            return Some((String::new(), "has an item twice".into()));
        }
    }
    let items = schema.field("items")?;
    let mut wrong = list.iter().enumerate().filter_map(|(number, item)| {
        let (at, what) = first(root, items, item)?;
        Some((format!(".{number}{at}"), what))
    });
    wrong.next()
}

fn of_map(root: &Data, schema: &Data, data: &Data) -> Option<(String, String)> {
    let Data::Map(fields) = data else { return None };
    if let Some(Data::List(required)) = schema.field("required") {
        let missing = required
            .iter()
            .map(Data::to_text)
            .find(|name| !fields.contains_key(name));
        if let Some(name) = missing {
            return Some((String::new(), format!("has no {name}")));
        }
    }
    let declared = schema.field("properties");
    for (name, value) in fields {
        let own = declared.and_then(|declared| declared.field(name));
        let (at, what) = match (own, schema.field("additionalProperties")) {
            (Some(own), _) => match first(root, own, value) {
                Some(wrong) => wrong,
                None => continue,
            },
            (None, Some(Data::Bool(false))) => (String::new(), "is not declared".into()),
            (None, Some(others)) => match first(root, others, value) {
                Some(wrong) => wrong,
                None => continue,
            },
            (None, None) => continue,
        };
        return Some((format!(".{name}{at}"), what));
    }
    None
}
