//! The handle by which the rest of the node speaks to the network task.
//!
//! A [`Network`] can be cloned. Each method puts a command into a bounded queue and, where there is an answer, waits
//! for it. Publishing and asking check sizes first, so that what is too long fails at the caller. Requests to one peer
//! have a bounded number of turns (`Turns`), which the caller takes before the command is sent.
//!
//! What can be read without the task (counters, who is away, the own addresses) is read without it, so status and
//! metrics work even when the task is busy. When the last handle is dropped, the network shuts down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch, OwnedSemaphorePermit, Semaphore};

use crate::counters::Counters;
use crate::reach::Reach;
use crate::{Limits, NetworkError, OwnAddresses, Peer, PeerId, Stats, Unreachable};

type Answer<T> = oneshot::Sender<T>;

/// What the handle asks of the task.
#[derive(Debug)]
pub(crate) enum Command {
    Publish {
        data: Bytes,
        done: Answer<Result<(), NetworkError>>,
    },
    Request {
        peer: PeerId,
        data: Bytes,
        turn: OwnedSemaphorePermit,
        done: Answer<Result<Bytes, NetworkError>>,
    },
    SetPeers {
        peers: Vec<Peer>,
        done: Answer<()>,
    },
    Connected {
        done: Answer<Vec<PeerId>>,
    },
    ListenAddresses {
        done: Answer<Vec<Vec<u8>>>,
    },
    Shutdown {
        done: Answer<()>,
    },
}

/// A handle of the running network; clones speak to the same one. When the last is dropped, the network
/// shuts down.
#[derive(Debug, Clone)]
pub struct Network {
    local: PeerId,
    limits: Arc<Limits>,
    counters: Arc<Counters>,
    reach: Arc<Reach>,
    own_addresses: watch::Receiver<OwnAddresses>,
    turns: Arc<Turns>,
    commands: mpsc::Sender<Command>,
}

/// What a [`Network`] is made from.
pub(crate) struct NetworkParts {
    pub(crate) local: PeerId,
    pub(crate) limits: Limits,
    pub(crate) counters: Arc<Counters>,
    pub(crate) reach: Arc<Reach>,
    pub(crate) own_addresses: watch::Receiver<OwnAddresses>,
    pub(crate) commands: mpsc::Sender<Command>,
}

impl Network {
    pub(crate) fn new(parts: NetworkParts) -> Self {
        let limits = parts.limits;
        Self {
            local: parts.local,
            turns: Arc::new(Turns::new(limits.outbound_requests_per_peer, limits.peers)),
            limits: Arc::new(limits),
            counters: parts.counters,
            reach: parts.reach,
            own_addresses: parts.own_addresses,
            commands: parts.commands,
        }
    }

    /// Our own name.
    pub fn local_id(&self) -> PeerId {
        self.local
    }

    /// The addresses we listen on, as binary multiaddrs without peer id: ports are the real ones, and a
    /// wildcard stands for one address per interface. Empty after the shutdown.
    pub async fn listen_addresses(&self) -> Vec<Vec<u8>> {
        self.ask(|done| Command::ListenAddresses { done })
            .await
            .unwrap_or_default()
    }

    /// What this node knows of its own addresses: the newest, and a way to wait for the next change. It changes when an
    /// interface comes or goes, and when enough peers say at which address they see this node.
    pub fn own_addresses(&self) -> watch::Receiver<OwnAddresses> {
        self.own_addresses.clone()
    }

    /// The peers on the list that are not connected, with since when and why.
    pub fn unreachable(&self) -> Vec<Unreachable> {
        self.reach.unreachable()
    }

    /// Which program a peer has said that it is.
    pub fn program_of(&self, peer: &PeerId) -> Option<String> {
        self.reach.program(peer)
    }

    /// Sets the list of peers that may connect, in place of the one before. Peers that are no longer on it are
    /// disconnected; those that are new are dialed, and dialed again whenever they are not connected. Addresses that
    /// cannot be dialed are passed over; a peer without any has to dial us.
    pub async fn set_peers(&self, peers: Vec<Peer>) {
        if self
            .ask(|done| Command::SetPeers { peers, done })
            .await
            .is_err()
        {
            tracing::debug!("the list of peers came after the shutdown");
        }
    }

