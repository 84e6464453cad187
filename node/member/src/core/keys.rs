//! The keys of a private ring: who makes one, and asking for one that is not held.
//!
//! Every epoch has a key of its own. When an epoch begins, one member makes it and writes that into its log, the first node
//! under the new key; the others see a node that they cannot open, and ask whoever sent it for the key. So that not everybody
//! makes one, the members have their turns in the order of their accounts, each a moment after the one before. Until
//! there is a key, nothing is written; what waits is written then.
//!
//! A key is asked for by the name that stands outside on each node. Who is asked gives it to members that it has approved, and
//! to nobody else ([`RingKeys`](crate::ring_keys::RingKeys)).

use super::{
    ask::ask,
    input::{report, Input},
    Core, CoreError,
};
use crate::ring_keys::KeyError;
use rings_network::PeerId;
use rings_protocol::{
    log::LogNode,
    private::Rotation,
    wire::{Response, WireRequest},
    Digest,
};
use std::time::{Duration, Instant};

/// How long each member has to make the key of an epoch before the next one does.
const TURN: Duration = Duration::from_millis(500);
/// Members whose turns are waited for, so that some that are away hold nobody up for long.
const MAX_TURNS: usize = 8;

impl Core {
    /// Whether nothing can be written because there is no key of this epoch here.
    pub(super) fn lacks_key(&self) -> bool {
        !self.parts.keys.may_write(self.parts.member.epoch())
    }

    /// When it is this member's turn to make a key.
    pub(super) fn key_due(&self) -> Option<Instant> {
        let (_, due) = self.keys.turn?;
        (self.lacks_key() && !self.was_behind).then_some(due)
    }

    /// Makes the key of this epoch, if there is none and it is this member's turn.
    pub(super) fn make_key_if_due(&mut self) -> Result<(), CoreError> {
        let epoch = self.parts.member.epoch();
        let is_member = self.parts.member.is_member(self.me);
        if !self.lacks_key() || self.was_behind || !is_member || self.recovery.is_some() {
            self.keys.turn = None;
            return Ok(());
        }
        let now = Instant::now();
        let due = match self.keys.turn {
            Some((of, due)) if of == epoch => due,
            _ => {
                let members = self.parts.member.members().iter();
                let before = members.filter(|member| **member < self.me);
                let before = before.filter(|member| self.parts.keys.is_reader(**member));
                // The first one waits too, so that a member that has just started hears of a key that there is.
                let place = before.count().min(MAX_TURNS) as u32 + 1;
                let due = now + TURN.saturating_mul(place);
                self.keys.turn = Some((epoch, due));
                due
            }
        };
        match due <= now {
            true => self.make_key(epoch),
            false => Ok(()),
        }
    }

    fn make_key(&mut self, epoch: u64) -> Result<(), CoreError> {
        let members = self.parts.shared.public_keys();
        let keys = &self.parts.keys;
        let made = tokio::task::block_in_place(|| keys.rotate(epoch, &members));
        let (rotation, block) = match made {
            Ok(made) => made,
            Err(KeyError::State(error)) => return Err(error.into()),
            Err(error) => {
                let cause = &error as &dyn std::error::Error;
                tracing::error!(error = cause, epoch, "no key can be made for this epoch");
                self.keys.turn = Some((epoch, Instant::now() + TURN));
                return Ok(());
            }
        };
        tracing::info!(epoch, key = %rotation.read, "made the key with which the ring seals its logs from now on");
        // The node that says so is the first one under the key, and the block of wrapped keys is stored with it.
        self.ring.blocks.push(block);
        let messages = &mut self.ring.waiting.messages;
        messages.push_front(rotation.to_message());
        Ok(())
    }

    /// Hears which keys a node announces.
    pub(super) fn hear_of_keys(&self, node: &LogNode) {
        if !self.parts.keys.is_private() {
            return;
        }
        for message in &node.content().body {
            if let Ok(Some(rotation)) = Rotation::from_message(message) {
                self.parts.keys.announced(node.author(), &rotation);
            }
        }
    }

    /// A peer sent a node that cannot be opened: it is asked for the key.
    pub(super) fn ask_key(&mut self, peer: PeerId, name: Digest) {
        if !self.keys.asks(name, Instant::now()) {
            return;
        }
        self.parts.shared.locked_out(Some(name));
        if !self.parts.keys.is_private() {
            return;
        }
        let (network, outbox) = (self.parts.network.clone(), self.parts.outbox.clone());
        tokio::spawn(async move {
            let answer = ask(&network, &peer, &WireRequest::Key { name }).await;
            let wrapped = match answer {
                Ok(Response::Key(Some(wrapped))) => wrapped.into_vec(),
                Ok(_) => {
                    tracing::debug!(%peer, key = %name, "a member does not give this one the key");
                    return;
                }
                Err(error) => {
                    let cause = &error as &dyn std::error::Error;
                    tracing::debug!(%peer, error = cause, "a member cannot be asked for a key");
                    return;
                }
            };
            let input = Input::Key {
                peer,
                name,
                wrapped,
            };
            report(&outbox, input).await;
        });
    }

    /// A member gave a key: what it seals is asked for again.
    pub(super) fn on_key(
        &mut self,
        peer: PeerId,
        name: Digest,
        wrapped: &[u8],
    ) -> Result<(), CoreError> {
        let keys = &self.parts.keys;
        match tokio::task::block_in_place(|| keys.take(name, wrapped)) {
            Ok(()) => {
                tracing::info!(%peer, key = %name, "got a key of the ring");
                self.parts.shared.locked_out(None);
                self.claims.begin_again();
                self.ask_heads(peer);
                Ok(())
            }
            Err(KeyError::State(error)) => Err(error.into()),
            Err(error) => {
                let cause = &error as &dyn std::error::Error;
                tracing::warn!(%peer, error = cause, "a member gave something else than the key");
                Ok(())
            }
        }
    }
}
