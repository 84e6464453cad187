//! A WebSocket session: messages are answered one after the other, and no message is read before the last one is
//! answered and its answer is written. So a client that sends faster than it reads fills its own buffers, not our
//! memory.
//!
//! What the session has subscribed to is told as it happens, while a call is being answered too. A client that does not
//! read makes the session fall behind; then it is told how many notices it has missed (`news.rs`), and one that reads
//! nothing at all is cut off (`io.rs`).
//!
//! The session has its own limit of idle time, kept by pings, and ends with the server's shutdown. What a message may
//! say is the same as over POST (`rpc.rs`).

use super::rpc::{too_large_answer, Rpc};
use futures::{
    future::{BoxFuture, OptionFuture},
    stream, FutureExt, Stream, StreamExt,
};
use http::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use jsonrpsee::server::HttpBody;
use soketto::{connection::Error, data::ByteSlice125, handshake::http::Server, Incoming};
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::time::{interval_at, Instant};
use tokio_util::{
    compat::{Compat, TokioAsyncReadCompatExt},
    sync::CancellationToken,
};

/// How often a silent client is pinged.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long it may say nothing, not even answer a ping.
const PING_LIMIT: Duration = Duration::from_secs(45);
type Socket =
    futures::io::BufReader<futures::io::BufWriter<Compat<TokioIo<hyper::upgrade::Upgraded>>>>;

/// What came from the client.
enum Heard {
    Message(Vec<u8>),
    Pong,
    TooBig,
}

/// Talks until the client leaves, says nothing for too long, or `stop` is cancelled.
pub(super) async fn converse(
    rpc: Arc<Rpc>,
    request: Request<HttpBody>,
    server: Server,
    stop: CancellationToken,
) {
    let headers = request.headers().clone();
    let talk = async {
        match hyper::upgrade::on(request).await {
            Ok(upgraded) => talk(&rpc, &headers, open(&rpc, server, upgraded)).await,
            Err(error) => tracing::debug!(%error, "a connection did not become a session"),
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = talk => {}
    }
}

fn open(
    rpc: &Rpc,
    server: Server,
    upgraded: hyper::upgrade::Upgraded,
) -> (soketto::Sender<Socket>, soketto::Receiver<Socket>) {
    let socket = TokioIo::new(upgraded).compat();
    let socket = futures::io::BufReader::new(futures::io::BufWriter::new(socket));
    let mut builder = server.into_builder(socket);
    builder.set_max_message_size(rpc.request_bytes());
    builder.finish()
}

/// One session: messages are answered one after the other, subscriptions are told, and pings notice a client that has gone.
async fn talk(
    rpc: &Rpc,
    headers: &HeaderMap,
    (mut sender, receiver): (soketto::Sender<Socket>, soketto::Receiver<Socket>),
) {
    let (subscriptions, mut news) = rpc.listen();
    let mut heard = pin!(incoming(receiver));
    let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    let mut last = Instant::now();
    let mut answering = OptionFuture::<BoxFuture<'_, _>>::from(None);
    let mut is_answering = false;
    loop {
        let sent = tokio::select! {
            next = heard.next(), if !is_answering => {
                last = Instant::now();
                match next {
                    None => return,
                    Some(Heard::Pong) => Ok(()),
                    Some(Heard::TooBig) => say(&mut sender, [too_large_answer(rpc.request_bytes())]).await,
                    Some(Heard::Message(message)) => {
                        let subscriptions = &subscriptions;
                        let answer = async move { rpc.message(&message, (headers, subscriptions)).await };
                        (answering, is_answering) = (Some(answer.boxed()).into(), true);
                        Ok(())
                    }
                }
            }
            answer = &mut answering, if is_answering => {
                (answering, is_answering) = (None.into(), false);
                let sent = say(&mut sender, answer.flatten()).await;
                subscriptions.answered();
                sent
            }
            notice = news.next() => say(&mut sender, subscriptions.notifications(&notice)).await,
            _ = pings.tick() => match last.elapsed() < PING_LIMIT {
                true => ping(&mut sender).await,
                false => return,
            },
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "a session ended early");
            return;
        }
    }
}

/// Whole messages. A receive that has begun is never cancelled, so no part of a message is lost.
fn incoming(receiver: soketto::Receiver<Socket>) -> impl Stream<Item = Heard> {
    stream::unfold(receiver, |mut receiver| async {
        let mut message = Vec::new();
        let heard = match receiver.receive(&mut message).await {
            Ok(Incoming::Data(_)) => Heard::Message(message),
            Ok(Incoming::Pong(_)) => Heard::Pong,
            Err(Error::MessageTooLarge { .. }) => Heard::TooBig,
            Ok(Incoming::Closed(_)) | Err(_) => return None,
        };
        Some((heard, receiver))
    })
    .fuse()
}

/// Sends messages, if there are any.
async fn say(
    sender: &mut soketto::Sender<Socket>,
    messages: impl IntoIterator<Item = String>,
) -> Result<(), Error> {
    let mut is_silent = true;
    for message in messages {
        sender.send_text_owned(message).await?;
        is_silent = false;
    }
    match is_silent {
        true => Ok(()),
        false => sender.flush().await,
    }
}

async fn ping(sender: &mut soketto::Sender<Socket>) -> Result<(), Error> {
    let nothing: &[u8] = &[];
    let nothing = ByteSlice125::try_from(nothing).map_err(|_| Error::Closed)?;
    sender.send_ping(nothing).await?;
    sender.flush().await
}
