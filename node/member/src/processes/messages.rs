//! Reads the logs that are held for messages that are events: those of the own ring, and those of client rings that this member
//! keeps. Nodes that this member cannot read are passed over.

use super::{
    error::ProcessError,
    keeper::Processes,
    listener::{Begun, Listener},
};
use crate::{clock, state::Found};
use rings_api::ApiError;
use rings_process::{event::Source, event_origin::EventReader, plan::Plan, words::MAX_HEADS};
use rings_protocol::{
    cids::node_cid,
    log::LogNode,
    message::Message,
    private::{body_key, FormError},
    Address, Digest,
};
use rings_store::BlockSource;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Nodes of a log that are read at once.
const PAGE: usize = 64;
/// Most logs of a ring that are looked at.
const LOGS: usize = 65_536;

/// How far logs were read, by ring and author, as far as that is in memory.
#[derive(Default)]
pub(super) struct Heads {
    next: BTreeMap<(Address, Address), u64>,
    /// How often nodes of client rings were taken in when all was read.
    seen: Option<u64>,
}

/// A log of which some is to be read.
struct Unread {
    ring: Address,
    author: Address,
    /// How far it was read, as the disk knows.
    cursor: Option<u64>,
    from: u64,
}

impl Heads {
    /// Installations have changed, so earlier messages may be wanted.
    pub fn forget(&mut self) {
        self.next.clear();
        self.seen = None;
    }

    /// Reads a page of each log that has grown. Whether events were found.
    ///
    /// # Errors
    /// [`ProcessError`].
    pub async fn read(
        &mut self,
        shared: &Processes,
        (all, put_back): (&[(Arc<Listener>, Begun)], u64),
    ) -> Result<bool, ProcessError> {
        let own = shared.parts.domain.ring;
        let rings: BTreeSet<Address> = all
            .iter()
            .flat_map(|(_, begun)| begun.keys().copied())
            .collect();
        let taken = shared.parts.clients.changes();
        let (mut has_found, mut is_level) = (false, true);
        for ring in rings {
            if ring != own && self.seen == Some(taken) {
                continue;
            }
            for (author, newest) in shared.heads_of(ring)? {
                let Some(log) = self.unread(shared, all, (ring, author, newest))? else {
                    continue;
                };
                let (next, found) = read_page(shared, (all, put_back), &log).await?;
                has_found |= found;
                is_level &= next > newest;
                self.next.insert((ring, author), next);
            }
        }
        self.seen = is_level.then_some(taken);
        Ok(has_found)
    }

    /// What is to be read of a log; nothing if nobody listens to it, or nothing is new.
    fn unread(
        &mut self,
        shared: &Processes,
        all: &[(Arc<Listener>, Begun)],
        (ring, author, newest): (Address, Address, u64),
    ) -> Result<Option<Unread>, ProcessError> {
        let known = self.next.get(&(ring, author)).copied();
        if known.is_some_and(|next| next > newest) {
            return Ok(None);
        }
        let own = shared.parts.domain.ring;
        let listening = all.iter().filter(|(listener, _)| {
            let reader = listener.messages_of(ring, own);
            reader.is_some_and(|reader| reader.reads(author))
        });
        let first = listening.filter_map(|(_, begun)| first_of(begun, (ring, author)));
        let Some(first) = first.min() else {
            return Ok(None);
        };
        let cursor = shared.state.next_message(ring, author)?;
        let from = cursor.unwrap_or(0).max(first);
        self.next.insert((ring, author), from);
        let unread = Unread {
            ring,
            author,
            cursor,
            from,
        };
        Ok((from <= newest).then_some(unread))
    }
}

/// The first node of a log whose messages count; nothing if none of that ring does.
fn first_of(begun: &Begun, (ring, author): (Address, Address)) -> Option<u64> {
    let heads = begun.get(&ring)?;
    // Of those that had no log then, all counts.
    Some(heads.get(&author).copied().unwrap_or(0))
}

/// Reads a page of a log. Gives the first node that was not read, and whether events were found.
async fn read_page(
    shared: &Processes,
    (all, put_back): (&[(Arc<Listener>, Begun)], u64),
    log: &Unread,
) -> Result<(u64, bool), ProcessError> {
    let (ring, author) = (log.ring, log.author);
    let (first, digests) = shared.log_page((ring, author), log.from)?;
    let cids: Vec<_> = digests.iter().copied().map(node_cid).collect();
    let blocks = shared.parts.blocks.blocks(&cids).await?;
    let (mut found, mut next) = (Vec::new(), log.from.max(first));
    let own = (ring == shared.parts.domain.ring).then(|| shared.parts.keys.form());
    for (block, digest) in blocks.iter().zip(digests) {
        // It was opened before it came into the index, by whose digest the block was read. One that is sealed with another ring's
        // key is no node here.
        let messages = match &own {
            Some(form) => form.messages_again(block.data()),
            None => Ok(LogNode::messages_again(block.data()).unwrap_or_default()),
        };
        let messages = match messages {
            Ok(messages) if own.is_none() || body_key(&messages).is_none() => messages,
            // It is read when somebody has given the key: then all members find the same in it.
            Ok(_) | Err(FormError::Locked { .. }) => break,
            Err(_) => Vec::new(),
        };
        let place = Node {
            ring,
            author,
            position: next,
            digest,
        };
        for (number, message) in messages.iter().enumerate() {
            found.extend(place.events(shared, all, (number as u64, message))?);
        }
        next += 1;
    }
    if next == log.from {
        return Ok((next, false));
    }
    let read = ((ring, author), log.cursor, next);
    let write = || {
        let now = clock::milliseconds();
        shared.state.heard_messages(&found, read, (put_back, now))
    };
    match tokio::task::block_in_place(write)? {
        true => Ok((next, !found.is_empty())),
        false => Ok((log.from, false)),
    }
}

