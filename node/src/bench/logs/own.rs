//! Writing and opening logs, in this process.

use crate::{
    bench::figures::{median, BenchReport, Row},
    exit::{Context, ExitError, ExitStatus},
    out::Out,
};
use rings_member::measure::{message, LogFiles, MeasureError};
use rings_protocol::{crypto::SecretKey, eip712::Domain, Address, Digest};
use std::{
    fs::{self, File},
    hint::black_box,
    io::{self, Write},
    path::Path,
    time::{Duration, Instant},
};

/// Bytes of each message.
pub const PAYLOAD: usize = 256;
/// Nodes that are written one by one.
const APPENDED: u32 = 1_000;
/// Writers of one log at the same time, and how often each writes.
const WRITERS: usize = 64;
const ROUNDS: u32 = 300;
/// How often the bound of a node is measured.
const BOUNDS: u32 = 300;
/// Bytes of its write.
const RECORD: usize = 1024;
/// How often a log is opened.
const OPENED: usize = 5;
/// Nodes of the log beside which the longest is compared when it is opened.
const SHORT: u64 = 1_000;
/// From so many nodes on the space of one is a figure: a database grows by whole regions, which a shorter log does not fill.
const SPACIOUS: u64 = 10_000;

fn broken(error: MeasureError) -> ExitError {
    ExitError::internal("a log cannot be measured").because(error)
}

fn key() -> Result<SecretKey, ExitError> {
    SecretKey::from_bytes(&[7; 32])
        .map_err(|error| ExitError::internal("there is no key to sign with").because(error))
}

fn domain() -> Domain {
    Domain::new(31337, Address([1; 20]))
}

/// Measures, below `directory`; the longest log has so many nodes.
///
/// # Errors
/// When a disk cannot be written.
pub async fn measure(
    directory: &Path,
    nodes: u64,
    report: &mut BenchReport,
    out: Out,
) -> Result<(), ExitError> {
    let step = out.step("writing logs");
    appends(&directory.join("append"), report).await?;
    drop(step);
    let step = out.step(format_args!("opening a log of {nodes} nodes"));
    if nodes != SHORT {
        opens(&directory.join("short"), SHORT, report).await?;
    }
    opens(&directory.join("long"), nodes, report).await?;
    drop(step);
    Ok(())
}

async fn appends(directory: &Path, report: &mut BenchReport) -> Result<(), ExitError> {
    make(directory)?;
    let files = LogFiles::open(directory, key()?, domain());
    let files = files.await.map_err(broken)?;
    let (signature, write) = (signature()?, write(directory)?);
    let bound = signature + write;
    report.add(Row::time("a bare signature", signature, None));
    report.add(Row::time(
        "a durable append of 1 KiB to a file",
        write,
        None,
    ));
    let one = timed(&files, APPENDED, 1).await?;
    let rate = per_second(one);
    report.add(Row::at_least(
        "append, durable, one message a node",
        rate,
        "a second",
        5_000.0,
    ));
    report.add(Row::at_least(
        "the same, in its bound (a signature and a durable append)",
        bound.as_secs_f64() / one.as_secs_f64(),
        "of it",
        0.6,
    ));
    let all = timed(&files, ROUNDS, WRITERS).await?;
    files.close().await;
    report.add(Row::at_least(
        format!("append, durable, {WRITERS} writers of one log"),
        per_second(all) * WRITERS as f64,
        "a second",
        50_000.0,
    ));
    Ok(())
}

/// How long one node of so many messages takes.
async fn timed(files: &LogFiles, nodes: u32, messages: usize) -> Result<Duration, ExitError> {
    let body: Vec<_> = (0..messages).map(|_| message(PAYLOAD)).collect();
    let began = Instant::now();
    for _ in 0..nodes {
        files.append(body.clone()).await.map_err(broken)?;
    }
    Ok(began.elapsed() / nodes)
}

fn per_second(time: Duration) -> f64 {
    1.0 / time.as_secs_f64()
}

fn signature() -> Result<Duration, ExitError> {
    let (key, mut times) = (key()?, Vec::new());
    for n in 0..BOUNDS {
        let digest = Digest([n as u8; 32]);
        let began = Instant::now();
        let signed = key.sign(&digest);
        let signed = signed.map_err(|error| ExitError::internal("cannot sign").because(error))?;
        black_box(signed);
        times.push(began.elapsed());
    }
    Ok(median(&times))
}

fn write(directory: &Path) -> Result<Duration, ExitError> {
    let timed = || -> io::Result<Vec<Duration>> {
        let mut file = File::create(directory.join("durable"))?;
        let mut times = Vec::new();
        for _ in 0..BOUNDS {
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

fn make(directory: &Path) -> Result<(), ExitError> {
    fs::create_dir_all(directory).context(ExitStatus::Internal, "cannot make a directory")
}

/// A log of so many nodes: how long it takes to open it, and the space that it takes on disk.
async fn opens(directory: &Path, nodes: u64, report: &mut BenchReport) -> Result<(), ExitError> {
    make(directory)?;
    let before = {
        let files = LogFiles::open(directory, key()?, domain());
        let files = files.await.map_err(broken)?;
        // What new databases hold in reserve is no space of nodes, and must not be taken off theirs.
        files.shrink().await.map_err(broken)?;
        files.close().await;
        let empty = on_disk(directory)?;
        let files = LogFiles::open(directory, key()?, domain());
        let files = files.await.map_err(broken)?;
        files.grow(nodes, PAYLOAD).await.map_err(broken)?;
        files.close().await;
        empty
    };
    let mut times = Vec::new();
    for _ in 0..OPENED {
        let began = Instant::now();
        let files = LogFiles::open(directory, key()?, domain());
        let files = files.await.map_err(broken)?;
        let tip = files.tip(key()?.address()).map_err(broken)?;
        times.push(began.elapsed());
        files.close().await;
        if tip.map(|tip| tip.seq + 1) != Some(nodes) {
            return Err(ExitError::internal("the log is not whole"));
        }
    }
    report.add(Row::time(
        format!("open a log of {nodes} nodes"),
        median(&times),
        Some(50.0),
    ));
    if nodes >= SPACIOUS {
        space(directory, (before, nodes), report).await?;
    }
    Ok(())
}

/// The space of a node on disk: while the databases hold free space for what comes, and when they have given it back.
async fn space(
    directory: &Path,
    (before, nodes): (u64, u64),
    report: &mut BenchReport,
) -> Result<(), ExitError> {
    let beside = |now: u64| now.saturating_sub(before) as f64 / nodes as f64 - PAYLOAD as f64;
    report.add(Row::number(
        format!("space of a node beside its payload, of {nodes}, with free space of the databases"),
        beside(on_disk(directory)?),
        "bytes",
        None,
    ));
    let files = LogFiles::open(directory, key()?, domain());
    let files = files.await.map_err(broken)?;
    files.shrink().await.map_err(broken)?;
    files.close().await;
    report.add(Row::number(
        format!("space of a node beside its payload, of {nodes}, without it"),
        beside(on_disk(directory)?),
        "bytes",
        Some(300.0),
    ));
    Ok(())
}

/// Bytes of the files in a directory.
fn on_disk(directory: &Path) -> Result<u64, ExitError> {
    let sizes = || -> io::Result<u64> {
        let mut size = 0;
        for entry in fs::read_dir(directory)? {
            size += entry?.metadata()?.len();
        }
        Ok(size)
    };
    sizes().context(ExitStatus::Internal, "cannot look at a file")
}
