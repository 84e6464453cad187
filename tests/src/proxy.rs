//! A provider that stands before a chain and answers as a public one does: it knows the methods that every Ethereum
//! node has, holds no keys, and limits the range of a log query. It counts what it is asked. HTTP and WebSocket.
//!
//! It works on the bytes themselves, so that what passes is exactly what was sent.

use super::wait::{block_on, runtime};
use serde_json::{json, Value};
use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        tcp::{OwnedReadHalf, OwnedWriteHalf},
        TcpListener, TcpStream,
    },
    sync::Mutex as AsyncMutex,
    task::JoinHandle,
};

/// Blocks in one `eth_getLogs`, as some public providers limit them.
const MAX_LOG_RANGE: u64 = 50;
/// Methods of the common namespaces that a provider without keys does not serve, or that only anvil has.
const WITHOUT_KEYS: [&str; 7] = [
    "eth_accounts",
    "eth_sendTransaction",
    "eth_sendUnsignedTransaction",
    "eth_sign",
    "eth_signTransaction",
    "eth_signTypedData",
    "eth_signTypedData_v4",
];

/// A running proxy; it ends with this value.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

/// What was asked.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    served: BTreeMap<String, usize>,
    refused: BTreeMap<String, usize>,
}

impl Proxy {
    /// Starts one before the chain on this port.
    pub fn before(upstream: u16) -> Self {
        let listener = block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let noted = seen.clone();
        let task = runtime().spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let seen = noted.clone();
                // A connection that breaks is the business of its two ends.
                tokio::spawn(async move { drop(serve(client, upstream, seen).await) });
            }
        });
        Self { port, seen, task }
    }

    /// Its URL for HTTP.
    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its URL for WebSocket.
    pub fn ws(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// How often each method was served.
    pub fn served(&self) -> BTreeMap<String, usize> {
        self.seen.lock().unwrap().served.clone()
    }

    /// How often each method was refused that is not of every provider.
    pub fn refused(&self) -> BTreeMap<String, usize> {
        self.seen.lock().unwrap().refused.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Shared = Arc<Mutex<Seen>>;
type Writer = Arc<AsyncMutex<OwnedWriteHalf>>;

/// The head of an HTTP message, and what it says of its body.
struct Head {
    bytes: Vec<u8>,
    length: usize,
    upgrade: bool,
}

async fn serve(client: TcpStream, upstream: u16, seen: Shared) -> io::Result<()> {
    let chain = TcpStream::connect(("127.0.0.1", upstream)).await?;
    client.set_nodelay(true)?;
    chain.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_chain, mut to_chain) = chain.into_split();
    let (mut from_client, mut from_chain) =
        (BufReader::new(from_client), BufReader::new(from_chain));
    let to_client = Arc::new(AsyncMutex::new(to_client));
    loop {
        let head = read_head(&mut from_client).await?;
        if head.upgrade {
            to_chain.write_all(&head.bytes).await?;
            let answer = read_head(&mut from_chain).await?;
            to_client.lock().await.write_all(&answer.bytes).await?;
            return web_socket(from_client, to_chain, from_chain, to_client, seen).await;
        }
        let mut body = vec![0; head.length];
        from_client.read_exact(&mut body).await?;
        let mut to_client = to_client.lock().await;
        match judge(&body, &seen) {
            Some(error) => to_client.write_all(&response(&error)).await?,
            None => {
                to_chain.write_all(&head.bytes).await?;
                to_chain.write_all(&body).await?;
                let answer = read_head(&mut from_chain).await?;
                let mut body = vec![0; answer.length];
                from_chain.read_exact(&mut body).await?;
                to_client.write_all(&answer.bytes).await?;
                to_client.write_all(&body).await?;
            }
        }
    }
}

async fn read_head(from: &mut BufReader<OwnedReadHalf>) -> io::Result<Head> {
    let mut head = Head {
        bytes: Vec::new(),
        length: 0,
        upgrade: false,
    };
    loop {
        let begin = head.bytes.len();
        if from.read_until(b'\n', &mut head.bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = String::from_utf8_lossy(&head.bytes[begin..]).to_lowercase();
        if line.trim().is_empty() {
            return Ok(head);
        }
        if let Some(length) = line.strip_prefix("content-length:") {
            head.length = length.trim().parse().map_err(io::Error::other)?;
        }
        head.upgrade |= line.starts_with("upgrade:");
        assert!(
            !line.starts_with("transfer-encoding:"),
            "this proxy knows no chunks"
        );
    }
}

fn response(body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

/// Counts what a request asks, and gives the answer when it is to be refused.
fn judge(request: &[u8], seen: &Shared) -> Option<Value> {
    let Ok(request) = serde_json::from_slice::<Value>(request) else {
        return Some(error(&Value::Null, -32700, "parse error"));
    };
    match &request {
        Value::Array(batch) => {
            let errors: Vec<_> = batch.iter().map(|one| judge_one(one, seen)).collect();
            // A batch with anything wrong in it is refused as a whole, which no public provider would mind.
            errors.iter().any(Option::is_some).then(|| {
                let answers = batch.iter().zip(errors);
                answers
                    .map(|(one, error_of)| {
                        error_of.unwrap_or_else(|| error(&one["id"], -32603, "refused"))
                    })
                    .collect()
            })
        }
        one => judge_one(one, seen),
    }
}

fn judge_one(request: &Value, seen: &Shared) -> Option<Value> {
    let method = request["method"].as_str().unwrap_or_default().to_owned();
    let standard = ["eth_", "net_", "web3_"]
        .iter()
        .any(|space| method.starts_with(space));
    let mut seen = seen.lock().unwrap();
    if !standard || WITHOUT_KEYS.contains(&method.as_str()) {
        *seen.refused.entry(method.clone()).or_default() += 1;
        let text = format!("the method {method} does not exist/is not available");
        return Some(error(&request["id"], -32601, &text));
    }
    if method == "eth_getLogs" && range(&request["params"][0]) > MAX_LOG_RANGE {
        let text = format!("query exceeds max block range {MAX_LOG_RANGE}");
        return Some(error(&request["id"], -32005, &text));
    }
    *seen.served.entry(method).or_default() += 1;
    None
}

/// Blocks that a filter spans; one when it does not say.
fn range(filter: &Value) -> u64 {
    let number = |key: &str| {
        let text = filter[key].as_str()?.strip_prefix("0x")?;
        u64::from_str_radix(text, 16).ok()
    };
    match (number("fromBlock"), number("toBlock")) {
        (Some(from), Some(to)) => to.saturating_sub(from) + 1,
        _ => 1,
    }
}

fn error(id: &Value, code: i64, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
}

async fn web_socket(
    mut from_client: BufReader<OwnedReadHalf>,
    mut to_chain: OwnedWriteHalf,
    mut from_chain: BufReader<OwnedReadHalf>,
    to_client: Writer,
    seen: Shared,
) -> io::Result<()> {
    let writer = to_client.clone();
    let down = tokio::spawn(async move {
        while let Ok(frame) = Frame::read(&mut from_chain).await {
            if writer.lock().await.write_all(&frame.bytes).await.is_err() {
                return;
            }
        }
    });
    let up = async {
        loop {
            let frame = Frame::read(&mut from_client).await?;
            let refusal = frame
                .is_text()
                .then(|| judge(&frame.payload, &seen))
                .flatten();
            match refusal {
                Some(error) => {
                    to_client
                        .lock()
                        .await
                        .write_all(&text_frame(&error))
                        .await?
                }
                None => to_chain.write_all(&frame.bytes).await?,
            }
        }
    };
    tokio::pin!(up);
    let mut down = down;
    tokio::select! {
        result = &mut up => {
            down.abort();
            result
        }
        _ = &mut down => Ok(()),
    }
}

/// A WebSocket frame (RFC 6455): as it came, and its payload unmasked.
struct Frame {
    bytes: Vec<u8>,
    payload: Vec<u8>,
}

impl Frame {
    async fn read(from: &mut BufReader<OwnedReadHalf>) -> io::Result<Self> {
        let mut bytes = vec![0; 2];
        from.read_exact(&mut bytes).await?;
        let masked = bytes[1] & 0x80 != 0;
        let length = match bytes[1] & 0x7f {
            126 => number(from, &mut bytes, 2).await?,
            127 => number(from, &mut bytes, 8).await?,
            length => length.into(),
        };
        let mut mask = [0; 4];
        if masked {
            from.read_exact(&mut mask).await?;
            bytes.extend_from_slice(&mask);
        }
        let mut payload = vec![0; length];
        from.read_exact(&mut payload).await?;
        bytes.extend_from_slice(&payload);
        payload
            .iter_mut()
            .enumerate()
            .for_each(|(index, byte)| *byte ^= mask[index % 4]);
        let frame = Self { bytes, payload };
        // Only whole messages can be judged.
        assert!(
            !frame.is_text() || frame.bytes[0] & 0x80 != 0,
            "this proxy knows no fragments"
        );
        Ok(frame)
    }

    fn is_text(&self) -> bool {
        self.bytes[0] & 0x0f == 1
    }
}

async fn number(
    from: &mut BufReader<OwnedReadHalf>,
    bytes: &mut Vec<u8>,
    width: usize,
) -> io::Result<usize> {
    let mut digits = [0; 8];
    from.read_exact(&mut digits[8 - width..]).await?;
    bytes.extend_from_slice(&digits[8 - width..]);
    usize::try_from(u64::from_be_bytes(digits)).map_err(io::Error::other)
}

/// A text frame from a server, which does not mask.
fn text_frame(value: &Value) -> Vec<u8> {
    let text = value.to_string().into_bytes();
    let mut frame = vec![0x81];
    match u16::try_from(text.len()) {
        Ok(length) if length < 126 => frame.push(length.to_be_bytes()[1]),
        Ok(length) => {
            frame.push(126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => {
            frame.push(127);
            frame.extend_from_slice(&(text.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&text);
    frame
}
