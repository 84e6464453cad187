//! The listening socket and its connections, from accepting to the shutdown.
//!
//! [`bind`] opens the socket, and [`serve`] accepts until the shutdown. Each connection is admitted to the list
//! (`connections.rs`), guarded by timeouts (`io.rs`), encrypted if there is a certificate (`tls.rs`), and served by the router
//! (`routes.rs`). At the shutdown, no new
//! connection is accepted, requests at work are finished within a limit, and then everything is closed.
//!
//! Opening and serving are apart, so that a member can take its port before anything else and a port that is in use is
//! an error at the start. A failure of one connection, or of accepting, never ends the server.

use super::{
    access::Peer,
    app::{App, AppState},
    connections::{Connections, Slot},
    error::HttpError,
    io::GuardedIo,
    limits::HttpLimits,
    node_api::NodeApi,
    routes,
    rpc::Rpc,
    tls::Tls,
    token::Token,
};
use axum::{extract::Request, Router};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Size of the buffers for request headers and for responses, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;
/// How long accepting pauses when the process has no file descriptor left; it goes on earlier when a connection ends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long connections that were told to close may take to do so.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Where the HTTP side listens, and whether it speaks TLS there.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub socket: TcpListener,
    /// With a certificate: TLS, and nothing else. Without: plain HTTP.
    pub tls: Option<Tls>,
}

/// Listens on `address`; port 0 lets the operating system choose.
///
/// # Errors
/// [`HttpError::InUse`] or [`HttpError::Listen`].
pub async fn bind(address: SocketAddr, tls: Option<Tls>) -> Result<Listener, HttpError> {
    let bound = TcpListener::bind(address).await;
    let socket = bound.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => HttpError::InUse { address },
        _ => HttpError::Listen { address, source },
    })?;
    Ok(Listener { socket, tls })
}

/// Serves `api` on `listener` until `shutdown`, and then waits for open requests, for
/// [`HttpLimits::shutdown_timeout`] at most.
///
/// # Errors
/// [`HttpError::Methods`]; once it serves it does not fail.
pub async fn serve(
    api: Arc<dyn NodeApi>,
    listener: Listener,
    token: Token,
    limits: HttpLimits,
    shutdown: CancellationToken,
) -> Result<(), HttpError> {
    let (rpc, methods) = Rpc::new(api.clone(), token.clone(), &limits)?;
    let app = AppState::new(api, token, rpc, limits, shutdown.clone());
    let server = Server::new(app, listener.tls, shutdown);
    server.accept(listener.socket).await;
    server.finish().await;
    drop(methods);
    Ok(())
}

/// What all connections share.
#[derive(Clone)]
struct Server {
    router: Router,
    connections: Arc<Connections>,
    protocol: http1::Builder,
    tls: Option<Tls>,
    handshake: Duration,
    idle: Duration,
    grace: Duration,
    shutdown: CancellationToken,
}

impl Server {
    fn new(app: App, tls: Option<Tls>, shutdown: CancellationToken) -> Self {
        let limits = &app.limits;
        let mut protocol = http1::Builder::new();
        protocol
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(BUFFER_BYTES);
        Self {
            connections: Connections::new(limits.connections, limits.connections_per_address),
            protocol,
            tls,
            handshake: limits.header_timeout,
            idle: limits.idle_timeout,
            grace: limits.shutdown_timeout,
            shutdown,
            router: routes::router(app),
        }
    }

    /// Accepts until the shutdown. No failure ends it.
    async fn accept(&self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, from)) => self.admit(stream, from.ip()),
                Err(error) => self.pause(error).await,
            }
        }
    }

    /// Gives a connection a place and a task. If all places are taken by connections at work, it is closed at once.
    fn admit(&self, stream: TcpStream, from: IpAddr) {
        let Some(slot) = self.connections.admit(Some(from)) else {
            tracing::debug!(
                "all HTTP connections (of that address) are at work; a new one was refused"
            );
            return;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        tokio::spawn(self.clone().converse(stream, slot));
    }

    /// After a failed accept. When the peer went away, the next connection can be accepted at once; otherwise there are
    /// no file descriptors left, and accepting pauses.
    async fn pause(&self, error: io::Error) {
        if error.kind() == io::ErrorKind::ConnectionAborted {
            return;
        }
        tracing::warn!(%error, "cannot accept an HTTP connection");
        if tokio::time::timeout(ACCEPT_PAUSE, self.connections.changed())
            .await
            .is_ok()
        {
            tracing::debug!("a connection ended");
        }
    }

    /// One connection, from its first byte to its last.
    async fn converse(self, stream: TcpStream, slot: Slot) {
        let peer = Peer {
            local: stream
                .local_addr()
                .ok()
                .map(|address| address.ip().to_canonical()),
            connection: slot.connection().clone(),
            connections: Arc::clone(&self.connections),
        };
        let stream = GuardedIo::new(stream, slot, self.idle);
        let Some(tls) = &self.tls else {
            return self.serve_requests(stream, peer).await;
        };
        let handshake = tokio::time::timeout(self.handshake, tls.acceptor().accept(stream));
        let shaken = tokio::select! {
            shaken = handshake => shaken,
            () = peer.connection.closed() => return,
            () = self.shutdown.cancelled() => return,
        };
        match shaken {
            Ok(Ok(stream)) => self.serve_requests(stream, peer).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    /// The requests of one connection.
    async fn serve_requests<S>(&self, stream: S, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let closed = peer.connection.clone();
        let router = self.router.clone();
        let service = service_fn(move |request| answer(router.clone(), peer.clone(), request));
        let conversation = self
            .protocol
            .serve_connection(TokioIo::new(stream), service);
        let conversation = conversation.with_upgrades();
        tokio::pin!(conversation);
        let ended = tokio::select! {
            ended = conversation.as_mut() => ended,
            () = closed.closed() => return,
            () = self.shutdown.cancelled() => {
                conversation.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = conversation => ended,
                    () = closed.closed() => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "an HTTP connection ended early");
        }
    }

    /// Waits for the connections, and closes those that take too long.
    async fn finish(&self) {
        for patience in [self.grace, CLOSE_TIMEOUT] {
            if tokio::time::timeout(patience, self.connections.drained())
                .await
                .is_ok()
            {
                return;
            }
            self.connections.close();
        }
        tracing::warn!("HTTP connections were still open at the end");
    }
}

async fn answer(
    router: Router,
    peer: Peer,
    mut request: Request<Incoming>,
) -> Result<axum::response::Response, Infallible> {
    request.extensions_mut().insert(peer);
    router.oneshot(request).await
}
