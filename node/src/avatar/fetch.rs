//! Nodes of an avatar's log from a member that keeps it.

use rings_api::{Client, ClientError};
use rings_protocol::Address;

/// Nodes that are asked for at once.
pub(super) const PAGE: u64 = 256;

/// The nodes from `first` to `last`, oldest first: as many of them as the member gives without a gap, beginning with the first.
///
/// # Errors
/// [`ClientError`] when it does not answer.
pub(super) async fn range(
    client: &Client,
    (ring, author): (Address, Address),
    (first, last): (u64, u64),
) -> Result<Vec<Vec<u8>>, ClientError> {
    let last = last.min(first.saturating_add(PAGE - 1));
    let mut nodes = Vec::new();
    let mut wanted = Some(last);
    while let Some(newest) = wanted.filter(|wanted| *wanted >= first) {
        let limit = u32::try_from(newest - first + 1).unwrap_or(u32::MAX);
        let page = client.log(ring, author, Some(newest), limit).await?;
        let before = nodes.len();
        for entry in page.nodes {
            if wanted != Some(entry.seq) {
                // A log that ends earlier here: what was got does not belong to one history.
                nodes.clear();
            }
            nodes.push(entry.bytes.0);
            wanted = entry.seq.checked_sub(1);
        }
        if nodes.len() == before {
            return Ok(Vec::new());
        }
    }
    nodes.reverse();
    Ok(nodes)
}
