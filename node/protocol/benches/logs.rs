//! What a log node costs beside its signature, as ratios within one run: `cargo bench -p rings-protocol --bench logs`.
//!
//! One core. Each figure stands beside its bound, measured in the same rounds: times differ from machine to machine and with
//! what else runs, ratios hardly do.

use rings_protocol::{
    cids::{node_cid, sha256},
    crypto::{SecretKey, Signature},
    eip712::Domain,
    log::{
        seal, verify_anchored, verify_parts, AnchoredError, LogNode, LogPart, NodeError, OwnLog,
        Replica, Tip,
    },
    message::Message,
    Address, Digest,
};
use std::{
    convert::Infallible,
    error::Error,
    hint::black_box,
    io::{self, Write},
    num::NonZero,
    thread,
    time::{Duration, Instant},
};

/// Nodes of the log.
const NODES: u64 = 10_000;
/// Bytes of the message in each node.
const PAYLOAD: usize = 256;
/// Rounds, of which the median counts.
const ROUNDS: usize = 5;

type Failable<T> = Result<T, Box<dyn Error>>;

/// A log in memory.
#[derive(Default)]
struct Log(Vec<LogNode>);

impl OwnLog for Log {
    type Error = Infallible;

    fn tip(&self) -> Result<Option<Tip>, Infallible> {
        Ok(self.0.last().map(LogNode::tip))
    }

    fn digest_at(&self, seq: u64) -> Result<Option<Digest>, Infallible> {
        Ok(self.0.get(seq as usize).map(LogNode::digest))
    }
}

fn main() -> Failable<()> {
    let key = SecretKey::from_bytes(&[7; 32])?;
    let domain = Domain::new(31337, Address([1; 20]));
    let log = written(&key, &domain)?;
    let bytes: usize = log.0.iter().map(|node| node.bytes().len()).sum();
    let beside = bytes / NODES as usize - PAYLOAD;
    say(&format!(
        "{NODES} nodes of {PAYLOAD} bytes: {beside} bytes a node beside the payload"
    ))?;
    let digests = digests(&log, &domain);
    let signatures: Vec<_> = log.0.iter().map(|node| node.signed().signature).collect();
    compare(
        "sign, encode and hash a node",
        "a bare signature",
        || written(&key, &domain).map(drop),
        || signed(&key, &digests),
    )?;
    compare(
        "verify each signature, link and place",
        "a bare recovery",
        || verified(&log, &domain),
        || recovered(&signatures, &digests),
    )?;
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    compare(
        &format!("the same on {cores} cores, as a member does that takes a log over"),
        "a bare recovery on one",
        || opened(&log, &domain, cores),
        || recovered(&signatures, &digests),
    )?;
    say(&format!(
        "  (on {cores} cores the bound is {:.2} times as long)",
        1.0 / cores as f64
    ))?;
    compare(
        "verify a log by its head",
        "sha2-256 of the same bytes",
        || anchored(&log, &domain),
        || hashed(&log),
    )?;
    compare(
        &format!("the same on {cores} cores"),
        &format!("sha2-256 of the same bytes on {cores} cores"),
        || anchored_in_parts(&log, &domain, cores),
        || hashed_in_parts(&log, cores),
    )
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}

/// Times both in turns, and prints their medians a node and the quotient.
fn compare(
    what: &str,
    bound: &str,
    mut work: impl FnMut() -> Failable<()>,
    mut least: impl FnMut() -> Failable<()>,
) -> Failable<()> {
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        times.0.push(timed(&mut work)?);
        times.1.push(timed(&mut least)?);
    }
    let (work, least) = (median(times.0), median(times.1));
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / NODES as f64;
    say(&format!(
        "{what}: {:.2} µs; {bound}: {:.2} µs; {:.2} times as long",
        micros(work),
        micros(least),
        work.as_secs_f64() / least.as_secs_f64()
    ))?;
    Ok(())
}

fn timed(work: &mut impl FnMut() -> Failable<()>) -> Failable<Duration> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// A log that its author writes, node by node.
fn written(key: &SecretKey, domain: &Domain) -> Failable<Log> {
    let mut log = Log::default();
    for _ in 0..NODES {
        let message = Message {
            domain: "bench".into(),
            kind: "Note".into(),
            payload: vec![0; PAYLOAD].into(),
            status: "new".into(),
        };
        let node = seal(&log, vec![message], Vec::new(), None, domain, key)?;
        log.0.push(node);
    }
    Ok(log)
}

