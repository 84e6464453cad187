//! The types of values: a value that has been read is valid.
//!
//! Each type here has a rule (a URL of some scheme, a number within bounds, one of a few words) and reads itself from
//! TOML and from the text of an environment variable by the same rule. So the error is the same for both, and the rest
//! of the program does not check again.
//!
//! Lists are arrays in the file and separated by commas in the environment ([`List`]). What is bounded below and above
//! (sizes, workers, percents) has its bounds here too.

use rings_api::shown_url;
use rings_chain::MAX_PROVIDERS;
use serde::{Deserialize, Serialize};
use std::{num::NonZeroUsize, str::FromStr};

/// Most workers that a configuration may ask for.
pub const MAX_WORKERS: usize = 256;
/// Most connectors that a configuration may let run at once.
pub const MAX_CONNECTORS: usize = 64;
/// How many run at once, where it does not say it.
pub const CONNECTORS_AT_ONCE: usize = 8;

/// How lines are written to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Which lines are written: those of this level and of the levels before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What ends or harms the node.
    Error,
    /// What somebody should look at.
    Warn,
    /// What the node does, gate by gate.
    #[default]
    Info,
    /// What helps to find a fault.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// Its name, which is also a directive of `RUST_LOG`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl FromStr for LogLevel {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [
            Self::Error,
            Self::Warn,
            Self::Info,
            Self::Debug,
            Self::Trace,
        ];
        let found = all.into_iter().find(|level| level.name() == text);
        found.ok_or("expected error, warn, info, debug or trace")
    }
}

/// A text that is checked when it is read.
macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $check:expr, $wanted:literal, $shown:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(pub(super) String);

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                if $check(&text) {
                    return Ok(Self(text));
                }
                Err(format!(concat!("expected ", $wanted, ", got {:?}"), $shown(&text)))
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                text.to_owned().try_into()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

checked_text!(
    /// URL of a chain's provider.
    ChainUrl,
    |text: &str| has_scheme(text, &["http", "https", "ws", "wss"]),
    "a URL that begins with http://, https://, ws:// or wss://",
    shown_url
);
/// URLs of a chain's providers: one text, or a list of them; separated by commas in the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "OneOrMore", into = "OneOrMore")]
pub struct ChainUrls(pub(super) Vec<ChainUrl>);

/// The two ways to write it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl ChainUrls {
    /// The URLs.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl TryFrom<OneOrMore> for ChainUrls {
    type Error = String;

    fn try_from(written: OneOrMore) -> Result<Self, String> {
        let texts = match written {
            OneOrMore::One(text) => vec![text],
            OneOrMore::More(texts) => texts,
        };
        if texts.is_empty() || texts.len() > MAX_PROVIDERS {
            return Err(format!(
                "expected 1 to {MAX_PROVIDERS} URLs, got {}",
                texts.len()
            ));
        }
        let urls = texts.into_iter().map(ChainUrl::try_from);
        urls.collect::<Result<_, _>>().map(Self)
    }
}

impl From<ChainUrls> for OneOrMore {
    fn from(urls: ChainUrls) -> Self {
        let mut texts: Vec<_> = urls.0.into_iter().map(|url| url.0).collect();
        match texts.len() {
            1 => Self::One(texts.remove(0)),
            _ => Self::More(texts),
        }
    }
}

impl FromStr for ChainUrls {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let texts = text
            .split(',')
            .map(|url| url.trim().to_owned())
            .filter(|url| !url.is_empty());
        OneOrMore::More(texts.collect()).try_into()
    }
}

checked_text!(
    /// URL of a service: the RPC of Kubo, or a signer.
    HttpUrl,
    |text: &str| has_scheme(text, &["http", "https"]),
    "a URL that begins with http:// or https://",
    shown_url
);

checked_text!(
    /// Name of a host, without scheme and port.
    HostName,
    |text: &str| !text.is_empty() && !text.contains(['/', ' ', ',', '@', '*']) && is_host(text),
    "the name of a host without scheme and port, such as ring.example.org",
    ToOwned::to_owned
);
checked_text!(
    /// Origin of a web page: scheme, host and perhaps a port.
    Origin,
    |text: &str| has_scheme(text, &["http", "https"])
        && text.split_once("://").is_some_and(|(_, rest)| !rest.contains(['/', ' ', ',', '@', '*'])),
    "the origin of a web page, such as https://app.example.org",
    ToOwned::to_owned
);

