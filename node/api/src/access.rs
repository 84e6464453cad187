//! Which requests are accepted: the defence against web pages that make a browser call this machine.
//!
//! A page of any site can make its visitor's browser send requests to `127.0.0.1`, and by DNS rebinding read the
//! answers too. Such a request carries a `Host` that is not ours, or a foreign `Origin`; both are
//! refused. The node's own page (`/ui`) has the host that it calls as its origin.
//!
//! [`Access`] knows the hosts (this machine, the address that the request came to, and `[rpc] hosts`) and the origins
//! (`[rpc] origins`). A page of a foreign origin may call no method and change nothing. Its requests that only read
//! pass, without the headers that would let the page see the answer. Allowed pages get the CORS headers, and preflight
//! requests are answered here. [`admit`] is put around all paths by `routes.rs`.

use super::{
    connections::{Connection, Connections},
    reply::Refusal,
};
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
    Extension,
};
use http::{header, uri::Authority, HeaderMap, HeaderValue, Method, StatusCode};
use std::{collections::HashSet, net::IpAddr, sync::Arc};

/// Host names that mean this machine on every machine.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
/// Headers of answers that a page may read, besides those that every page may.
const EXPOSED: &str = "content-length, content-range, etag, x-ipfs-path, x-ipfs-roots";
/// How long a browser may cache the answer to a preflight request, in seconds.
const PREFLIGHT_SECONDS: &str = "600";

/// What a handler knows about the connection of its request.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// The address on this side.
    pub(super) local: Option<IpAddr>,
    pub(super) connection: Arc<Connection>,
    /// All connections of the server.
    pub(super) connections: Arc<Connections>,
}

/// Hosts and origins that are let in.
#[derive(Debug)]
pub(super) struct Access {
    hosts: HashSet<String>,
    origins: HashSet<String>,
}

impl Access {
    pub(super) fn new(hosts: &[String], origins: &[String]) -> Self {
        let lower = |name: &String| name.trim_end_matches('/').to_ascii_lowercase();
        let loopback = LOOPBACK.map(String::from);
        Self {
            hosts: hosts.iter().map(lower).chain(loopback).collect(),
            origins: origins.iter().map(lower).collect(),
        }
    }

    /// The `Host` header, and the authority in the target if there is one, must be ours. A page of another site, whose
    /// name was made to point to this machine (DNS rebinding), names that site.
    fn check_host(&self, request: &Request, local: Option<IpAddr>) -> Result<(), Refusal> {
        let in_header = single(request.headers(), header::HOST)?
            .and_then(|host| host.parse().ok())
            .ok_or_else(|| {
                Refusal::new(StatusCode::BAD_REQUEST, "a request needs one Host header")
            })?;
        let in_target = request.uri().authority();
        for authority in in_target.into_iter().chain([&in_header]) {
            if !self.is_ours(authority, local) {
                let host = authority.host();
                let line = format!(
                    "host {host:?} is not served here; add it to [rpc] hosts in the configuration of this node"
                );
                return Err(Refusal::new(StatusCode::FORBIDDEN, line));
            }
        }
        Ok(())
    }

    fn is_ours(&self, authority: &Authority, local: Option<IpAddr>) -> bool {
        let host = authority.host().to_ascii_lowercase();
        let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        self.hosts.contains(host.trim_end_matches('.'))
            || literal.is_some_and(|ip| Some(ip.to_canonical()) == local)
    }

    /// The origin of a page that is allowed to call; `None` for callers that are not web pages, or that are pages of this node.
    fn check_origin(&self, headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Ok(None);
        };
        let name = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        if self.origins.contains(&name) {
            return Ok(Some(origin.clone()));
        }
        if is_own(&name, headers) {
            return Ok(None);
        }
        let line = format!(
            "web pages of origin {name:?} may not call this node; add it to [rpc] origins in its configuration"
        );
        Err(Refusal::new(StatusCode::FORBIDDEN, line))
    }
}

/// Whether a page of this node calls: its origin is the host, with the port, that the request is for, and that was checked before. What
/// the gateway gives is no page, since its type is always that of bytes.
fn is_own(origin: &str, headers: &HeaderMap) -> bool {
    let schemes = ["http://", "https://"];
    let named = schemes
        .iter()
        .find_map(|scheme| origin.strip_prefix(scheme));
    let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
    named.is_some_and(|named| host.is_some_and(|host| host.eq_ignore_ascii_case(named.as_bytes())))
}

fn single(headers: &HeaderMap, name: header::HeaderName) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all(&name).iter();
    let first = values.next();
    if values.next().is_some() {
        let line = format!("{name} is given more than once");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, line));
    }
    Ok(first.and_then(|value| value.to_str().ok()))
}

/// Whether a request calls methods or changes something. The others only read what is public.
fn acts(request: &Request) -> bool {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    !reads || request.uri().path() == "/"
}

/// Lets a request through if it is for this host and does not come from a web page of another origin.
pub(super) async fn admit(
    State(access): State<Arc<Access>>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    if let Err(refusal) = access.check_host(&request, peer.local) {
        return refusal.into_response();
    }
    // A foreign page may load what anybody may read, but it does not get the header with which its scripts could read it.
    // What acts is refused.
    let origin = match access.check_origin(request.headers()) {
        Err(refusal) if acts(&request) => return refusal.into_response(),
        checked => checked.unwrap_or_default(),
    };
    let preflight = origin.is_some() && *request.method() == Method::OPTIONS;
    let mut response = match preflight {
        true => allow_calls(),
        false => next.run(request).await,
    };
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(EXPOSED),
        );
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    response
}

/// The answer to a browser's preflight request.
fn allow_calls() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn host_status(host: &str) -> Option<StatusCode> {
        let access = Access::new(&["Ring.example.org".into()], &[]);
        let request = Request::get("/health").header(header::HOST, host);
        let request = request.body(Body::empty()).unwrap();
        let local = Some(IpAddr::from([192, 168, 1, 2]));
        let refusal = access.check_host(&request, local).err()?;
        Some(refusal.into_response().status())
    }

    #[test]
    fn hosts_are_the_loopback_names_the_address_and_those_configured() {
        for ours in [
            "localhost",
            "LOCALHOST:7545",
            "localhost.",
            "127.0.0.1:7545",
            "[::1]:7545",
            "192.168.1.2",
            "ring.example.org:1",
        ] {
            assert_eq!(host_status(ours), None, "{ours}");
        }
        for foreign in [
            "evil.test",
            "localhost.evil.test",
            "127.0.0.2",
            "[::2]",
            "192.168.1.3:7545",
        ] {
            assert_eq!(
                host_status(foreign),
                Some(StatusCode::FORBIDDEN),
                "{foreign}"
            );
        }
        assert_eq!(host_status("a b"), Some(StatusCode::BAD_REQUEST));
    }

    #[test]
    fn a_foreign_host_in_the_request_line_is_seen_too() {
        let access = Access::new(&[], &[]);
        let request = Request::get("http://evil.test/health").header(header::HOST, "localhost");
        let request = request.body(Body::empty()).unwrap();
        assert!(access.check_host(&request, None).is_err());
    }
}
