//! Reads the ring nodes that other rings register, for results that are events.
//!
//! The chain names a ring node by its digest, and its blocks come from whoever has them: the gateways of that ring, or Kubo. While
//! nobody gives them, only events of that ring wait.

use super::{
    error::ProcessError,
    keeper::Processes,
    listener::{Begun, Listener},
};
use crate::{
    clock,
    core::open_ring_node,
    state::{Found, LogPlace},
};
use rings_api::with_causes;
use rings_process::{
    event::Source,
    result_origin::{registered_topic, ResultReader},
};
use rings_protocol::{backoff::Backoff, cids::node_cid, ringlog::RingNode, Address, Digest};
use rings_store::BlockSource;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

/// Blocks that are read again each time, for a reorganisation may have brought others. What was found is known by its name.
const READ_AGAIN: u64 = 64;
/// Ring nodes that are remembered as read; beyond that, some are read again.
const REMEMBERED: usize = 1_024;
/// First and longest pause before a ring is asked again whose ring nodes nobody gives.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A ring, and how many blocks have to be on top of its ring nodes.
type Followed = (Address, u64);
type Reading<'a> = (&'a Listener, &'a ResultReader, u64);

/// How far rings were followed, as far as that is in memory.
#[derive(Default)]
pub(super) struct Results {
    /// The head up to which each was looked at.
    seen: BTreeMap<Followed, u64>,
    /// When those are asked again that gave nothing, and their pauses.
    again: BTreeMap<Followed, (Instant, Backoff)>,
    /// Ring nodes that were read for all that listen.
    read: BTreeSet<(Followed, Digest)>,
    /// Who listens, for whom, and from which block on.
    listeners: Vec<(Digest, Digest, u64)>,
}

impl Results {
    /// Reads a page of each ring that is followed. Whether events were found.
    ///
    /// # Errors
    /// [`ProcessError`].
    pub async fn read(
        &mut self,
        shared: &Processes,
        (all, put_back): (&[(Arc<Listener>, Begun)], u64),
    ) -> Result<bool, ProcessError> {
        let listeners = all.iter().filter_map(|(listener, _)| {
            let (_, since) = listener.results()?;
            Some((listener.owner, listener.id, since))
        });
        let listeners: Vec<_> = listeners.collect();
        if self.listeners != listeners {
            // Those that are new, or reach further back, may want what was read before.
            self.seen.clear();
            self.read.clear();
            self.listeners = listeners;
        }
        let head = shared.parts.ring.head();
        let mut by_ring: BTreeMap<Followed, Vec<Reading<'_>>> = BTreeMap::new();
        for (listener, _) in all {
            // Results of the own ring follow from its processes.
            let reading = listener.results();
            let reading = reading.filter(|(reader, _)| reader.ring != shared.parts.domain.ring);
            if let Some((reader, since)) = reading {
                let followed = (reader.ring, reader.confirmations);
                let readers = by_ring.entry(followed).or_default();
                readers.push((listener, reader, since));
            }
        }
        let mut has_found = false;
        for (followed, readers) in by_ring {
            let is_due = self
                .again
                .get(&followed)
                .is_none_or(|(at, _)| *at <= Instant::now());
            let to = head.checked_sub(followed.1);
            let is_new = self.seen.get(&followed).is_none_or(|seen| *seen < head);
            if let Some(to) = to.filter(|_| is_due && is_new) {
                has_found |= self
                    .follow(shared, (followed, &readers), (head, to, put_back))
                    .await?;
            }
        }
        Ok(has_found)
    }

