//! The task that owns the swarm.
//!
//! One loop waits for commands, for events of the swarm, for verdicts and answers of the consumer, and for timers. No
//! handler awaits anything, so neither a slow peer nor a slow consumer can hold up the others.
//!
//! The [`Driver`] joins parts that have no I/O and can be tested alone: `Dialer` (whom to dial), `Links` (what
//! connections mean), `Liveness` (who does not answer), `Inbox` (each peer's share of requests), `Outbox` (the queue of
//! events), `Seen` (our own addresses) and `Reach` (who is away). Its files: `peers`, `gossip`, `requests`, `addresses`
//! handle one kind of event each; `waiting` has the futures that the loop polls.

mod addresses;
mod gossip;
mod peers;
mod requests;
mod waiting;

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::FuturesUnordered;
use futures::StreamExt;
use libp2p::core::transport::ListenerId;
use libp2p::gossipsub::TopicHash;
use libp2p::request_response::{InboundRequestId, OutboundRequestId};
use libp2p::swarm::SwarmEvent;
use libp2p::Swarm;
use tokio::sync::{mpsc, watch};
use tokio::time::{interval_at, sleep_until, timeout, MissedTickBehavior};

use self::waiting::{Answering, Asked, Judging};
use crate::behaviour::{Behaviour, BehaviourEvent};
use crate::counters::Counters;
use crate::dialer::Dialer;
use crate::event::tell;
use crate::handle::Command;
use crate::inbox::Inbox;
use crate::links::Links;
use crate::liveness::Liveness;
use crate::outbox::Outbox;
use crate::reach::Reach;
use crate::seen::Seen;
use crate::{Event, Limits, OwnAddresses, PeerId, PeerRequest, Version};

/// Two peers may dial each other at once; the later of the two dials ends within its timeout plus this margin.
const SIMULTANEOUS_SLACK: Duration = Duration::from_secs(1);

/// What a [`Driver`] is made from.
pub(crate) struct DriverParts {
    pub(crate) swarm: Swarm<Behaviour>,
    pub(crate) listeners: Vec<ListenerId>,
    pub(crate) topic: TopicHash,
    pub(crate) version: Version,
    pub(crate) limits: Limits,
    pub(crate) counters: Arc<Counters>,
    pub(crate) reach: Arc<Reach>,
    pub(crate) own: watch::Sender<OwnAddresses>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) requests: mpsc::Sender<PeerRequest>,
}

/// The network task.
pub(crate) struct Driver {
    swarm: Swarm<Behaviour>,
    listeners: Vec<ListenerId>,
    topic: TopicHash,
    version: Version,
    limits: Limits,
    counters: Arc<Counters>,
    /// Who cannot be reached, and why.
    reach: Arc<Reach>,
    /// Where peers see us.
    seen: Seen,
    /// Our own addresses, for everybody who reads them.
    own: watch::Sender<OwnAddresses>,
    commands: mpsc::Receiver<Command>,
    /// Events on their way to the consumer.
    outbox: Outbox,
    /// Peers' requests on their way to the consumer. When it is full, they are refused.
    requests: mpsc::Sender<PeerRequest>,
    /// Whom to dial, and when.
    dialer: Dialer,
    /// Which connections there are.
    links: Links,
    /// Who was asked whether it is there.
    liveness: Liveness<OutboundRequestId>,
    /// Peers' requests that wait for our answer.
    inbox: Inbox<InboundRequestId>,
    /// Answers of the consumer on their way to peers.
    answers: FuturesUnordered<Answering>,
    /// Our requests that wait for a peer's answer.
    asked: HashMap<OutboundRequestId, Asked>,
    /// Gossip that waits for the consumer's verdict, and its bytes.
    verdicts: FuturesUnordered<Judging>,
    /// Bytes of gossip that waits for a verdict.
    held: Arc<AtomicUsize>,
}

impl Driver {
    pub(crate) fn new(parts: DriverParts) -> Self {
        let limits = parts.limits;
        Self {
            dialer: Dialer::new(*parts.swarm.local_peer_id(), &limits),
            swarm: parts.swarm,
            listeners: parts.listeners,
            topic: parts.topic,
            version: parts.version,
            counters: parts.counters,
            reach: parts.reach,
            seen: Seen::default(),
            own: parts.own,
            commands: parts.commands,
            outbox: Outbox::new(parts.events),
            requests: parts.requests,
            links: Links::new(limits.dial_timeout + SIMULTANEOUS_SLACK),
            liveness: Liveness::new(limits.liveness_timeout),
            inbox: Inbox::new(limits.inbound_requests_per_peer),
            answers: FuturesUnordered::new(),
            asked: HashMap::new(),
            verdicts: FuturesUnordered::new(),
            held: Arc::default(),
            limits,
        }
    }

