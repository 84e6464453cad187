//! The client's side of subscriptions: [`Client::subscribe`] opens a WebSocket session with a member and reads its notices.
//!
//! Each [`Notices`] is a session of its own, and ends it when it is dropped. A member behind TLS must show a certificate that
//! an authority of the web vouches for, as for requests. Whoever gets [`ClientError::NotLive`] asks now and then.

use super::{
    client::{Client, ClientError},
    notices::{Notice, SubscribeParams},
    openrpc,
};
use jsonrpsee::{
    core::{
        client::{Error, Subscription, SubscriptionClientT},
        params::ObjectParams,
    },
    ws_client::{WsClient, WsClientBuilder},
};
use std::{io, sync::Arc, time::Duration};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{
    client::TlsStream,
    rustls::{self, pki_types::ServerName, ClientConfig, RootCertStore},
    TlsConnector,
};
use url::Url;

/// The port of TLS where a URL names none.
const HTTPS: u16 = 443;

/// Time to connect to a member, and for its answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Notices that wait to be read. Whoever falls further behind has to subscribe again.
const WAITING: usize = 256;
/// Most bytes of a message of the member.
const MESSAGE_BYTES: u32 = 1 << 20;

/// The notices of one subscription.
#[derive(Debug)]
pub struct Notices {
    url: String,
    stream: Subscription<Notice>,
    /// The subscription ends with its session.
    _session: WsClient,
}

impl Client {
    /// Subscribes. What happens after this has returned is told; look once now for what happened before.
    ///
    /// # Errors
    /// [`ClientError::NotLive`].
    pub async fn subscribe(&self, what: &SubscribeParams) -> Result<Notices, ClientError> {
        self.subscribe_by(what, web_roots()).await
    }

    /// The same, where these authorities vouch for the member's certificate.
    ///
    /// # Errors
    /// As [`Client::subscribe`].
    pub(super) async fn subscribe_by(
        &self,
        what: &SubscribeParams,
        roots: RootCertStore,
    ) -> Result<Notices, ClientError> {
        let failed = |source| self.not_live(source);
        let builder = WsClientBuilder::default()
            .connection_timeout(CONNECT_TIMEOUT)
            .request_timeout(CONNECT_TIMEOUT)
            .max_buffer_capacity_per_subscription(WAITING)
            .max_response_size(MESSAGE_BYTES);
        let url = self.session_url();
        let session = match url.starts_with("wss:") {
            false => builder.build(url).await,
            true => {
                let stream = timeout(CONNECT_TIMEOUT, over_tls(&url, roots)).await;
                let stream = stream.map_err(|_| io::Error::from(io::ErrorKind::TimedOut));
                let stream = stream.and_then(|stream| stream);
                let stream = stream.map_err(|error| failed(Error::Transport(error.into())))?;
                builder.build_with_stream(url, stream).await
            }
        };
        let session = session.map_err(failed)?;
        let params = by_name(what).map_err(|error| failed(Error::ParseError(error)))?;
        let stream = session.subscribe(openrpc::SUBSCRIBE, params, openrpc::UNSUBSCRIBE);
        Ok(Notices {
            url: self.url(),
            stream: stream.await.map_err(failed)?,
            _session: session,
        })
    }
}

/// The authorities that vouch for certificates of the web.
fn web_roots() -> RootCertStore {
    webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()
}

/// A TLS connection to where a URL points.
async fn over_tls(url: &str, roots: RootCertStore) -> io::Result<TlsStream<TcpStream>> {
    let url = Url::parse(url).map_err(io::Error::other)?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let port = url.port().unwrap_or(HTTPS);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
    stream.set_nodelay(true)?;
    let name = host.trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(name).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

fn by_name(what: &SubscribeParams) -> serde_json::Result<ObjectParams> {
    let mut params = ObjectParams::new();
    if let serde_json::Value::Object(fields) = serde_json::to_value(what)? {
        for (name, value) in fields {
            params.insert(&name, value)?;
        }
    }
    Ok(params)
}

impl Notices {
    /// The next one. After [`Notice::Missed`], and after a new subscription, look once at what is there.
    ///
    /// # Errors
    /// [`ClientError::NotLive`] when the session has ended: subscribe again.
    pub async fn next(&mut self) -> Result<Notice, ClientError> {
        let ended = |source| ClientError::NotLive {
            url: self.url.clone(),
            source: Box::new(source),
        };
        match self.stream.next().await {
            Some(Ok(notice)) => Ok(notice),
            Some(Err(error)) => Err(ended(Error::ParseError(error))),
            None => Err(ended(Error::Custom("the session has ended".into()))),
        }
    }
}
