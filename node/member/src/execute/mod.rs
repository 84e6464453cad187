//! Runs a gate's operation over its inputs: in the same way for a member that votes and for a person who verifies.
//!
//! It has two halves. [`prepare`] reads the operation, the program and all inputs, checks whether this machine will
//! run them, and compiles the program; blocks that are missing are fetched by the [`BlockSource`] behind [`Files`], and no
//! worker is taken meanwhile. [`Prepared::run`] then runs the program on a worker and puts its outputs into the store.
//! [`execute`] does both.
//!
//! The result is a function of the [`Computation`](rings_protocol::gate::Computation) and of the data that it names: no
//! block of the chain, no clock of this machine and no ring is part of it. Everything that goes wrong on this machine (a
//! block that nobody has, a worker that dies, a full disk) is an [`ExecuteError`], and no vote follows from it.

mod context;
mod error;
mod execution;
mod files;
mod prepare;
mod prepared;
mod remembered;
mod run;
mod stop;
#[cfg(test)]
mod tests;

pub use context::{Bounds, TaskContext};
pub use error::ExecuteError;
pub use execution::{Execution, Opinions};
pub use files::Files;
pub use prepare::prepare;
pub use prepared::Prepared;
pub use run::{failure_record, EACH_IN_FLIGHT};

use cid::Cid;
use rings_compute::Pools;
use rings_store::{BlockSource, BlockStore};
use std::sync::Arc;

/// Runs the operation in the file `operation` over `inputs` (the gate's input pins behind pin 0, in order).
///
/// Outputs, and the record of a failure, go into `store`; without one, only their digests are computed.
///
/// # Errors
/// [`ExecuteError`] for faults of this machine only. A malformed operation or program, like a program that traps,
/// is an [`Execution`] with a failure.
pub async fn execute(
    pools: &Pools,
    source: Arc<dyn BlockSource>,
    store: Option<Arc<dyn BlockStore>>,
    operation: Cid,
    inputs: &[Cid],
    context: TaskContext,
) -> Result<Execution, ExecuteError> {
    let files = Arc::new(Files::new(source));
    let prepared = prepare(pools, files, operation, inputs, context).await?;
    prepared.run(store).await
}