checked_text!(
    /// Host of web pages, with or without a port.
    HostPort,
    |text: &str| !text.is_empty() && !text.contains(['/', ' ', ',', '@', '*']) && is_host(without_port(text)),
    "the name of a host, with or without a port, such as api.example.org or api.example.org:8443",
    ToOwned::to_owned
);
checked_text!(
    /// A connector: its name among external tasks, and its program.
    NamedProgram,
    |text: &str| named_program(text).is_some(),
    "a name and the path of a program, such as mail=/usr/local/lib/rings/mail",
    ToOwned::to_owned
);

impl NamedProgram {
    /// The name, and the path as it is written.
    pub fn parts(&self) -> (&str, &str) {
        named_program(&self.0).unwrap_or_default()
    }
}

fn named_program(text: &str) -> Option<(&str, &str)> {
    let (name, path) = text.split_once('=')?;
    let is_name = name
        .chars()
        .all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    (is_name && !name.is_empty() && !path.trim().is_empty()).then_some((name, path))
}

/// A host without its port.
fn without_port(text: &str) -> &str {
    match text.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => text,
    }
}

/// A name, or an address; a colon is only in an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    !text.contains(':') || (text.starts_with('[') && text.ends_with(']'))
}

fn has_scheme(text: &str, schemes: &[&str]) -> bool {
    text.split_once("://")
        .is_some_and(|(scheme, rest)| schemes.contains(&scheme) && !rest.is_empty())
}

/// A list: an array in the file, separated by commas in the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    /// The empty list, whatever its items are.
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: FromStr> FromStr for List<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        let items = text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        items.map(T::from_str).collect::<Result<_, _>>().map(Self)
    }
}

/// `kind` of the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KindName {
    /// `embedded`
    #[default]
    Embedded,
    /// `kubo`
    Kubo,
}

impl FromStr for KindName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "embedded" => Ok(Self::Embedded),
            "kubo" => Ok(Self::Kubo),
            _ => Err("expected embedded or kubo"),
        }
    }
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("expected text or json"),
        }
    }
}

/// A number that is checked against its bounds when it is read.
macro_rules! bounded_number {
    ($(#[$doc:meta])* $name:ident($type:ty), $bounds:expr, $wanted:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "u64")]
        pub struct $name(pub(super) $type);

        impl TryFrom<u64> for $name {
            type Error = String;

            fn try_from(number: u64) -> Result<Self, String> {
                match <$type>::try_from(number) {
                    Ok(number) if $bounds.contains(&number) => Ok(Self(number)),
                    _ => Err(format!(concat!("expected ", $wanted, ", got {}"), number)),
                }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let number: u64 = text
                    .parse()
                    .map_err(|_| format!(concat!("expected ", $wanted, ", got {:?}"), text))?;
                number.try_into()
            }
        }
    };
}

bounded_number!(
    /// Number of workers.
    Workers(usize), (1..=MAX_WORKERS), "a number from 1 to 256"
);
bounded_number!(
    /// Bytes of memory: at least the one page that every WASM program has.
    Bytes(u64), (65_536..=1 << 40), "a number of bytes from 65536 to 2^40"
);

bounded_number!(
    /// Number of providers.
    Agree(usize), (1..=MAX_PROVIDERS), "a number from 1 to 8"
);
bounded_number!(
    /// Number of connectors.
    Connectors(usize), (1..=MAX_CONNECTORS), "a number from 1 to 64"
);
bounded_number!(
    /// Units of fuel.
    Fuel(u64), (1..=u64::MAX), "a number of units of fuel, at least 1"
);
bounded_number!(
    /// A percentage.
    Percent(u8), (0..=100), "a number from 0 to 100"
);

impl Default for Workers {
    /// One for each core of this machine.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self(cores.min(MAX_WORKERS))
    }
}
