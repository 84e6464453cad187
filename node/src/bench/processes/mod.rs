//! `rings bench processes`: what processes cost on this machine, each figure beside its bound, measured in one run.
//!
//! `definitions.rs` has what the ring runs: a task that gives a number, alone and in chains of ten. `runs.rs` measures single runs
//! and many at once. The bound of a result is one durable write, one run of the program and one round between two processes, each
//! measured here alone. Another engine's chain of ten steps may be measured in the same run (`peer.rs`). What thousands of idle processes need is measured last, as the difference to before.

mod definitions;
mod peer;
mod round;
mod runs;

use super::{
    bounds::Bounds,
    figures::{median, milliseconds, quantile, BenchReport, Row},
    idle,
    stage::{on_stage, Stage},
};
use crate::{args::BenchProcessesArgs, exit::ExitError, out::Out};
use definitions::{Start, CHAIN};
use futures::{stream, TryStreamExt};
use std::time::Duration;

/// Runs whose latency is measured, and those before them that fill caches.
const SINGLE: u64 = 40;
const WARM: u64 = 10;
/// Processes that one event starts, for the rate.
const TOGETHER: u64 = 50;
/// Executions before the first latency that the cost after many is compared with.
const FIRST_DONE: u64 = 1_000;
/// How often members are watched until they have done what an installation asks of them, and percents of a core that are little.
const MAX_WATCHES: usize = 8;
const LITTLE: f64 = 2.0;
/// Processes that are created at one time: a member takes few uploads at once, and sends others away.
const LANES: usize = 4;

/// Measures, on a throw-away ring.
///
/// # Errors
/// When the ring does not start, or a part of it fails.
pub async fn bench(args: BenchProcessesArgs, out: Out) -> Result<(), ExitError> {
    let measured =
        async |stage: &Stage, report: &mut BenchReport| measure(stage, &args, report, out).await;
    on_stage((args.members, args.json), out, measured).await
}

async fn measure(
    stage: &Stage,
    args: &BenchProcessesArgs,
    report: &mut BenchReport,
    out: Out,
) -> Result<(), ExitError> {
    let step = out.step("measuring bounds: a bare durable write, a bare run, a bare round");
    let bounds = Bounds::measure(stage).await?;
    let round = round::measure().await?;
    report.add(Row::time("bare durable write of 1 KiB", bounds.write, None));
    report.add(Row::time("bare run of a small program", bounds.run, None));
    report.add(Row::time(
        "bare round of 1 KiB between two sockets",
        round,
        None,
    ));
    definitions::prepare(stage).await?;
    drop(step);
    latencies(stage, bounds.write + bounds.run + round, report, out).await?;
    if let Some(program) = &args.peer {
        let _step = out.step(format_args!("running {}", program.display()));
        let time = peer::measure(program).await?;
        let name = format!("chain of {CHAIN} steps, {}", program.display());
        report.add(Row::time(name, time, None));
    }
    rate(stage, args, report, out).await?;
    idle_processes(stage, args, report, out).await
}

/// A single result, and a chain of ten.
async fn latencies(
    stage: &Stage,
    bound: Duration,
    report: &mut BenchReport,
    out: Out,
) -> Result<(), ExitError> {
    let _step = out.step(format_args!(
        "measuring {SINGLE} events of a contract, and {SINGLE} chains of {CHAIN} tasks"
    ));
    let on_log = definitions::install(stage, Start::Log, 1, 0).await?;
    let times = runs::logs(stage, on_log, WARM + SINGLE).await?;
    let times = &times[WARM as usize..];
    let middle = median(times);
    report.add(Row::time(
        "event in a block to the first task's result agreed, median",
        middle,
        Some(40.0),
    ));
    report.add(Row::time(
        "the same, of ten the slowest",
        quantile(times, 0.9),
        None,
    ));
    report.add(Row::number(
        "the median in bounds (write + run + round)",
        milliseconds(middle) / milliseconds(bound),
        "times",
        Some(3.0),
    ));
    let chain = definitions::install(stage, Start::Hand, CHAIN, 0).await?;
    let times = runs::chains(stage, chain, 0..WARM + SINGLE).await?;
    let times = &times[WARM as usize..];
    let middle = median(times);
    report.add(Row::time(
        format!("chain of {CHAIN} tasks, from told to the last result agreed, median"),
        middle,
        Some(300.0),
    ));
    report.add(Row::time(
        "the same, of ten the slowest",
        quantile(times, 0.9),
        None,
    ));
    report.add(Row::number(
        format!("the median in bounds of {CHAIN} results"),
        milliseconds(middle) / (CHAIN as f64 * milliseconds(bound)),
        "times",
        None,
    ));
    runs::cancel(stage, chain).await
}

