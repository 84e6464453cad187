//! Why something about processes could not be done now.

use crate::state::StateError;
use rings_api::ApiError;
use rings_chain::ChainError;
use rings_process::{document::DocumentError, words::WordError};
use rings_store::StoreError;

/// Why something about processes could not be done now. It is tried again, unless the database has failed for good.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The database cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A block is missing, or the store cannot be used.
    #[error("a document of a process cannot be read or kept now")]
    Store(#[from] StoreError),
    /// The chain cannot be asked.
    #[error("the chain cannot be asked for events of processes now")]
    Chain(#[from] ChainError),
    /// A document is not what it should be.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A word cannot be written.
    #[error(transparent)]
    Word(#[from] WordError),
    /// A process cannot be run.
    #[error("process {process} cannot be run: {what}")]
    Plan {
        /// The process.
        process: String,
        /// The first thing that is wrong.
        what: String,
    },
    /// A log node of a member cannot be opened.
    #[error("a log node cannot be read: {0}")]
    Node(String),
    /// The member stops.
    #[error("this member is stopping")]
    Stopping,
}

impl From<ProcessError> for ApiError {
    fn from(error: ProcessError) -> Self {
        match error {
            ProcessError::Document(_) | ProcessError::Word(_) | ProcessError::Plan { .. } => {
                Self::InvalidParams {
                    reason: error.to_string(),
                }
            }
            error => Self::internal(error.to_string(), error),
        }
    }
}
