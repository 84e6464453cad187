//! The server as a client sees it: real sockets, a real store, a made-up member.

mod abuse;
mod client;
mod client_rings;
mod fake;
mod fake_client_rings;
mod fake_processes;
mod gateway;
mod processes;
mod rpc;
mod subscriptions;
mod tls;

use super::{serve, HttpLimits, Tls, Token};
use fake::FakeNode;
use serde_json::Value;
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// A running server.
struct TestServer {
    address: SocketAddr,
    token: Token,
    node: Arc<FakeNode>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), super::HttpError>>,
    http: reqwest::Client,
}

impl TestServer {
    async fn start() -> Self {
        Self::with(HttpLimits::default()).await
    }

    async fn with(limits: HttpLimits) -> Self {
        Self::of(FakeNode::new().await, limits).await
    }

    async fn of(node: FakeNode, limits: HttpLimits) -> Self {
        Self::over(node, limits, None).await
    }

    async fn over(node: FakeNode, limits: HttpLimits, tls: Option<Tls>) -> Self {
        let listener = super::bind(([127, 0, 0, 1], 0).into(), tls).await.unwrap();
        let (node, token) = (Arc::new(node), Token::generate());
        let shutdown = CancellationToken::new();
        let address = listener.socket.local_addr().unwrap();
        let serving = serve(
            node.clone(),
            listener,
            token.clone(),
            limits,
            shutdown.clone(),
        );
        Self {
            address,
            token,
            node,
            shutdown,
            task: tokio::spawn(serving),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.http.get(self.url(path)).send().await.unwrap()
    }

    async fn get_as(&self, path: &str, accept: &str) -> reqwest::Response {
        self.http
            .get(self.url(path))
            .header("accept", accept)
            .send()
            .await
            .unwrap()
    }

    /// Posts a JSON body to the JSON-RPC path.
    async fn post(&self, body: impl Into<reqwest::Body>) -> reqwest::Response {
        let request = self
            .http
            .post(self.url("/"))
            .header("content-type", "application/json");
        request.body(body).send().await.unwrap()
    }

    /// The answer to one call.
    async fn call(&self, method: &str, params: Value) -> Value {
        let call =
            serde_json::json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
        let response = self.post(call.to_string()).await;
        assert_eq!(response.status(), 200);
        response.json().await.unwrap()
    }

    async fn add(&self, bytes: impl Into<reqwest::Body>) -> reqwest::Response {
        let request = self
            .http
            .post(self.url("/ipfs"))
            .bearer_auth(self.token.expose());
        request.body(bytes).send().await.unwrap()
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends these bytes, and returns all that comes until the server closes.
    async fn raw(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// The status of a `GET` or `POST` with these further header lines.
    async fn status_with(&self, request_line: &str, headers: &str) -> u16 {
        let request = format!("{request_line} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
        let answer = self.raw(&request).await;
        answer.split(' ').nth(1).unwrap().parse().unwrap()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// Bytes that repeat late and look like nothing.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// A server that answers every connection with these bytes.
async fn serve_bytes(answer: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_ok() && stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    });
    address
}