/// A log node.
struct Node {
    ring: Address,
    author: Address,
    position: u64,
    digest: Digest,
}

impl Node {
    /// The events that a message of it is, for those who listen.
    fn events(
        &self,
        shared: &Processes,
        all: &[(Arc<Listener>, Begun)],
        (number, message): (u64, &Message),
    ) -> Result<Vec<Found>, ProcessError> {
        let own = shared.parts.domain.ring;
        let mut found = Vec::new();
        for (listener, begun) in all {
            let Some(reader) = listener.messages_of(self.ring, own) else {
                continue;
            };
            let first = first_of(begun, (self.ring, self.author));
            if first.is_none_or(|first| self.position < first) {
                continue;
            }
            let data = match reader.read((self.author, self.position), message) {
                Ok(Some(data)) => data,
                Ok(None) => continue,
                Err(reason) => {
                    tracing::debug!(ring = %self.ring, author = %self.author, position = self.position, reason, "a message is no event of a process");
                    continue;
                }
            };
            let source = Source::Message {
                chain: shared.parts.domain.chain_id,
                log: self.author,
                node: node_cid(self.digest),
                place: number,
                position: self.position,
                ring: self.ring,
            };
            match listener.found(data, source, None) {
                Ok(event) => found.push(event),
                Err(error) => {
                    tracing::warn!(ring = %self.ring, author = %self.author, position = self.position, %error, "a message is no event of a process");
                }
            }
        }
        Ok(found)
    }
}

impl Processes {
    /// The logs of a ring that are held, and the newest node of each.
    fn heads_of(&self, ring: Address) -> Result<Vec<(Address, u64)>, ProcessError> {
        if ring == self.parts.domain.ring {
            let tips = self.parts.logs.tips()?.into_iter();
            return Ok(tips.map(|(author, tip)| (author, tip.seq)).collect());
        }
        let heads = self.parts.clients.heads_of(ring, LOGS)?.into_iter();
        Ok(heads.map(|head| (head.author, head.tip.seq)).collect())
    }

    /// A page of a log from a node on, or from the first one behind it that is held: its number, and the digests.
    fn log_page(
        &self,
        (ring, author): (Address, Address),
        from: u64,
    ) -> Result<(u64, Vec<Digest>), ProcessError> {
        if ring != self.parts.domain.ring {
            let place = (ring, author);
            return Ok((from, self.parts.clients.client_nodes(place, from, PAGE)?));
        }
        let logs = &self.parts.logs;
        let digests = logs.nodes(author, from, PAGE)?;
        let first = match digests.first() {
            Some(first) => logs.position(author, *first)?.unwrap_or(from),
            None => from,
        };
        Ok((first, digests))
    }

    /// The first messages that may start a process which is made now, or are events for which it may wait: those behind the
    /// heads of the logs.
    ///
    /// # Errors
    /// [`ApiError::InvalidParams`] when it listens to too many logs, or to results of this ring itself.
    pub(super) fn heads_now(&self, plan: &Plan) -> Result<Begun, ApiError> {
        let own = self.parts.domain.ring;
        let mut begun = Begun::new();
        for (service, event) in plan.events() {
            let reader = match plan.event_reader_of(service, event) {
                Some(EventReader::Message(reader)) => reader,
                Some(EventReader::Result(reader)) if reader.ring == own => {
                    return Err(invalid(format!("event {event} is a result of the ring itself, which would start the process again and again; name another ring")));
                }
                _ => continue,
            };
            let ring = reader.ring().unwrap_or(own);
            let heads = begun.entry(ring).or_default();
            let known = self.heads_of(ring)?.into_iter();
            heads.extend(known.map(|(author, newest)| (author, newest + 1)));
        }
        let logs: usize = begun.values().map(BTreeMap::len).sum();
        match logs > MAX_HEADS {
            true => Err(invalid(format!("the process listens to {logs} logs; at most {MAX_HEADS} are listened to: make a smaller client ring for what starts it"))),
            false => Ok(begun),
        }
    }
}

fn invalid(reason: String) -> ApiError {
    ApiError::InvalidParams { reason }
}
