//! The typed client of a member's HTTP side, which the command line uses.
//!
//! [`Client`] calls the JSON-RPC methods and adds files. Answers are read into the types of `views.rs`, the same that
//! the server writes.
//!
//! Every error names the member ([`ClientError`]), shows its URL without what may be secret, and tells apart a member
//! that cannot be reached, one that refused, and a file that could not be read here. Files are streamed and not held in
//! memory. The token is sent only where it is needed. What concerns a member's store is in `client_store.rs`, the calls
//! of avatars in `avatar_calls.rs`.

use super::{
    openrpc,
    params::RequestParams,
    reply::TOO_MANY,
    token::Token,
    views::{Added, GateView, LogPage, ProofView, RequestView, RequestedView, RingView, Status},
};
use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use reqwest::{header, Body, RequestBuilder, Response, StatusCode, Url};
use rings_protocol::{Address, Digest};
use serde::{de::DeserializeOwned, Deserialize};
use serde_json::{json, value::RawValue, Value};
use std::{error::Error, fmt, io, net::IpAddr, time::Duration};
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

/// Time to connect to a member.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for one JSON-RPC call, from the first byte to the last.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How long an unused connection is kept: shorter than a member keeps it, so that no request goes out on a connection
/// that is being closed.
const POOL_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a file that are read at once when it is added.
const READ_BYTES: usize = 256 * 1024;
/// Characters of an unexpected answer that are shown.
const SHOWN_CHARACTERS: usize = 200;

/// Talks to one member.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: Url,
    token: Option<Token>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.url())
    }
}

/// Why a member did not do what it was asked. Each error names the member.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL of the member cannot be used.
    #[error("{url:?} is not the URL of a member, which looks like http://127.0.0.1:7545")]
    Url {
        /// What was given, without user, path and query.
        url: String,
    },
    /// The client cannot be set up (certificates, name resolution).
    #[error("an HTTP client cannot be set up")]
    Setup(#[source] reqwest::Error),
    /// Nobody answers, or the connection broke.
    #[error("the member at {url} cannot be reached; is it running?")]
    Unreachable {
        /// The member.
        url: String,
        /// What the connection said.
        #[source]
        source: reqwest::Error,
    },
    /// The member did not answer in time.
    #[error("the member at {url} did not answer in time")]
    Timeout {
        /// The member.
        url: String,
        /// What the connection said.
        #[source]
        source: reqwest::Error,
    },
    /// The member stopped taking a file, or does not say that it has it.
    #[error("the member at {url} has taken nothing more for {seconds} s; try again, or give it to another member")]
    Stalled {
        /// The member.
        url: String,
        /// How long.
        seconds: u64,
    },
    /// A JSON-RPC error.
    #[error("the member at {url} answered {method} with: {message}{}{data} (code {code})", if data.is_empty() { "" } else { ": " })]
    Rpc {
        /// The member.
        url: String,
        /// The method that was called.
        method: String,
        /// The number of the error.
        code: i64,
        /// Its message.
        message: String,
        /// Details of this error; may be empty.
        data: String,
    },
    /// An HTTP status other than success.
    #[error("the member at {url} refused ({status}): {line}")]
    Refused {
        /// The member.
        url: String,
        /// The status.
        status: StatusCode,
        /// The first line of the answer.
        line: String,
    },
    /// The answer is not what a member of this version sends.
    #[error(
        "the member at {url} sent something unexpected for {what}; is it a member of this version?"
    )]
    Answer {
        /// The member.
        url: String,
        /// What was asked for.
        what: String,
        /// What does not fit.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// There is no live session with the member, or it has ended.
    #[error(
        "the member at {url} tells nothing by itself now; ask it now and then, or subscribe again"
    )]
    NotLive {
        /// The member.
        url: String,
        /// What the session said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The file to add cannot be read.
    #[error("the file to add cannot be read")]
    Input(#[source] io::Error),
    /// Adding files, and asking requests, needs a token.
    #[error("what is asked of the member at {url} needs its token, and none is known")]
    NoToken {
        /// The member.
        url: String,
    },
}

/// A JSON-RPC answer: it has either a result or an error.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<RpcError>,
}

