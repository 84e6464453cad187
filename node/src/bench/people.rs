//! `rings bench clients`: what client rings cost on this machine, each figure beside its bound or its target, measured in one run.
//!
//! The basic figures are those of `clients.rs`. Here are those that need more: a hundred avatars that flush at once, a line from one
//! client to another that is told of it, and a long log that comes back from a member, checked.

use super::{
    bounds::Bounds,
    clients::{ClientRing, Writer, IN_FLIGHT, PATIENCE},
    figures::{median, BenchReport, Row},
    many_rings::idle_rings,
    stage::{on_stage, Stage},
};
use crate::{
    args::BenchClientsArgs,
    exit::{Context, ExitError, ExitStatus},
    out::Out,
};
use futures::{stream, StreamExt, TryStreamExt};
use rings_api::{
    client_rings::{AppendParams, FlushParams},
    code,
    notices::{Notice, SubscribeParams, Topic},
    Client, ClientError,
};
use rings_client::{Action, Domain, LogCopies, Secrecy};
use std::time::{Duration, Instant};

/// Lines that are told from one client to another.
const LINES: usize = 60;
/// How often all avatars flush.
const ROUNDS: usize = 3;
/// Nodes of the long log that are appended together: their request stays below a member's bound.
const TOGETHER: usize = 1_000;
/// Nodes of a page when the long log is got back.
const PAGE: u32 = 256;
/// Whose lines are told, and whose log is long.
const TELLER: usize = 40;
const AUTHOR: usize = 41;
/// Bytes of a mebibyte.
const MEBIBYTE: f64 = 1_048_576.0;

/// Measures, on a throw-away ring.
///
/// # Errors
/// When the ring does not start, or a part of it fails.
pub async fn bench(args: BenchClientsArgs, out: Out) -> Result<(), ExitError> {
    let measured =
        async |stage: &Stage, report: &mut BenchReport| measure(stage, &args, report, out).await;
    on_stage((args.members, args.json), out, measured).await
}

async fn measure(
    stage: &Stage,
    args: &BenchClientsArgs,
    report: &mut BenchReport,
    out: Out,
) -> Result<(), ExitError> {
    let nodes = args.nodes;
    let bounds = Bounds::measure(stage).await?;
    report.add(Row::time("bare durable write of 1 KiB", bounds.write, None));
    let mut clients = ClientRing::new(stage).await?;
    let step = out.step("measuring appends and flushes");
    for row in clients.basics(stage, &bounds).await? {
        report.add(row);
    }
    drop(step);
    let step = out.step("measuring lines that are told");
    let told = told(&mut clients, stage.last_member()?).await?;
    let what = "a line, from one client to another at another member, median";
    report.add(Row::time(what, told, Some(100.0)));
    drop(step);
    let step = out.step("measuring flushes of all avatars at once");
    let (accepted, relayed) = flushes(&mut clients, stage).await?;
    let count = clients.writers.len();
    let what = format!("FlushToRing of {count} avatars, {IN_FLIGHT} in flight, accepted");
    report.add(Row::at_least(what, accepted, "a second", 200.0));
    report.add(Row::at_least(
        "the same, relayed",
        relayed,
        "a second",
        100.0,
    ));
    drop(step);
    let step = out.step(format_args!("measuring a log of {nodes} nodes"));
    let domain = Domain::new(stage.chain().id(), clients.ring);
    let (client, ring) = (clients.client.clone(), clients.ring);
    let writer = &mut clients.writers[AUTHOR];
    write_long(&client, ring, writer, nodes).await?;
    let before = resident()?;
    let elapsed = restore(&client, domain, writer).await?;
    // The target is for as many nodes as are got back by default.
    let target = (nodes == 100_000).then_some(20_000.0);
    let what = format!("a log of {nodes} nodes got back and checked");
    report.add(Row::time(what, elapsed, target));
    let grown = resident()?.saturating_sub(before) as f64 / MEBIBYTE;
    report.add(Row::number(
        "memory that this took, at most",
        grown,
        "MiB",
        None,
    ));
    drop(step);
    if args.rings > 0 {
        let step = out.step(format_args!("making {} client rings", args.rings));
        let idle = idle_rings(stage, args.rings).await?;
        drop(step);
        let what = format!(
            "memory of a member that keeps {} idle client rings",
            args.rings
        );
        report.add(Row::number(what, idle.resident_mib, "MiB", Some(150.0)));
        report.add(Row::number(
            "its processor time",
            idle.percent,
            "% of a core",
            Some(2.0),
        ));
    }
    Ok(())
}

