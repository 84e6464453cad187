//! Asking another member: for anything, or for a range of log nodes within a deadline.

use super::input::Nothing;
use crate::wire::{encode, Response, WireError, WireRequest};
use bytes::Bytes;
use rings_network::{Network, NetworkError, PeerId};
use rings_protocol::Address;
use std::time::Duration;
use tokio::time::timeout;

/// How long an answer may take. A range has at most a few megabytes.
const DEADLINE: Duration = Duration::from_secs(8);

/// Why a member gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// It is not connected, or did not answer.
    #[error("the member cannot be asked")]
    Network(#[from] NetworkError),
    /// What it sent is no answer.
    #[error("the member sent an invalid answer")]
    Wire(#[from] WireError),
}

/// Asks a member.
///
/// # Errors
/// [`AskError`].
pub(crate) async fn ask(
    network: &Network,
    peer: &PeerId,
    request: &WireRequest,
) -> Result<Response, AskError> {
    let answer = network.request(peer, encode(request)?.into()).await?;
    Ok(Response::decode(&answer)?)
}

/// The nodes of `author` from `from` on that `peer` gives in time.
pub(super) async fn ask_range(
    network: Network,
    peer: PeerId,
    author: Address,
    from: u64,
) -> Result<Vec<Bytes>, Nothing> {
    let request = WireRequest::Nodes { author, from };
    let nodes = match timeout(DEADLINE, ask(&network, &peer, &request)).await {
        Ok(Ok(Response::Nodes(nodes))) if !nodes.is_empty() => nodes,
        Ok(Err(AskError::Network(NetworkError::Busy { .. } | NetworkError::Declined { .. }))) => {
            return Err(Nothing::Refused);
        }
        Ok(Err(error)) => {
            tracing::debug!(%peer, error = &error as &dyn std::error::Error, "nodes were not given");
            return Err(Nothing::Failed);
        }
        Ok(Ok(_)) | Err(_) => return Err(Nothing::Failed),
    };
    let nodes = nodes.into_iter().map(|node| Bytes::from(node.into_vec()));
    Ok(nodes.collect())
}
