//! The member's metrics, as Prometheus text: its own (here and in `counters.rs`), and those of each member as it sees
//! them (`members.rs`). `docs/operate.md` says what to make of them; a test compares the names there with those here.
//!
//! [`write`] makes the whole text for each scrape, from [`Facts`] that the HTTP side has collected. Nothing is kept
//! between scrapes but the counters, so a gauge always shows what is known now.

mod funds;
mod members;
mod providers;
mod reach;
mod store;

use super::{
    ring_status::{RingStatus, Snapshot},
    state::Usage,
};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::ConstCounter, family::Family, gauge::ConstGauge, gauge::Gauge},
    registry::Registry,
};
use rings_api::views::{MemberView, ProviderView, UnreachableView};
use rings_protocol::Address;
use std::fmt;

/// From what the metrics are made.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The ring as this member sees it.
    pub shared: &'a RingStatus,
    /// What the network has dropped or refused.
    pub network: rings_network::Stats,
    /// Whether it follows its chain.
    pub following: bool,
    /// What it sees of each member, itself included.
    pub members: &'a [MemberView],
    /// Members that are not connected.
    pub unreachable: &'a [UnreachableView],
    /// Whether a service has the member's key, and gives no signatures.
    pub is_signer_away: bool,
    /// Whether its block store fails.
    pub is_store_failing: bool,
    /// The providers of the chain.
    pub providers: &'a [ProviderView],
    /// What was written of each author's log, on the day on which something was written last.
    pub usage: &'a [(Address, Usage)],
}

/// Appends all metrics to `out`.
///
/// # Errors
/// When a metric cannot be written as text.
pub fn write(facts: &Facts<'_>, out: &mut String) -> fmt::Result {
    let (shared, snapshot) = (facts.shared, facts.shared.snapshot());
    let mut registry = Registry::with_prefix("rings");
    gauges(&snapshot, facts, &mut registry);
    build(&mut registry);
    shared.counters.register(&mut registry);
    counters(&snapshot, &facts.network, &mut registry);
    members::register(shared.me(), facts.members, &mut registry);
    reach::register(&mut registry, &snapshot, facts.unreachable);
    providers::register(&mut registry, facts.providers);
    funds::register(&mut registry, &snapshot, shared.me());
    store::register(&mut registry, &snapshot, facts.usage);
    encode(out, &registry)
}

fn gauges(snapshot: &Snapshot, facts: &Facts<'_>, registry: &mut Registry) {
    let gauges = [
        (
            "block",
            "Events up to this block are in the state database",
            snapshot.block,
        ),
        ("chain_head", "The newest block seen", snapshot.head),
        (
            "following",
            "1 while the member follows its chain",
            u64::from(facts.following),
        ),
        (
            "signer_away",
            "1 while the service that has the member's key gives no signatures",
            u64::from(facts.is_signer_away),
        ),
        (
            "store_failing",
            "1 while the block store does not answer, or refuses",
            u64::from(facts.is_store_failing),
        ),
        (
            "members_forked",
            "Members that signed two nodes for one position",
            snapshot.forked.len() as u64,
        ),
        (
            "key_used_twice",
            "1 when another process has announced itself with this member's key",
            u64::from(snapshot.twin.is_some()),
        ),
        (
            "members_held_back",
            "Members whose logs are not held further today",
            snapshot.held_back.len() as u64,
        ),
        ("epoch", "Epoch of the ring", snapshot.epoch),
        (
            "members",
            "Members of the ring",
            snapshot.members.len() as u64,
        ),
        (
            "signatures_needed",
            "Signatures that a result needs",
            snapshot.needed,
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
}

/// Which program this is. It is a gauge, since the older text form has no type for it.
fn build(registry: &mut Registry) {
    let labels = [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("profile", rings_compute::profile()),
    ];
    let info = Family::<[(&str, String); 2], Gauge>::default();
    info.get_or_create(&labels).set(1);
    registry.register("build_info", "Version and profile of this program", info);
}

fn counters(snapshot: &Snapshot, network: &rings_network::Stats, registry: &mut Registry) {
    let counters = [
        (
            "sync_stalls",
            "Times that a member did not deliver log nodes that it should have",
            snapshot.stalled.values().sum(),
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
}
