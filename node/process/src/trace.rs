//! Traces: the way from a result back to its event, as a tree.

use crate::{
    execution::State,
    run::{Job, Run},
};
use cid::Cid;
use std::collections::BTreeSet;

/// A line of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How many lines lie between it and the result that is traced, in depth.
    pub depth: usize,
    /// What stands there.
    pub link: Link,
}

/// What a result came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// An execution.
    Execution {
        /// Its id.
        id: Cid,
        /// Whether what it came from stands further up already.
        again: bool,
    },
    /// The event that started all.
    Event(Cid),
    /// An event for which an execution has waited.
    Awaited(Cid),
}

/// The tree behind an execution, as lines: each is followed by what it came from. What several came from is gone into once.
///
/// Nothing if the run has no such execution: then it does not follow from the event and the results that are known.
pub fn of(run: &Run, id: Cid) -> Option<Vec<Line>> {
    run.job(&id)?;
    let mut lines = Vec::new();
    let mut seen = BTreeSet::new();
    // The parents of a job are in the run, as they were put into its document from there.
    let mut open = vec![(id, 0)];
    while let Some((id, depth)) = open.pop() {
        let again = !seen.insert(id);
        lines.push(Line {
            depth,
            link: Link::Execution { id, again },
        });
        if again {
            continue;
        }
        let parents = run.job(&id).map(parents).unwrap_or_default();
        if let Some(event) = run.job(&id).and_then(awaited) {
            lines.push(Line {
                depth: depth + 1,
                link: Link::Awaited(event),
            });
        }
        if parents.is_empty() {
            lines.push(Line {
                depth: depth + 1,
                link: Link::Event(run.event()),
            });
        }
        open.extend(parents.into_iter().rev().map(|parent| (parent, depth + 1)));
    }
    Some(lines)
}

/// The event that has come, of an execution that waited for it.
fn awaited(job: &Job) -> Option<Cid> {
    let has_come = job.execution.awaits.is_some() && matches!(job.state, State::Succeeded(_));
    job.result.filter(|_| has_come)
}

fn parents(job: &Job) -> Vec<Cid> {
    job.execution
        .parents
        .iter()
        .map(|parent| parent.execution)
        .collect()
}
