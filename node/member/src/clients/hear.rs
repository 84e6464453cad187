//! Reads the logs of the ring's members, the own one too, for what they say about actions of avatars.
//!
//! What another member took in is taken in here too: the action, and the log nodes behind it, which are fetched from
//! that member. The own log is read for what was written there before a crash and is not in the index. How far each log
//! was read is on disk; what was read twice changes nothing.
//!
//! [`hear`] is a part of the running member. It runs when nodes of other logs are on disk, and once a minute without a
//! reason. What another member writes is believed only as far as it can be checked: the action carries its avatar's
//! signature, and that an action has ended is looked up on the chain. A malformed message is named in the log and
//! passed over, so that one member cannot stop the reading.

use super::{
    keeper::Clients,
    refusal::{of_chain, of_state},
};
use crate::state::{Flush, StateError};
use futures::{stream, StreamExt, TryStreamExt};
use rings_api::ApiError;
use rings_protocol::{
    cids::{digest_of, node_cid},
    crypto::Signature,
    flush::{
        ActionError, CompoundAction, FlushMessage, HeldLogs, KeyShare, Plan, Signed,
        MAX_OFFERED_NODES,
    },
    log::LogNode,
    message::Message,
    Address, Digest,
};
use rings_store::BlockSource;
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Nodes of a log that are read at once.
const PAGE: usize = 256;
/// Nodes after which the place in a log is written down although they said nothing about actions.
const REMEMBER_AFTER: u64 = 256;
/// Actions of different avatars that are taken in at once.
const LEARNED_AT_ONCE: usize = 16;
/// When it is read again without a reason.
const IDLE: Duration = Duration::from_secs(60);

