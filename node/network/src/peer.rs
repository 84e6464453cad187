//! Who may connect, and where they are.

use crate::PeerId;

/// A peer that may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub id: PeerId,
    /// Binary multiaddrs, the best first. Each is dialed by its own transport, and now and then by the
    /// other one at the same port: QUIC for TCP, TCP for QUIC.
    pub addresses: Vec<Vec<u8>>,
}
