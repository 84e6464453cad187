//! A process that is killed, and a disk that is full: acknowledged blocks are not lost.
//!
//! Both need a process of their own, so this test program starts itself again with a task in its environment.

use crate::suite::{bytes, raw};
use rings_store::{open, Block, BlockStore, StoreConfig, StoreError};
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};
use tempfile::TempDir;

const TASK: &str = "RINGS_STORE_TEST_TASK";
const PLACE: &str = "RINGS_STORE_TEST_PLACE";

/// The i-th block that the child puts.
fn numbered(i: u64) -> Block {
    raw(bytes(1 + (i as usize * 7919) % 100_000, i))
}

async fn open_at(path: &Path) -> Arc<dyn BlockStore> {
    open(&StoreConfig::Embedded {
        path: path.to_path_buf(),
    })
    .await
    .unwrap()
}

/// Starts this program again for one task. A full file does not kill it: the signal is ignored, as it is in
/// any program that wants to see the error.
fn child(task: &str, path: &Path) -> Child {
    Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; exec \"$0\" --exact crash::the_task_of_the_child --nocapture",
        ])
        .arg(env::current_exe().unwrap())
        .env(TASK, task)
        .env(PLACE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_task_of_the_child() {
    let path = PathBuf::from(env::var_os(PLACE).unwrap_or_default());
    match env::var(TASK).as_deref() {
        Ok("put") => put_for_ever(&path).await,
        Ok("full") => fill_the_disk(&path).await,
        _ => assert!(path.as_os_str().is_empty(), "a task that is not known"),
    }
}

/// Says which blocks are acknowledged, one a line. Four put at a time.
async fn put_for_ever(path: &Path) {
    let store = open_at(path).await;
    let put = |lane: u64| {
        let store = Arc::clone(&store);
        async move {
            for i in (lane..).step_by(4) {
                store.put(vec![numbered(i)]).await.unwrap();
                writeln!(io::stdout(), "put {i}").unwrap();
            }
        }
    };
    let lanes: Vec<_> = (0..4).map(|lane| tokio::spawn(put(lane))).collect();
    for lane in lanes {
        lane.await.unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("blocks");
    let mut known: Vec<u64> = Vec::new();
    for round in 1..=5u64 {
        let mut child = child("put", &path);
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let enough = 40 * round as usize;
        let acknowledged: Vec<u64> = lines
            .by_ref()
            .filter_map(|line| line.strip_prefix("put ")?.parse().ok())
            .take(enough)
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(acknowledged.len(), enough, "the child got so far");
        known.extend(acknowledged);
        let store = open_at(&path).await;
        for i in &known {
            let block = numbered(*i);
            assert_eq!(
                store.get(block.cid()).await.unwrap().as_ref(),
                Some(block.data()),
                "{i}"
            );
        }
    }
}

fn limit_files_to(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(
        Resource::Fsize,
        Rlimit {
            current: bytes,
            maximum,
        },
    )
    .unwrap();
}

async fn fill_the_disk(path: &Path) {
    let store = open_at(path).await;
    limit_files_to(Some(8_000_000));
    let mut acknowledged = 0;
    let error = loop {
        match store.put(vec![numbered(acknowledged)]).await {
            Ok(()) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 10_000, "the limit does not work");
    };
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
    assert!(acknowledged > 10, "{acknowledged}");
    // Nothing acknowledged is lost, and reading goes on while the disk is full.
    for i in 0..acknowledged {
        let block = numbered(i);
        assert_eq!(
            store.get(block.cid()).await.unwrap().as_ref(),
            Some(block.data()),
            "{i}"
        );
    }
    assert!(!store.has(numbered(acknowledged).cid()).await.unwrap());
    assert_eq!(store.size().await.unwrap().blocks, acknowledged);
    let again = store
        .put(vec![numbered(acknowledged), raw(bytes(1_000_000, 1))])
        .await;
    assert!(
        matches!(again, Err(StoreError::DiskFull { .. })),
        "{again:?}"
    );
    // With room again, it goes on by itself.
    limit_files_to(None);
    store.put(vec![numbered(acknowledged)]).await.unwrap();
    assert_eq!(store.size().await.unwrap().blocks, acknowledged + 1);
    writeln!(io::stdout(), "\nall is well").unwrap();
}

#[test]
fn a_full_disk_loses_nothing_and_is_survived() {
    let directory = TempDir::new().unwrap();
    let output = child("full", &directory.path().join("blocks"))
        .wait_with_output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("all is well"),
        "{said}"
    );
}
