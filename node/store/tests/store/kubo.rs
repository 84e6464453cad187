//! A real Kubo: the same tests as for the embedded store, and the same CIDs as `ipfs add`.
//!
//! The binary is `$RINGS_IPFS`, else `ipfs` on PATH, else the one that `./anvil-scripts/test` installs. Without
//! one these tests fail; they are never passed over.

use crate::suite::{self, bytes, node, raw};
use bytes::Bytes;
use futures::TryStreamExt;
use rings_store::{
    hash, import, open, read_car, source, Block, BlockStore, StoreConfig, StoreError, CHUNK_BYTES,
    LINKS_PER_NODE,
};
use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::Arc,
};
use tempfile::TempDir;

fn binary() -> PathBuf {
    if let Some(named) = env::var_os("RINGS_IPFS") {
        return named.into();
    }
    let cached = env::var_os("HOME").map(|home| Path::new(&home).join(".cache/rings/tools/bin"));
    let on_path = env::var_os("PATH")
        .map(|path| env::split_paths(&path).collect())
        .unwrap_or_default();
    let places: Vec<PathBuf> = on_path;
    let mut candidates = places
        .into_iter()
        .chain(cached)
        .map(|place| place.join("ipfs"));
    candidates
        .find(|file| file.is_file())
        .expect("no Kubo (ipfs) found: run ./anvil-scripts/test, which installs it")
}

/// A Kubo with a repository of its own, which ends with the value.
pub struct Kubo {
    repository: TempDir,
    daemon: Option<Child>,
    /// Kept open, since the daemon would die of a closed pipe.
    said: Option<BufReader<ChildStdout>>,
}

impl Kubo {
    fn initialised() -> Self {
        let repository = TempDir::new().unwrap();
        let kubo = Self {
            repository,
            daemon: None,
            said: None,
        };
        kubo.ipfs(&["init", "--profile=test"], b"");
        kubo
    }

    pub fn started() -> Self {
        let mut kubo = Self::initialised();
        kubo.start();
        kubo
    }

    /// Starts the daemon, and reads what it says until it says that it is ready.
    fn start(&mut self) {
        let mut command = self.command(&["daemon", "--offline"]);
        let mut daemon = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Kubo starts");
        let mut said = BufReader::new(daemon.stdout.take().unwrap());
        self.daemon = Some(daemon);
        let mut all = String::new();
        while !all.contains("Daemon is ready") {
            assert!(
                said.read_line(&mut all).unwrap() > 0,
                "Kubo ends at once: {all}"
            );
        }
        self.said = Some(said);
    }

