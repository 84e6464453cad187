//! Lower bounds: what a result costs at least on this machine. A bare transaction, a bare durable write and a bare run
//! of the program are measured alone, so that a figure can be compared with the sum of what it cannot do without.

use super::{figures::median, stage::Stage};
use crate::exit::{Context, ExitError, ExitStatus};
use rings_compute::Local;
use rings_member::task::task;
use rings_protocol::{
    cids::sha256,
    gate::{inputs_hash, Computation},
    operation::Operation,
    Address,
};
use std::{
    fs::File,
    io::{Cursor, Write},
    path::Path,
    time::{Duration, Instant},
};

/// How often each is measured; the median counts.
const TIMES: usize = 50;
/// Bytes of one write.
const RECORD: usize = 1024;

/// The bounds, medians of one run.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// From sending a bare transfer to its receipt.
    pub transaction: Duration,
    /// Appending 1 KiB to a file and waiting for the disk.
    pub write: Duration,
    /// The program in wasmtime, in this process, compiled before.
    pub run: Duration,
}

impl Bounds {
    /// Measures them on the stage's chain, disk and program.
    ///
    /// # Errors
    /// When one of them fails.
    pub async fn measure(stage: &Stage) -> Result<Self, ExitError> {
        let transactions =
            rings_chain::bare_transactions(stage.chain(), stage.key(), TIMES).await?;
        Ok(Self {
            transaction: median(&transactions),
            write: write(stage.directory())?,
            run: run(stage.program(), stage.operation(), stage.input())?,
        })
    }

    /// Their sum.
    pub fn sum(&self) -> Duration {
        self.transaction + self.write + self.run
    }
}

/// What the disk needs for one small durable write.
fn write(directory: &Path) -> Result<Duration, ExitError> {
    let timed = || -> std::io::Result<Vec<Duration>> {
        let mut file = File::create(directory.join("durable"))?;
        let mut times = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let began = Instant::now();
            file.write_all(&[7; RECORD])?;
            file.sync_data()?;
            times.push(began.elapsed());
        }
        Ok(times)
    };
    let times = timed().context(ExitStatus::Internal, "cannot write to the disk")?;
    Ok(median(&times))
}

fn run(program: &[u8], operation: &Operation, input: &[u8]) -> Result<Duration, ExitError> {
    let failed = |error| ExitError::internal("the program does not run here").because(error);
    let mut local = Local::new().map_err(failed)?;
    let computation = Computation {
        gate: Address::ZERO,
        inputs: inputs_hash(&[]),
    };
    let task = task(computation, operation, sha256(program));
    let mut times = Vec::with_capacity(TIMES);
    for _ in 0..=TIMES {
        let began = Instant::now();
        local
            .run(&task, program, Cursor::new(input.to_vec()), std::io::sink())
            .map_err(failed)?;
        times.push(began.elapsed());
    }
    // The first one compiled.
    Ok(median(&times[1..]))
}
