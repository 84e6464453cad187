//! An avatar's log nodes on their way to a member of the ring that keeps them.

use super::place::{Avatar, Home};
use crate::exit::{Context, ExitError, ExitStatus};
use rand::RngCore;
use rings_api::{
    client_rings::{AppendParams, HeldView},
    code, Client, ClientError, HexBytes,
};
use rings_client::{Digest, LogNode};

/// Most nodes of one request.
const NODES_AT_ONCE: usize = 512;
/// Most bytes of nodes of one request, beyond the first: in hex they are twice as many, and a request has a megabyte.
const BYTES_AT_ONCE: usize = 400 << 10;

/// Has the whole log held by a member, which is sent what is behind `known`, or all of it if that is not enough, and nodes of
/// `others` that it refers to. Waits at most `wait` milliseconds for the signatures of so many replicas.
///
/// # Errors
/// [`ClientError`].
pub(super) async fn deliver(
    client: &Client,
    avatar: &Avatar,
    (known, others): (Digest, &[LogNode]),
    (replicas, wait): (u32, u64),
) -> Result<HeldView, ClientError> {
    let log = avatar.log.log();
    let mut nodes = log.since(known);
    nodes.reverse();
    let how = (replicas, wait, None);
    let answer = send(client, avatar, (&nodes, &[]), how.clone()).await;
    let (answer, how) = match answer {
        // The ring may have a key since then that this member has not heard of.
        Err(error) if is_unknown(&error) && !is_replaced(&error) => {
            match wrapped(&avatar.home, client).await {
                Ok(key) if !key.is_empty() => {
                    let how = (replicas, wait, Some(HexBytes(key)));
                    (send(client, avatar, (&nodes, &[]), how.clone()).await, how)
                }
                _ => return Err(error),
            }
        }
        answer => (answer, how),
    };
    match answer {
        Err(error) if is_incomplete(&error) => {
            let all: Vec<_> = log.nodes().iter().collect();
            send(client, avatar, (&all, others), how).await
        }
        answer => answer,
    }
}

/// The ring's replica key, wrapped to the member that is asked; nothing for a ring that everybody can read.
///
/// # Errors
/// Status 5 when chain or member cannot be asked, or the member has not announced its public key.
pub(super) async fn wrapped(home: &Home, client: &Client) -> Result<Vec<u8>, ExitError> {
    let Some(keys) = home.secrecy.keys() else {
        return Ok(Vec::new());
    };
    let member = client.status().await?.member;
    let contact = home.chain.contact(home.keeper, member).await?;
    let contact = contact.ok_or_else(|| {
        ExitError::unavailable(format!(
            "{member} has not announced its public key, so nothing can be handed to it; try again when it runs"
        ))
    })?;
    let random = |bytes: &mut [u8; 32]| rand::rngs::OsRng.fill_bytes(bytes);
    let wrapped = keys.wrapped_for_replica(&contact.public_key, random);
    wrapped.context(ExitStatus::Internal, "the replica key cannot be wrapped")
}

/// Whether nodes are missing there.
pub(super) fn is_incomplete(error: &ClientError) -> bool {
    matches!(error, ClientError::Rpc { code: found, .. } if *found == i64::from(code::LOG_INCOMPLETE))
}

/// Whether the ring, or its key, is not known there.
pub(super) fn is_unknown(error: &ClientError) -> bool {
    matches!(error, ClientError::Rpc { code: found, .. } if *found == i64::from(code::NOT_FOLLOWED))
}

/// Whether the newest node is sealed with a key that another one has replaced there.
pub(super) fn is_replaced(error: &ClientError) -> bool {
    is_unknown(error)
        && matches!(error, ClientError::Rpc { data, .. } if data.contains(code::REPLACED))
}

/// Sends nodes, which are oldest first, in as many requests as they need.
async fn send(
    client: &Client,
    avatar: &Avatar,
    (nodes, others): (&[&LogNode], &[LogNode]),
    (replicas, wait, replica_key): (u32, u64, Option<HexBytes>),
) -> Result<HeldView, ClientError> {
    let mut rest = nodes;
    loop {
        let mut bytes = 0;
        let fits = rest.iter().take(NODES_AT_ONCE).take_while(|node| {
            bytes += node.bytes().len();
            bytes <= BYTES_AT_ONCE
        });
        let count = fits.count().max(1).min(rest.len());
        let (now, later) = rest.split_at(count);
        let newest_first = now.iter().rev().copied().chain(others);
        let request = AppendParams {
            avatar: avatar.address(),
            ring: avatar.ring,
            log_nodes: newest_first
                .map(|node| HexBytes(node.bytes().to_vec()))
                .collect(),
            replicas: Some(replicas).filter(|_| later.is_empty()),
            wait: Some(wait).filter(|_| later.is_empty()),
            replica_key: replica_key.clone(),
        };
        let answer = client.append(&request).await?;
        if later.is_empty() {
            return Ok(answer);
        }
        rest = later;
    }
}
