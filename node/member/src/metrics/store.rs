//! Metrics of what this member's disk holds: blocks, and what the others' logs have added to it today.

use crate::{clock, ring_status::Snapshot, state::Usage};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::Registry,
};
use rings_protocol::Address;

/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfMember {
    member: String,
}

pub(super) fn register(registry: &mut Registry, snapshot: &Snapshot, usage: &[(Address, Usage)]) {
    registry.register(
        "store_blocks",
        "Blocks in the store, as of the last minute",
        ConstGauge::new(whole(snapshot.store.blocks)),
    );
    registry.register(
        "store_bytes",
        "Bytes of blocks in the store, as of the last minute",
        ConstGauge::new(whole(snapshot.store.bytes)),
    );
    let (bytes, today) = (Family::<OfMember, Gauge>::default(), clock::seconds() / DAY);
    for member in &snapshot.members {
        let mut of = usage.iter().filter(|(author, _)| author == member);
        let used = of.next().filter(|(_, usage)| usage.day == today);
        let member = member.to_string();
        let used = used.map_or(0, |(_, usage)| usage.cost.bytes);
        bytes.get_or_create(&OfMember { member }).set(whole(used));
    }
    registry.register(
        "member_log_bytes_today",
        "Bytes of the member's log that were written to this disk today and count towards its quota",
        bytes,
    );
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
