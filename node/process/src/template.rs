//! Inputs: constants, fields of the event, outputs of earlier executions, and texts made of them.
//!
//! An input is written as data in which `${…}` stands for a [`Reference`]. A text that is one reference and nothing else is
//! the value itself, of whatever kind; in a longer text it is put in as a text. `$${` is `${` itself.

use crate::{
    bounds::MAX_TEXT_BYTES,
    data::{Data, Fields},
    reference::Reference,
};

/// An input, ready to be resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Template {
    /// The same each time.
    Constant(Data),
    /// What a reference names.
    Value(Reference),
    /// A text with references in it.
    Text(Vec<Part>),
    /// A list of inputs.
    List(Vec<Template>),
    /// Inputs by name.
    Map(Vec<(String, Template)>),
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// As it is.
    Literal(String),
    /// The text of what a reference names.
    Value(Reference),
}

/// Why an input cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `${` without `}`.
    #[error("${{ is not closed; write ${{event.field}}, or $${{ for the two signs themselves")]
    Open,
    /// Not a reference.
    #[error("${{{0}}} is no reference; write ${{event.field}} or ${{node.field}}")]
    Reference(String),
    /// The text would be longer than [`MAX_TEXT_BYTES`].
    #[error("a text of more than {MAX_TEXT_BYTES} bytes; put what is large into a file")]
    TooLong,
    /// What a reference names is not there.
    #[error("{0} is not there")]
    Missing(String),
}

impl Template {
    /// Reads the references in data.
    ///
    /// # Errors
    /// [`TemplateError`] when one is malformed.
    pub fn read(data: &Data) -> Result<Self, TemplateError> {
        Ok(match data {
            Data::Text(text) => Self::text(text)?,
            Data::List(list) => {
                let list: Vec<_> = list.iter().map(Self::read).collect::<Result<_, _>>()?;
                match list.iter().all(|item| matches!(item, Self::Constant(_))) {
                    true => Self::Constant(data.clone()),
                    false => Self::List(list),
                }
            }
            Data::Map(fields) => {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), Self::read(value)?)))
                    .collect::<Result<_, TemplateError>>()?;
                match fields
                    .iter()
                    .all(|(_, value)| matches!(value, Self::Constant(_)))
                {
                    true => Self::Constant(data.clone()),
                    false => Self::Map(fields),
                }
            }
            _ => Self::Constant(data.clone()),
        })
    }

    fn text(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            literal.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("$${") {
                literal.push_str("${");
                rest = after;
            } else if let Some(after) = rest.strip_prefix("${") {
                let end = after.find('}').ok_or(TemplateError::Open)?;
                let name = &after[..end];
                let reference = Reference::parse(name)
                    .ok_or_else(|| TemplateError::Reference(name.to_owned()))?;
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Value(reference));
                rest = &after[end + 1..];
            } else {
                literal.push('$');
                rest = &rest[1..];
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(match parts.as_slice() {
            [] => Self::Constant(Data::Text(String::new())),
            [Part::Literal(text)] => Self::Constant(Data::Text(text.clone())),
            [Part::Value(reference)] => Self::Value(reference.clone()),
            _ => Self::Text(parts),
        })
    }

    /// All references in it.
    pub fn references(&self) -> Vec<&Reference> {
        match self {
            Self::Constant(_) => Vec::new(),
            Self::Value(reference) => vec![reference],
            Self::Text(parts) => parts
                .iter()
                .filter_map(|part| match part {
                    Part::Value(reference) => Some(reference),
                    Part::Literal(_) => None,
                })
                .collect(),
            Self::List(list) => list.iter().flat_map(Self::references).collect(),
            Self::Map(fields) => fields
                .iter()
                .flat_map(|(_, value)| value.references())
                .collect(),
        }
    }

    /// The input itself, with what is known under each root.
    ///
    /// # Errors
    /// [`TemplateError::Missing`] and [`TemplateError::TooLong`].
    pub fn resolve(&self, known: &Fields) -> Result<Data, TemplateError> {
        let find = |reference: &Reference| {
            let found = reference.find(known);
            found.ok_or_else(|| TemplateError::Missing(reference.to_string()))
        };
        match self {
            Self::Constant(data) => Ok(data.clone()),
            Self::Value(reference) => find(reference).cloned(),
            Self::Text(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Literal(literal) => text.push_str(literal),
                        Part::Value(reference) => text.push_str(&find(reference)?.to_text()),
                    }
                    if text.len() > MAX_TEXT_BYTES {
                        return Err(TemplateError::TooLong);
                    }
                }
                Ok(Data::Text(text))
            }
            Self::List(list) => {
                let list = list.iter().map(|item| item.resolve(known));
                Ok(Data::List(list.collect::<Result<_, _>>()?))
            }
            Self::Map(fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), value.resolve(known)?)));
                Ok(Data::Map(fields.collect::<Result<_, TemplateError>>()?))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn known() -> Fields {
        match serde_json::from_str(r#"{"event":{"kwh":7,"car":{"id":"x1"}},"price":{"cents":210}}"#)
        {
            Ok(Data::Map(fields)) => fields,
            other => panic!("{other:?}"),
        }
    }

    fn resolved(json: &str) -> String {
        let data: Data = serde_json::from_str(json).unwrap();
        let template = Template::read(&data).unwrap();
        template.resolve(&known()).unwrap().to_json().to_string()
    }

    #[test]
    fn a_reference_alone_keeps_its_kind_and_in_a_text_becomes_text() {
        assert_eq!(resolved(r#""${event.kwh}""#), "7");
        assert_eq!(
            resolved(r#""${event.kwh} kWh for ${event.car.id}""#),
            r#""7 kWh for x1""#
        );
        assert_eq!(resolved(r#""${event.car}""#), r#"{"id":"x1"}"#);
        assert_eq!(
            resolved(r#"[1,"${price.cents}",{"a":"${event.car.id}"}]"#),
            r#"[1,210,{"a":"x1"}]"#
        );
        assert_eq!(resolved(r#""costs $5, $${x}""#), r#""costs $5, ${x}""#);
    }

    #[test]
    fn mistakes_are_named() {
        let wrong = |text: &str| Template::read(&Data::from(text)).unwrap_err();
        assert_eq!(wrong("a ${b"), TemplateError::Open);
        assert_eq!(wrong("${a b}"), TemplateError::Reference("a b".into()));
        let template = Template::read(&Data::from("${event.no}")).unwrap();
        assert_eq!(
            template.resolve(&known()),
            Err(TemplateError::Missing("event.no".into()))
        );
    }

    proptest! {
        #[test]
        fn a_text_without_references_is_itself(text in "[^$]{0,40}") {
            let template = Template::read(&Data::from(text.as_str())).unwrap();
            prop_assert_eq!(template, Template::Constant(Data::Text(text)));
        }

        #[test]
        fn reading_never_panics(text in ".{0,60}") {
            drop(Template::read(&Data::Text(text)));
        }
    }
}