    /// Reads a page of one ring.
    async fn follow(
        &mut self,
        shared: &Processes,
        (followed, readers): (Followed, &[Reading<'_>]),
        (head, to, put_back): (u64, u64, u64),
    ) -> Result<bool, ProcessError> {
        let (ring, _) = followed;
        let since = readers.iter().map(|(_, _, since)| *since).min();
        let since = since.unwrap_or(0);
        let cursor = shared.state.next_result(followed)?;
        let from = cursor
            .unwrap_or(since)
            .saturating_sub(READ_AGAIN)
            .max(since);
        if from > to {
            self.seen.insert(followed, head);
            return Ok(false);
        }
        let wanted = [(ring, registered_topic())];
        let (last, logs) = shared.parts.chain.contract_logs(&wanted, from, to).await?;
        let mut page = Page {
            found: Vec::new(),
            read: Vec::new(),
            next: last + 1,
        };
        for log in logs {
            let Some(digest) = log.topics.get(1).copied() else {
                continue;
            };
            if self.read.contains(&(followed, digest)) {
                continue;
            }
            let place = LogPlace {
                block: log.block,
                log: log.in_block,
            };
            match read_node(shared, readers, (ring, digest), place).await? {
                Ok(events) => page.found.extend(events),
                Err(reason) => {
                    tracing::warn!(%ring, %digest, reason, "a ring node of another ring cannot be read now; trying again");
                    page.next = page.next.min(log.block);
                    break;
                }
            }
            page.read.push(digest);
        }
        let is_whole = page.next > last;
        let write = || {
            let read = (followed, cursor, page.next);
            let now = clock::milliseconds();
            shared
                .state
                .found_results(&page.found, read, (put_back, now))
        };
        if !tokio::task::block_in_place(write)? {
            return Ok(false);
        }
        // Not before: what was not written is to be read again.
        for digest in page.read {
            self.remember(followed, digest);
        }
        match is_whole {
            true => drop(self.again.remove(&followed)),
            false => self.postpone(followed),
        }
        if is_whole && last >= to {
            self.seen.insert(followed, head);
        }
        Ok(!page.found.is_empty())
    }

    fn postpone(&mut self, followed: Followed) {
        let new = || (Instant::now(), Backoff::new(PAUSE, LONGEST_PAUSE));
        let (at, pauses) = self.again.entry(followed).or_insert_with(new);
        *at = Instant::now() + pauses.failed(rand::random());
    }

    fn remember(&mut self, followed: Followed, digest: Digest) {
        if self.read.len() >= REMEMBERED {
            self.read.clear();
        }
        self.read.insert((followed, digest));
    }
}

/// What came of a page of a ring's logs.
struct Page {
    found: Vec<Found>,
    /// The ring nodes that were read.
    read: Vec<Digest>,
    /// The first block that was not read whole.
    next: u64,
}

/// The events that the lines of a ring node are, for those who listen, or why it cannot be read now.
async fn read_node(
    shared: &Processes,
    readers: &[Reading<'_>],
    (ring, digest): (Address, Digest),
    place: LogPlace,
) -> Result<Result<Vec<Found>, String>, ProcessError> {
    let blocks = Arc::clone(&shared.parts.blocks) as Arc<dyn BlockSource>;
    let node = match open_ring_node(&blocks, digest).await {
        Ok(node) => node,
        Err(reason) => return Ok(Err(reason)),
    };
    let events = match events(shared, readers, (ring, &node), place).await {
        Ok(events) => events,
        Err(ProcessError::Store(error)) => return Ok(Err(with_causes(&error))),
        Err(error) => return Err(error),
    };
    if !events.is_empty() {
        // Whoever traces a result finds it with any member.
        let pages = node.pages().iter().map(|(page, _)| node_cid(*page));
        let cids: Vec<_> = pages.chain([node_cid(digest)]).collect();
        shared.pin(&cids).await?;
    }
    Ok(Ok(events))
}

/// The events that the lines of a ring node are, for those who listen.
async fn events(
    shared: &Processes,
    readers: &[Reading<'_>],
    (ring, node): (Address, &RingNode),
    place: LogPlace,
) -> Result<Vec<Found>, ProcessError> {
    let mut found = Vec::new();
    for (line, entry) in node.entries().iter().enumerate() {
        let mut chosen = Vec::new();
        for (listener, reader, since) in readers {
            if place.block < *since {
                continue;
            }
            match reader.read(node.number(), entry) {
                Ok(Some(data)) => chosen.push((listener, data)),
                Ok(None) => {}
                Err(reason) => {
                    tracing::debug!(%ring, number = node.number(), line, reason, "a result is no event of a process");
                }
            }
        }
        if chosen.is_empty() {
            continue;
        }
        let depth = match shared.depth_of(entry).await? {
            Ok(depth) => depth,
            Err(error) => {
                tracing::warn!(%ring, number = node.number(), line, %error, "a result is left out");
                continue;
            }
        };
        for (listener, data) in chosen {
            let source = Source::Result {
                chain: shared.parts.domain.chain_id,
                depth,
                line: line as u64,
                node: node_cid(node.digest()),
                ring,
            };
            match listener.found(data, source, Some(place)) {
                Ok(event) => found.push(event),
                Err(error) => {
                    tracing::warn!(%ring, number = node.number(), line, %error, "a result is no event of a process");
                }
            }
        }
    }
    Ok(found)
}
