//! Metrics of what members' accounts hold, and what that pays for.

use crate::ring_status::Snapshot;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::Registry,
};
use rings_protocol::Address;
use std::sync::atomic::AtomicU64;

/// Wei in an ether.
const ETHER: f64 = 1e18;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfMember {
    member: String,
}

pub(super) fn register(registry: &mut Registry, snapshot: &Snapshot, me: Address) {
    let ether = Family::<OfMember, Gauge<f64, AtomicU64>>::default();
    for (member, wei) in &snapshot.funds {
        let member = member.to_string();
        ether
            .get_or_create(&OfMember { member })
            .set(*wei as f64 / ETHER);
    }
    registry.register(
        "member_balance_ether",
        "Ether of a member's account, as this member has read it; the own one, and those whose turn it may be to submit",
        ether,
    );
    if let Some(count) = snapshot.affordable(me) {
        registry.register(
            "registrations_affordable",
            "How many registrations of results this member's account can pay for, about",
            ConstGauge::new(i64::try_from(count).unwrap_or(i64::MAX)),
        );
    }
    let poor = snapshot.members.iter();
    let poor = poor.filter(|member| snapshot.is_poor(**member)).count();
    registry.register(
        "members_poor",
        "Members whose account is known to be unable to pay for a registration",
        ConstGauge::new(i64::try_from(poor).unwrap_or(i64::MAX)),
    );
}
