//! The listening socket, and the life of its connections.

use super::{
    access::Peer,
    api::NodeApi,
    connections::{Connections, Slot},
    io::GuardedIo,
    routes::{self, App},
    rpc::Rpc,
    HttpLimits, Token,
};
use axum::{extract::Request, Router};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use jsonrpsee::core::RegisterMethodError;
use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Bytes of request headers, and of a response that are held for the socket.
const BUFFER_BYTES: usize = 64 * 1024;
/// How long accepting pauses when the process has no file descriptor left, unless a connection ends first.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long connections that were told to close may take for it.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Why the HTTP side does not start.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Something else listens there.
    #[error(
        "{address} is in use by another program; stop that one, or choose another [rpc] listen"
    )]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The operating system does not let this process listen there.
    #[error("cannot listen on {address}; choose another [rpc] listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Two JSON-RPC methods have one name.
    #[error("the JSON-RPC methods cannot be set up; this is a fault of the program")]
    Methods(#[source] RegisterMethodError),
}

/// Listens on `address`; port 0 lets the operating system choose.
///
/// # Errors
/// [`HttpError::InUse`] or [`HttpError::Listen`].
pub async fn bind(address: SocketAddr) -> Result<TcpListener, HttpError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => HttpError::InUse { address },
            _ => HttpError::Listen { address, source },
        })
}

/// Serves `api` on `listener` until `shutdown`, and then waits for open requests, for
/// [`HttpLimits::shutdown_timeout`] at most.
///
/// # Errors
/// [`HttpError::Methods`]; once it serves it does not fail.
pub async fn serve(
    api: Arc<dyn NodeApi>,
    listener: TcpListener,
    token: Token,
    limits: HttpLimits,
    shutdown: CancellationToken,
) -> Result<(), HttpError> {
    let (rpc, sessions) = Rpc::new(api.clone(), &limits)?;
    let server = Server::new(App::new(api, token, rpc, limits), shutdown);
    server.accept(listener).await;
    if sessions.stop().is_err() {
        tracing::debug!("no WebSocket session was open");
    }
    server.finish().await;
    Ok(())
}

/// What all connections share.
#[derive(Clone)]
struct Server {
    router: Router,
    connections: Arc<Connections>,
    protocol: http1::Builder,
    idle: Duration,
    grace: Duration,
    shutdown: CancellationToken,
}

impl Server {
    fn new(app: App, shutdown: CancellationToken) -> Self {
        let limits = app.limits();
        let mut protocol = http1::Builder::new();
        protocol
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_timeout)
            .max_buf_size(BUFFER_BYTES);
        Self {
            connections: Connections::new(limits.connections),
            protocol,
            idle: limits.idle_timeout,
            grace: limits.shutdown_timeout,
            shutdown,
            router: routes::router(app),
        }
    }

    async fn accept(&self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => self.admit(stream),
                Err(error) => self.pause(error).await,
            }
        }
    }

    fn admit(&self, stream: TcpStream) {
        let Some(slot) = self.connections.admit() else {
            tracing::debug!("all HTTP connections are at work; a new one was refused");
            return;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        tokio::spawn(self.clone().converse(stream, slot));
    }

    /// After a failed accept: the peer went away (then the next one is at hand), or there are no descriptors.
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

    /// One connection, from its first request to its last.
    async fn converse(self, stream: TcpStream, slot: Slot) {
        let peer = Peer {
            local: stream
                .local_addr()
                .ok()
                .map(|address| address.ip().to_canonical()),
            connection: slot.connection().clone(),
        };
        let closed = peer.connection.clone();
        let router = self.router.clone();
        let service = service_fn(move |request| answer(router.clone(), peer.clone(), request));
        let io = TokioIo::new(GuardedIo::new(stream, slot, self.idle));
        let conversation = self.protocol.serve_connection(io, service).with_upgrades();
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