/// What the author signed in each node.
fn digests(log: &Log, domain: &Domain) -> Vec<Digest> {
    let nodes = log.0.iter();
    let digests = nodes.map(|node| {
        let signed = node.signed();
        domain
            .log_node(node.seq(), signed.prev, signed.content)
            .digest()
    });
    digests.collect()
}

fn signed(key: &SecretKey, digests: &[Digest]) -> Failable<()> {
    for digest in digests {
        black_box(key.sign(digest)?);
    }
    Ok(())
}

fn recovered(signatures: &[Signature], digests: &[Digest]) -> Failable<()> {
    for (signature, digest) in signatures.iter().zip(digests) {
        black_box(signature.recover(digest)?);
    }
    Ok(())
}

/// Reads the bytes of a log as a stranger does who has nothing of it yet.
fn verified(log: &Log, domain: &Domain) -> Failable<()> {
    let (mut replica, mut digests) = (Replica::default(), Vec::new());
    for node in &log.0 {
        let node = LogNode::open(node.bytes(), domain)?;
        let offer = replica.offer(&node, |seq| digests.get(seq as usize).copied());
        if offer != rings_protocol::log::Offer::Next {
            return Err(format!(
                "node {} of {}: {offer:?}",
                node.seq(),
                node_cid(node.digest())
            )
            .into());
        }
        replica.advance(&node);
        digests.push(node.digest());
    }
    Ok(())
}

/// Opens all nodes, a share on each core; links and places are looked at afterwards, which costs little.
fn opened(log: &Log, domain: &Domain, cores: usize) -> Failable<()> {
    let share = log.0.len().div_ceil(cores).max(1);
    thread::scope(|scope| {
        let shares: Vec<_> = log
            .0
            .chunks(share)
            .map(|nodes| scope.spawn(move || open_share(nodes, domain)))
            .collect();
        for share in shares {
            share.join().map_err(|_| "a thread ended early")??;
        }
        Ok(())
    })
}

fn open_share(nodes: &[LogNode], domain: &Domain) -> Result<(), NodeError> {
    for node in nodes {
        black_box(LogNode::open(node.bytes(), domain)?);
    }
    Ok(())
}

/// Checks the log by its head: all links, and one signature.
fn anchored(log: &Log, domain: &Domain) -> Failable<()> {
    let head = log.0.last().map(LogNode::digest).unwrap_or_default();
    let nodes = log.0.iter().map(LogNode::bytes);
    black_box(verify_anchored(nodes, head, domain)?);
    Ok(())
}

/// The same, with the nodes read on all cores.
fn anchored_in_parts(log: &Log, domain: &Domain, cores: usize) -> Failable<()> {
    let head = log.0.last().map(LogNode::digest).unwrap_or_default();
    let share = log.0.len().div_ceil(cores).max(1);
    let parts = thread::scope(|scope| {
        let shares: Vec<_> = (0..)
            .step_by(share)
            .zip(log.0.chunks(share))
            .map(|(from, nodes)| {
                let nodes = nodes.iter().map(LogNode::bytes);
                scope.spawn(move || LogPart::read(from, nodes))
            })
            .collect();
        let joined = shares.into_iter().map(|share| share.join());
        joined.collect::<Result<Vec<_>, _>>()
    });
    let parts = parts.map_err(|_| "a thread ended early")?;
    let parts: Result<Vec<_>, AnchoredError> = parts.into_iter().collect();
    black_box(verify_parts(&parts?, head, domain)?);
    Ok(())
}

fn hashed_in_parts(log: &Log, cores: usize) -> Failable<()> {
    let share = log.0.len().div_ceil(cores).max(1);
    thread::scope(|scope| {
        for nodes in log.0.chunks(share) {
            scope.spawn(move || {
                for node in nodes {
                    black_box(sha256(node.bytes()));
                }
            });
        }
    });
    Ok(())
}

fn hashed(log: &Log) -> Failable<()> {
    for node in &log.0 {
        black_box(sha256(node.bytes()));
    }
    Ok(())
}
