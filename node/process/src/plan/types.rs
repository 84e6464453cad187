//! Whether the values that nodes use are there, and of a kind that fits, before there are any.

use super::{parse::Parsed, step::EXPIRED};
use crate::{
    data::Fields,
    reference::{Reference, EVENT, ITEM},
    service::Fault,
    shape::{Record, Shape},
    template::Template,
};
use std::collections::BTreeMap;

/// What can be told about the values that a node sees.
struct Sees<'p> {
    event: &'p Record,
    nodes: &'p BTreeMap<String, Parsed>,
    before: &'p BTreeMap<String, String>,
    item: Option<Shape>,
}

/// Adds a fault for each value that is not there or does not fit.
pub fn check(
    event: &Record,
    nodes: &BTreeMap<String, Parsed>,
    before: &BTreeMap<String, BTreeMap<String, String>>,
    faults: &mut Vec<Fault>,
) {
    let nothing = BTreeMap::new();
    for (name, node) in nodes {
        let mut sees = Sees {
            event,
            nodes,
            before: before.get(name).unwrap_or(&nothing),
            item: None,
        };
        let mut fault = |path: &[&str], what: String| {
            faults.push(Fault::new(&[&["nodes", name], path].concat(), what));
        };
        if let Parsed::Task {
            each: Some(each), ..
        } = node
        {
            match sees.element(each) {
                Ok(item) => sees.item = Some(item),
                Err(what) => {
                    fault(&["each"], what);
                    continue;
                }
            }
        }
        for (key, reference) in node.references() {
            if let Err(what) = sees.shape(reference) {
                fault(&key, format!("{reference}: {what}"));
            }
        }
        let (key, noun, templates, shapes) = match node {
            Parsed::Task { task, inputs, .. } => ("inputs", "input", inputs, &task.inputs),
            Parsed::Wait { data, matches, .. } => ("match", "field", matches, data),
            Parsed::Filter(_) | Parsed::Map(..) => continue,
        };
        for (name, template) in templates {
            let Some(wanted) = shapes.get(name) else {
                continue;
            };
            if let Err(what) = sees.fits(template, (noun, name), wanted) {
                fault(&[key, name], what);
            }
        }
    }
}

impl Sees<'_> {
    fn shape(&self, reference: &Reference) -> Result<Shape, String> {
        let Reference { root, path } = reference;
        match root.as_str() {
            EVENT => return self.event.within(path),
            ITEM => {
                let item = self.item.as_ref();
                let item = item.ok_or(
                    "only a node with each has items; add each: event.list, or leave it out",
                )?;
                return item.within(path);
            }
            _ => {}
        }
        let node = self.nodes.get(root).ok_or_else(|| {
            format!("there is no node {root}; values are those of the event (event.field) and of nodes (node.field)")
        })?;
        let status = self
            .before
            .get(root)
            .ok_or_else(|| format!("{root} does not come before this node; add it to after"))?;
        match node {
            Parsed::Filter(_) => Err(format!(
                "{root} is a filter and gives no values; name what it looks at"
            )),
            Parsed::Map(_, gives) => gives.within(path),
            Parsed::Wait { .. } if status == EXPIRED => Err(format!(
                "with status {EXPIRED}, {root} has no values, as its event has not come"
            )),
            Parsed::Task { task, .. }
                if status == EXPIRED && !task.statuses.contains_key(EXPIRED) =>
            {
                Err(format!(
                    "with status {EXPIRED}, {root} has no values, as its gate had no result in time"
                ))
            }
            Parsed::Wait { data, .. } => data.within(path),
            Parsed::Task { task, each, .. } => {
                let record = task.given(status).unwrap_or_default();
                match (each, path.is_empty()) {
                    (None, _) => record.within(path).map_err(|what| format!("with status {status}, {what}")),
                    (Some(_), true) => Ok(Shape::list_of(&record)),
                    (Some(_), false) => Err(format!("{root} is run for each element and gives a list; write {root} alone, or use a map")),
                }
            }
        }
    }

    fn element(&self, each: &Reference) -> Result<Shape, String> {
        let list = self.shape(each).map_err(|what| format!("{each}: {what}"))?;
        let element = list.element();
        element.ok_or_else(|| {
            format!("{each} is no list with items; declare it as {{type: array, items: …}}")
        })
    }

    fn fits(
        &self,
        template: &Template,
        (noun, input): (&str, &str),
        wanted: &Shape,
    ) -> Result<(), String> {
        let kinds = wanted.kinds();
        let can_be = |kind: &str| match kinds.contains(kind) {
            true => Ok(()),
            false => {
                let wanted: Vec<_> = kinds.iter().copied().collect();
                Err(format!(
                    "the {noun} {input} is {}, and this is {kind}; give it what it needs",
                    wanted.join(" or ")
                ))
            }
        };
        match template {
            Template::Constant(data) => {
                let one = Record::new(BTreeMap::from([(input.to_owned(), wanted.clone())]));
                let checker = one.checker().map_err(|error| error.to_string())?;
                let fields = Fields::from([(input.to_owned(), data.clone())]);
                checker
                    .check(&fields)
                    .map_err(|misfit| format!("this constant does not fit: {misfit}"))
            }
            Template::Text(_) => can_be("string"),
            Template::List(_) => can_be("array"),
            Template::Map(_) => can_be("object"),
            Template::Value(reference) => {
                // A value that is not there has been told already.
                let Ok(given) = self.shape(reference) else {
                    return Ok(());
                };
                let given = given.kinds();
                match given.is_disjoint(&kinds) {
                    false => Ok(()),
                    true => {
                        let given: Vec<_> = given.into_iter().collect();
                        let wanted: Vec<_> = kinds.into_iter().collect();
                        Err(format!("{reference} is {}, and the {noun} {input} is {}; make it fit, by a map for example", given.join(" or "), wanted.join(" or ")))
                    }
                }
            }
        }
    }
}
