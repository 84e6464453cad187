//! Connections of a provider: HTTP by hyper, WebSocket by soketto, each request answered as the conduct says.

use super::{
    conduct::{answer_behind, ask_behind, error, result, Conduct, Fault, Lag},
    desk::Desk,
};
use futures::io::{BufReader, BufWriter};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Bytes, Incoming},
    header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER},
    server::conn::http1,
    service::service_fn,
    upgrade, Request, Response, StatusCode,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use soketto::handshake::{http as upgrading, Client};
use std::{error::Error, io, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_util::compat::TokioAsyncReadCompatExt;

/// Messages that wait to be written to one WebSocket.
const WAITING: usize = 4096;
/// Between two looks, and between two tries to take a connection.
const RETRY: Duration = Duration::from_millis(20);

type Broken = Box<dyn Error + Send + Sync>;
type Reply = Response<Full<Bytes>>;
type Outbox = mpsc::Sender<String>;

/// What becomes of a request or a batch.
enum Outcome {
    /// This text, behind this status over HTTP.
    Text(StatusCode, String, Option<u64>),
    /// The connection ends.
    HangUp,
    /// Nothing ever comes.
    Silence,
}

/// Takes connections until it is dropped.
pub(super) async fn accept(listener: TcpListener, desk: Arc<Desk>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, Arc::clone(&desk)));
            }
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

async fn connection(stream: TcpStream, desk: Arc<Desk>) {
    let mut cut = desk.cut.subscribe();
    let serve = service_fn(|request| handle(request, Arc::clone(&desk)));
    let connection = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), serve)
        .with_upgrades();
    // A connection that breaks is the business of its two ends.
    tokio::select! {
        ended = connection => drop(ended),
        changed = cut.changed() => drop(changed),
    }
}

async fn handle(request: Request<Incoming>, desk: Arc<Desk>) -> Result<Reply, Broken> {
    let conduct = desk.conduct();
    if conduct.door.is_some_and(|door| !opens(&door, &request)) {
        return Ok(status(StatusCode::UNAUTHORIZED));
    }
    if upgrading::is_upgrade_request(&request) {
        return Ok(upgraded(request, desk));
    }
    let body = request.into_body().collect().await?.to_bytes();
    match answer(&body, &desk, true).await {
        Outcome::Text(code, text, retry_after) => Ok(reply(code, text, retry_after)),
        Outcome::HangUp => Err(io::Error::from(io::ErrorKind::ConnectionAborted).into()),
        Outcome::Silence => {
            silence(&desk).await;
            Err(io::Error::from(io::ErrorKind::ConnectionAborted).into())
        }
    }
}

fn opens(door: &super::conduct::Door, request: &Request<Incoming>) -> bool {
    let given = request.headers().get(AUTHORIZATION);
    let target = request.uri().path_and_query().map(|target| target.as_str());
    given.is_some_and(|given| given == door.authorization.as_str())
        && target == Some(door.target.as_str())
}

fn status(code: StatusCode) -> Reply {
    reply(code, code.to_string(), None)
}

fn reply(code: StatusCode, text: String, retry_after: Option<u64>) -> Reply {
    let mut reply = Response::new(Full::new(text.into()));
    *reply.status_mut() = code;
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    reply
}

/// What becomes of one message, which may be a batch.
async fn answer(body: &[u8], desk: &Desk, http: bool) -> Outcome {
    let Ok(message) = serde_json::from_slice::<Value>(body) else {
        return good(&error(&Value::Null, -32700, "parse error"));
    };
    let requests = message.as_array().map_or(1, Vec::len);
    if let Some(rate) = desk.over_rate(requests) {
        let text = match http {
            true => "Too Many Requests".into(),
            false => error(&message["id"], 429, "Too Many Requests").to_string(),
        };
        return Outcome::Text(StatusCode::TOO_MANY_REQUESTS, text, rate.retry_after);
    }
    let conduct = desk.conduct();
    tokio::time::sleep(conduct.delay).await;
    let answer = match &message {
        Value::Array(batch) => {
            let answers = batch.iter().map(|one| answer_one(one, desk, &conduct));
            futures::future::join_all(answers).await.into()
        }
        one => answer_one(one, desk, &conduct).await,
    };
    spoil(&message, answer, conduct.fault, http)
}

