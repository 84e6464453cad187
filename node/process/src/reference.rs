//! References: `event.kwh`, `price.cents`, `count`.

use crate::data::{Data, Fields};
use std::fmt;

/// The root under which the event's data stand.
pub const EVENT: &str = "event";
/// The root under which one element stands, in a node with `each`.
pub const ITEM: &str = "item";

/// Names a value by its root (`event`, `item`, or a node of the process) and the fields to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// `event`, `item`, or the name of a node.
    pub root: String,
    /// Fields from there.
    pub path: Vec<String>,
}

impl Reference {
    /// Reads names that are joined by points.
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = |name: &str| {
            let mut letters = name.chars();
            letters
                .next()
                .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
                && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let mut names = text.split('.');
        if !names.clone().all(is_name) {
            return None;
        }
        Some(Self {
            root: names.next()?.to_owned(),
            path: names.map(str::to_owned).collect(),
        })
    }

    /// What it names, if that is known.
    pub fn find<'d>(&self, known: &'d Fields) -> Option<&'d Data> {
        let root = known.get(&self.root)?;
        self.path.iter().try_fold(root, |at, name| at.field(name))
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.root)?;
        self.path.iter().try_for_each(|name| write!(f, ".{name}"))
    }
}
