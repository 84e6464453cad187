//! Bounds of one exchange with the endpoint.

use std::time::Duration;

/// The longest that one request may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest that a connection may take to be made.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer that is taken, in bytes.
pub const MAX_RESPONSE_BYTES: u32 = 32 * 1024 * 1024;
/// The largest request that is sent, in bytes.
pub const MAX_REQUEST_BYTES: u32 = 8 * 1024 * 1024;
/// Requests under way at once; more wait their turn.
pub const MAX_CONCURRENT_REQUESTS: usize = 256;
/// The largest body that is read of an HTTP answer whose status is not success, in bytes.
pub(super) const MAX_ERROR_BYTES: usize = 64 * 1024;