fn good(answer: &Value) -> Outcome {
    Outcome::Text(StatusCode::OK, answer.to_string(), None)
}

/// Does to a right answer what the fault asks for.
fn spoil(message: &Value, answer: Value, fault: Option<Fault>, http: bool) -> Outcome {
    let refusal = || error(&message["id"], -32000, "the backend is not available");
    let code = |code: u16| StatusCode::from_u16(code).unwrap();
    match fault {
        None => good(&answer),
        Some(Fault::Garbage) => Outcome::Text(StatusCode::OK, "<html>hello {[</html>".into(), None),
        Some(Fault::Half) => {
            let text = answer.to_string();
            let half = text.chars().take(text.chars().count() / 2).collect();
            Outcome::Text(StatusCode::OK, half, None)
        }
        Some(Fault::NullResults) => good(&result(&message["id"], &Value::Null)),
        Some(Fault::NullReceipts) if message["method"] == "eth_getTransactionReceipt" => {
            good(&result(&message["id"], &Value::Null))
        }
        Some(Fault::NullReceipts) => good(&answer),
        Some(Fault::Error(status)) => Outcome::Text(code(status), refusal().to_string(), None),
        Some(Fault::Status(status)) if http => {
            Outcome::Text(code(status), "upstream connect error".into(), None)
        }
        Some(Fault::Status(_)) => good(&refusal()),
        Some(Fault::HangUp) => Outcome::HangUp,
        Some(Fault::Silence) => Outcome::Silence,
    }
}

async fn answer_one(request: &Value, desk: &Desk, conduct: &Conduct) -> Value {
    let method = request["method"].as_str().unwrap_or_default();
    let refused = conduct.refuses(method);
    desk.note(method, refused);
    if refused {
        let text = format!("the method {method} does not exist/is not available");
        return error(&request["id"], -32601, &text);
    }
    if let Some(error) = conduct.over_range(request) {
        return error;
    }
    if let (Some(id), "eth_chainId") = (conduct.chain_id, method) {
        return result(&request["id"], &format!("{id:#x}").into());
    }
    let answer = ask(request, desk, conduct).await;
    conduct.over_logs(request, &answer).unwrap_or(answer)
}

/// Asks the chain, or what is behind of it.
async fn ask(request: &Value, desk: &Desk, conduct: &Conduct) -> Value {
    let mut asked = request.clone();
    let head = backend_head(request, desk, conduct).await;
    if let Some(answer) = head.and_then(|head| ask_behind(&mut asked, head)) {
        return answer;
    }
    match desk.ask(&asked).await {
        Ok(answer) => match head {
            Some(head) => answer_behind(request, answer, head),
            None => answer,
        },
        Err(_) => error(&request["id"], -32000, "no backend answers"),
    }
}

/// The head of the backend that gets this request, when it is not the chain's.
async fn backend_head(request: &Value, desk: &Desk, conduct: &Conduct) -> Option<u64> {
    let behind = match conduct.lag {
        Some(Lag::Logs(behind)) if request["method"] == "eth_getLogs" => Some(behind),
        Some(Lag::EverySecond(behind)) if desk.is_second() => Some(behind),
        _ => None,
    };
    match (conduct.head, behind) {
        (Some(head), _) => Some(head),
        (None, Some(behind)) => Some(desk.head().await.saturating_sub(behind)),
        (None, None) => None,
    }
}

fn upgraded(request: Request<Incoming>, desk: Arc<Desk>) -> Reply {
    if let Some(rate) = desk.over_rate(1) {
        let code = StatusCode::TOO_MANY_REQUESTS;
        return reply(code, code.to_string(), rate.retry_after);
    }
    let mut server = upgrading::Server::new();
    match server.receive_request(&request) {
        Ok(response) => {
            // A session that breaks is the business of its two ends.
            tokio::spawn(async move { drop(session(server, request, desk).await) });
            response.map(|()| Full::default())
        }
        Err(_) => status(StatusCode::BAD_REQUEST),
    }
}

