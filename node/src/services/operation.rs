//! What an execution is for a ring, or for one machine: an operation, and the pieces of standard input.
//!
//! A program reads the execution (one line of JSON), a line end, and the bytes of the file that one of its inputs names, if
//! there is one. It writes its answer.

use crate::{exit::ExitError, run::content::Content};
use cid::Cid;
use rings_process::{
    bounds::MAX_DOCUMENT_BYTES,
    data::Data,
    document::Document,
    execution::Execution,
    service::{Task, TASK_FUEL, TASK_MEMORY},
};
use rings_protocol::operation::{Mode, Operation};

/// What stands between the execution and the file.
const LINE_END: &str = "\n";

/// The operation of a task; nothing if the task is external.
pub fn operation(task: &Task) -> Option<Operation> {
    Some(Operation {
        args: task.args.clone(),
        fuel: task.fuel.unwrap_or(TASK_FUEL),
        memory: task.memory.unwrap_or(TASK_MEMORY),
        mode: Mode::Cat,
        output: Some(MAX_DOCUMENT_BYTES as u64),
        profile: rings_compute::profile(),
        program: task.program?,
        stack: None,
        state: false,
        time: 0,
    })
}

/// The CID of the file that an execution reads, or why what stands there is none.
pub fn file_of(task: &Task, execution: &Execution) -> Result<Option<Cid>, String> {
    let Some(input) = task.file() else {
        return Ok(None);
    };
    match execution.inputs.get(input) {
        Some(Data::Text(text)) => {
            let cid = text
                .parse::<Cid>()
                .map_err(|_| format!("input {input} is {text:?}, and not the CID of a file"))?;
            Ok(Some(cid))
        }
        _ => Err(format!("input {input} is no text")),
    }
}

/// The execution itself, and the line end behind it.
pub async fn head(execution: &Execution) -> Result<Vec<Content>, ExitError> {
    let bytes = execution
        .to_bytes()
        .map_err(|error| ExitError::usage(error.to_string()))?;
    Ok(vec![
        Content::memory("the execution", bytes).await?,
        Content::memory("a line end", LINE_END).await?,
    ])
}
