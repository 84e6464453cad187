//! Hostile clients, and clients that never finish a request.

use super::{
    super::{bind, HttpLimits},
    fake::SLOW_GATE,
    noise, TestServer,
};
use jsonrpsee::{core::client::ClientT, core::params::ObjectParams, ws_client::WsClientBuilder};
use serde_json::{json, Value};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Time after which a test has failed rather than being slow.
const PATIENCE: Duration = Duration::from_secs(20);
const CALL: &str = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"rings_status\"}";

#[tokio::test]
async fn requests_for_other_hosts_are_refused() {
    let limits = HttpLimits {
        hosts: vec!["ring.example".into()],
        ..HttpLimits::default()
    };
    let server = TestServer::with(limits).await;
    for (headers, status) in [
        ("Host: evil.test\r\n", 403),
        ("Host: evil.test:80\r\n", 403),
        ("Host: localhost.evil.test\r\n", 403),
        ("", 400),
        ("Host: \r\n", 400),
        ("Host: localhost\r\nHost: evil.test\r\n", 400),
        ("Host: localhost\r\n", 200),
        ("Host: 127.0.0.1:1\r\n", 200),
        ("Host: ring.example\r\n", 200),
    ] {
        assert_eq!(
            server.status_with("GET /health", headers).await,
            status,
            "{headers:?}"
        );
    }
    let absolute = server
        .status_with("GET http://evil.test/health", "Host: localhost\r\n")
        .await;
    assert_eq!(absolute, 403);
    server.stop().await;
}

#[tokio::test]
async fn pages_of_other_origins_may_not_call() {
    let server = TestServer::start().await;
    let host = "Host: localhost\r\n";
    for origin in ["http://evil.test", "null", "http://localhost:3000"] {
        let origin = format!("{host}Origin: {origin}\r\n");
        let json = format!("{origin}Content-Type: application/json\r\nContent-Length: 0\r\n");
        assert_eq!(server.status_with("POST /", &json).await, 403);
        let upload = format!("{json}Authorization: Bearer {}\r\n", server.token.expose());
        assert_eq!(server.status_with("POST /ipfs", &upload).await, 403);
        assert_eq!(server.status_with("OPTIONS /", &origin).await, 403);
        let upgrade = format!(
            "{origin}Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        );
        assert_eq!(server.status_with("GET /", &upgrade).await, 403);
        assert_eq!(server.status_with("GET /health", &origin).await, 200);
    }
    server.stop().await;
}

#[tokio::test]
async fn the_page_of_this_node_may_call_it() {
    let server = TestServer::start().await;
    let page = server.get("/ui").await;
    assert_eq!(page.status(), 200);
    assert_eq!(page.url().path(), "/ui/");
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    let text = page.text().await.unwrap();
    assert!(text.contains("src=\"main.js\""), "{text}");
    let script = server.get("/ui/main.js").await;
    let kind = &script.headers()["content-type"];
    assert_eq!(kind, "text/javascript; charset=utf-8");
    assert_eq!(server.get("/ui/nothing.js").await.status(), 404);
    for (host, origin, refused) in [
        ("localhost:7545", "http://localhost:7545", false),
        ("LocalHost:7545", "https://localhost:7545", false),
        ("localhost:7545", "http://localhost:7546", true),
        ("localhost:7545", "http://localhost", true),
        ("127.0.0.1:7545", "http://localhost:7545", true),
        ("localhost:7545", "ftp://localhost:7545", true),
        ("localhost:7545", "http://localhost:7545.evil.test", true),
        // The host is checked first, so that a name that was rebound has no pages here.
        ("evil.test", "http://evil.test", true),
    ] {
        let headers = format!(
            "Host: {host}\r\nOrigin: {origin}\r\nContent-Type: application/json\r\nContent-Length: 0\r\n"
        );
        let status = server.status_with("POST /", &headers).await;
        assert_eq!(status == 403, refused, "{host} {origin}: {status}");
    }
    server.stop().await;
}

#[tokio::test]
async fn pages_of_configured_origins_may() {
    let origin = "https://wallet.example";
    let limits = HttpLimits {
        origins: vec![origin.into()],
        ..HttpLimits::default()
    };
    let server = TestServer::with(limits).await;
    let request = server.http.post(server.url("/")).header("origin", origin);
    let request = request
        .header("content-type", "application/json")
        .body(CALL);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["access-control-allow-origin"], origin);
    // The gateway too, so that a page can verify.
    let cid = server.add("text").await.json::<Value>().await.unwrap()["cid"].clone();
    let block = server.url(&format!("/ipfs/{}?format=raw", cid.as_str().unwrap()));
    let block = server.http.get(block).header("origin", origin);
    let block = block.send().await.unwrap();
    assert_eq!(block.status(), 200);
    assert_eq!(block.headers()["access-control-allow-origin"], origin);
    let asking = server
        .http
        .request(reqwest::Method::OPTIONS, server.url("/"));
    let allowed = asking.header("origin", origin).send().await.unwrap();
    assert_eq!(allowed.status(), 204);
    assert!(allowed.headers()["access-control-allow-headers"]
        .to_str()
        .unwrap()
        .contains("content-type"));
    server.stop().await;
}

