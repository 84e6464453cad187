//! An HTTP server that answers with any status, headers and body, as endpoints and proxies do.

use serde_json::{json, Value};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// An answer.
pub struct Reply {
    pub status: u16,
    pub headers: &'static str,
    pub body: String,
}

impl Reply {
    /// A JSON-RPC result.
    pub fn result(request: &Value, result: Value) -> Self {
        Self::body(&json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }))
    }

    /// This, with status 200.
    pub fn body(body: &Value) -> Self {
        Self {
            status: 200,
            headers: "content-type: application/json\r\n",
            body: body.to_string(),
        }
    }

    /// A JSON-RPC error, with a status of HTTP.
    pub fn error(request: &Value, status: u16, code: i64, message: &str) -> Self {
        let error = json!({ "code": code, "message": message });
        let body = json!({ "jsonrpc": "2.0", "id": request["id"], "error": error });
        Self {
            status,
            headers: "content-type: application/json\r\n",
            body: body.to_string(),
        }
    }

    /// No JSON-RPC at all.
    pub fn plain(status: u16, headers: &'static str) -> Self {
        Self {
            status,
            headers,
            body: "no".into(),
        }
    }
}

type Answer = dyn Fn(&Value) -> Reply + Send + Sync;

/// The server; what was sent to it is kept.
pub struct Raw {
    pub address: SocketAddr,
    /// The head of each request, and its body.
    pub requests: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Raw {
    pub async fn start(answer: impl Fn(&Value) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<_>>>::default();
        let (kept, answer) = (requests.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream, answer.clone(), kept.clone()));
            }
        });
        Self { address, requests }
    }

    /// How often a method was called.
    pub fn calls(&self, method: &str) -> usize {
        let requests = self.requests.lock().unwrap();
        let calls = requests.iter().filter(|(_, body)| body["method"] == method);
        calls.count()
    }
}

async fn talk(
    mut stream: TcpStream,
    answer: Arc<Answer>,
    kept: Arc<Mutex<Vec<(String, Value)>>>,
) -> Option<()> {
    loop {
        let head = head(&mut stream).await?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse::<usize>().ok())?
        });
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).await.ok()?;
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        let reply = answer(&request);
        kept.lock().unwrap().push((head, request));
        let (status, headers, body) = (reply.status, reply.headers, reply.body);
        let text = format!(
            "HTTP/1.1 {status} Something\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(text.as_bytes()).await.ok()?;
    }
}

async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}