    pub(crate) async fn run(mut self) {
        self.tell_own_addresses();
        let period = self.limits.liveness_interval;
        let mut upkeep = interval_at(tokio::time::Instant::now() + period, period);
        upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = loop {
            // The queue of events to the consumer is polled beside all others, so a consumer that does not read stops
            // nothing.
            let due = earlier(self.dialer.next_due(), self.liveness.next_due());
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::Shutdown { done }) => break Some(done),
                    Some(command) => self.obey(command),
                    None => break None,
                },
                event = self.swarm.select_next_some() => self.on_swarm(event),
                Some(judged) = self.verdicts.next(), if !self.verdicts.is_empty() => self.on_judged(judged),
                Some(answered) = self.answers.next(), if !self.answers.is_empty() => self.on_answered(answered),
                () = at(due), if due.is_some() => self.on_due(),
                _ = upkeep.tick() => self.upkeep(),
                () = self.outbox.deliver(), if self.outbox.is_waiting() => {}
            }
        };
        self.close().await;
        // The sockets are closed before the caller is told.
        drop(self);
        if let Some(done) = stop {
            tell(done, ());
        }
    }

    /// Does what the consumer's handle asks. Each command has its own channel for the answer.
    fn obey(&mut self, command: Command) {
        match command {
            Command::Publish { data, done } => tell(done, self.publish(data)),
            Command::Request {
                peer,
                data,
                turn,
                done,
            } => self.ask(peer, data, Asked::new(turn, done)),
            Command::SetPeers { peers, done } => {
                self.set_peers(peers);
                tell(done, ());
            }
            Command::Connected { done } => tell(done, self.links.ready().map(PeerId).collect()),
            Command::ListenAddresses { done } => {
                tell(
                    done,
                    self.swarm
                        .listeners()
                        .map(|address| address.to_vec())
                        .collect(),
                );
            }
            // `run` handles this command itself and never passes it on.
            Command::Shutdown { done } => tell(done, ()),
        }
    }

    /// Gives an event of libp2p to the file of its subject.
    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            } => self.on_opened(peer_id, connection_id, endpoint.is_listener()),
            SwarmEvent::ConnectionClosed {
                peer_id,
                connection_id,
                cause,
                ..
            } => self.on_closed(peer_id, connection_id, cause),
            SwarmEvent::OutgoingConnectionError {
                peer_id: Some(peer),
                error,
                ..
            } => self.on_dial_failed(peer, &error),
            SwarmEvent::IncomingConnectionError { peer_id, error, .. } => {
                self.on_incoming_failed(peer_id, &error);
            }
            SwarmEvent::NewListenAddr { .. } | SwarmEvent::ExpiredListenAddr { .. } => {
                self.tell_own_addresses();
            }
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "a listener failed to accept")
            }
            SwarmEvent::ListenerClosed {
                addresses, reason, ..
            } => tracing::error!(?addresses, ?reason, "a listener has closed"),
            _ => {}
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Gossip(event) => self.on_gossip(event),
            BehaviourEvent::Requests(event) => self.on_request(event),
            BehaviourEvent::Alive(event) => self.on_alive(event),
            BehaviourEvent::Identify(event) => self.on_identify(event),
            BehaviourEvent::Door(never)
            | BehaviourEvent::Allowed(never)
            | BehaviourEvent::Limits(never) => match never {},
        }
    }

    /// Closes all connections in order, so that peers learn of it at once.
    async fn close(&mut self) {
        for listener in std::mem::take(&mut self.listeners) {
            self.swarm.remove_listener(listener);
        }
        for peer in self.links.open() {
            if self.swarm.disconnect_peer_id(peer).is_err() {
                tracing::trace!(%peer, "already disconnected");
            }
        }
        let swarm = &mut self.swarm;
        let closed = async {
            while swarm.connected_peers().next().is_some() {
                swarm.select_next_some().await;
            }
        };
        if timeout(self.limits.shutdown_grace, closed).await.is_err() {
            tracing::debug!("some connections did not close in time");
        }
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}

/// Waits until `due`; for ever if there is no deadline.
async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
