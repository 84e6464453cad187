//! Pages of contracts' logs, read once for all services that wait for equally many blocks, and again when the chain has changed.

use super::{error::ProcessError, keeper::Processes, trigger::Listener, watched::Watched};
use crate::{clock, state::ReadTo};
use rings_chain::{BlockRef, ChainError};
use rings_process::{
    document::Document,
    event::{Event, Source},
};
use rings_protocol::Digest;
use std::collections::BTreeMap;

/// Blocks that are read again when the chain has another branch, and when a member starts. What was found before is known by
/// its name, which has no block in it.
const READ_AGAIN: u64 = 64;
/// The newest runs of an installation whose events are looked up when the chain has another branch.
const LOOKED_UP: usize = 64;

/// Reads the next page of logs for services that wait for equally many blocks, behind `last`, as this process has read it, and up
/// to `to`. Gives the last block that was read, and how many events were found; nothing if there is nothing to read.
pub(super) async fn read_page(
    shared: &Processes,
    watched: &Watched,
    confirmations: u64,
    (last, to): (Option<BlockRef>, u64),
) -> Result<Option<(BlockRef, usize)>, ProcessError> {
    let next = shared.state.next_block(confirmations)?;
    let from = next.or_else(|| watched.since(confirmations));
    let Some(mut from) = from.filter(|from| *from <= to) else {
        return Ok(None);
    };
    let chain = &shared.parts.chain;
    // The end is asked for before the logs: if a reorganisation comes in between, they are read again.
    let end = async { Ok(chain.block(to).await?) };
    let (is_behind, end) = tokio::try_join!(is_behind(shared, last, from), end)?;
    if next.is_some() && !is_behind {
        let since = watched.since(confirmations).unwrap_or(from);
        from = from.saturating_sub(READ_AGAIN).max(since);
        if last.is_some() {
            let mut known = BTreeMap::new();
            for (listener, _) in watched.listeners(confirmations) {
                mark_orphans(shared, listener, &mut known).await?;
            }
        }
    }
    let wanted = watched.places(confirmations);
    let (last, logs) = chain.contract_logs(&wanted, from, to).await?;
    let block = match last == to {
        true => end,
        false => chain.block(last).await?,
    };
    let mut found = Vec::new();
    let of_chain = (shared.parts.domain.chain_id, confirmations);
    for log in &logs {
        watched.found(of_chain, log, &mut found)?;
    }
    let read = ReadTo {
        next_block: Some((confirmations, last + 1)),
        times: Vec::new(),
    };
    let write = || shared.state.found(&found, &read, clock::milliseconds());
    tokio::task::block_in_place(write)?;
    Ok(Some((block, found.len())))
}

/// Finds out which runs have lost their event. What they computed stays, and is said to be without a cause. `known` are the logs
/// that were looked up: one may have started many.
async fn mark_orphans(
    shared: &Processes,
    listener: &Listener,
    known: &mut BTreeMap<(Digest, u64), bool>,
) -> Result<(), ProcessError> {
    for (_, name, record) in shared.state.newest_runs(listener.id, None, LOOKED_UP)? {
        let Some((bytes, _)) = shared.state.known_event(listener.id, name)? else {
            continue;
        };
        let Source::Chain {
            transaction, index, ..
        } = Event::from_bytes(&bytes)?.source
        else {
            continue;
        };
        let is_gone = match known.get(&(transaction, index)) {
            Some(is_gone) => *is_gone,
            None => {
                let log = shared.parts.chain.log_of(transaction, index).await?;
                known.insert((transaction, index), log.is_none());
                log.is_none()
            }
        };
        if is_gone != record.orphaned {
            tracing::warn!(installation = %listener.owner, event = %name, orphaned = is_gone, "a reorganisation has changed whether the event of a process is on the chain");
            let key = (listener.id, name);
            tokio::task::block_in_place(|| shared.state.set_orphaned(key, is_gone))?;
        }
    }
    Ok(())
}

/// Whether the block before `from` is the one that was read last.
async fn is_behind(
    shared: &Processes,
    last: Option<BlockRef>,
    from: u64,
) -> Result<bool, ProcessError> {
    let Some(last) = last.filter(|last| last.number + 1 == from) else {
        return Ok(false);
    };
    match shared.parts.chain.block(last.number).await {
        Ok(block) => Ok(block.hash == last.hash),
        Err(ChainError::NoSuchBlock { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
