//! The member's numbers, as Prometheus text.

use super::shared::Shared;
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use std::{fmt, sync::atomic::Ordering};

/// Appends all numbers to `out`.
///
/// # Errors
/// When a number cannot be written.
pub fn write(shared: &Shared, network: &rings_network::Stats, out: &mut String) -> fmt::Result {
    let snapshot = shared.snapshot();
    let mut registry = Registry::with_prefix("rings");
    let gauges = [
        (
            "block",
            "Events up to this block are taken in",
            snapshot.block,
        ),
        ("chain_head", "The newest block seen", snapshot.head),
        ("epoch", "Epoch of the ring", snapshot.epoch),
        (
            "members",
            "Members of the ring",
            snapshot.members.len() as u64,
        ),
        (
            "peers",
            "Members that are connected",
            snapshot.connected.len() as u64,
        ),
    ];
    for (name, help, value) in gauges {
        registry.register(name, help, ConstGauge::new(value as i64));
    }
    let counters = [
        (
            "votes",
            "Votes signed",
            shared.counters.votes.load(Ordering::Relaxed),
        ),
        (
            "gates_resolved",
            "Gates of this ring that were resolved",
            shared.counters.resolved.load(Ordering::Relaxed),
        ),
        (
            "gossip_dropped",
            "Gossiped messages that were dropped",
            network.gossip_dropped,
        ),
        (
            "requests_refused",
            "Requests of members that were refused",
            network.requests_refused,
        ),
        (
            "connections_refused",
            "Connections that were refused",
            network.connections_refused,
        ),
        ("dials_failed", "Dials that failed", network.dials_failed),
    ];
    for (name, help, value) in counters {
        registry.register(name, help, ConstCounter::new(value));
    }
    encode(out, &registry)
}
