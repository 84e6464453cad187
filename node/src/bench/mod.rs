//! `rings bench`: what a result costs on this machine, beside its lower bound, measured in one run.
//!
//! The bound of a result's latency is the sum of one bare transaction, one bare durable write and one bare run of the
//! same program, each measured on this machine in the same run: times differ from machine to machine, ratios hardly do.
//! `stage` makes the ring and the gates that are measured, `bounds` measures what a result rests on, `idle` measures a
//! member that has nothing to do, `clients` and `people` what people without a node ask for, `many_rings`
//! what a thousand rings of theirs need that say nothing, `processes` what processes cost, and `figures` holds the rows, as a table for people and as JSON for programs.

mod bounds;
mod clients;
mod figures;
mod idle;
mod logs;
mod many_rings;
mod people;
mod processes;
mod stage;

use super::{
    args::{BenchArgs, BenchCommand},
    exit::{Context, ExitError, ExitStatus},
    out::Out,
    signals::Signals,
};
use bounds::Bounds;
use figures::{median, milliseconds, quantile, BenchReport, Row};
use stage::Stage;
use std::{
    process::Stdio,
    time::{Duration, Instant},
};

/// Results whose latency is measured, one after the other.
const RESULTS: usize = 60;
/// Results before the measurement, to fill caches.
const WARM: usize = 10;
/// Gates that wait for their results at one time.
const IN_FLIGHT: usize = 64;
/// Results of the throughput measurement.
const STREAM: usize = 640;
/// How often `--help` is timed.
const HELPS: usize = 5;

/// Measures, on a throw-away ring.
///
/// # Errors
/// When the ring does not start, or a part of it fails.
pub async fn bench(args: BenchArgs, out: Out) -> Result<(), ExitError> {
    match args.command {
        Some(BenchCommand::Logs(args)) => return logs::bench(args, out).await,
        Some(BenchCommand::Clients(args)) => return people::bench(args, out).await,
        Some(BenchCommand::Processes(args)) => return processes::bench(args, out).await,
        None => {}
    }
    let mut signals = Signals::new()?;
    let directory =
        tempfile::tempdir().context(ExitStatus::Internal, "cannot make a temporary directory")?;
    let mut report = BenchReport::default();
    let help = help()?;
    report.add(Row::time("rings --help", help, Some(50.0)));
    let began = Instant::now();
    let mut stage = Stage::new(directory.path(), args.members, out, &mut signals).await?;
    report.add(Row::time("rings up", began.elapsed(), Some(5_000.0)));
    let measured = tokio::select! {
        measured = measure(&mut stage, &mut report, out) => measured,
        () = signals.next() => Err(ExitError::internal("interrupted")),
    };
    let began = Instant::now();
    stage.stop().await?;
    report.add(Row::time("rings down", began.elapsed(), Some(3_000.0)));
    measured?;
    report.show(args.json, out)
}

async fn measure(stage: &mut Stage, report: &mut BenchReport, out: Out) -> Result<(), ExitError> {
    let step = out.step("measuring bounds: a bare transaction, a bare durable write, a bare run");
    let bounds = Bounds::measure(stage).await?;
    report.add(Row::time("bare transaction", bounds.transaction, None));
    report.add(Row::time("bare durable write of 1 KiB", bounds.write, None));
    report.add(Row::time("bare run of the program", bounds.run, None));
    drop(step);
    let step = out.step(format_args!(
        "measuring {RESULTS} results, one after the other"
    ));
    let mut latencies = stage.one_by_one(WARM + RESULTS).await?;
    let latencies = latencies.split_off(WARM);
    let (middle, tail) = (median(&latencies), quantile(&latencies, 0.9));
    report.add(Row::time(
        "result, from the gate's block to its own, median",
        middle,
        Some(80.0),
    ));
    report.add(Row::time("the same, of ten the slowest", tail, None));
    let ratio = milliseconds(middle) / milliseconds(bounds.sum());
    report.add(Row::number(
        "the median in bounds (transaction + write + run)",
        ratio,
        "times",
        Some(15.0),
    ));
    drop(step);
    let step = out.step(format_args!(
        "measuring {STREAM} results, {IN_FLIGHT} in flight"
    ));
    let elapsed = stage.stream(STREAM, IN_FLIGHT).await?;
    let rate = STREAM as f64 / elapsed.as_secs_f64();
    report.add(Row::at_least(
        format!("results with {IN_FLIGHT} gates in flight"),
        rate,
        "a second",
        50.0,
    ));
    drop(step);
    let step = out.step("measuring client rings");
    for row in clients::measure(stage, &bounds).await? {
        report.add(row);
    }
    drop(step);
    let step = out.step("watching idle members");
    let idle = idle::watch(&stage.pids()).await?;
    report.add(Row::number(
        "an idle member's resident memory, the largest",
        idle.resident_mib,
        "MiB",
        Some(60.0),
    ));
    report.add(Row::number(
        "of it the member's own, without the pages of the program",
        idle.own_mib,
        "MiB",
        None,
    ));
    report.add(Row::number(
        "an idle member's processor time, the largest",
        idle.percent,
        "% of a core",
        Some(1.0),
    ));
    drop(step);
    Ok(())
}

/// How long `rings --help` takes.
fn help() -> Result<Duration, ExitError> {
    let program =
        std::env::current_exe().context(ExitStatus::Internal, "cannot find this program")?;
    let mut times = Vec::with_capacity(HELPS);
    for _ in 0..HELPS {
        let began = Instant::now();
        let status = std::process::Command::new(&program)
            .arg("--help")
            .stdout(Stdio::null())
            .status();
        status.context(ExitStatus::Internal, "cannot start this program")?;
        times.push(began.elapsed());
    }
    Ok(median(&times))
}
