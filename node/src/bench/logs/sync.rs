//! One process takes over the log of another, both on disk, over libp2p.

use super::own::PAYLOAD;
use crate::{
    bench::figures::{BenchReport, Row},
    exit::{Context, ExitError, ExitStatus},
    out::Out,
    ringdir::{RingDir, RingFile},
    signals::Signals,
    terms::TermsArgs,
    up::{plan::Plan, start, LocalRing},
};
use rings_chain::SubmitterConfig;
use rings_member::{config::NodeConfig, measure::LogFiles};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// How long it may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(1_200);
/// Between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(5);
/// The member whose log it is, and the one that takes it over.
const AUTHOR: usize = 0;
const OTHER: usize = 1;

/// Measures with a ring of two below `directory`.
///
/// # Errors
/// When the ring does not start, or the log does not come.
pub async fn measure(
    directory: &Path,
    nodes: u64,
    (report, out): (&mut BenchReport, Out),
    signals: &mut Signals,
) -> Result<(), ExitError> {
    let dir = RingDir::new(Some(directory.join("two")));
    let plan = Plan {
        dir: dir.clone(),
        members: Some(2),
        given: None,
        store: None,
        confirmations: 0,
        terms: TermsArgs::none(),
        fees: SubmitterConfig::default(),
    };
    // Made, and stopped again, so that the author's log can be written while it is down.
    let mut ring = LocalRing::new(dir.clone(), out);
    let file = start(&mut ring, &plan, signals).await?;
    ring.stop().await?;
    let bytes = write(&dir, &file, nodes, out).await?;
    let mut ring = LocalRing::new(dir.clone(), out);
    let file = start(&mut ring, &plan, signals).await?;
    let measured = tokio::select! {
        taken = taken_over(&dir, &file, nodes, out) => taken,
        () = signals.next() => Err(ExitError::internal("interrupted")),
    };
    let memory = peak(&file);
    ring.stop().await?;
    let time = measured?;
    let most = match nodes {
        10_000 => Some(400.0),
        1_000_000 => Some(60_000.0),
        _ => None,
    };
    let what = format!("sync {nodes} nodes of {PAYLOAD} bytes between two processes");
    report.add(Row::time(what, time, most));
    report.add(Row::number(
        "the same, a node",
        time.as_secs_f64() * 1e6 / nodes as f64,
        "µs",
        None,
    ));
    let rate = bytes as f64 / time.as_secs_f64() / 1e6;
    report.add(Row::number("the same, in bytes", rate, "MB/s", None));
    report.add(Row::number(
        "peak memory of the process that takes it over",
        memory?,
        "MiB",
        Some(150.0),
    ));
    Ok(())
}

/// Writes the author's log, and lets the other hold so much of it in a day.
async fn write(dir: &RingDir, file: &RingFile, nodes: u64, out: Out) -> Result<u64, ExitError> {
    let _step = out.step(format_args!("writing a log of {nodes} nodes"));
    let failed = |error| ExitError::internal("the log cannot be written").because(error);
    let config = NodeConfig::load(&dir.member(AUTHOR).config())?;
    let files = LogFiles::of_member(&config, file.chain_id).await;
    let files = files.map_err(failed)?;
    let bytes = files.grow(nodes, PAYLOAD).await.map_err(failed)?;
    files.close().await;
    let path = dir.member(OTHER).config();
    let quota = format!(
        "[store]\nauthor_daily_nodes = {}\nauthor_daily_bytes = {}\n",
        2 * nodes + 1_000,
        2 * bytes + 1_000_000
    );
    let text = fs::read_to_string(&path);
    let text = text.context(ExitStatus::Internal, "a configuration cannot be read")?;
    fs::write(&path, text.replacen("[store]\n", &quota, 1))
        .context(ExitStatus::Internal, "a configuration cannot be written")?;
    Ok(bytes)
}

/// From the moment at which the other is connected to the one at which it holds the log.
async fn taken_over(
    dir: &RingDir,
    file: &RingFile,
    nodes: u64,
    out: Out,
) -> Result<Duration, ExitError> {
    let _step = out.step("waiting until the other process has the log");
    let clients = dir.clients(file)?;
    let missing = || ExitError::internal("the ring has no second member");
    let (client, author) = (clients.get(OTHER).ok_or_else(missing)?, AUTHOR);
    let author = file.members.get(author).ok_or_else(missing)?.address;
    let began = Instant::now();
    let mut connected = None;
    loop {
        if began.elapsed() > PATIENCE {
            return Err(ExitError::internal(
                "the log did not come; the members' log files may say why",
            ));
        }
        if connected.is_none() {
            let status = client.status().await?;
            connected = (status.peers > 0).then(Instant::now);
        }
        let view = client.ring(file.ring).await?;
        let head = view.members.iter().find(|member| member.address == author);
        let held = head.and_then(|member| member.head.as_ref());
        if held.is_some_and(|head| head.seq + 1 >= nodes) {
            return Ok(connected.unwrap_or(began).elapsed());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The most resident memory that the other has used, in MiB.
fn peak(file: &RingFile) -> Result<f64, ExitError> {
    let pid = file.members.get(OTHER).and_then(|member| member.pid);
    let path = format!("/proc/{}/status", pid.unwrap_or_default());
    let text = fs::read_to_string(path);
    let text = text.context(ExitStatus::Internal, "cannot look at a member")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.map(|kib| kib / 1024.0)
        .ok_or_else(|| ExitError::internal("cannot read a member's memory"))
}
