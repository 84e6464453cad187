//! Shapes of data: JSON Schema for each field, and what can be told from one before any data is there.
//!
//! A [`Record`] is a set of fields that all have to be there, each with a [`Shape`]. Shapes use a part of JSON Schema (2020-12)
//! with one meaning for all members: the keywords in `keywords.rs`, and no others.

mod keywords;
#[cfg(test)]
mod tests;

pub use keywords::ShapeError;

use crate::{
    bounds::MAX_FIELDS,
    data::{Data, Fields},
};
use keywords::{check_schema, resolved, KINDS};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The format of a text that names a file by its CID.
pub const FILE_FORMAT: &str = "cid";

/// The shape of one value: a JSON Schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shape(Data);

/// Fields that all have to be there, and their shapes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Record(BTreeMap<String, Shape>);

/// Why data do not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct Misfit {
    /// The field.
    pub field: String,
    /// What does not fit.
    pub what: String,
}

impl Shape {
    /// A shape from a JSON Schema.
    ///
    /// # Errors
    /// [`ShapeError`] when it is no schema, or refers to something outside of itself.
    pub fn new(schema: Data) -> Result<Self, ShapeError> {
        match &schema {
            Data::Map(_) => {}
            other => {
                return Err(ShapeError::at(
                    &[],
                    format!(
                    "a shape is a JSON Schema, and this is {}; write {{type: string}}, for example",
                    other.kind()
                ),
                ))
            }
        }
        check_schema(&schema)?;
        Ok(Self(schema))
    }

    /// The kinds of values that it can allow.
    pub fn kinds(&self) -> BTreeSet<&'static str> {
        kinds(&self.0, &self.0)
    }

    /// Whether it is a file's CID.
    pub fn is_file(&self) -> bool {
        self.0.field("format") == Some(&Data::from(FILE_FORMAT))
    }

    /// The shape of a field within, which is always there.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn within(&self, path: &[String]) -> Result<Self, String> {
        let mut here = &self.0;
        for name in path {
            here = resolved(&self.0, here);
            let inner = here
                .field("properties")
                .and_then(|fields| fields.field(name));
            let Some(inner) = inner else {
                return Err(format!("there is no field {name}; {}", declared(here)));
            };
            let is_required = matches!(here.field("required"), Some(Data::List(list)) if list.contains(&Data::from(name.as_str())));
            if !is_required {
                return Err(format!(
                    "the field {name} may be missing; name it in the shape under required"
                ));
            }
            here = inner;
        }
        Ok(Self(self.with_definitions(here)))
    }

    /// A part of the schema, with the definitions that it may refer to.
    fn with_definitions(&self, part: &Data) -> Data {
        let mut part = part.clone();
        if let (Data::Map(part), Some(definitions)) = (&mut part, self.0.field("$defs")) {
            part.entry("$defs".into())
                .or_insert_with(|| definitions.clone());
        }
        part
    }

    /// A record as one value.
    pub fn object_of(record: &Record) -> Self {
        let properties = record.0.iter();
        let properties = properties.map(|(name, shape)| (name.clone(), shape.0.clone()));
        let required = record.0.keys().map(|name| Data::from(name.as_str()));
        Self(Data::Map(Fields::from([
            ("properties".into(), Data::Map(properties.collect())),
            ("required".into(), Data::List(required.collect())),
            ("type".into(), "object".into()),
        ])))
    }

    /// A list of records.
    pub fn list_of(record: &Record) -> Self {
        Self(Data::Map(Fields::from([
            ("items".into(), Self::object_of(record).0),
            ("type".into(), "array".into()),
        ])))
    }

    /// The shape of an element, if this is a list.
    pub fn element(&self) -> Option<Self> {
        let here = resolved(&self.0, &self.0);
        let is_list = self.kinds() == BTreeSet::from(["array"]);
        let items = here.field("items").filter(|_| is_list)?;
        Some(Self(self.with_definitions(items)))
    }
}