/// Reads the members' logs until `stop`.
///
/// # Errors
/// [`StateError`] when the database cannot be used and waiting does not help.
pub async fn hear(clients: Arc<Clients>, stop: CancellationToken) -> Result<(), StateError> {
    let mut places = BTreeMap::new();
    while !stop.is_cancelled() {
        let pause = match read_all(&clients, &mut places).await {
            Ok(()) => IDLE,
            Err(error) => {
                let cause = rings_api::with_causes(&error);
                tracing::warn!(
                    cause,
                    "members' logs cannot be read for actions now; trying again"
                );
                clients.parts.turn
            }
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = clients.parts.heard.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    Ok(())
}

/// How far a log was read, and how far the disk knows of.
#[derive(Debug, Clone, Copy)]
struct Read {
    next: u64,
    written: u64,
}

async fn read_all(clients: &Clients, places: &mut BTreeMap<Address, Read>) -> Result<(), ApiError> {
    for (author, tip) in clients.parts.logs.tips().map_err(of_state)? {
        let mut read = match places.get(&author) {
            Some(read) => *read,
            None => {
                let read = clients.state.cursor(author).map_err(of_state)?;
                // Actions in nodes before that are done, or the members that hold them do them.
                let next = read.max(clients.parts.logs.held_from(author).map_err(of_state)?);
                Read {
                    next,
                    written: next,
                }
            }
        };
        while read.next <= tip.seq {
            let (count, has_news) = read_page(clients, author, read.next).await?;
            if count == 0 {
                break;
            }
            read.next += count;
            if has_news || read.next - read.written >= REMEMBER_AFTER {
                let written = || clients.state.read_up_to(author, read.next);
                tokio::task::block_in_place(written).map_err(of_state)?;
                read.written = read.next;
            }
            places.insert(author, read);
        }
    }
    Ok(())
}

/// Reads the nodes of a log from a position on. Returns how many, and whether one of them said something.
async fn read_page(clients: &Clients, author: Address, from: u64) -> Result<(u64, bool), ApiError> {
    let parts = &clients.parts;
    let digests = parts.logs.nodes(author, from, PAGE).map_err(of_state)?;
    let cids: Vec<_> = digests.into_iter().map(node_cid).collect();
    let unreadable = |error| ApiError::internal("a log node cannot be read", error);
    let blocks = parts.blocks.blocks(&cids).await.map_err(unreadable)?;
    let (form, mut words) = (parts.keys.form(), Words::default());
    for block in &blocks {
        // It was opened before it came into the index, by whose digest the block was read.
        let messages = form.messages_again(block.data());
        let messages =
            messages.map_err(|error| ApiError::internal("a log node cannot be read", error))?;
        for message in &messages {
            words.add(clients, author, message).await?;
        }
    }
    let has_news = words.any;
    words.take(clients, author).await?;
    Ok((blocks.len() as u64, has_news))
}

/// What a page of a log says about client rings.
#[derive(Default)]
struct Words {
    /// Whether it says anything about them.
    any: bool,
    /// Actions that were taken in, by ring and avatar, in their order.
    received: BTreeMap<(Address, Address), Vec<Signed>>,
    /// Actions that have ended.
    ended: Vec<Digest>,
}

impl Words {
    /// Adds a message, if it is about client rings. A key is taken at once: actions may need it.
    async fn add(
        &mut self,
        clients: &Clients,
        author: Address,
        message: &Message,
    ) -> Result<(), ApiError> {
        let (flush, share) = (
            FlushMessage::from_message(message),
            KeyShare::from_message(message),
        );
        self.any |= !matches!((&flush, &share), (Ok(None), Ok(None)));
        match (flush, share) {
            (Ok(None), Ok(None)) => {}
            (Err(error), _) | (_, Err(error)) => {
                let cause = rings_api::with_causes(&error);
                tracing::warn!(member = %author, cause, "a message about a client ring is malformed");
            }
            (_, Ok(Some(share))) => clients.take_key(author, &share).await?,
            (Ok(Some(FlushMessage::Ended { msg_hash, .. })), _) => self.ended.push(msg_hash),
            (
                Ok(Some(FlushMessage::Received {
                    ring,
                    mtx,
                    signature,
                })),
                _,
            ) => match read_action(clients, ring, &mtx, &signature) {
                Ok(signed) => {
                    let place = (ring, signed.action().avatar);
                    self.received.entry(place).or_default().push(signed);
                }
                Err(error) => {
                    tracing::warn!(member = %author, %error, "a member took in an action that is not valid");
                }
            },
        }
        Ok(())
    }

    /// Takes all of it in: actions of different avatars at once, because each asks the chain and waits for the disk.
    async fn take(self, clients: &Clients, author: Address) -> Result<(), ApiError> {
        let learned = self
            .received
            .into_iter()
            .map(|(place, actions)| async move {
                for signed in actions {
                    learn(clients, (author, place.0), &signed).await?;
                }
                Ok::<_, ApiError>(())
            });
        let learned = stream::iter(learned).buffer_unordered(LEARNED_AT_ONCE);
        learned.try_collect::<()>().await?;
        for msg_hash in self.ended {
            // What another member says is checked with the chain.
            if clients.state.flush(msg_hash).map_err(of_state)?.is_some() {
                clients.begin(msg_hash).await;
            }
        }
        Ok(())
    }
}

/// The action that a message holds, with its avatar's signature checked.
fn read_action(
    clients: &Clients,
    ring: Address,
    mtx: &[u8],
    signature: &Signature,
) -> Result<Signed, ActionError> {
    let avatar = CompoundAction::from_abi(mtx)?.avatar;
    Signed::read(&clients.domain(ring), avatar, mtx, &signature.to_bytes())
}

/// Takes in an action that stands in a member's log.
async fn learn(
    clients: &Clients,
    (author, ring): (Address, Address),
    signed: &Signed,
) -> Result<(), ApiError> {
    let (msg_hash, avatar) = (signed.msg_hash(), signed.action().avatar);
    let _turn = clients.locks.wait((ring, avatar)).await;
    if clients.state.flush(msg_hash).map_err(of_state)?.is_some() {
        return Ok(());
    }
    match clients.keeps(ring).await {
        Ok(()) => {}
        Err(ApiError::NotFollowed { .. }) if clients.hands_over(ring, signed).await? => {}
        Err(ApiError::NotFollowed { .. }) => return Ok(()),
        Err(error) => return Err(error),
    }
    let plan = follow(clients, ring, signed).await;
    clients.store_blocks(&plan).await?;
    let head = clients.parts.chain.block_number().await.map_err(of_chain)?;
    let since = since(clients, ring, signed, head).await?;
    let (mtx, is_mine) = (signed.action().to_abi(), author == clients.me);
    let flush = Flush::received((ring, avatar), &mtx, *signed.signature(), since, is_mine);
    clients.index(ring, &plan, Some((msg_hash, &flush)))?;
    clients.begin(msg_hash).await;
    Ok(())
}

/// From which block on the action's transaction is looked for: the newest one, while its nonce is not used. If it is used
/// already, the whole chain is looked through.
async fn since(
    clients: &Clients,
    ring: Address,
    signed: &Signed,
    head: u64,
) -> Result<u64, ApiError> {
    let action = signed.action();
    let on_chain = clients.parts.chain.avatar(ring, action.avatar).await;
    let on_chain = on_chain.map_err(of_chain)?;
    match on_chain.nonce > action.nonce.saturating_u64() {
        true => Ok(0),
        false => Ok(head.min(on_chain.block.number)),
    }
}

/// Fetches the nodes behind an action. What cannot be fetched is sent by its author later: it is told what is missing.
async fn follow(clients: &Clients, ring: Address, signed: &Signed) -> Plan {
    let avatar = signed.action().avatar;
    let found = async {
        let nodes = fetch(clients, ring, signed.action().new_head).await?;
        let plan = clients.plan(ring, avatar, nodes).await?;
        clients.has_space(ring, &plan).map(|()| plan)
    };
    found.await.unwrap_or_else(|error| {
        let cause = rings_api::with_causes(&error);
        tracing::warn!(%avatar, %ring, cause, "the log nodes behind an action cannot be taken in");
        Plan::default()
    })
}

/// The nodes from a head back to those that are held, and those that they refer to.
async fn fetch(clients: &Clients, ring: Address, head: Digest) -> Result<Vec<LogNode>, ApiError> {
    let held = clients.state.held(ring);
    let opener = clients.opener(ring)?;
    let (mut wanted, mut seen, mut nodes) = (vec![head], HashSet::new(), Vec::new());
    while let Some(digest) = wanted.pop() {
        let is_new = seen.insert(digest) && held.place_of(digest).map_err(of_state)?.is_none();
        if !is_new || nodes.len() >= MAX_OFFERED_NODES {
            continue;
        }
        let missing = |error| ApiError::internal("a log node cannot be fetched", error);
        let blocks = clients.parts.blocks.blocks(&[node_cid(digest)]).await;
        for block in blocks.map_err(missing)? {
            let node = opener.open(block.data())?;
            let content = node.content();
            let links = content.refs.iter().chain(&content.prev);
            wanted.extend(links.filter_map(|link| digest_of(link).ok()));
            nodes.push(node);
        }
    }
    Ok(nodes)
}
