//! How a run is told on standard output: a line for the event, for each execution that ends, and for the end.

use crate::{exit::ExitError, out::Out};
use rings_process::{
    data::Data,
    execution::State,
    run::{NodeState, Run},
};
use std::collections::BTreeSet;

/// Most characters of a value that is shown.
const SHOWN_CHARACTERS: usize = 160;

/// Tells what has changed in a run since it was told last.
#[derive(Debug, Default)]
pub struct Teller {
    told: BTreeSet<String>,
}

impl Teller {
    /// Tells the executions and nodes that have ended.
    ///
    /// # Errors
    /// When standard output has gone.
    pub fn tell(&mut self, run: &Run, out: Out) -> Result<(), ExitError> {
        for (name, state, executions) in run.nodes() {
            for id in executions {
                let Some(job) = run.job(id).filter(|job| job.state.is_end()) else {
                    continue;
                };
                if self.told.insert(id.to_string()) {
                    let each = job
                        .execution
                        .each
                        .map(|number| format!("[{number}]"))
                        .unwrap_or_default();
                    let outputs = short(&Data::Map(job.outputs.clone()));
                    out.line(format_args!("  {name}{each}  {}{outputs}  {id}", job.state))?;
                }
            }
            let is_task_failure = |state: &NodeState| {
                let mut jobs = executions.iter().filter_map(|id| run.job(id));
                matches!(state, NodeState::Failed(_))
                    && jobs.any(|job| matches!(job.state, State::Failed(_)))
            };
            let is_new = match state {
                NodeState::Waiting | NodeState::Running => false,
                NodeState::Ended(_) => executions.is_empty(),
                other => !is_task_failure(other),
            };
            if is_new && self.told.insert(name.to_owned()) {
                let value = run.value(name).map(short).unwrap_or_default();
                out.line(format_args!("  {name}  {state}{value}"))?;
            }
        }
        Ok(())
    }

    /// Tells the end of a run.
    ///
    /// # Errors
    /// When standard output has gone.
    pub fn end(&self, run: &Run, out: Out) -> Result<(), ExitError> {
        let failed = run
            .nodes()
            .filter(|(_, state, _)| matches!(state, NodeState::Failed(_)))
            .count();
        match failed {
            0 => out.line("  done"),
            _ => out.line(format_args!(
                "  done, and {} failed",
                crate::out::count(failed, "node")
            )),
        }
    }
}

/// A value in short, with the space before it; nothing for what is empty.
fn short(value: &Data) -> String {
    let text = value.to_json().to_string();
    match (text.as_str(), text.char_indices().nth(SHOWN_CHARACTERS)) {
        ("{}", _) => String::new(),
        (_, Some((end, _))) => format!("  {}…", &text[..end]),
        _ => format!("  {text}"),
    }
}