    fn stop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill().expect("Kubo can be stopped");
            daemon.wait().expect("Kubo has ended");
        }
    }

    fn api_file(&self) -> PathBuf {
        self.repository.path().join("api")
    }

    /// `http://127.0.0.1:port`, once the daemon has said so.
    fn api(&self) -> Option<String> {
        let multiaddr = fs::read_to_string(self.api_file()).ok()?;
        let port = multiaddr.trim().strip_prefix("/ip4/127.0.0.1/tcp/")?;
        Some(format!("http://127.0.0.1:{port}"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .env("IPFS_PATH", self.repository.path())
            .env("IPFS_TELEMETRY", "off");
        command
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("Kubo runs");
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            // It may end without having read all.
            scope.spawn(move || drop(stdin.write_all(input)));
            child.wait_with_output().unwrap()
        })
    }

    fn ipfs(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let output = self.run(arguments, input);
        assert!(
            output.status.success(),
            "ipfs {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }

    fn line(&self, arguments: &[&str], input: &[u8]) -> String {
        String::from_utf8(self.ipfs(arguments, input))
            .unwrap()
            .trim()
            .to_owned()
    }

    pub async fn store(&self) -> Arc<dyn BlockStore> {
        open(&StoreConfig::Kubo {
            url: self.api().unwrap(),
        })
        .await
        .unwrap()
    }
}

impl Drop for Kubo {
    fn drop(&mut self) {
        self.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubo_does_what_every_store_does() {
    let kubo = Kubo::started();
    let store = kubo.store().await;
    assert_eq!(store.kind(), "kubo");
    suite::run(store).await;
}

#[tokio::test]
async fn cids_are_those_of_ipfs_add() {
    let kubo = Kubo::initialised();
    for length in telling_lengths() {
        let data = bytes(length, length as u64);
        let theirs = kubo.line(&["add", "-q", "--only-hash"], &data);
        assert_eq!(
            hash(&data[..]).await.unwrap().cid.to_string(),
            theirs,
            "{length} bytes"
        );
    }
}

#[tokio::test]
async fn kubo_reads_what_we_add_and_we_read_what_kubo_adds() {
    let kubo = Kubo::started();
    let store = kubo.store().await;
    let data = bytes(LINKS_PER_NODE * CHUNK_BYTES + 12_345, 1);
    let ours = import(Arc::clone(&store), &data[..]).await.unwrap();
    assert!(kubo.ipfs(&["cat", &ours.cid.to_string()], b"") == data);
    for options in [
        &["--raw-leaves"][..],
        &["--cid-version=1"],
        &["--chunker=size-65536"],
        &["--trickle"],
    ] {
        let arguments = [&["add", "-q"][..], options].concat();
        let data = bytes(3_000_000, options[0].len() as u64);
        let cid = kubo.line(&arguments, &data).parse().unwrap();
        assert!(
            suite::read(source(&store), cid).await.unwrap() == data,
            "{options:?}"
        );
    }
}

#[tokio::test]
async fn directories_and_the_like_are_named_and_not_read() {
    let kubo = Kubo::started();
    let store = kubo.store().await;
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("file"), "x").unwrap();
    std::os::unix::fs::symlink("file", directory.path().join("symlink")).unwrap();
    let path = directory.path().to_str().unwrap();
    let refused = async |cid: &str| match suite::read(source(&store), cid.parse().unwrap()).await {
        Err(StoreError::NotAFile { kind, .. }) => kind,
        other => panic!("{cid}: {other:?}"),
    };
    let root = kubo.line(&["add", "-Qr", path], b"");
    assert_eq!(refused(&root).await, "a directory");
    let link = kubo.line(&["resolve", &format!("/ipfs/{root}/symlink")], b"");
    assert_eq!(
        refused(link.trim_start_matches("/ipfs/")).await,
        "a symbolic link"
    );
    for i in 0..100 {
        fs::write(directory.path().join(format!("{i:0>200}")), "x").unwrap();
    }
    let many = kubo.line(
        &[
            "add",
            "-Qr",
            "--max-hamt-fanout=8",
            "--max-directory-links=8",
            path,
        ],
        b"",
    );
    assert_eq!(refused(&many).await, "a sharded directory");
    let node = kubo.line(&["dag", "put"], b"{\"a\":1}");
    assert_eq!(refused(&node).await, "a DAG-CBOR node");
}

#[tokio::test]
async fn archives_are_those_of_ipfs_dag_export() {
    let kubo = Kubo::started();
    let store = kubo.store().await;
    let data = bytes(LINKS_PER_NODE * CHUNK_BYTES + 1, 2);
    let root = import(Arc::clone(&store), &data[..]).await.unwrap().cid;
    let ours: Vec<Bytes> = read_car(source(&store), root).try_collect().await.unwrap();
    assert!(ours.concat() == kubo.ipfs(&["dag", "export", "-p=false", &root.to_string()], b""));
    let other = Kubo::initialised();
    other.ipfs(&["dag", "import"], &ours.concat());
    assert!(other.ipfs(&["cat", &root.to_string()], b"") == data);
}

#[tokio::test]
async fn the_collector_takes_nothing_of_ours() {
    let kubo = Kubo::started();
    let store = kubo.store().await;
    let unknown = *raw(&b"Kubo has not got this"[..]).cid();
    let leaf = raw(&b"leaf"[..]);
    let log = node(1, &[unknown, *leaf.cid()]);
    store.put(vec![log.clone(), leaf.clone()]).await.unwrap();
    let file = import(Arc::clone(&store), &bytes(700_000, 3)[..])
        .await
        .unwrap();
    let loose = kubo.line(&["add", "-q", "--pin=false"], b"loose");
    kubo.ipfs(&["repo", "gc"], b"");
    assert!(
        !store.has(&loose.parse().unwrap()).await.unwrap(),
        "the collector did run"
    );
    assert_eq!(
        store.get(log.cid()).await.unwrap().as_ref(),
        Some(log.data())
    );
    assert!(store.has(leaf.cid()).await.unwrap());
    assert_eq!(
        suite::read(source(&store), file.cid).await.unwrap(),
        bytes(700_000, 3)
    );
    assert!(kubo
        .line(&["dag", "get", &log.cid().to_string()], b"")
        .contains(&unknown.to_string()));
}

#[tokio::test]
async fn a_block_that_a_person_has_pinned_may_be_put() {
    let kubo = Kubo::started();
    let store = kubo.store().await;
    let theirs = kubo.line(&["add", "-q"], b"pinned before");
    let ours = import(Arc::clone(&store), &b"pinned before"[..])
        .await
        .unwrap();
    assert_eq!(ours.cid.to_string(), theirs);
}

#[tokio::test]
async fn a_damaged_block_in_kubo_is_seen_and_healed() {
    let mut kubo = Kubo::started();
    let store = kubo.store().await;
    let block = Block::dag_cbor(Bytes::from_static(&[0x43, 1, 2, 3])).unwrap();
    store.put(vec![block.clone()]).await.unwrap();
    let file = files_below(&kubo.repository.path().join("blocks"))
        .into_iter()
        .find(|file| fs::read(file).is_ok_and(|data| data == *block.data()))
        .expect("the block lies in a file");
    fs::write(&file, [0x43, 1, 2, 4]).unwrap();
    let got = store.get(block.cid()).await;
    assert!(
        matches!(got, Err(StoreError::Corrupt { cid }) if cid == *block.cid()),
        "{got:?}"
    );
    fs::remove_file(&file).unwrap();
    kubo.stop();
    kubo.start();
    let store = kubo.store().await;
    assert_eq!(store.get(block.cid()).await.unwrap(), None);
    store.put(vec![block.clone()]).await.unwrap();
    assert_eq!(
        store.get(block.cid()).await.unwrap().as_ref(),
        Some(block.data())
    );
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files_below(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[tokio::test]
async fn a_kubo_that_is_gone_is_named() {
    let mut kubo = Kubo::started();
    let store = kubo.store().await;
    let url = kubo.api().unwrap();
    kubo.stop();
    let error = store.put(vec![raw(&b"x"[..])]).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Unreachable { url: at, .. } if *at == url),
        "{error:?}"
    );
    assert!(error.to_string().contains(&url));
    assert!(matches!(
        open(&StoreConfig::Kubo { url }).await,
        Err(StoreError::Unreachable { .. })
    ));
}

#[tokio::test]
async fn what_is_not_kubo_is_refused() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut connection, _) = listener.accept().await.unwrap();
        let read = connection.read(&mut [0; 1024]).await.unwrap();
        assert!(read > 0);
        let answer =
            b"HTTP/1.1 403 Forbidden\r\ncontent-length: 9\r\nconnection: close\r\n\r\nForbidden";
        connection.write_all(answer).await.unwrap();
    });
    let error = open(&StoreConfig::Kubo { url })
        .await
        .map(drop)
        .unwrap_err();
    assert!(
        matches!(&error, StoreError::Refused { message, .. } if message.contains("Forbidden")),
        "{error:?}"
    );
    server.await.unwrap();
}

/// The lengths at which the shape of the graph changes, and some beyond.
fn telling_lengths() -> Vec<usize> {
    let second_level = LINKS_PER_NODE * CHUNK_BYTES;
    assert_eq!(second_level, 45_613_056);
    vec![
        0,
        1,
        CHUNK_BYTES - 1,
        CHUNK_BYTES,
        CHUNK_BYTES + 1,
        1_000_000,
        second_level - 1,
        second_level,
        second_level + 1,
        60_000_000,
        2 * second_level + CHUNK_BYTES,
    ]
}
