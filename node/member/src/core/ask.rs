//! Asking another member: for anything, or for a range of log nodes within a deadline.
//!
//! The nodes of a range are opened here, on all processors, so that the core does not check thousands of signatures one after
//! the other while votes wait. The core then only looks how they fit the log.

use super::input::{Nothing, Range};
use rings_network::{Network, NetworkError, PeerId};
use rings_protocol::{
    private::{FormError, LogForm},
    wire::{encode, Response, WireError, WireRequest},
    Address,
};
use std::{num::NonZero, sync::Arc, thread, time::Duration};
use tokio::{sync::Semaphore, task, time::timeout};

/// How long an answer may take. A range has at most a few megabytes.
const DEADLINE: Duration = Duration::from_secs(8);
/// As few nodes are opened by one thread.
const MIN_SHARE: usize = 64;

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

/// The nodes of `author` from `from` on that `peer` gives in time. Ranges are opened one after the other, as they come, on all
/// processors: so the first is with the core while the next one is opened.
pub(super) async fn ask_range(
    network: Network,
    (form, opening): (Arc<LogForm>, Arc<Semaphore>),
    peer: PeerId,
    (author, from): (Address, u64),
) -> Result<Range, Nothing> {
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
    let nodes = nodes.into_iter().map(|node| node.into_vec()).collect();
    // It is closed only when the member ends.
    let _turn = opening.acquire().await.map_err(|_| Nothing::Failed)?;
    Ok(open_all(nodes, form).await)
}

/// Opens the nodes up to the first that is none of this ring.
async fn open_all(mut nodes: Vec<Vec<u8>>, form: Arc<LogForm>) -> Range {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let share = nodes.len().div_ceil(processors).max(MIN_SHARE);
    let mut shares = Vec::new();
    while !nodes.is_empty() {
        let rest = nodes.split_off(share.min(nodes.len()));
        let share = std::mem::replace(&mut nodes, rest);
        let form = Arc::clone(&form);
        shares.push(task::spawn_blocking(move || open_share(&share, &form)));
    }
    let mut range = Range {
        nodes: Vec::new(),
        is_good: true,
        locked: None,
    };
    for share in shares {
        let opened = share.await.unwrap_or_else(|error| {
            tracing::warn!(%error, "nodes that came were not opened");
            Range::default()
        });
        if range.is_good && range.locked.is_none() {
            range.nodes.extend(opened.nodes);
            (range.is_good, range.locked) = (opened.is_good, opened.locked);
        }
    }
    range
}

fn open_share(nodes: &[Vec<u8>], form: &LogForm) -> Range {
    let mut range = Range {
        nodes: Vec::with_capacity(nodes.len()),
        is_good: true,
        locked: None,
    };
    for node in nodes {
        match form.open(node) {
            Ok(node) => range.nodes.push(node),
            Err(FormError::Locked { name }) => {
                range.locked = Some(name);
                break;
            }
            Err(error) => {
                let cause = &error as &dyn std::error::Error;
                tracing::debug!(error = cause, "received bytes that are not a log node");
                range.is_good = false;
                break;
            }
        }
    }
    range
}

#[cfg(test)]
mod tests {
    use super::*;
    use rings_protocol::{
        crypto::SecretKey,
        eip712::Domain,
        log::{seal, LogNode, OwnLog, Tip},
        Digest,
    };
    use std::convert::Infallible;

    struct Log(Vec<LogNode>);

    impl OwnLog for Log {
        type Error = Infallible;
        fn tip(&self) -> Result<Option<Tip>, Infallible> {
            Ok(self.0.last().map(LogNode::tip))
        }
        fn digest_at(&self, seq: u64) -> Result<Option<Digest>, Infallible> {
            Ok(self.0.get(seq as usize).map(LogNode::digest))
        }
    }

    #[tokio::test]
    async fn nodes_are_opened_in_order_up_to_the_first_that_is_none() {
        let domain = Domain::new(31337, Address([7; 20]));
        let key = SecretKey::from_bytes(&[5; 32]).unwrap();
        let mut log = Log(Vec::new());
        for time in 0..3 * MIN_SHARE as u64 {
            let node = seal(&log, vec![], vec![], Some(time), &domain, &key).unwrap();
            log.0.push(node);
        }
        let form = Arc::new(LogForm::Open(domain));
        let bytes: Vec<_> = log.0.iter().map(|node| node.bytes().to_vec()).collect();
        let range = open_all(bytes.clone(), Arc::clone(&form)).await;
        assert!(range.is_good && range.nodes == log.0);
        for bad in [0, 1, MIN_SHARE, 3 * MIN_SHARE - 1] {
            let mut bytes = bytes.clone();
            bytes[bad].pop();
            let range = open_all(bytes, Arc::clone(&form)).await;
            assert!(!range.is_good, "{bad}");
            assert_eq!(range.nodes, log.0[..bad]);
        }
        assert!(open_all(Vec::new(), form).await.nodes.is_empty());
    }
}
