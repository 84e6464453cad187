//! All limits of the network, by name.
//!
//! Whatever a peer can send or make this side hold has its bound here, and each bound is set by one option of libp2p or
//! by one queue of this crate. The defaults are for rings of 2 to 256 members.

use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Every bound of the network. The defaults suit rings of 2 to 256 members on anything from one machine
/// to the open internet; tests and unusual deployments may change single fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Peers that [`crate::Network::set_peers`] takes; those beyond are left out, with an error in the log.
    pub peers: usize,
    /// Addresses kept per peer, in the order given.
    pub addresses_per_peer: usize,

    /// Inbound connections whose handshake is under way. Peers that are not on the list get no further than this.
    pub pending_incoming: u32,
    /// Inbound connections whose handshake is under way, from addresses that peers on the list have announced. They are
    /// counted separately.
    pub pending_announced: u32,
    /// Handshakes of inbound connections that begin in one second, each of which costs work.
    pub handshakes_incoming: u32,
    /// Handshakes that begin in one second, from addresses that peers on the list have announced.
    pub handshakes_announced: u32,
    /// Outbound connections whose handshake is under way.
    pub pending_outgoing: u32,
    /// Established inbound connections.
    pub established_incoming: u32,
    /// Established outbound connections.
    pub established_outgoing: u32,
    /// Established connections with one peer: two that dial each other at once get one each; the others are for a peer
    /// that came back before its old connections were found dead.
    pub established_per_peer: u32,
    /// Established connections in all.
    pub established: u32,

    /// Streams open on one connection; beyond it, the connection is closed. At most 4096.
    pub streams_per_connection: usize,
    /// Inbound streams of one connection that are still agreeing on a protocol.
    pub negotiating_streams: usize,

    /// Bytes of one gossip message.
    pub gossip_bytes: usize,
    /// Gossip messages waiting to be written to one peer; beyond it they are dropped for that peer.
    pub gossip_queue: usize,
    /// How long a message is remembered, so that its copies are not delivered again.
    pub gossip_memory: Duration,
    /// Gossip messages that were delivered and still wait for their [`crate::Verdict`].
    pub verdicts: usize,
    /// Bytes of all those messages together.
    pub verdict_bytes: usize,

    /// Bytes of one request.
    pub request_bytes: usize,
    /// Bytes of one response.
    pub response_bytes: usize,
    /// From the request's turn to the last byte of the response.
    pub request_timeout: Duration,
    /// Requests of one peer that are being answered; those beyond are answered "busy".
    pub inbound_requests_per_peer: usize,
    /// Requests to one peer that wait for an answer; callers beyond wait for their turn.
    pub outbound_requests_per_peer: usize,

    /// Commands on their way to the network task; callers beyond wait.
    pub command_queue: usize,
    /// Events that wait for the consumer.
    pub event_queue: usize,
    /// Requests of all peers that wait for the consumer; those beyond are answered "busy".
    pub request_queue: usize,

    /// Wait after the first failed dial; doubled with each further one, with jitter.
    pub redial_min: Duration,
    /// Longest wait between two dials of one peer.
    pub redial_max: Duration,
    /// For the whole handshake of one connection.
    pub dial_timeout: Duration,
    /// How often a silent peer is asked whether it is there: TCP alone notices a lost machine after
    /// many minutes.
    pub liveness_interval: Duration,
    /// How long it may take to answer, and to subscribe; then its connections are closed.
    pub liveness_timeout: Duration,
    /// How long connections may take to close when the network is shut down.
    pub shutdown_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            peers: 512,
            addresses_per_peer: 8,
            pending_incoming: 64,
            pending_announced: 256,
            handshakes_incoming: 128,
            handshakes_announced: 1024,
            pending_outgoing: 256,
            established_incoming: 1024,
            established_outgoing: 1024,
            established_per_peer: 4,
            established: 1536,
            streams_per_connection: 256,
            negotiating_streams: 64,
            gossip_bytes: 256 * KIB,
            gossip_queue: 2048,
            gossip_memory: Duration::from_secs(30),
            verdicts: 8192,
            verdict_bytes: 32 * MIB,
            request_bytes: 256 * KIB,
            response_bytes: 8 * MIB,
            request_timeout: Duration::from_secs(30),
            inbound_requests_per_peer: 16,
            outbound_requests_per_peer: 16,
            command_queue: 256,
            event_queue: 4096,
            request_queue: 64,
            redial_min: Duration::from_millis(100),
            redial_max: Duration::from_secs(20),
            dial_timeout: Duration::from_secs(5),
            liveness_interval: Duration::from_secs(15),
            liveness_timeout: Duration::from_secs(10),
            shutdown_grace: Duration::from_secs(1),
        }
    }
}