/// An error object of JSON-RPC 2.0.
#[derive(Deserialize)]
struct RpcError {
    code: i64,
    message: String,
    #[serde(default)]
    data: Value,
}

impl ClientError {
    /// Whether the member refused only because it does much of the same at this moment.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Refused { status, line, .. }
            if *status == StatusCode::SERVICE_UNAVAILABLE && line.starts_with(TOO_MANY))
    }

    /// Whether the member may do the same thing a moment later: it is busy, late or just gone, or its store is away.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::Stalled { .. } => true,
            Self::Refused { status, .. } => *status == StatusCode::SERVICE_UNAVAILABLE,
            Self::Rpc { code, .. } => *code == i64::from(super::node_api::code::BUSY),
            _ => false,
        }
    }
}

impl Client {
    /// A client of the member at `url`; `token` is needed for [`Client::add`] and [`Client::request`], and
    /// to read the logs of a private ring.
    ///
    /// # Errors
    /// [`ClientError::Url`] or [`ClientError::Setup`].
    pub fn new(url: &str, token: Option<Token>) -> Result<Self, ClientError> {
        let url = base(url)?;
        let http = builder(&url).build().map_err(ClientError::Setup)?;
        Ok(Self { http, url, token })
    }

    /// The member's URL as it may be shown: without user, password, path and query.
    pub fn url(&self) -> String {
        shown_url(self.url.as_str())
    }

