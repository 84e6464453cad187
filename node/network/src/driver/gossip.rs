//! Gossip: out to the peers, in to the consumer, and its verdicts.
//!
//! A message that comes in is given to the consumer only if there is a place in the queue and room among the messages
//! that wait for a verdict, counted in messages and in bytes. Otherwise it is dropped and counted, and not passed on. A
//! message travels on to other peers only after the consumer's verdict, so what is invalid spreads no further than to
//! the neighbours of whoever sent it.

use bytes::Bytes;
use futures::FutureExt;
use libp2p::gossipsub::{self, MessageAcceptance, MessageId, PublishError};
use libp2p::PeerId as Id;
use tokio::sync::oneshot;

use super::waiting::Judged;
use super::Driver;
use crate::event::GossipShare;
use crate::{Event, NetworkError, PeerId, Verdict};

impl Driver {
    /// Publishes a message to all peers that are subscribed now. It is not kept for those that come later.
    pub(super) fn publish(&mut self, data: Bytes) -> Result<(), NetworkError> {
        let size = data.len();
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        match gossip.publish(self.topic.clone(), data) {
            Ok(_) => Ok(()),
            Err(PublishError::NoPeersSubscribedToTopic) => Err(NetworkError::NoPeers),
            Err(PublishError::Duplicate) => Err(NetworkError::Duplicate {
                within: self.limits.gossip_memory,
            }),
            Err(PublishError::AllQueuesFull(_)) => Err(NetworkError::Overloaded),
            Err(PublishError::MessageTooLarge) => Err(NetworkError::TooLarge {
                what: "a gossip message",
                size,
                limit: self.limits.gossip_bytes,
            }),
            Err(error @ (PublishError::SigningError(_) | PublishError::TransformFailed(_))) => {
                Err(NetworkError::Setup {
                    what: "a gossip message",
                    source: error.into(),
                })
            }
        }
    }

    pub(super) fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            } => self.deliver(propagation_source, message_id, message.data.into()),
            gossipsub::Event::Subscribed { peer_id, topic } if topic == self.topic => {
                self.on_ready(peer_id)
            }
            gossipsub::Event::GossipsubNotSupported { peer_id } => {
                tracing::warn!(peer = %peer_id, "the peer does not speak gossipsub");
            }
            gossipsub::Event::SlowPeer { peer_id, .. } => {
                tracing::debug!(peer = %peer_id, "the peer does not keep up with gossip");
            }
            _ => {}
        }
    }

    fn on_ready(&mut self, peer: Id) {
        if self.links.make_ready(&peer) {
            self.reach.reached(peer);
            tracing::debug!(%peer, "connected");
            self.outbox.notify(Event::Connected(PeerId(peer)));
        }
    }

    /// Gives a message to the consumer, or drops it if the consumer does not keep up.
    fn deliver(&mut self, from: Id, id: MessageId, data: Bytes) {
        if data.len() > self.limits.gossip_bytes {
            return self.on_judged((id, from, MessageAcceptance::Reject));
        }
        if self.offer(from, &id, data).is_none() {
            self.counters.gossip_dropped.add_one();
            tracing::debug!(peer = %from, "dropped a message: the consumer does not keep up");
            self.on_judged((id, from, MessageAcceptance::Ignore));
        }
    }

    fn offer(&mut self, from: Id, id: &MessageId, data: Bytes) -> Option<()> {
        if self.verdicts.len() >= self.limits.verdicts {
            return None;
        }
        let held = GossipShare::take(&self.held, data.len(), self.limits.verdict_bytes)?;
        let place = self.outbox.place()?;
        let (decision, decided) = oneshot::channel();
        place.send(Event::Gossip {
            from: PeerId(from),
            data,
            verdict: Verdict { decision, held },
        });
        let id = id.clone();
        let judging = async move {
            // A dropped verdict ignores the message.
            (id, from, decided.await.unwrap_or(MessageAcceptance::Ignore))
        };
        self.verdicts.push(judging.boxed());
        Some(())
    }

    pub(super) fn on_judged(&mut self, (id, from, acceptance): Judged) {
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        if !gossip.report_message_validation_result(&id, &from, acceptance) {
            tracing::debug!(peer = %from, "a verdict came too late");
        }
    }
}
