//! What comes before what: from `after`, and from the values that a node uses.

use super::parse::Parsed;
use crate::{
    graph::{self, Edges},
    process::Node,
    reference::{EVENT, ITEM},
    service::Fault,
};
use std::collections::BTreeMap;

/// The links between the nodes of a process.
#[derive(Debug)]
pub struct Links {
    /// The nodes directly before each, with the status that they must have.
    pub edges: Edges,
    /// All nodes before each, with the status that they have then.
    pub before: BTreeMap<String, BTreeMap<String, String>>,
    /// An order of the nodes.
    pub order: Vec<String>,
}

/// The links of a process.
///
/// # Errors
/// The first fault.
pub fn of(
    nodes: &BTreeMap<String, Node>,
    parsed: &BTreeMap<String, Parsed>,
) -> Result<Links, Fault> {
    let mut edges = Edges::new();
    for (name, node) in nodes {
        let own = match node.after.is_empty() {
            false => node
                .after
                .iter()
                .map(|text| {
                    named(text, parsed).map_err(|what| Fault::new(&["nodes", name, "after"], what))
                })
                .collect::<Result<Vec<_>, _>>()?,
            true => used(name, parsed)?,
        };
        edges.insert(name.clone(), own);
    }
    let order = graph::order(&edges).map_err(|error| Fault::new(&["nodes"], error.to_string()))?;
    let before = all_before(&edges, &order)?;
    Ok(Links {
        edges,
        before,
        order,
    })
}

/// `node.status`, or `node` where it is plain which status follows.
fn named(text: &str, parsed: &BTreeMap<String, Parsed>) -> Result<(String, String), String> {
    let (name, status) = match text.split_once('.') {
        Some((name, status)) => (name, Some(status)),
        None => (text, None),
    };
    let Some(node) = parsed.get(name) else {
        return Err(format!(
            "there is no node {name}; nodes that start with the event have no after"
        ));
    };
    let statuses = node.statuses().join(", ");
    match status {
        Some(status) if node.statuses().contains(&status) => Ok((name.to_owned(), status.to_owned())),
        Some(status) => Err(format!("{name} has no status {status}; it has {statuses}")),
        None => match node.usual() {
            Some(status) => Ok((name.to_owned(), status.to_owned())),
            None => Err(format!("{name} can end in several ways; write which one follows: {name}. and one of {statuses}")),
        },
    }
}

/// The nodes whose values a node uses, where it has no `after`.
fn used(name: &str, parsed: &BTreeMap<String, Parsed>) -> Result<Vec<(String, String)>, Fault> {
    let mut found = Vec::new();
    let references = parsed.get(name).map(Parsed::references).unwrap_or_default();
    for (key, reference) in references {
        if [EVENT, ITEM].contains(&reference.root.as_str()) {
            continue;
        }
        let path = [&["nodes", name], key.as_slice()].concat();
        let link = match parsed.contains_key(&reference.root) {
            true => named(&reference.root, parsed),
            false => Err(format!("{reference}: there is no node {}; values are those of the event (event.field) and of nodes (node.field)", reference.root)),
        };
        let link = link.map_err(|what| Fault::new(&path, what))?;
        if !found.contains(&link) {
            found.push(link);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// All that comes before each node. A node that would need another one to have ended in two ways can never start.
fn all_before(
    edges: &Edges,
    order: &[String],
) -> Result<BTreeMap<String, BTreeMap<String, String>>, Fault> {
    let mut all: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for name in order {
        let mut mine: BTreeMap<String, String> = BTreeMap::new();
        for (earlier, status) in edges.get(name).into_iter().flatten() {
            let further = all.get(earlier).cloned().unwrap_or_default();
            let links = further
                .into_iter()
                .chain([(earlier.clone(), status.clone())]);
            for (node, status) in links {
                match mine.get(&node) {
                    Some(other) if *other != status => {
                        return Err(Fault::new(
                            &["nodes", name],
                            format!("it can never start: it needs {node} to end as {other} and as {status}; remove one of the two"),
                        ))
                    }
                    _ => mine.insert(node, status),
                };
            }
        }
        all.insert(name.clone(), mine);
    }
    Ok(all)
}
