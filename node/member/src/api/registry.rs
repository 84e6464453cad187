//! The chain's registry of services and processes, a page at a time.

use rings_api::{
    registry::{RegisteredKind, RegistryEntryView, RegistryView, SearchRegistryParams},
    ApiError,
};
use rings_chain::{registry_address, Chain, ChainError, Registered, RegistryEntry, RegistryPage};
use rings_protocol::cids::data_cid;

/// The entries of one page that are looked for.
pub(super) async fn search(
    chain: &Chain,
    which: SearchRegistryParams,
) -> Result<RegistryView, ApiError> {
    let text = which.text.unwrap_or_default();
    let (registry, page) = match chain.search_registry(&text, which.before).await {
        Ok(page) => (Some(registry_address()), page),
        Err(ChainError::NotAContract { .. }) => (None, RegistryPage::default()),
        Err(error) => return Err(ApiError::internal("the chain cannot be asked", error)),
    };
    Ok(RegistryView {
        registry,
        entries: page.entries.into_iter().map(view).collect(),
        next: page.next,
    })
}

fn view(entry: RegistryEntry) -> RegistryEntryView {
    RegistryEntryView {
        number: entry.number,
        kind: match entry.kind {
            Registered::Service => RegisteredKind::Service,
            Registered::Process => RegisteredKind::Process,
        },
        cid: data_cid(entry.hash),
        owner: entry.owner,
        name: entry.name,
        version: entry.version,
        description: entry.description.map(data_cid),
        withdrawn: entry.withdrawn,
    }
}
