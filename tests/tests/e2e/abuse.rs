//! Strangers at the HTTP side of a member that keeps client rings: what they send is refused, and people are served meanwhile.

use rings_client::Call;
use rings_tests::{
    avatars::{ask, ClientRing},
    block_on, resident_memory, until, Malformed, Ring, LONG,
};
use serde_json::{json, Value};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc, Mutex,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How long a good client may wait at most, whatever others do.
const GOOD: Duration = Duration::from_secs(1);
/// Requests that are malformed, unless `RINGS_ABUSE_REQUESTS` says otherwise.
const REQUESTS: u64 = 10_000;
/// The same ones each time, unless `RINGS_ABUSE_SEED` says otherwise.
const SEED: u64 = 2015;
/// Clients that send them side by side.
const SENDERS: u64 = 8;
/// Connections that are slow on purpose.
const SLOW: usize = 1_000;
/// Bytes of the longest body.
const HUGE: u64 = 1 << 30;

/// A number of the environment.
fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |number| number.parse().unwrap())
}

fn address(replicas: &Ring, index: usize) -> String {
    let url = replicas
        .json()
        .text(&format!("/members/{index}/rpcUrl"))
        .to_owned();
    url.trim_end_matches('/')
        .trim_start_matches("http://")
        .to_owned()
}

/// Somebody who asks good questions all the time, each on a connection of its own, and notes the longest wait.
struct GoodClient {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<(usize, Duration)>,
}

impl GoodClient {
    fn start(replicas: &Ring, index: usize) -> Self {
        let url = format!("http://{}/", address(replicas, index));
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let asking = thread::spawn(move || {
            let (mut answers, mut longest) = (0, Duration::ZERO);
            while !ended.load(Ordering::Relaxed) {
                let began = Instant::now();
                let client = reqwest::Client::builder().no_proxy().build().unwrap();
                let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "rings_status" });
                let answer: Value = block_on(async {
                    let answer = client.post(&url).json(&call).send().await.unwrap();
                    answer.json().await.unwrap()
                });
                assert!(answer["result"]["member"].is_string(), "{answer}");
                longest = longest.max(began.elapsed());
                answers += 1;
            }
            (answers, longest)
        });
        Self { stop, asking }
    }

    /// It was served all the time, and in time.
    fn was_served(self) {
        self.stop.store(true, Ordering::Relaxed);
        let (answers, longest) = self.asking.join().unwrap();
        println!("{answers} good answers, the slowest after {longest:?}");
        assert!(
            answers > 3 && longest < GOOD,
            "{answers} answers, {longest:?}"
        );
    }
}

/// The length of each file below a directory.
fn lengths(directory: &Path) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => all.extend(lengths(&path)),
            false => drop(all.insert(path.display().to_string(), entry.metadata().unwrap().len())),
        }
    }
    all
}

/// Sends a body; the status of the answer, and the answer.
async fn post(client: &reqwest::Client, url: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
    let request = client.post(url).header("content-type", "application/json");
    let answer = request.body(body).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.bytes().await.unwrap().to_vec())
}

/// What may be answered to a request that is wrong: nothing for a notification, a refusal with a code of the interface, or a result
/// after all.
fn check_answer(status: u16, answer: &[u8], body: &[u8]) {
    let sent = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
    assert!(
        [200, 204, 400, 413, 429].contains(&status),
        "{status} for {sent}"
    );
    let Ok(answer) = serde_json::from_slice::<Value>(answer) else {
        return;
    };
    let answers = answer.as_array().cloned().unwrap_or(vec![answer]);
    for answer in answers {
        if let Some(code) = answer["error"]["code"].as_i64() {
            let is_known = (-32010..=-32001).contains(&code) || (-32700..=-32600).contains(&code);
            assert!(is_known && code != -32603, "{answer} for {sent}");
        }
    }
}