    /// Sends a message to all peers that are connected, and through them to the others. `Ok` means that
    /// it is on its way to at least one.
    ///
    /// # Errors
    /// * [`NetworkError::NoPeers`]: nobody is connected. The message is not kept: publish it again on the next
    ///   [`crate::Event::Connected`].
    /// * [`NetworkError::Duplicate`]: the same bytes were published or received within
    ///   [`Limits::gossip_memory`], and peers would not take them again.
    /// * [`NetworkError::Overloaded`]: the queues of all peers are full.
    /// * [`NetworkError::TooLarge`], [`NetworkError::Stopped`].
    pub async fn publish(&self, data: Bytes) -> Result<(), NetworkError> {
        check_size("a gossip message", data.len(), self.limits.gossip_bytes)?;
        self.ask(|done| Command::Publish { data, done }).await?
    }

    /// Asks a connected peer, and waits for the answer. When
    /// [`Limits::outbound_requests_per_peer`] of them are under way, it waits for its turn first.
    ///
    /// # Errors
    /// See [`NetworkError`]: all with a `peer`, [`NetworkError::TooLarge`] and [`NetworkError::Stopped`].
    pub async fn request(&self, peer: &PeerId, data: Bytes) -> Result<Bytes, NetworkError> {
        check_size("a request", data.len(), self.limits.request_bytes)?;
        let peer = *peer;
        let turn = self.turns.take(peer).await?;
        let answer = self.ask(|done| Command::Request {
            peer,
            data,
            turn,
            done,
        });
        // libp2p's own timeout begins only when the stream is negotiated.
        let after = self.limits.request_timeout;
        let in_time = tokio::time::timeout(after, answer).await;
        in_time.map_err(|_| NetworkError::Timeout { peer, after })??
    }

    /// The peers that are connected: those with a [`crate::Event::Connected`] and no
    /// [`crate::Event::Disconnected`] after it. In no particular order; empty after the shutdown.
    pub async fn connected(&self) -> Vec<PeerId> {
        self.ask(|done| Command::Connected { done })
            .await
            .unwrap_or_default()
    }

    /// What was dropped or refused so far.
    pub fn stats(&self) -> Stats {
        self.counters.stats()
    }

    /// Closes all connections and ends the task; returns when that is done. Requests that are under way
    /// fail with [`NetworkError::Stopped`].
    pub async fn shutdown(&self) {
        if self.ask(|done| Command::Shutdown { done }).await.is_err() {
            self.commands.closed().await;
        }
    }

    async fn ask<T>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, NetworkError> {
        let (done, answer) = oneshot::channel();
        let sent = self.commands.send(command(done)).await;
        sent.map_err(|_| NetworkError::Stopped)?;
        answer.await.map_err(|_| NetworkError::Stopped)
    }
}

fn check_size(what: &'static str, size: usize, limit: usize) -> Result<(), NetworkError> {
    if size > limit {
        return Err(NetworkError::TooLarge { what, size, limit });
    }
    Ok(())
}

/// Limits how many requests to one peer wait for an answer. A peer that does not answer delays only requests to itself.
#[derive(Debug)]
struct Turns {
    per_peer: usize,
    peers: usize,
    waiting: Mutex<HashMap<PeerId, Arc<Semaphore>>>,
}

impl Turns {
    fn new(per_peer: usize, peers: usize) -> Self {
        Self {
            per_peer,
            peers,
            waiting: Mutex::default(),
        }
    }

    async fn take(&self, peer: PeerId) -> Result<OwnedSemaphorePermit, NetworkError> {
        let turns = self.of(peer);
        turns
            .acquire_owned()
            .await
            .map_err(|_| NetworkError::Stopped)
    }

    fn of(&self, peer: PeerId) -> Arc<Semaphore> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= self.peers && !waiting.contains_key(&peer) {
            waiting.retain(|_, turns| Arc::strong_count(turns) > 1);
        }
        let turns = waiting.entry(peer);
        Arc::clone(turns.or_insert_with(|| Arc::new(Semaphore::new(self.per_peer))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_are_per_peer_and_forgotten_when_unused() {
        let turns = Turns::new(1, 2);
        let peers: Vec<_> = (0..4).map(|_| PeerId(libp2p::PeerId::random())).collect();
        let held = turns.take(peers[0]).await.unwrap();
        for peer in &peers[1..] {
            drop(turns.take(*peer).await.unwrap());
        }
        assert!(turns.waiting.lock().unwrap().len() <= 3);
        assert_eq!(turns.of(peers[0]).available_permits(), 0);
        drop(held);
        assert_eq!(turns.of(peers[0]).available_permits(), 1);
    }
}
