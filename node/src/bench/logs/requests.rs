//! Results without gates: how long two thirds take, what a result costs, and how many come in a second.

use crate::bench::{
    bounds::Bounds,
    figures::{median, milliseconds, BenchReport, Row},
    stage::Stage,
};
use crate::{
    args::BenchLogsArgs,
    exit::{Context, ExitError, ExitStatus},
    out::Out,
    signals::Signals,
    up::{start, LocalRing},
};
use std::{fs, path::Path};

/// Requests whose latency is measured, one after the other, and those before them.
const SINGLE: usize = 40;
const WARM: usize = 10;
/// Seconds that a result waits for a ring node: more than all of it takes.
const WAIT: u64 = 50;

/// Measures with a ring below `directory`.
///
/// # Errors
/// When the ring does not start, or a part of it fails.
pub async fn measure(
    directory: &Path,
    args: &BenchLogsArgs,
    (report, out): (&mut BenchReport, Out),
    signals: &mut Signals,
) -> Result<(), ExitError> {
    slow_down(directory, args.members, out, signals).await?;
    let mut stage = Stage::new(directory, args.members, out, signals).await?;
    let measured = tokio::select! {
        measured = all(&mut stage, args.batch, report, out) => measured,
        () = signals.next() => Err(ExitError::internal("interrupted")),
    };
    stage.stop().await?;
    measured
}

/// Makes the ring of the stage so that its ring nodes are due by count, not by time: one that waits for a second only would
/// not be full.
async fn slow_down(
    directory: &Path,
    members: u16,
    out: Out,
    signals: &mut Signals,
) -> Result<(), ExitError> {
    let plan = Stage::plan(directory, members);
    let mut ring = LocalRing::new(plan.dir.clone(), out);
    let file = start(&mut ring, &plan, signals).await?;
    ring.stop().await?;
    for number in 0..file.members.len() {
        let path = plan.dir.member(number).config();
        let text = fs::read_to_string(&path);
        let text = text.context(ExitStatus::Internal, "a configuration cannot be read")?;
        let (before, after) = ("wait = 1\n", format!("wait = {WAIT}\n"));
        if !text.contains(before) {
            return Err(ExitError::internal("a configuration is not as expected"));
        }
        fs::write(&path, text.replacen(before, &after, 1))
            .context(ExitStatus::Internal, "a configuration cannot be written")?;
    }
    Ok(())
}

async fn all(
    stage: &mut Stage,
    batch: usize,
    report: &mut BenchReport,
    out: Out,
) -> Result<(), ExitError> {
    let step = out.step("measuring bounds: a bare transaction, a bare durable write, a bare run");
    let bounds = Bounds::measure(stage).await?;
    report.add(Row::time("bare transaction", bounds.transaction, None));
    report.add(Row::time("bare run of the program", bounds.run, None));
    drop(step);
    let step = out.step(format_args!("asking {batch} requests at once"));
    let listed = stage.ask_requests(batch).await?;
    drop(step);
    report.add(Row::at_least(
        format!("results of requests, {batch} at once, from asked to on chain"),
        batch as f64 / listed.elapsed.as_secs_f64(),
        "a second",
        500.0,
    ));
    report.add(Row::number(
        "ring nodes for them",
        listed.nodes as f64,
        "",
        None,
    ));
    report.add(Row::number(
        "gas of a result",
        listed.gas as f64 / batch as f64,
        "gas",
        Some(400.0),
    ));
    let step = out.step(format_args!(
        "asking {SINGLE} requests, one after the other"
    ));
    let mut times = Vec::new();
    for _ in 0..WARM + SINGLE {
        times.push(stage.ask_request().await?);
    }
    let middle = median(&times[WARM..]);
    report.add(Row::time(
        "a request to its two thirds, unfinal, median",
        middle,
        None,
    ));
    let bound = 2 * bounds.write + bounds.run;
    report.add(Row::number(
        "the same, in bounds (two durable writes and a run, without the gossip hop)",
        milliseconds(middle) / milliseconds(bound),
        "times",
        Some(3.0),
    ));
    drop(step);
    Ok(())
}