/// What a schema says about its fields, for a message.
fn declared(schema: &Data) -> String {
    match schema.field("properties") {
        Some(Data::Map(fields)) if !fields.is_empty() => {
            let names: Vec<_> = fields.keys().map(String::as_str).collect();
            format!("the shape has {}", names.join(", "))
        }
        _ => "declare it in the shape under properties".into(),
    }
}

fn kinds(root: &Data, schema: &Data) -> BTreeSet<&'static str> {
    let schema = resolved(root, schema);
    let known = |name: &str| KINDS.into_iter().find(|kind| *kind == name);
    let named = match schema.field("type") {
        Some(Data::Text(name)) => known(name).into_iter().collect(),
        Some(Data::List(names)) => {
            let names = names.iter().filter_map(|name| known(&name.to_text()));
            names.collect()
        }
        _ => BTreeSet::new(),
    };
    if !named.is_empty() {
        return named;
    }
    match (schema.field("const"), schema.field("enum")) {
        (Some(value), _) => BTreeSet::from([value.kind()]),
        (_, Some(Data::List(values))) => values.iter().map(Data::kind).collect(),
        _ => KINDS.into(),
    }
}

impl Record {
    /// Fields and their shapes.
    pub fn new(fields: BTreeMap<String, Shape>) -> Self {
        Self(fields)
    }

    /// The shape of a field.
    pub fn get(&self, field: &str) -> Option<&Shape> {
        self.0.get(field)
    }

    /// The shape of a value within, by the names to it; of all of it without names.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn within(&self, path: &[String]) -> Result<Shape, String> {
        let Some((first, rest)) = path.split_first() else {
            return Ok(Shape::object_of(self));
        };
        match self.0.get(first) {
            Some(shape) => shape.within(rest),
            None => Err(format!(
                "there is no field {first}; there are: {}",
                self.names()
            )),
        }
    }

    /// The fields in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Shape)> {
        self.0.iter().map(|(name, shape)| (name.as_str(), shape))
    }

    /// The names of the fields, for a message.
    pub fn names(&self) -> String {
        match self.0.is_empty() {
            true => "no fields".into(),
            false => self.0.keys().cloned().collect::<Vec<_>>().join(", "),
        }
    }

    /// What checks data against it, made once.
    ///
    /// # Errors
    /// [`ShapeError`] when a field's shape is none.
    pub fn checker(&self) -> Result<Checker, ShapeError> {
        if self.0.len() > MAX_FIELDS {
            return Err(ShapeError::at(
                &[],
                format!("{} fields; at most {MAX_FIELDS} are accepted", self.0.len()),
            ));
        }
        // A record may come from a document that somebody else has written.
        for (name, shape) in &self.0 {
            check_schema(&shape.0).map_err(|error| error.under(name))?;
        }
        Ok(Checker(self.clone()))
    }
}

#[cfg(test)]
impl Record {
    /// Fields of these kinds.
    pub(crate) fn of_kinds(fields: &[(&str, &str)]) -> Self {
        let shape = |kind: &str| {
            Shape::new(Fields::from([("type".into(), Data::from(kind))]).into()).unwrap()
        };
        let fields = fields.iter();
        let fields = fields.map(|(name, kind)| ((*name).to_owned(), shape(kind)));
        Self::new(fields.collect())
    }
}

/// Checks data against a [`Record`].
#[derive(Debug)]
pub struct Checker(Record);

impl Checker {
    /// Whether the fields are those of the record, and fit.
    ///
    /// # Errors
    /// The first field that does not fit, in the order of the names.
    pub fn check(&self, fields: &Fields) -> Result<(), Misfit> {
        let misfit = |field: &str, what: String| Misfit {
            field: field.to_owned(),
            what,
        };
        let record = &self.0;
        if let Some(name) = fields.keys().find(|name| record.get(name).is_none()) {
            let what = format!("is not declared; declared are: {}", record.names());
            return Err(misfit(name, what));
        }
        for (name, shape) in record.iter() {
            let value = fields
                .get(name)
                .ok_or_else(|| misfit(name, "is missing".into()))?;
            if let Some((at, what)) = keywords::misfit(&shape.0, value) {
                return Err(misfit(&format!("{name}{at}"), what));
            }
        }
        Ok(())
    }
}
