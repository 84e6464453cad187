//! Nodes that are sealed with a key that was replaced are refused after a grace.
//!
//! When somebody leaves a private client ring, or the ring that keeps it, the ring gets a new key, so that who left reads nothing
//! new. An avatar that goes on sealing with the old one would undo that. So what an avatar sends must not end with a node under a
//! key of a lower epoch once a key of a higher one has been held here for [`KEY_GRACE`], by the time of the chain's blocks.
//!
//! Nodes under the old key that stand before one under the new key are taken however late: their author was away, and could only sign
//! them again as another history, which would freeze its log. For the same reason a long request is not judged by its end: it is a
//! part of what somebody wrote who was away. What another member has taken is taken from it. So all members hold the
//! same logs, although each counts the grace from when the key came to it. A key for an epoch that the chain has not reached
//! replaces none. Two keys of one epoch both count as present: which of them seals is known only to those who read.

use super::{keeper::Clients, opener::HeldKey, refusal::of_chain};
use rings_api::ApiError;
use rings_protocol::{flush::Plan, log::LogNode, private::node_key, Address};

/// How long nodes under a key that was replaced are still taken, in seconds of the chain: so long a client may need to learn of
/// the new key.
const KEY_GRACE: u64 = 600;
/// New nodes of one request from which on it is a part of a longer one, whose end comes later.
const BACKLOG_NODES: usize = 256;
/// Bytes of them, likewise.
const BACKLOG_BYTES: usize = 192 << 10;

impl Clients {
    /// Refuses new nodes of an avatar that end with one under a replaced key.
    ///
    /// # Errors
    /// [`ApiError::ReplacedKey`].
    pub(super) async fn check_seal(
        &self,
        (ring, avatar): (Address, Address),
        plan: &Plan,
    ) -> Result<(), ApiError> {
        let own = plan.nodes().iter().filter(|node| node.author() == avatar);
        let own: Vec<_> = own.collect();
        let bytes: usize = own.iter().map(|node| node.bytes().len()).sum();
        if own.len() >= BACKLOG_NODES || bytes >= BACKLOG_BYTES {
            return Ok(());
        }
        let newest = own.into_iter().max_by_key(|node| node.seq());
        let newest = newest.map(LogNode::bytes);
        let Some(name) = newest.and_then(|bytes| node_key(bytes).ok()) else {
            return Ok(());
        };
        let opener = self.opener(ring)?;
        let (Some(key), keys) = (opener.key(name), opener.keys()) else {
            return Ok(());
        };
        // Nearly always it is of the highest epoch, and the chain is not asked.
        if keys.iter().all(|other| other.epoch <= key.epoch) {
            return Ok(());
        }
        let chain = &self.parts.chain;
        let head = chain.head().await.map_err(of_chain)?;
        let (epoch, _) = chain
            .members_at(ring, head.number)
            .await
            .map_err(of_chain)?;
        let reached = epoch.saturating_add(self.parts.ring.look(|ring| ring.epoch));
        match is_replaced(key, &keys, reached, head.timestamp) {
            true => Err(ApiError::ReplacedKey { ring }),
            false => Ok(()),
        }
    }
}

/// Whether one of the other keys has taken the place of this one, and the grace is over.
fn is_replaced(key: HeldKey, keys: &[HeldKey], reached: u64, now: u64) -> bool {
    let mut keys = keys.iter();
    keys.any(|other| {
        let is_newer = other.epoch > key.epoch && other.epoch <= reached;
        is_newer && other.since.saturating_add(KEY_GRACE) <= now
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_replaced_by_one_of_a_later_epoch_that_the_chain_has_reached_after_the_grace() {
        let key = |epoch, since| HeldKey { epoch, since };
        let (old, new) = (key(1, 0), key(3, 1_000));
        let at = |keys: &[HeldKey], reached, now| is_replaced(old, keys, reached, now);
        assert!(!at(&[old], 9, u64::MAX));
        assert!(!at(&[old, new], 3, 999 + KEY_GRACE));
        assert!(at(&[old, new], 3, 1_000 + KEY_GRACE));
        // Whoever announces a key for an epoch to come replaces nothing.
        assert!(!at(&[old, new], 2, u64::MAX));
        assert!(!at(&[old, key(1, 0)], 3, u64::MAX));
        assert!(!is_replaced(new, &[old, new], 3, u64::MAX));
    }
}
