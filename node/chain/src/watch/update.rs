//! The configuration of the watcher, and what it tells the consumer.

use crate::types::{Cursor, Located};
use rings_protocol::Address;
use std::time::Duration;

/// What is followed, and how.
#[derive(Debug, Clone)]
pub struct WatchConfig {
    /// The engine that owns the ring.
    pub engine: Address,
    /// The ring whose requests, results and members are followed.
    pub ring: Address,
    /// The first block that can have events of the ring: that of the deployment.
    pub start_block: u64,
    /// Blocks behind the head at which a block is read; 0 reads the head itself, as members do.
    pub confirmations: u64,
    /// The pause between two polls of an http endpoint while gates are open. Without work the watcher makes at most one
    /// request in fourteen such pauses.
    pub poll: Duration,
    /// Most blocks that are asked for at once; halved where an endpoint refuses.
    pub page: u64,
    /// Gates without a result, as the consumer knows them at the end of its trail, that gates of this ring wait for, or
    /// that other rings may work on too. Those that come later are followed without being named.
    pub following: Vec<Address>,
}

/// What the watcher tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// Everything up to a cursor.
    Page {
        /// Events since the cursor before, in the order of the chain. Ahead of a [`crate::ChainEvent::GateRequested`]
        /// come the specifications of the gates that it waits for, and the results that those have already, with the
        /// older blocks that they were registered in. The first page after a start may have no events, and the cursor
        /// that is known already.
        events: Vec<Located>,
        /// The position after them.
        cursor: Cursor,
        /// Height of the chain's newest block that was seen.
        head: u64,
    },
    /// Blocks were reorganised away, or events in them had been missed: everything after `to` is told again.
    Rewind {
        /// The newest cursor that still holds; `None` when none does, and everything is read from the start.
        to: Option<Cursor>,
    },
}
