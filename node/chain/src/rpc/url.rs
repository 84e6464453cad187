//! The endpoint's URL: which parts may be shown, and the credentials in it.
//!
//! Providers put keys into the path, the query or the user of a URL. So an [`Endpoint`] cannot be printed, [`redact`]
//! leaves only scheme, host and port for errors and logs, and user and password become the header of RFC 7617 and leave
//! the URL. [`is_on_this_machine`] tells whether the chain behind a URL may be known to this machine only, which
//! decides whether a loopback address may be announced.

use base64::{prelude::BASE64_STANDARD, Engine};
use jsonrpsee::http_client::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// A URL taken apart. It does not implement `Debug`: path and query may hold a key.
pub(super) struct Endpoint {
    url: Url,
    authorization: Option<HeaderValue>,
}

impl Endpoint {
    /// Reads a URL of one of the four schemes. The error does not contain the URL.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut url = Url::parse(text).map_err(|error| error.to_string())?;
        if !matches!(url.scheme(), "http" | "https" | "ws" | "wss") {
            return Err("unknown scheme".into());
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err("it names no host".into());
        }
        let authorization = basic(&url)?;
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        cleared.map_err(|()| "it cannot hold a user".to_owned())?;
        Ok(Self { url, authorization })
    }

    /// The URL without credentials.
    pub(super) fn as_str(&self) -> &str {
        self.url.as_str()
    }

    pub(super) fn is_websocket(&self) -> bool {
        matches!(self.url.scheme(), "ws" | "wss")
    }

    /// Host and port of a URL without TLS, in the form that a socket takes; `None` with TLS.
    pub(super) fn plain_authority(&self) -> Option<String> {
        if self.url.scheme() != "ws" {
            return None;
        }
        let host = self.url.host_str()?;
        Some(format!("{host}:{}", self.url.port_or_known_default()?))
    }

    /// The credentials as a header.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(value) = &self.authorization {
            headers.insert("authorization", value.clone());
        }
        headers
    }
}

/// The header of RFC 7617 for the user and password of a URL, whose escapes are decoded first (RFC 3986, section 2.4).
fn basic(url: &Url) -> Result<Option<HeaderValue>, String> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let mut credentials: Vec<u8> = percent_decode_str(url.username()).collect();
    credentials.push(b':');
    credentials.extend(percent_decode_str(url.password().unwrap_or_default()));
    let value = format!("Basic {}", BASE64_STANDARD.encode(credentials));
    let mut value = HeaderValue::from_str(&value).map_err(|error| error.to_string())?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Scheme, host and port of a URL, without what may hold a secret: user, path and query. Where the text is no URL, and a
/// password may stand in front of the host (one with a `/` in it, say), neither is shown.
pub(super) fn redact(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}"),
        None if rest.contains('@') => format!("{scheme}://…"),
        None => format!("{scheme}://{authority}"),
    }
}

/// Whether a URL names this machine itself, so that the chain behind it may be of this machine alone.
pub fn is_on_this_machine(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.to_canonical().is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_their_secrets() {
        for (url, shown) in [
            ("https://node.example/v3/KEY", "https://node.example"),
            (
                "wss://user:pass@node.example:8546/?k=KEY",
                "wss://node.example:8546",
            ),
            ("http://user:p%40ss@h:1/x@y", "http://h:1"),
            ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
            ("http://user:secret/x@h:1/KEY", "http://…"),
            ("ws://user:1#x@h:1/KEY", "ws://…"),
        ] {
            assert_eq!(redact(url), shown);
        }
    }

    #[test]
    fn escapes_in_credentials_are_decoded() {
        for (url, credentials) in [
            ("http://user:p%40ss@h/", Some("user:p@ss")),
            ("ws://us%3Aer:p%25%C3%A9@h:1/x", Some("us:er:p%é")),
            ("https://token@h", Some("token:")),
            ("wss://:secret@h", Some(":secret")),
            ("http://h:1/v3/KEY?x=1", None),
        ] {
            let endpoint = Endpoint::parse(url).unwrap();
            let expected =
                credentials.map(|text| format!("Basic {}", BASE64_STANDARD.encode(text)));
            let headers = endpoint.headers();
            let header = headers
                .get("authorization")
                .map(|value| value.to_str().unwrap());
            assert_eq!(header, expected.as_deref(), "{url}");
            assert!(!endpoint.as_str().contains('@'), "{url}");
        }
        let kept = Endpoint::parse("ws://u:p@h:1/v3/KEY?x=1").unwrap();
        assert_eq!(kept.as_str(), "ws://h:1/v3/KEY?x=1");
        assert_eq!(kept.plain_authority().unwrap(), "h:1");
    }

    #[test]
    fn a_chain_of_this_machine_is_known_by_its_host() {
        for url in [
            "http://127.0.0.1:8545",
            "ws://LOCALHOST:1/x",
            "http://[::1]:2",
        ] {
            assert!(is_on_this_machine(url), "{url}");
        }
        for url in ["http://10.0.0.1:8545", "wss://localhost.example", "no url"] {
            assert!(!is_on_this_machine(url), "{url}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_it() {
        for url in ["http://user:secret@", "ftp://secret", "secret:99999999"] {
            let error = Endpoint::parse(url).err().unwrap();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
