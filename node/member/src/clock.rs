//! The time of day, which may be wrong. Nothing that members agree on depends on it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Since 1970; `None` on a machine whose clock is before that.
fn since_1970() -> Option<Duration> {
    SystemTime::now().duration_since(UNIX_EPOCH).ok()
}

/// Seconds since 1970, where they are left out rather than wrong.
pub fn known_seconds() -> Option<u64> {
    since_1970().map(|since| since.as_secs())
}

/// Seconds since 1970.
pub fn seconds() -> u64 {
    known_seconds().unwrap_or(0)
}

/// Milliseconds since 1970.
pub fn milliseconds() -> u64 {
    let since = since_1970().unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
