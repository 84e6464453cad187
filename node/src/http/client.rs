//! A client of a member's HTTP side, for the command line.

use super::{
    api::{Added, GateView, LogPage, RingView, Status},
    openrpc, Token,
};
use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use reqwest::{header, Body, RequestBuilder, Response, StatusCode, Url};
use rings_protocol::Address;
use serde::{de::DeserializeOwned, Deserialize};
use serde_json::{json, value::RawValue, Value};
use std::{error::Error, io, net::IpAddr, time::Duration};
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

/// Time to connect to a member.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for one JSON-RPC call, from the first byte to the last.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How long an unused connection is kept: shorter than a member keeps it, so that none is used while it closes.
const POOL_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a file that are read at once when it is added.
const READ_BYTES: usize = 256 * 1024;
/// Characters of an unexpected answer that are shown.
const SHOWN_CHARACTERS: usize = 200;

/// Talks to one member.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: Url,
    token: Option<Token>,
}

/// Why a member did not do what it was asked. Each names the member.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL of the member cannot be used.
    #[error("{url:?} is not the URL of a member; it looks like http://127.0.0.1:7545")]
    Url {
        /// What was given.
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
        /// What is particular about it; may be empty.
        data: String,
    },
    /// An HTTP status that says no.
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
    /// What was to be added cannot be read.
    #[error("the file to add cannot be read")]
    Input(#[source] io::Error),
    /// Adding files needs a token.
    #[error("adding files to the member at {url} needs its token; name the ring directory or the token file")]
    NoToken {
        /// The member.
        url: String,
    },
}

/// A JSON-RPC answer: one of the two is there.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<RpcError>,
}

#[derive(Deserialize)]
struct RpcError {
    code: i64,
    message: String,
    #[serde(default)]
    data: Value,
}

impl Client {
    /// A client of the member at `url`; `token` is needed for [`Client::add`] only.
    ///
    /// # Errors
    /// [`ClientError::Url`] or [`ClientError::Setup`].
    pub fn new(url: &str, token: Option<Token>) -> Result<Self, ClientError> {
        let url = base(url)?;
        let http = builder(&url).build().map_err(ClientError::Setup)?;
        Ok(Self { http, url, token })
    }

    /// The member's URL.
    pub fn url(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
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

    /// Adds what `file` gives to the member's store; it is durable there when this returns. The file is
    /// streamed, not held in memory.
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
        let url = self.url().to_owned();
        let Some(token) = &self.token else {
            return Err(ClientError::NoToken { url });
        };
        let body = Body::wrap_stream(file.map_err(InputError));
        let request = self
            .http
            .post(self.path("ipfs"))
            .bearer_auth(token.expose());
        let response = self.send(request.body(body)).await?;
        let bytes = response.bytes().await.map_err(|error| self.broken(error))?;
        serde_json::from_slice(&bytes).map_err(|error| self.unexpected("POST /ipfs", error))
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
        let request = self
            .http
            .post(self.url.clone())
            .json(&request)
            .timeout(CALL_TIMEOUT);
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

    /// `GET` of a path below the member's URL, for whoever looks at the answer himself.
    pub(super) async fn get(&self, path: &str, accept: &str) -> reqwest::Result<Response> {
        let request = self
            .http
            .get(self.path(path))
            .header(header::ACCEPT, accept);
        request.send().await.map_err(reqwest::Error::without_url)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| self.broken(error))?;
        match response.status() {
            status if status.is_success() => Ok(response),
            status => Err(self.refused(status, response).await),
        }
    }

    async fn refused(&self, status: StatusCode, response: Response) -> ClientError {
        // A refusal without a line is a refusal all the same.
        let text = response.text().await.unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        ClientError::Refused {
            url: self.url().to_owned(),
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
            url: self.url().to_owned(),
            method: method.to_owned(),
            code: error.code,
            message: error.message,
            data,
        }
    }

    fn broken(&self, source: reqwest::Error) -> ClientError {
        let url = self.url().to_owned();
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
            url: self.url().to_owned(),
            what: what.to_owned(),
            source: source.into(),
        }
    }

    fn path(&self, path: &str) -> String {
        format!("{}/{path}", self.url())
    }
}

/// Marks an error of the file that is being sent, among those of the connection.
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
    url.ok_or_else(|| ClientError::Url { url: text.into() })
}

/// No proxy stands between this machine and itself, whatever the environment says.
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
        let client = Client::new("http://127.0.0.1:7545/", None).unwrap();
        assert_eq!(client.url(), "http://127.0.0.1:7545");
        assert_eq!(client.path("ipfs"), "http://127.0.0.1:7545/ipfs");
    }
}