/// From the moment in which a line is sent to the first member, to that in which a client of another one has its node.
async fn told(clients: &mut ClientRing, other: &Client) -> Result<Duration, ExitError> {
    let ring = clients.ring;
    let writer = &mut clients.writers[TELLER];
    let what = SubscribeParams {
        ring: Some(ring),
        member: Some(writer.key.address()),
        ..SubscribeParams::all(Topic::Heads)
    };
    let mut notices = other.subscribe(&what).await?;
    let mut times = Vec::with_capacity(LINES);
    for n in 0..LINES {
        writer.say(&format!("told {n}"))?;
        let seq = writer.log.nodes().len() as u64 - 1;
        let request = writer.append(ring, 1);
        let began = Instant::now();
        let sent = clients.client.append(&request);
        let heard = async {
            loop {
                match notices.next().await? {
                    Notice::Heads(head) if head.seq >= seq => break,
                    _ => {}
                }
            }
            other
                .log(ring, what.member.unwrap_or_default(), Some(seq), 1)
                .await?;
            Ok(began.elapsed())
        };
        let (held, elapsed) = tokio::try_join!(sent, heard)?;
        writer.known = held.head;
        times.push(elapsed);
    }
    Ok(median(&times))
}

/// All avatars flush, several times: how many are accepted in a second, and how many relayed.
async fn flushes(clients: &mut ClientRing, stage: &Stage) -> Result<(f64, f64), ExitError> {
    let count = clients.writers.len();
    let (mut accepting, mut relaying) = (Duration::ZERO, Duration::ZERO);
    for round in 0..ROUNDS {
        let mut requests: Vec<FlushParams> = Vec::with_capacity(count);
        for at in 0..count {
            clients.writers[at].say(&format!("to the chain together, {round}"))?;
            requests.push(clients.signed(at, Action::default(), stage).await?);
        }
        let began = Instant::now();
        let client = &clients.client;
        let flushed = stream::iter(&requests)
            .map(|request| client.flush(request))
            .buffer_unordered(IN_FLIGHT);
        let messages: Vec<_> = flushed.try_collect().await?;
        accepting += began.elapsed();
        for message in messages {
            clients.relayed(message.msg_hash).await?;
        }
        relaying += began.elapsed();
        for writer in &mut clients.writers {
            writer.known = writer.log.head();
        }
    }
    let rate = |elapsed: Duration| (ROUNDS * count) as f64 / elapsed.as_secs_f64();
    Ok((rate(accepting), rate(relaying)))
}

/// Lets a log grow to so many nodes.
async fn write_long(
    client: &Client,
    ring: rings_protocol::Address,
    writer: &mut Writer,
    nodes: u64,
) -> Result<(), ExitError> {
    while (writer.log.nodes().len() as u64) < nodes {
        let left = nodes - writer.log.nodes().len() as u64;
        for n in 0..left.min(TOGETHER as u64) {
            writer.say(&format!("one of many lines: {n}"))?;
        }
        // The member may be busy passing the last ones on.
        let deadline = Instant::now() + PATIENCE;
        let request: AppendParams = writer.append(ring, 1);
        let held = loop {
            match client.append(&request).await {
                Ok(held) => break held,
                Err(error) if is_busy(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => return Err(error.into()),
            }
        };
        writer.known = held.head;
    }
    Ok(())
}

/// Whether the member only has too much to do now.
fn is_busy(error: &ClientError) -> bool {
    matches!(error, ClientError::Rpc { code: found, .. } if *found == i64::from(code::BUSY))
}

/// Gets a whole log back, page by page, and checks each node, as `rings avatar restore` does.
async fn restore(client: &Client, domain: Domain, writer: &Writer) -> Result<Duration, ExitError> {
    let (author, end) = (writer.key.address(), writer.log.nodes().len() as u64);
    let mut copies = LogCopies::new(domain, Secrecy::Open);
    let began = Instant::now();
    while copies.next_seq(author) < end {
        let newest = (copies.next_seq(author) + u64::from(PAGE)).min(end) - 1;
        let limit = u32::try_from(newest + 1 - copies.next_seq(author)).unwrap_or(PAGE);
        let page = client.log(domain.ring, author, Some(newest), limit).await?;
        let before = copies.next_seq(author);
        for entry in page.nodes.iter().rev() {
            let added = copies.add(author, &entry.bytes.0);
            added.context(ExitStatus::Internal, "a member gave another log")?;
        }
        if copies.next_seq(author) == before {
            return Err(ExitError::unavailable("the member gave no nodes"));
        }
    }
    let elapsed = began.elapsed();
    match copies.head(author) == writer.log.head() {
        true => Ok(elapsed),
        false => Err(ExitError::internal("the log that came back is another one")),
    }
}

/// The most memory that this process has had resident.
fn resident() -> Result<u64, ExitError> {
    let path = "/proc/self/status";
    let text = std::fs::read_to_string(path);
    let text = text.context(ExitStatus::Internal, "cannot read /proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    let kilobytes: u64 = kilobytes
        .ok_or_else(|| ExitError::internal("/proc/self/status does not say what is resident"))?;
    Ok(kilobytes * 1024)
}