#[tokio::test]
async fn health_and_metrics_say_how_it_is() {
    let server = TestServer::start().await;
    let well = server.get("/health").await;
    assert_eq!(well.status(), 200);
    assert_eq!(
        well.json::<Value>().await.unwrap(),
        json!({ "following": true, "warnings": ["a member is not connected"] })
    );
    server.node.following.store(false, Ordering::Relaxed);
    let ill = server.get("/health").await;
    assert_eq!(ill.status(), 503);
    assert_eq!(
        ill.json::<Value>().await.unwrap(),
        json!({ "following": false, "trouble": "the chain cannot be reached", "warnings": ["a member is not connected"] })
    );
    for (accept, kind) in [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ] {
        let metrics = server.get_as("/metrics", accept).await;
        assert_eq!(metrics.headers()["content-type"], kind);
        let text = metrics.text().await.unwrap();
        assert!(text.contains("rings_gates_total 1"), "{text}");
        assert_eq!(text.contains("# EOF"), kind.contains("openmetrics"));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_good_client_is_answered_while_many_slow_ones_hold_on() {
    let limits = HttpLimits {
        connections: 16,
        ..HttpLimits::default()
    };
    let server = TestServer::with(limits).await;
    let mut slow = Vec::new();
    for number in 0..64 {
        let mut stream = server.connect().await;
        let begun: &[u8] = match number % 3 {
            0 => b"",
            1 => b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
            _ => b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
        };
        stream.write_all(begun).await.unwrap();
        slow.push(stream);
        if number % 8 == 0 {
            let begin = Instant::now();
            let good = reqwest::Client::builder().no_proxy().build().unwrap();
            let answer = good.get(server.url("/health")).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            assert!(
                begin.elapsed() < Duration::from_secs(1),
                "{:?}",
                begin.elapsed()
            );
        }
    }
    // The first of the slow ones had to make room.
    let gone = timeout(PATIENCE, slow[0].read(&mut [0; 64])).await.unwrap();
    assert!(matches!(gone, Ok(0) | Err(_)), "{gone:?}");
    server.stop().await;
}

#[tokio::test]
async fn silence_slow_headers_and_slow_bodies_come_to_an_end() {
    let limits = HttpLimits {
        header_timeout: Duration::from_millis(300),
        call_timeout: Duration::from_millis(300),
        ..HttpLimits::default()
    };
    let server = TestServer::with(limits).await;
    for begun in ["", "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: "] {
        let closed = timeout(PATIENCE, server.raw(begun)).await.unwrap();
        assert!(!closed.contains("200"), "{closed}");
    }
    let slow_body = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
    let answer = timeout(PATIENCE, server.raw(slow_body)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn an_upload_that_stops_comes_to_an_end() {
    let limits = HttpLimits {
        idle_timeout: Duration::from_millis(300),
        ..HttpLimits::default()
    };
    let server = TestServer::with(limits).await;
    let begun = format!(
        "POST /ipfs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Length: 9\r\n\r\nx",
        server.token.expose()
    );
    let answer = timeout(PATIENCE, server.raw(&begun)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_download_that_nobody_reads_gives_its_place_back() {
    let limits = HttpLimits {
        downloads: 1,
        idle_timeout: Duration::from_millis(300),
        ..HttpLimits::default()
    };
    let server = TestServer::with(limits).await;
    let added: Value = server
        .add(noise(20 * 1024 * 1024))
        .await
        .json()
        .await
        .unwrap();
    let path = format!("/ipfs/{}", added["cid"].as_str().unwrap());
    let mut stuck = server.connect().await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stuck.write_all(request.as_bytes()).await.unwrap();
    stuck.read_u8().await.unwrap();
    let busy = server.get(&path).await;
    assert_eq!(busy.status(), 503);
    assert_eq!(busy.headers()["retry-after"], "1");
    let freed = async {
        while server.get(&path).await.status() != 200 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, freed).await.unwrap();
    server.stop().await;
}

/// A WebSocket session on a bare socket.
pub(super) struct BareSession(TcpStream);

impl BareSession {
    pub(super) async fn send(&mut self, text: &str) {
        self.0.write_all(&frame(text)).await.unwrap();
    }

    /// The next message of the server, which masks nothing.
    pub(super) async fn receive(&mut self) -> String {
        let reading = async {
            assert_eq!(self.0.read_u8().await.unwrap(), 0x81);
            let length = match self.0.read_u8().await.unwrap() {
                126 => usize::from(self.0.read_u16().await.unwrap()),
                length => usize::from(length),
            };
            let mut text = vec![0; length];
            self.0.read_exact(&mut text).await.unwrap();
            String::from_utf8(text).unwrap()
        };
        timeout(PATIENCE, reading).await.unwrap()
    }
}

/// Begins a WebSocket session on a bare socket.
pub(super) async fn open_session(server: &TestServer) -> BareSession {
    BareSession(open_socket(server).await)
}

async fn open_socket(server: &TestServer) -> TcpStream {
    let mut stream = server.connect().await;
    let upgrade =
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    stream
}

/// A text message as a client sends it: masked, here with zeros.
fn frame(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    let length = match text.len() {
        0..126 => vec![0x80 | length[1]],
        _ => vec![0x80 | 126, length[0], length[1]],
    };
    [&[0x81][..], &length, &[0; 4], text.as_bytes()].concat()
}

#[tokio::test]
async fn a_session_that_does_not_read_is_not_read_from_and_closed() {
    let limits = HttpLimits {
        idle_timeout: Duration::from_millis(300),
        ..HttpLimits::default()
    };
    let server = TestServer::with(limits).await;
    let mut stream = open_socket(&server).await;
    // The answer is a hundred times as long.
    let call = frame("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"rpc.discover\"}");
    let thousand = call.repeat(1000);
    let mut sent = 0;
    let flood = async {
        while stream.write_all(&thousand).await.is_ok() {
            sent += thousand.len();
        }
    };
    timeout(PATIENCE, flood).await.unwrap();
    // What was taken fits into the buffers of two sockets.
    assert!(sent < 64 * 1024 * 1024, "{sent}");
    assert_eq!(server.get("/health").await.status(), 200);
    server.stop().await;
}

#[tokio::test]
async fn a_session_is_read_no_faster_than_it_is_answered() {
    let server = TestServer::start().await;
    let (mut reader, writer) = open_socket(&server).await.into_split();
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "rings_getGate", "params": {"gate": SLOW_GATE}});
    let message = frame(&call.to_string());
    // The first call waits in the node; after some more, the server stops reading and the socket fills.
    let full = async {
        let mut sent = 0;
        loop {
            match writer.try_write(&message[sent % message.len()..]) {
                Ok(bytes) => sent += bytes,
                Err(_) if is_full(&writer).await => return,
                Err(_) => {}
            }
        }
    };
    timeout(PATIENCE, full).await.unwrap();
    assert_eq!(server.node.waiting.load(Ordering::Relaxed), 1);
    server.node.gates.add_permits(1_000_000);
    let drain = async {
        while reader
            .read(&mut [0; 65536])
            .await
            .is_ok_and(|read| read > 0)
        {}
    };
    let on = async {
        while server.node.waiting.load(Ordering::Relaxed) < 1000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = drain => panic!("closed"),
        done = timeout(PATIENCE, on) => done.unwrap(),
    }
    server.stop().await;
}

/// Whether the socket stays full for a while: the other side does not read.
async fn is_full(writer: &tokio::net::tcp::OwnedWriteHalf) -> bool {
    timeout(Duration::from_millis(300), writer.writable())
        .await
        .is_err()
}

#[tokio::test]
async fn headers_without_end_are_refused() {
    let server = TestServer::start().await;
    let huge = format!(
        "GET /health HTTP/1.1\r\nHost: localhost\r\nX: {}",
        "x".repeat(200_000)
    );
    let mut stream = server.connect().await;
    // The server may close before it has read all of it.
    let sent = stream.write_all(huge.as_bytes()).await;
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .unwrap();
    let refused = String::from_utf8_lossy(&answer).contains("431");
    assert!(refused || sent.is_err() || read.is_err(), "{answer:?}");
    server.stop().await;
}

#[tokio::test]
async fn stopping_closes_idle_connections_at_once() {
    let server = TestServer::start().await;
    assert_eq!(server.get("/health").await.status(), 200);
    let silent = server.connect().await;
    let session = WsClientBuilder::default()
        .build(format!("ws://{}", server.address))
        .await
        .unwrap();
    let status: Value = session
        .request("rings_status", ObjectParams::new())
        .await
        .unwrap();
    assert_eq!(status["following"], true);
    let begin = Instant::now();
    let address = server.address;
    server.stop().await;
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );
    assert!(TcpStream::connect(address).await.is_err());
    drop((silent, session));
}

#[tokio::test]
async fn stopping_lets_a_call_finish() {
    let server = TestServer::start().await;
    let (call, shutdown, node) = (
        open_call(&server).await,
        server.shutdown.clone(),
        server.node.clone(),
    );
    shutdown.cancel();
    node.gates.add_permits(1);
    let answer = timeout(PATIENCE, call).await.unwrap().unwrap();
    assert!(answer.contains("\"resolved\""), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let limits = HttpLimits {
        call_timeout: PATIENCE,
        shutdown_timeout: Duration::from_millis(200),
        ..HttpLimits::default()
    };
    let server = TestServer::with(limits).await;
    let call = open_call(&server).await;
    let begin = Instant::now();
    server.stop().await;
    assert!(
        begin.elapsed() < Duration::from_secs(3),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(timeout(PATIENCE, call).await.unwrap().unwrap(), "");
}

/// A call that waits in the node, and the task that reads its answer.
async fn open_call(server: &TestServer) -> tokio::task::JoinHandle<String> {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "rings_getGate", "params": {"gate": SLOW_GATE}});
    let body = body.to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = server.connect().await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let arrived = async {
        while server.node.waiting.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, arrived).await.unwrap();
    tokio::spawn(async move {
        let mut answer = Vec::new();
        // Broken off by the server is an end, too.
        let ended = stream.read_to_end(&mut answer).await;
        assert!(ended.is_ok() || answer.is_empty());
        String::from_utf8(answer).unwrap()
    })
}

#[tokio::test]
async fn a_port_in_use_is_said_in_one_line() {
    let first = bind(([127, 0, 0, 1], 0).into(), None).await.unwrap();
    let address = first.socket.local_addr().unwrap();
    let line = bind(address, None).await.unwrap_err().to_string();
    assert!(
        line.contains(&address.to_string()) && line.contains("in use"),
        "{line}"
    );
    assert_eq!(line.lines().count(), 1);
}
