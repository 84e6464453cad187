//! Which hosts the connector `http` may ask, and at which addresses.

use super::{addresses::is_public, error::ConnectorError};
use reqwest::Url;
use std::net::{IpAddr, SocketAddr};

/// The hosts that the configuration names, each with or without a port.
pub(super) struct Hosts {
    pub allowed: Vec<String>,
    pub private: Vec<String>,
}

/// A host that may be asked.
pub(super) struct Place {
    /// The host, and the port unless it is the usual one: for messages.
    pub shown: String,
    /// The name, unless the host is an address.
    pub name: Option<String>,
    /// Where it is. Nothing else may be connected to.
    pub addresses: Vec<SocketAddr>,
}

impl Hosts {
    /// Finds out where a URL leads, if that is allowed.
    ///
    /// # Errors
    /// [`ConnectorError`]: the scheme, the host or its address is not allowed, or it has none.
    pub async fn place(&self, url: &Url) -> Result<Place, ConnectorError> {
        let question = |what: &str| ConnectorError::Question(what.into());
        if !matches!(url.scheme(), "http" | "https") {
            return Err(question("with.url is neither http nor https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(question(
                "with.url has a user or a password in it; give a header instead",
            ));
        }
        let host = url
            .host_str()
            .ok_or_else(|| question("with.url has no host"))?;
        let port = url.port_or_known_default().unwrap_or_default();
        let shown = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        if !is_named(&self.allowed, host, url.port(), port) {
            return Err(ConnectorError::Host { host: shown });
        }
        let literal: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        let addresses = match literal {
            Some(address) => vec![SocketAddr::new(address, port)],
            None => match tokio::net::lookup_host((host, port)).await {
                Ok(found) => found.collect(),
                Err(_) => Vec::new(),
            },
        };
        if addresses.is_empty() {
            return Err(ConnectorError::NoAddress { host: shown });
        }
        let may_be_private = is_named(&self.private, host, url.port(), port);
        let private = addresses.iter().map(SocketAddr::ip);
        match private
            .filter(|address| !may_be_private && !is_public(*address))
            .min()
        {
            Some(address) => Err(ConnectorError::Private {
                host: shown,
                address,
            }),
            None => Ok(Place {
                shown,
                name: literal.is_none().then(|| host.to_owned()),
                addresses,
            }),
        }
    }
}

/// Whether a list names a host: alone for the usual port of the scheme, or with its port.
fn is_named(list: &[String], host: &str, written: Option<u16>, port: u16) -> bool {
    list.iter().any(|named| {
        let is_host = named.eq_ignore_ascii_case(host) && written.is_none();
        is_host || named.eq_ignore_ascii_case(&format!("{host}:{port}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(allowed: &[&str], private: &[&str]) -> Hosts {
        let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        Hosts {
            allowed: texts(allowed),
            private: texts(private),
        }
    }

    async fn told(hosts: &Hosts, url: &str) -> String {
        match hosts.place(&url.parse().unwrap()).await {
            Ok(place) => format!("{:?}", place.addresses),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn only_named_hosts_at_public_addresses_may_be_asked() {
        let named = hosts(
            &[
                "1.1.1.1",
                "127.0.0.1:80",
                "localhost",
                "[::1]:8080",
                "a.example:8443",
            ],
            &[],
        );
        assert_eq!(told(&named, "https://1.1.1.1/x").await, "[1.1.1.1:443]");
        for (url, expected) in [
            ("http://8.8.8.8/", "host 8.8.8.8 is not allowed here"),
            ("http://1.1.1.1:22/", "host 1.1.1.1:22 is not allowed here"),
            ("http://a.example/", "host a.example is not allowed here"),
            ("http://127.0.0.1/", "the private address 127.0.0.1"),
            // Other spellings of the same address are read as what they are.
            ("http://2130706433/", "the private address 127.0.0.1"),
            ("http://0x7f.1/", "the private address 127.0.0.1"),
            ("http://[::1]:8080/", "the private address ::1"),
            ("http://[::ffff:127.0.0.1]/", "is not allowed here"),
            // A name is looked at after it was resolved.
            (
                "http://localhost/",
                "host localhost has the private address",
            ),
            ("ftp://1.1.1.1/", "neither http nor https"),
            ("http://me:secret@1.1.1.1/", "a user or a password"),
        ] {
            let told = told(&named, url).await;
            assert!(told.contains(expected), "{url}: {told}");
            assert!(!told.contains("secret"), "{told}");
        }
    }

    #[tokio::test]
    async fn a_host_of_the_own_network_is_named_twice() {
        let private = hosts(&["localhost:8080"], &["localhost:8080"]);
        let told = told(&private, "http://localhost:8080/").await;
        assert!(told.contains(":8080"), "{told}");
        let only = hosts(&[], &["localhost:8080"]);
        let told = self::told(&only, "http://localhost:8080/").await;
        assert!(told.contains("is not allowed here"), "{told}");
    }
}
