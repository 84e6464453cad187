//! `rings bench logs`: what logs and requests cost on this machine, each figure beside its bound, measured in one run.
//!
//! `own.rs` writes and opens logs in this process, by the calls of a running member. `sync.rs` has one process take over the
//! log of another. `requests.rs` asks a ring for results without gates.

mod own;
mod requests;
mod sync;

use super::figures::BenchReport;
use crate::{
    args::BenchLogsArgs,
    exit::{Context, ExitError, ExitStatus},
    out::Out,
    signals::Signals,
};

/// Measures, in a temporary directory.
///
/// # Errors
/// When a ring does not start, or a part of it fails.
pub async fn bench(args: BenchLogsArgs, out: Out) -> Result<(), ExitError> {
    let mut signals = Signals::new()?;
    let directory =
        tempfile::tempdir().context(ExitStatus::Internal, "cannot make a temporary directory")?;
    let mut report = BenchReport::default();
    let measured = tokio::select! {
        measured = own::measure(directory.path(), args.nodes, &mut report, out) => measured,
        () = signals.next() => Err(ExitError::internal("interrupted")),
    };
    measured?;
    sync::measure(
        directory.path(),
        args.nodes,
        (&mut report, out),
        &mut signals,
    )
    .await?;
    requests::measure(directory.path(), &args, (&mut report, out), &mut signals).await?;
    report.show(args.json, out)
}
