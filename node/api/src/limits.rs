//! The limits of the HTTP side. Whoever reaches the port can open connections and send bytes, so all of it has a bound
//! here: connections, sizes, times, and how much is at work at one moment. What exceeds a bound is refused with a
//! status that says when to come back.

use std::time::Duration;

/// How much one member accepts at a time, and for how long. Each limit is per process.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// Open connections. Beyond it the oldest one that has no complete request is closed for the new one.
    pub connections: usize,
    /// Open connections of one address (of IPv6: of one network of 64 bits). Beyond it the oldest of that address makes room.
    pub connections_per_address: usize,
    /// WebSocket sessions, a part of `connections`; further ones get 429.
    pub sessions: u32,
    /// WebSocket sessions of one address; further ones get 429.
    pub sessions_per_address: usize,
    /// Subscriptions of one session; further ones are refused.
    pub subscriptions: usize,
    /// JSON-RPC calls at work at one moment; further ones are answered with `busy`.
    pub calls: usize,
    /// Time for one JSON-RPC call, and time to send its whole body.
    pub call_timeout: Duration,
    /// Bytes in the body of a JSON-RPC request.
    pub rpc_request_bytes: u32,
    /// Bytes in the answer to one.
    pub rpc_response_bytes: u32,
    /// Calls in one batch.
    pub batch: u32,
    /// Time from connecting, or from the end of the last answer, to the end of a request's headers.
    pub header_timeout: Duration,
    /// Time a connection may stand still while the other side is to send or to read.
    pub idle_timeout: Duration,
    /// Files being imported at one moment; further ones get 503.
    pub uploads: usize,
    /// Bytes in one file sent to `POST /ipfs`.
    pub upload_bytes: u64,
    /// Blocks, files and archives being sent at one moment; further ones get 503.
    pub downloads: usize,
    /// Time to find the first block of what is asked for.
    pub block_timeout: Duration,
    /// Time that open requests get to finish when the server stops.
    pub shutdown_timeout: Duration,
    /// Host names, beside the loopback names and the address that was connected to, that a request may be for.
    pub hosts: Vec<String>,
    /// Origins of web pages (`https://host:port`) that may call; none by default.
    pub origins: Vec<String>,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections: 512,
            connections_per_address: 384,
            sessions: 128,
            sessions_per_address: 64,
            subscriptions: 16,
            calls: 64,
            call_timeout: Duration::from_secs(10),
            rpc_request_bytes: 1 << 20,
            rpc_response_bytes: 16 << 20,
            batch: 20,
            header_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(30),
            uploads: 8,
            upload_bytes: 16 << 30,
            downloads: 64,
            block_timeout: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(2),
            hosts: Vec::new(),
            origins: Vec::new(),
        }
    }
}
