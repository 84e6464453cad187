//! The errors of the network. Each message says what to do.
//!
//! [`NetworkError::is_transient`] says whether the same call may succeed later or with another peer. Errors of requests
//! name the peer, and distinguish a peer that was not asked (not connected) from one that may have seen the request
//! (connection lost, timeout). Types of libp2p appear only as sources.

use std::io;
use std::time::Duration;

use crate::PeerId;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A failure of the network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The secret is not a secp256k1 key.
    #[error("the secret is not a secp256k1 key: it must be 32 bytes, not zero and below the order of the curve")]
    Secret(#[source] Cause),
    /// The address cannot be used.
    #[error("cannot use the address {address}: {reason}")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Another process listens there.
    #[error("cannot listen on {address}: the port is in use by another process, which may be this member, started before; stop that one, or choose another port under [network] listen")]
    AddressInUse {
        /// As it was given.
        address: String,
    },
    /// The operating system does not let us listen there.
    #[error("cannot listen on {address}")]
    Listen {
        /// As it was given.
        address: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A part of the network could not be made.
    #[error("cannot set up {what}")]
    Setup {
        /// Which part.
        what: &'static str,
        /// Why.
        #[source]
        source: Cause,
    },
    /// The network was shut down.
    #[error("the network was shut down")]
    Stopped,
    /// Nobody is subscribed to the topic: the message was sent to nobody and is not kept.
    #[error("no peer is connected: publish again after the next one has connected")]
    NoPeers,
    /// The same bytes were published or received a moment ago: they were not sent again.
    #[error("this message was already published within the last {}", seconds(.within))]
    Duplicate {
        /// [`crate::Limits::gossip_memory`].
        within: Duration,
    },
    /// The queues of all peers are full: the message went to nobody.
    #[error("the queues of all peers are full: publish less, or again later")]
    Overloaded,
    /// Longer than its limit.
    #[error("{what} has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// "a gossip message", "a request".
        what: &'static str,
        /// Bytes it has.
        size: usize,
        /// Bytes it may have.
        limit: usize,
    },
    /// There is no connection to the peer, and requests do not dial.
    #[error("{peer} is not connected")]
    NotConnected {
        /// Who was asked.
        peer: PeerId,
    },
    /// The connection was lost before the answer came; the peer may have seen the request.
    #[error("the connection to {peer} was lost before it answered")]
    ConnectionLost {
        /// Who was asked.
        peer: PeerId,
    },
    /// No answer in time; the peer may have seen the request.
    #[error("{peer} did not answer within {}", seconds(.after))]
    Timeout {
        /// Who was asked.
        peer: PeerId,
        /// [`crate::Limits::request_timeout`].
        after: Duration,
    },
    /// The peer has too many requests to answer.
    #[error("{peer} is busy: ask again later, or somebody else")]
    Busy {
        /// Who was asked.
        peer: PeerId,
    },
    /// The peer saw the request and gave no answer.
    #[error("{peer} declined to answer")]
    Declined {
        /// Who was asked.
        peer: PeerId,
    },
    /// The peer does not speak our protocol.
    #[error("{peer} does not speak {protocol}: it may run another version")]
    Unsupported {
        /// Who was asked.
        peer: PeerId,
        /// The protocol.
        protocol: &'static str,
    },
    /// The stream failed: the peer broke the protocol, sent more than the limit, or closed it.
    #[error("the request to {peer} failed")]
    Failed {
        /// Who was asked.
        peer: PeerId,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl NetworkError {
    /// Whether the same call may succeed later, or with another peer.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::NoPeers
                | Self::Overloaded
                | Self::NotConnected { .. }
                | Self::ConnectionLost { .. }
                | Self::Timeout { .. }
                | Self::Busy { .. }
                | Self::Failed { .. }
        )
    }

    /// The peer that a request failed with.
    pub fn peer(&self) -> Option<PeerId> {
        match self {
            Self::NotConnected { peer }
            | Self::ConnectionLost { peer }
            | Self::Timeout { peer, .. }
            | Self::Busy { peer }
            | Self::Declined { peer }
            | Self::Unsupported { peer, .. }
            | Self::Failed { peer, .. } => Some(*peer),
            _ => None,
        }
    }
}

fn seconds(duration: &Duration) -> String {
    format!("{} s", duration.as_secs_f32())
}