#[test]
fn ten_thousand_malformed_requests_leave_nothing_and_hold_nobody_up() {
    let replicas = Ring::up(4);
    let mut clients = ClientRing::kept(&replicas, 1);
    let url = format!("http://{}/", address(&replicas, 0));
    let document = block_on(replicas.client(0).call::<Value>("rpc.discover", json!({}))).unwrap();
    let pid = replicas.pid(0);
    let directory = replicas.member_dir(0);
    // What the member does by itself after its start is over.
    let before = until("the member is quiet", LONG, || {
        let first = lengths(&directory);
        thread::sleep(Duration::from_secs(2));
        (lengths(&directory) == first).then_some(first)
    });
    let good = GoodClient::start(&replicas, 0);
    let seen = Arc::new(Mutex::new(BTreeMap::<u16, u64>::new()));
    let (seed, requests) = (
        number("RINGS_ABUSE_SEED", SEED),
        number("RINGS_ABUSE_REQUESTS", REQUESTS),
    );
    let send = |sender: u64| {
        let mut malformed = Malformed::new(document.clone(), seed + sender);
        let (url, seen) = (url.clone(), Arc::clone(&seen));
        async move {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            for _ in 0..requests / SENDERS {
                let body = malformed.next_body();
                let (status, answer) = post(&client, &url, body.clone()).await;
                check_answer(status, &answer, &body);
                *seen.lock().unwrap().entry(status).or_default() += 1;
            }
        }
    };
    block_on(futures::future::join_all((0..SENDERS).map(send)));
    good.was_served();
    println!("answers by status: {:?}", seen.lock().unwrap());
    assert_eq!(replicas.pid(0), pid);
    assert!(!replicas.written().contains("panicked"));
    assert_eq!(lengths(&directory), before);
    // And it works as before.
    clients.say(0, "still here");
    let log = &clients.avatars[0].log;
    let avatar = clients.avatars[0].key.address();
    let request = Call::append(
        (clients.address, avatar),
        &log.since(rings_client::Digest::ZERO),
        4,
        5_000,
    );
    let answer = ask(&replicas, 0, &request).unwrap();
    assert_eq!(answer["held"].as_array().unwrap().len(), 4, "{answer}");
}

/// Begins a request and does not end it.
async fn begin_slowly(address: &str, number: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let begun: &[u8] = match number % 3 {
        0 => b"",
        1 => b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        _ => b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{",
    };
    // The member may have closed it to make room for a later one.
    drop(stream.write_all(begun).await);
    stream
}

#[test]
fn a_thousand_slow_connections_keep_nobody_out_and_come_to_an_end() {
    let replicas = Ring::up(4);
    let (at, pid) = (address(&replicas, 0), replicas.pid(0));
    let before = replicas.footprints()[0];
    let good = GoodClient::start(&replicas, 0);
    let mut slow = block_on(async {
        let mut slow = Vec::new();
        for number in 0..SLOW {
            slow.push(begin_slowly(&at, number).await);
        }
        slow
    });
    let most = replicas.footprints()[0];
    println!(
        "{} files open before, {} with them",
        before.descriptors, most.descriptors
    );
    assert!(most.descriptors < before.descriptors + SLOW / 2);
    // They go on, a byte a second, until all are closed: headers and bodies have their times.
    let closed = block_on(async {
        let began = Instant::now();
        while began.elapsed() < LONG {
            let mut open = Vec::new();
            for mut stream in slow.drain(..) {
                let mut byte = [0];
                let is_closed = match stream.try_read(&mut byte) {
                    Ok(_) => true,
                    Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
                };
                if !is_closed && stream.write_all(b"x").await.is_ok() {
                    open.push(stream);
                }
            }
            if open.is_empty() {
                return true;
            }
            slow = open;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        false
    });
    assert!(closed, "{} slow connections are open still", slow.len());
    good.was_served();
    assert_eq!(replicas.pid(0), pid);
    until("their files are closed", LONG, || {
        (replicas.footprints()[0].descriptors <= before.descriptors + 8).then_some(())
    });
}

#[test]
fn a_huge_body_and_a_huge_batch_are_refused_without_being_kept() {
    let replicas = Ring::up(4);
    let (at, pid) = (address(&replicas, 0), replicas.pid(0));
    let good = GoodClient::start(&replicas, 0);
    let before = resident_memory(pid);
    let (status, sent) = block_on(async {
        let mut stream = TcpStream::connect(&at).await.unwrap();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {HUGE}\r\n\r\n["
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let sending = async {
            let (piece, mut sent) = (vec![b' '; 1 << 20], 1);
            while sent < HUGE && writer.write_all(&piece).await.is_ok() {
                sent += piece.len() as u64;
            }
            sent
        };
        let reading = async {
            let mut answer = Vec::new();
            // A connection that is cut is an end, too.
            drop(reader.read_to_end(&mut answer).await);
            String::from_utf8_lossy(&answer)
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        let (sent, status) = tokio::join!(sending, reading);
        (status, sent)
    });
    let after = resident_memory(pid);
    println!("{status:?} after {sent} bytes; {before} bytes resident before, {after} after");
    assert!(status.is_empty() || status.contains("413"), "{status}");
    assert!(sent < HUGE / 2, "it goes on reading: {sent}");
    assert!(after < before + (64 << 20));
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "rings_status" });
    let batch = json!(vec![call; 10_000]).to_string();
    let (status, answer) = block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        post(&client, &format!("http://{at}/"), batch.into_bytes()).await
    });
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert!(answer["error"]["code"].is_i64(), "one refusal: {answer}");
    good.was_served();
    assert_eq!(replicas.pid(0), pid);
}