async fn session(
    server: upgrading::Server,
    request: Request<Incoming>,
    desk: Arc<Desk>,
) -> Result<(), Broken> {
    let mut cut = desk.cut.subscribe();
    let stream = TokioIo::new(upgrade::on(request).await?).compat();
    let stream = BufReader::new(BufWriter::new(stream));
    let (mut sender, mut receiver) = server.into_builder(stream).finish();
    let (outbox, mut waiting) = mpsc::channel::<String>(WAITING);
    let write = async {
        while let Some(text) = waiting.recv().await {
            sender.send_text_owned(text).await?;
            sender.flush().await?;
        }
        Ok::<(), Broken>(())
    };
    let read = async {
        let mut upstream = None;
        let mut message = Vec::new();
        while receiver.receive_data(&mut message).await.is_ok() {
            take(std::mem::take(&mut message), &desk, &outbox, &mut upstream).await?;
        }
        Ok::<(), Broken>(())
    };
    tokio::select! {
        ended = write => ended,
        ended = read => ended,
        changed = cut.changed() => Ok(changed?),
    }
}

/// One message of a session. Subscriptions have a connection of their own to the chain.
async fn take(
    message: Vec<u8>,
    desk: &Arc<Desk>,
    outbox: &Outbox,
    upstream: &mut Option<Outbox>,
) -> Result<(), Broken> {
    let parsed: Value = serde_json::from_slice(&message).unwrap_or_default();
    let method = parsed["method"].as_str().unwrap_or_default();
    let plain = desk.conduct().fault.is_none();
    if plain && matches!(method, "eth_subscribe" | "eth_unsubscribe") {
        desk.note(method, false);
        let passing = match upstream.take() {
            Some(passing) => passing,
            None => subscribe(Arc::clone(desk), outbox.clone()).await?,
        };
        passing.send(String::from_utf8(message)?).await?;
        *upstream = Some(passing);
        return Ok(());
    }
    let (desk, outbox) = (Arc::clone(desk), outbox.clone());
    if desk.conduct().fault == Some(Fault::HangUp) {
        return Err(io::Error::from(io::ErrorKind::ConnectionAborted).into());
    }
    tokio::spawn(async move {
        match answer(&message, &desk, false).await {
            // Whoever has gone does not need the answer.
            Outcome::Text(_, text, _) => drop(outbox.send(text).await),
            Outcome::HangUp => {}
            Outcome::Silence => silence(&desk).await,
        }
    });
    Ok(())
}

/// Waits until the provider speaks again. What it did not answer it has forgotten, so it closes its connections.
async fn silence(desk: &Desk) {
    while desk.conduct().fault == Some(Fault::Silence) {
        tokio::time::sleep(RETRY).await;
    }
    desk.cut.send_modify(|count| *count += 1);
}

/// Opens a connection to the chain whose messages go to the client; gives where its requests go.
async fn subscribe(desk: Arc<Desk>, outbox: Outbox) -> Result<Outbox, Broken> {
    let port = desk.upstream();
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let stream = BufReader::new(BufWriter::new(stream.compat()));
    let host = format!("127.0.0.1:{port}");
    let mut client = Client::new(stream, &host, "/");
    client.handshake().await?;
    let (mut sender, mut receiver) = client.into_builder().finish();
    let (requests, mut waiting) = mpsc::channel::<String>(WAITING);
    tokio::spawn(async move {
        let up = async {
            while let Some(text) = waiting.recv().await {
                sender.send_text_owned(text).await?;
                sender.flush().await?;
            }
            Ok::<(), Broken>(())
        };
        let down = async {
            let mut message = Vec::new();
            while receiver.receive_data(&mut message).await.is_ok() {
                let text = String::from_utf8(std::mem::take(&mut message))?;
                if passes(&desk, &text) {
                    outbox.send(text).await?;
                }
            }
            Ok::<(), Broken>(())
        };
        tokio::select! {
            ended = up => drop(ended),
            ended = down => drop(ended),
        }
    });
    Ok(requests)
}

/// Whether a message of the chain goes on to a subscriber: a head that stands still is not announced.
fn passes(desk: &Desk, text: &str) -> bool {
    let conduct = desk.conduct();
    let is_head = text.contains("eth_subscription");
    !is_head || (conduct.head.is_none() && conduct.fault != Some(Fault::Silence))
}
