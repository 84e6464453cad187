//! What the embedded store costs on this machine: memory for a file of 50 MB, and the time of single blocks.
//!
//! `cargo run --release --locked -p rings-store --example measure [MEGABYTES [DIRECTORY]]`

use bytes::Bytes;
use futures::TryStreamExt;
use rings_store::{
    import, open, read_car, read_file, source, Block, BlockStore, StoreConfig, StoreError,
};
use std::{
    env,
    error::Error,
    fs,
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::io::AsyncReadExt;

/// How often a single block is put and got.
const ROUNDS: usize = 1024;

/// How many put at the same time.
const LANES: usize = 64;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let megabytes: u64 = arguments.next().map_or(Ok(50), |text| text.parse())?;
    let directory = arguments.next().map_or_else(env::temp_dir, PathBuf::from);
    let path = directory.join(format!("rings-store-measure-{}", std::process::id()));
    let result = measure(&path, megabytes).await;
    fs::remove_file(&path)?;
    result
}

async fn measure(path: &std::path::Path, megabytes: u64) -> Result<(), Box<dyn Error>> {
    let store = open(&StoreConfig::Embedded {
        path: path.to_path_buf(),
    })
    .await?;
    say(&format!("opened: resident {}", memory("VmRSS")?))?;

    let started = Instant::now();
    let input = tokio::fs::File::open("/dev/urandom")
        .await?
        .take(megabytes * 1_000_000);
    let imported = import(Arc::clone(&store), input).await?;
    report("import", imported.bytes, started.elapsed())?;

    let started = Instant::now();
    let mut read = 0;
    let mut file = read_file(source(&store), imported.cid);
    while let Some(piece) = file.try_next().await? {
        read += piece.len() as u64;
    }
    report("read", read, started.elapsed())?;

    let started = Instant::now();
    let mut packed = 0;
    let mut car = read_car(source(&store), imported.cid);
    while let Some(piece) = car.try_next().await? {
        packed += piece.len() as u64;
    }
    report("archive", packed, started.elapsed())?;
    say(&format!(
        "file on disk: {} bytes",
        fs::metadata(path)?.len()
    ))?;
    single_blocks(&store).await?;
    many_blocks(&store).await?;
    say(&format!(
        "at the end: resident {}, peak {}",
        memory("VmRSS")?,
        memory("VmHWM")?
    ))?;
    Ok(())
}

async fn single_blocks(store: &Arc<dyn BlockStore>) -> Result<(), Box<dyn Error>> {
    let mut puts = Vec::with_capacity(ROUNDS);
    let mut gets = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        let text = format!("{round:0>500}");
        let block = Block::dag_pb(Bytes::from(text))?;
        let started = Instant::now();
        store.put(vec![block.clone()]).await?;
        puts.push(started.elapsed());
        let started = Instant::now();
        store.get(block.cid()).await?;
        gets.push(started.elapsed());
    }
    say(&format!("put of 500 bytes: {}", spread(puts)))?;
    say(&format!("get of 500 bytes: {}", spread(gets)))?;
    Ok(())
}

/// Puts that come while another is under way share a commit.
async fn many_blocks(store: &Arc<dyn BlockStore>) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let lanes = (0..LANES).map(|lane| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for round in 0..ROUNDS / LANES {
                let block = Block::dag_pb(Bytes::from(format!("{lane:0>250}{round:0>250}")))?;
                store.put(vec![block]).await?;
            }
            Ok::<_, StoreError>(())
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await??;
    }
    let each = started.elapsed() / ROUNDS as u32;
    say(&format!(
        "put of 500 bytes, {LANES} at a time: one every {each:?}"
    ))?;
    Ok(())
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: usize| {
        times
            .get((times.len() * share / 100).min(times.len() - 1))
            .copied()
            .unwrap_or_default()
    };
    format!("median {:?}, p99 {:?}", at(50), at(99))
}

fn report(what: &str, bytes: u64, took: Duration) -> Result<(), Box<dyn Error>> {
    let rate = bytes as f64 / took.as_secs_f64() / 1e6;
    say(&format!(
        "{what}: {bytes} bytes in {took:.0?} ({rate:.0} MB/s), peak {}",
        memory("VmHWM")?
    ))?;
    Ok(())
}

/// A line of `/proc/self/status`.
fn memory(name: &str) -> io::Result<String> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    Ok(line.unwrap_or("unknown").trim().to_owned())
}

fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{line}")
}