    /// `rings_status`.
    ///
    /// # Errors
    /// Any but [`ClientError::NoToken`] and [`ClientError::Input`], as all calls that only read.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.call(openrpc::STATUS, json!({})).await
    }

    /// `rings_getRing`.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn ring(&self, ring: Address) -> Result<RingView, ClientError> {
        self.call(openrpc::GET_RING, json!({ "ring": ring })).await
    }

    /// `rings_getGate`.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn gate(&self, gate: Address) -> Result<GateView, ClientError> {
        self.call(openrpc::GET_GATE, json!({ "gate": gate })).await
    }

    /// `rings_getLog`: at most `limit` nodes, newest first, beginning at `from` or at the head.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn log(
        &self,
        ring: Address,
        member: Address,
        from: Option<u64>,
        limit: u32,
    ) -> Result<LogPage, ClientError> {
        let mut params = json!({ "ring": ring, "member": member, "limit": limit });
        if let Some(from) = from {
            params["from"] = from.into();
        }
        self.call(openrpc::GET_LOG, params).await
    }

    /// `rings_request`: asks a request of the ring, in the log of this member. It is on its disk when this returns.
    ///
    /// # Errors
    /// As [`Client::status`], and [`ClientError::NoToken`].
    pub async fn request(&self, request: &RequestParams) -> Result<RequestedView, ClientError> {
        if self.token.is_none() {
            return Err(ClientError::NoToken { url: self.url() });
        }
        let params = serde_json::to_value(request)
            .map_err(|error| self.unexpected(openrpc::REQUEST, error))?;
        self.call(openrpc::REQUEST, params).await
    }

    /// `rings_getRequest`.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn get_request(&self, request: Digest) -> Result<RequestView, ClientError> {
        let params = json!({ "request": request });
        self.call(openrpc::GET_REQUEST, params).await
    }

    /// `rings_getProof`.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn proof(&self, request: Digest) -> Result<ProofView, ClientError> {
        let params = json!({ "request": request });
        self.call(openrpc::GET_PROOF, params).await
    }

    /// Adds the content of `file` to the member's store; it is durable there when this returns. The file is streamed,
    /// not held in memory.
    ///
    /// # Errors
    /// [`ClientError::NoToken`], [`ClientError::Refused`] and those of the connection.
    pub async fn add(&self, file: impl AsyncRead + Send + 'static) -> Result<Added, ClientError> {
        self.add_stream(ReaderStream::with_capacity(file, READ_BYTES))
            .await
    }

    /// As [`Client::add`], from a stream.
    ///
    /// # Errors
    /// As [`Client::add`].
    pub async fn add_stream(
        &self,
        file: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> Result<Added, ClientError> {
        self.add_for(file, None).await
    }

    /// As [`Client::add_stream`]. With `seconds`, the member may remove the file after that time, unless something that it
    /// works on needs it.
    ///
    /// # Errors
    /// As [`Client::add`].
    pub async fn add_for(
        &self,
        file: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        seconds: Option<u64>,
    ) -> Result<Added, ClientError> {
        let path = match seconds {
            Some(seconds) => format!("ipfs?keep={seconds}"),
            None => "ipfs".to_owned(),
        };
        let request = self.authorised(reqwest::Method::POST, &path)?;
        let response = self.send(request.body(Self::body(file))).await?;
        self.read("POST /ipfs", response).await
    }

    /// A request with the member's token.
    pub(super) fn authorised(
        &self,
        method: reqwest::Method,
        path: &str,
    ) -> Result<RequestBuilder, ClientError> {
        let Some(token) = &self.token else {
            return Err(ClientError::NoToken { url: self.url() });
        };
        let request = self.http.request(method, self.path(path));
        Ok(request.bearer_auth(token.expose()))
    }

    /// A body whose errors can be told from those of the connection.
    pub(super) fn body(file: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Body {
        Body::wrap_stream(file.map_err(InputError))
    }

    /// The answer in JSON.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        what: &str,
        response: Response,
    ) -> Result<T, ClientError> {
        let bytes = response.bytes().await.map_err(|error| self.broken(error))?;
        serde_json::from_slice(&bytes).map_err(|error| self.unexpected(what, error))
    }

    /// Whether this client's token is the member's. It is asked to resume a process that cannot exist: without the right token it
    /// refuses, with it there is nothing to be done, and either way nothing changes.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn token_fits(&self) -> Result<bool, ClientError> {
        let nothing = json!({ "installation": Digest::default() });
        let asked: Result<Value, _> = self.call(openrpc::RESUME_PROCESS, nothing).await;
        match asked {
            Ok(_) => Ok(true),
            Err(ClientError::Rpc { code, .. }) => Ok(code != i64::from(crate::code::NO_TOKEN)),
            Err(error) => Err(error),
        }
    }

    /// Calls any method; `params` is an object.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
    ) -> Result<T, ClientError> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut request = self
            .http
            .post(self.url.clone())
            .json(&request)
            .timeout(CALL_TIMEOUT);
        // Only methods that need the token are sent with it: of a private ring's logs more is shown then.
        let needs_token = openrpc::NEED_TOKEN.contains(&method) || method == openrpc::GET_LOG;
        if let Some(token) = self.token.as_ref().filter(|_| needs_token) {
            request = request.bearer_auth(token.expose());
        }
        let response = self.send(request).await?;
        let bytes = response.bytes().await.map_err(|error| self.broken(error))?;
        let answer: Answer<'_> =
            serde_json::from_slice(&bytes).map_err(|error| self.unexpected(method, error))?;
        match answer {
            Answer {
                error: Some(error), ..
            } => Err(self.failed(method, error)),
            Answer { result, .. } => {
                let result = result.map_or("null", RawValue::get);
                serde_json::from_str(result).map_err(|error| self.unexpected(method, error))
            }
        }
    }

    /// `GET` of a path below the member's URL. The caller checks the status of the answer.
    pub(super) async fn get(&self, path: &str, accept: &str) -> reqwest::Result<Response> {
        let request = self
            .http
            .get(self.path(path))
            .header(header::ACCEPT, accept);
        request.send().await.map_err(reqwest::Error::without_url)
    }

    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| self.broken(error))?;
        match response.status() {
            status if status.is_success() => Ok(response),
            status => Err(self.refused(status, response).await),
        }
    }

    async fn refused(&self, status: StatusCode, response: Response) -> ClientError {
        // If the body cannot be read, the status alone is reported.
        let text = response.text().await.unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        ClientError::Refused {
            url: self.url(),
            status,
            line: line.chars().take(SHOWN_CHARACTERS).collect(),
        }
    }

    fn failed(&self, method: &str, error: RpcError) -> ClientError {
        let data = match error.data {
            Value::Null => String::new(),
            Value::String(text) => text,
            other => other.to_string(),
        };
        ClientError::Rpc {
            url: self.url(),
            method: method.to_owned(),
            code: error.code,
            message: error.message,
            data,
        }
    }

    /// A request without an answer. An error of the caller's own input is told as such, and the URL in the library's
    /// error, which may hold a secret, is removed.
    pub(super) fn broken(&self, source: reqwest::Error) -> ClientError {
        let url = self.url();
        let source = match input(source) {
            Ok(error) => return ClientError::Input(error),
            Err(source) => source.without_url(),
        };
        match source.is_timeout() && !source.is_connect() {
            true => ClientError::Timeout { url, source },
            false => ClientError::Unreachable { url, source },
        }
    }

    fn unexpected(&self, what: &str, source: serde_json::Error) -> ClientError {
        ClientError::Answer {
            url: self.url(),
            what: what.to_owned(),
            source: source.into(),
        }
    }

    /// The address of a WebSocket session.
    pub(super) fn session_url(&self) -> String {
        let url = self.url.as_str();
        match url.strip_prefix("http") {
            Some(rest) => format!("ws{rest}"),
            None => url.to_owned(),
        }
    }

    pub(super) fn not_live(&self, source: impl Error + Send + Sync + 'static) -> ClientError {
        let (url, source) = (self.url(), Box::new(source));
        ClientError::NotLive { url, source }
    }

    fn path(&self, path: &str) -> String {
        format!("{}/{path}", self.url.as_str().trim_end_matches('/'))
    }
}

