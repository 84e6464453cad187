//! How a submitter treats fees and time.

use std::time::Duration;

/// How a submitter treats fees and time.
#[derive(Debug, Clone)]
pub struct SubmitterConfig {
    /// The most that one gas may cost, in wei. While the chain asks for more, submissions are refused.
    pub fee_cap: u128,
    /// A transaction that is in no block after this long is sent again unchanged.
    pub rebroadcast: Duration,
    /// A transaction that no block has taken for this long, and for two more blocks, is replaced with higher fees.
    pub stuck: Duration,
    /// A nonce that has been used by none of our transactions for this long is given up, and the call sent with another.
    pub lost: Duration,
    /// Transactions in flight at once.
    pub in_flight: usize,
}

impl Default for SubmitterConfig {
    fn default() -> Self {
        Self {
            fee_cap: 500_000_000_000,
            rebroadcast: Duration::from_secs(10),
            stuck: Duration::from_secs(30),
            lost: Duration::from_secs(15),
            in_flight: 64,
        }
    }
}
