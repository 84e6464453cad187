//! Why a connector has given no answer.

use rings_process::bounds::MAX_ANSWER_BYTES;

/// Why a connector has given no answer. Others read these texts in logs, so nothing that the connector has said is in them.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// The configuration does not name it.
    #[error("connector {connector} is not allowed here; name it in the configuration under [connectors]")]
    NotAllowed {
        /// Its name.
        connector: String,
    },
    /// It cannot be started.
    #[error("connector {connector} cannot be started ({kind}); check its path and mode in the configuration")]
    Start {
        /// Its name.
        connector: String,
        /// What the system says.
        kind: std::io::ErrorKind,
    },
    /// It took too long.
    #[error("it did not end within {seconds} seconds, and was stopped")]
    Slow {
        /// The limit.
        seconds: u64,
    },
    /// It wrote too much.
    #[error("it wrote more than {MAX_ANSWER_BYTES} bytes, and was stopped")]
    Flood,
    /// It ended with an exit status that is not 0.
    #[error("it ended with exit status {0}")]
    Exit(i32),
    /// A signal has ended it.
    #[error("it was ended by a signal")]
    Signal,
    /// Its output or its end could not be read.
    #[error("its output cannot be read ({0})")]
    Unread(std::io::ErrorKind),
    /// What `with` gives to `http` is no question.
    #[error("{0}")]
    Question(String),
    /// The configuration does not name the host.
    #[error(
        "host {host} is not allowed here; name it in the configuration under [connectors] hosts"
    )]
    Host {
        /// The host, and the port unless it is the usual one.
        host: String,
    },
    /// The host has no address.
    #[error("host {host} has no address now")]
    NoAddress {
        /// The host.
        host: String,
    },
    /// The host has a private address.
    #[error("host {host} has the private address {address}, which is not allowed; for a service in the own network, name it in the configuration under [connectors] private_hosts")]
    Private {
        /// The host.
        host: String,
        /// The address.
        address: std::net::IpAddr,
    },
    /// A redirect leads to another place.
    #[error("it was sent on to another host, scheme or port; give the address where it ends")]
    Elsewhere,
    /// There were too many redirects.
    #[error("it was sent on more than {0} times")]
    Redirects(usize),
    /// The host did not answer.
    #[error("host {host} does not answer: {what}")]
    Silent {
        /// The host.
        host: String,
        /// What failed.
        what: &'static str,
    },
    /// The answer has a status that the task does not declare.
    #[error("host {host} answered with status {code}; a task that goes on then has the status refused: {{code: integer}}")]
    Refused {
        /// The host.
        host: String,
        /// The status code of HTTP.
        code: u16,
    },
    /// The answer is not what the task says.
    #[error("the answer of host {host} {what}")]
    Content {
        /// The host.
        host: String,
        /// What is wrong with it.
        what: String,
    },
    /// This process stops.
    #[error("this member is stopping")]
    Stopping,
}
