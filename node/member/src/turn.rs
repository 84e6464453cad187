//! How long a turn to submit is on this chain.

use rings_chain::{Chain, ChainError};
use std::time::Duration;

/// Bounds of a turn: how long the next submitter in line waits for the one before it.
const TURN_MIN: Duration = Duration::from_secs(1);
const TURN_MAX: Duration = Duration::from_secs(60);
/// Blocks of this chain in a turn: a transaction may miss the next block, and its event takes a moment to be read.
const TURN_BLOCKS: u64 = 3;
/// Blocks whose times tell how fast the chain is.
const BLOCKS_TIMED: u64 = 4;

/// How long the next in line waits for a submitter: as long as it takes to see the other's transaction.
pub(super) async fn turn(chain: &Chain) -> Result<Duration, ChainError> {
    let head = chain.head().await?;
    let mut times = vec![head.timestamp];
    for back in 1..=BLOCKS_TIMED.min(head.number) {
        times.push(chain.block(head.number - back).await?.timestamp);
    }
    Ok(turn_of(&times))
}

/// The turn on a chain whose newest blocks have these times, the newest first.
fn turn_of(times: &[u64]) -> Duration {
    // The shortest interval: a chain that makes blocks on demand has long ones in between.
    let intervals = times.windows(2);
    let intervals = intervals.map(|pair| pair[0].saturating_sub(pair[1]));
    let shortest = intervals.min().unwrap_or(0);
    Duration::from_secs(TURN_BLOCKS.saturating_mul(shortest)).clamp(TURN_MIN, TURN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_some_blocks_within_bounds() {
        assert_eq!(turn_of(&[]), TURN_MIN);
        assert_eq!(turn_of(&[1000, 1000, 999]), TURN_MIN);
        assert_eq!(turn_of(&[1000, 988, 976, 400]), Duration::from_secs(36));
        assert_eq!(turn_of(&[10_000, 9_000]), TURN_MAX);
    }
}
