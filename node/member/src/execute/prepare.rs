//! The first half: everything that a run needs is fetched and checked, and no worker is taken.
//!
//! `prepare` reads the operation, finds the pool of its profile, compares its limits with what this member spends, reads
//! the program, and checks all inputs, in this order for every member, so that the first fault is the same. At the end
//! the program is compiled, if it is not yet. The result is a [`Prepared`]: the work, or a failure record that is clear
//! already. Errors of this machine, and reasons to decline, are [`ExecuteError`]s.

use super::{
    context::TaskContext,
    error::ExecuteError,
    files::Files,
    prepared::{Prepared, Work},
    stop::{malformed, Stop},
};
use crate::task::{task, with_state};
use cid::Cid;
use rings_compute::{Pool, Pools};
use rings_protocol::{
    cids::digest_of,
    operation::{Mode, Operation, DEFAULT_OUTPUT, MAX_OPERATION_BYTES},
    Digest,
};
use std::sync::Arc;

/// Fetches and checks what the operation in the file `operation` needs over `inputs`: first the operation, then the
/// program, then the inputs in order, so that the first fault is the same for everybody. Compiles the program if that can
/// be kept.
///
/// # Errors
/// [`ExecuteError`] for faults of this machine, and where it declines. Something malformed is prepared as the failure
/// that it is.
pub async fn prepare(
    pools: &Pools,
    files: Arc<Files>,
    operation: Cid,
    inputs: &[Cid],
    context: TaskContext,
) -> Result<Prepared, ExecuteError> {
    let desk = Desk {
        files: &files,
        context,
    };
    let work = match desk.work(pools, operation, inputs).await {
        Ok(work) => Ok(work),
        Err(Stop::Failed(record)) => Err(record),
        Err(Stop::Fault(error)) => return Err(error),
    };
    let pool = work.as_ref().map_or(pools.own(), |work| &work.pool);
    Ok(Prepared {
        context,
        profile: pool.profile().to_owned(),
        files,
        work,
    })
}

/// What is prepared, and from which files.
struct Desk<'a> {
    files: &'a Files,
    context: TaskContext,
}

impl Desk<'_> {
    async fn work(&self, pools: &Pools, operation: Cid, inputs: &[Cid]) -> Result<Work, Stop> {
        let operation = self.operation(operation, inputs.len()).await?;
        let pool = pools.of(&operation.profile);
        let pool = Arc::clone(pool.map_err(ExecuteError::Compute)?);
        self.check_bounds(&operation, &pool)?;
        let (fuel, is_each) = (operation.fuel, operation.mode == Mode::Each);
        let program = self.files.program(operation.program, fuel, is_each);
        let program = program.await?;
        let task = task(self.context.computation, &operation, program.digest());
        let task = match operation.state {
            true => with_state(task, &digests(inputs)?),
            false => task,
        };
        let inputs = self.files.inputs(inputs, &program, fuel, is_each).await?;
        // Compiled now, so that a run whose program compiles slowly holds no worker's place meanwhile.
        let compiled = pool.prepare(&task, program.clone()).await;
        compiled.map_err(ExecuteError::Compute)?;
        Ok(Work {
            pool,
            mode: operation.mode,
            task,
            program,
            inputs,
        })
    }

    /// Reads the operation. One that is not canonical, or that does not fit the gate's pins, is a failure that all
    /// members find alike, so it is voted on.
    async fn operation(&self, cid: Cid, inputs: usize) -> Result<Operation, Stop> {
        let limit = MAX_OPERATION_BYTES as u32;
        let bytes = self.files.operation(cid, limit).await?;
        let wrong = |what| Stop::Failed(malformed(what, None));
        let operation = Operation::from_dag_json(&bytes)
            .map_err(|_| wrong("the operation is not canonical DAG-JSON of Rings"))?;
        let wanted = self.context.outputs;
        match operation.outputs(inputs) {
            Some(outputs) if wanted.is_none_or(|wanted| wanted == outputs) => Ok(operation),
            _ => Err(wrong("the operation does not fill the gate's output pins")),
        }
    }

    /// Whether the operation asks for no more than this machine gives.
    fn check_bounds(&self, operation: &Operation, pool: &Pool) -> Result<(), ExecuteError> {
        let bounds = self.context.bounds;
        let output = operation.output.unwrap_or(DEFAULT_OUTPUT);
        within("memory", "bytes of memory", operation.memory, bounds.memory)?;
        within("fuel", "units of fuel", operation.fuel, bounds.fuel)?;
        within("output", "bytes of output", output, bounds.output)?;
        // Without a bound (as in `rings verify`), a run may take any time.
        let (asked, limit) = (operation.fuel, pool.most_fuel());
        match bounds.fuel == u64::MAX || asked <= limit {
            true => Ok(()),
            false => Err(ExecuteError::TooLong { asked, limit }),
        }
    }
}

fn digests(inputs: &[Cid]) -> Result<Vec<Digest>, ExecuteError> {
    let digests: Result<Vec<_>, _> = inputs.iter().map(digest_of).collect();
    digests.map_err(ExecuteError::Cid)
}

fn within(
    key: &'static str,
    unit: &'static str,
    asked: u64,
    limit: u64,
) -> Result<(), ExecuteError> {
    match asked <= limit {
        true => Ok(()),
        false => Err(ExecuteError::TooMuch {
            key,
            unit,
            asked,
            limit,
        }),
    }
}
