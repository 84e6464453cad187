//! Metrics of the chain's providers: which are well, and which is asked.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use rings_api::views::ProviderView;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfProvider {
    endpoint: String,
}

pub(super) fn register(registry: &mut Registry, providers: &[ProviderView]) {
    let (up, used) = (
        Family::<OfProvider, Gauge>::default(),
        Family::<OfProvider, Gauge>::default(),
    );
    for provider in providers {
        let label = OfProvider {
            endpoint: provider.endpoint.clone(),
        };
        up.get_or_create(&label)
            .set(i64::from(provider.trouble.is_none()));
        used.get_or_create(&label).set(i64::from(provider.used));
    }
    registry.register(
        "provider_up",
        "Whether a provider of the chain is well (1), or put aside (0)",
        up,
    );
    registry.register(
        "provider_used",
        "Whether a provider of the chain is the one that is asked now",
        used,
    );
}
