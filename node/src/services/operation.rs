//! The pieces of standard input of an execution, as contents of a store. What they are, `rings_process::work` says.

use crate::{exit::ExitError, run::content::Content};
use rings_process::{document::Document, execution::Execution, work::LINE_END};

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
