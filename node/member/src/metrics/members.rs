//! What this member sees of each member: one series for each, with the label `member`. The number of series is bounded
//! by the size of the ring.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use rings_api::views::MemberView;
use rings_protocol::Address;
use std::sync::atomic::AtomicU64;

/// The label of a member.
const MEMBER: &str = "member";
/// Milliseconds in a second.
const MILLISECONDS: f64 = 1000.0;

/// Labels of a series.
type Labels = [(&'static str, String); 1];
/// Gauges with fractions.
type Fractions = Family<Labels, Gauge<f64, AtomicU64>>;

/// Series of all members, as long as one answer is written.
#[derive(Default)]
struct Series {
    connected: Family<Labels, Gauge>,
    last_seen: Fractions,
    log_nodes: Family<Labels, Gauge>,
    diverged: Family<Labels, Gauge>,
    forked: Family<Labels, Gauge>,
    stalls: Family<Labels, Counter>,
}

/// Registers what is known of `members`, as `me` sees them. Whether a member is connected to itself, and when it was last
/// heard, is left out.
pub fn register(me: Address, members: &[MemberView], registry: &mut Registry) {
    let series = Series::default();
    for member in members {
        series.add(me, member);
    }
    registry.register(
        "member_connected",
        "1 while this member is connected to that one",
        series.connected,
    );
    registry.register(
        "member_last_seen_timestamp_seconds",
        "When something new that the member has signed last arrived, in seconds since 1970; 0: not since the start",
        series.last_seen,
    );
    registry.register(
        "member_log_nodes",
        "Log nodes of the member that are here; it writes one when it votes",
        series.log_nodes,
    );
    registry.register(
        "member_diverged_gates",
        "Gates for which the member has voted for another result than the one on chain (at most 100)",
        series.diverged,
    );
    registry.register(
        "member_forked",
        "1 when there is a proof that the member signed two nodes for one position of its log",
        series.forked,
    );
    registry.register(
        "member_stalls",
        "Times that the member did not deliver log nodes that it should have",
        series.stalls,
    );
}

impl Series {
    fn add(&self, me: Address, member: &MemberView) {
        let labels = [(MEMBER, member.address.to_string())];
        if member.address != me {
            let connected = &self.connected.get_or_create(&labels);
            connected.set(i64::from(member.connected));
            let seen = member.last_seen.unwrap_or(0) as f64 / MILLISECONDS;
            self.last_seen.get_or_create(&labels).set(seen);
        }
        let nodes = member.head.map_or(0, |head| head.seq.saturating_add(1));
        set(&self.log_nodes, &labels, nodes);
        set(&self.diverged, &labels, member.diverged.len() as u64);
        set(&self.forked, &labels, u64::from(member.forked));
        self.stalls.get_or_create(&labels).inc_by(member.stalled);
    }
}

fn set(family: &Family<Labels, Gauge>, labels: &Labels, value: u64) {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    family.get_or_create(labels).set(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    fn view(address: Address) -> MemberView {
        MemberView {
            address,
            peer_id: None,
            multiaddress: None,
            multiaddresses: Vec::new(),
            program: None,
            connected: true,
            last_seen: Some(1_700_000_000_500),
            head: None,
            diverged: vec![Address([9; 20])],
            forked: true,
            held_back: None,
            stalled: 3,
        }
    }

    #[test]
    fn each_member_has_its_series_and_this_one_is_not_connected_to_itself() {
        let (me, other) = (Address([1; 20]), Address([2; 20]));
        let mut registry = Registry::with_prefix("rings");
        register(me, &[view(me), view(other)], &mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for (name, value) in [
            ("connected", "1"),
            ("last_seen_timestamp_seconds", "1700000000.5"),
            ("log_nodes", "0"),
            ("diverged_gates", "1"),
            ("forked", "1"),
            ("stalls_total", "3"),
        ] {
            let line = |member| format!("rings_member_{name}{{member=\"{member}\"}} {value}");
            let has = |member| text.lines().any(|found| found == line(member));
            assert!(has(other), "{}: {text}", line(other));
            let only_of_others = name == "connected" || name.starts_with("last_seen");
            assert_eq!(has(me), !only_of_others, "{}: {text}", line(me));
        }
    }
}