/// Marks an error of the file that is being sent, so that it can be told from an error of the connection.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct InputError(io::Error);

/// The error of the file, if that is what ended the request.
fn input(error: reqwest::Error) -> Result<io::Error, reqwest::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(InputError(error)) = error.downcast_ref() {
            return Ok(io::Error::new(error.kind(), error.to_string()));
        }
        cause = error.source();
    }
    Err(error)
}

fn base(text: &str) -> Result<Url, ClientError> {
    let url = Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none()
    });
    url.ok_or_else(|| ClientError::Url {
        url: shown_url(text),
    })
}

/// A URL as it may be shown: scheme, host and port, without user, password, path and query, which may be secret. Where the
/// text is no URL, and a password may stand in front of the host (one with a `/` in it, say), neither is shown.
pub fn shown_url(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}{host}"),
        None if rest.contains('@') => format!("{scheme}…"),
        None => format!("{scheme}{authority}"),
    }
}

/// Proxies from the environment are not used for this machine itself.
fn builder(url: &Url) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(POOL_TIMEOUT);
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let local = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    match local {
        true => builder.no_proxy(),
        false => builder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_of_a_member_is_refused_in_one_line() {
        for wrong in ["", "127.0.0.1:7545", "ftp://x", "http://", "http://x/?a=b"] {
            let error = Client::new(wrong, None).unwrap_err();
            assert!(matches!(error, ClientError::Url { .. }), "{wrong}");
            assert!(!error.to_string().contains('\n'));
        }
        for (url, shown) in [
            ("http://user:secret@h:1/KEY?k=KEY", "http://h:1"),
            ("http://user:se%40cret@h/x@y", "http://h"),
            ("user:secret@h", "h"),
            ("http://user:secret/x@h:1/KEY", "http://…"),
            ("http://user:1#x@h:1/KEY", "http://…"),
            ("user:secret?x@h", "…"),
            ("http://127.0.0.1:7545", "http://127.0.0.1:7545"),
        ] {
            assert_eq!(shown_url(url), shown);
        }
        let error = Client::new("ftp://user:secret@h/KEY", None).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        let secret = Client::new("http://user:se%40cret@h:1", None).unwrap();
        assert_eq!(secret.url(), "http://h:1");
        assert!(!format!("{secret:?}").contains("cret"), "{secret:?}");
        let client = Client::new("http://127.0.0.1:7545/", None).unwrap();
        assert_eq!(client.url(), "http://127.0.0.1:7545");
        assert_eq!(client.path("ipfs"), "http://127.0.0.1:7545/ipfs");
    }
}