/// Executions a second over many processes, and whether the cost of one grows with those that were done before.
async fn rate(
    stage: &Stage,
    args: &BenchProcessesArgs,
    report: &mut BenchReport,
    out: Out,
) -> Result<(), ExitError> {
    let step = out.step(format_args!(
        "running {} executions of {TOGETHER} processes",
        args.done
    ));
    for number in 1..=TOGETHER {
        definitions::install(stage, Start::Hand, 1, number).await?;
    }
    // Events by hand of before have other numbers.
    let mut next = 1_000_000;
    let mut batch = |executions: u64| {
        let events = executions.div_ceil(TOGETHER).max(1);
        let range = next..next + events;
        next += events;
        (range, events * TOGETHER)
    };
    let (events, count) = batch(FIRST_DONE);
    let first = runs::many(stage, events).await?;
    let per = |time: Duration, count: u64| count as f64 / time.as_secs_f64();
    let rate = per(first, count);
    report.add(Row::at_least(
        format!("executions over {TOGETHER} processes, the first {count}"),
        rate,
        "a second",
        200.0,
    ));
    let (mut done, mut last) = (count, rate);
    while done < args.done {
        let (events, count) = batch(FIRST_DONE);
        last = per(runs::many(stage, events).await?, count);
        done += count;
    }
    report.add(Row::at_least(
        format!("the same, the last of {done}"),
        last,
        "a second",
        200.0,
    ));
    report.add(Row::number(
        format!("cost of one execution, after {done} done beside after {count}"),
        rate / last,
        "times",
        Some(1.2),
    ));
    drop(step);
    Ok(())
}

/// What thousands of processes need for which nothing happens.
async fn idle_processes(
    stage: &Stage,
    args: &BenchProcessesArgs,
    report: &mut BenchReport,
    out: Out,
) -> Result<(), ExitError> {
    let count = args.processes;
    if count == 0 {
        return Ok(());
    }
    let _step = out.step(format_args!("watching {count} idle processes"));
    let before = idle::watch(&stage.pids()).await?;
    let numbers = stream::iter((0..count).map(Ok::<_, ExitError>));
    numbers
        .try_for_each_concurrent(LANES, |n| async move {
            // Half of them wait for a schedule, half for a log of a contract.
            let start = if n % 2 == 0 { Start::Cron } else { Start::Log };
            definitions::install(stage, start, 1, 1_000 + n)
                .await
                .map(drop)
        })
        .await?;
    let after = until_idle(stage).await?;
    report.add(Row::number(
        format!("memory for {count} idle processes, the largest member"),
        after.resident_mib - before.resident_mib,
        "MiB more",
        Some(100.0),
    ));
    report.add(Row::number(
        "processor time of a member with them",
        after.percent,
        "% of a core",
        Some(2.0),
    ));
    report.add(Row::number(
        "the same without them",
        before.percent,
        "% of a core",
        None,
    ));
    Ok(())
}

/// Watches the members until they have read the definitions of what was installed: until they need little, or for so often at most.
async fn until_idle(stage: &Stage) -> Result<idle::Idle, ExitError> {
    let mut watched = idle::watch(&stage.pids()).await?;
    for _ in 1..MAX_WATCHES {
        if watched.percent <= LITTLE {
            break;
        }
        watched = idle::watch(&stage.pids()).await?;
    }
    Ok(watched)
}
