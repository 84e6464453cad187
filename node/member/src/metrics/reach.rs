//! Metrics of who can be reached: one for each member that is away, and the number of own addresses on chain.

use crate::{clock, ring_status::Snapshot};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::ConstGauge, gauge::Gauge},
    registry::Registry,
};
use rings_api::views::UnreachableView;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfMember {
    member: String,
}

pub(super) fn register(
    registry: &mut Registry,
    snapshot: &Snapshot,
    unreachable: &[UnreachableView],
) {
    let announced = snapshot.own_address.as_deref().unwrap_or_default();
    registry.register(
        "announced_addresses",
        "Addresses of this member on chain at which others can reach it",
        ConstGauge::new(count(rings_network::address_texts(announced).len())),
    );
    registry.register(
        "unreachable_members",
        "Members that are not connected with this one",
        ConstGauge::new(count(unreachable.len())),
    );
    let now = clock::milliseconds();
    let seconds = Family::<OfMember, Gauge>::default();
    for away in unreachable {
        let member = away.member.to_string();
        let since = now.saturating_sub(away.since) / 1000;
        seconds
            .get_or_create(&OfMember { member })
            .set(i64::try_from(since).unwrap_or(i64::MAX));
    }
    registry.register(
        "member_unreachable_seconds",
        "For how long a member is not connected with this one; only members that are not have it",
        seconds,
    );
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
