//! Requesting the nodes that are missing of an author's log.
//!
//! [`Claims`](super::claims::Claims) says whom to ask next. Each request is a task with a deadline, which reports to the
//! inbox. When one takes longer than a moment, the next member is asked beside it ([`Core::ask_beside_late`]); when one
//! fails, the next is asked at once. Of a long log, several members are asked for a part each
//! ([`Ahead`](super::ahead::Ahead)). A member that said that it has nodes and does not give them in time is named in
//! status, and from then on it is asked last.

use super::{
    ahead::positions,
    ask::ask_range,
    input::{report, Delivery, Input, Nothing},
    Core, CoreError,
};
use rings_network::PeerId;
use rings_protocol::Address;
use std::{sync::Arc, time::Instant};

impl Core {
    /// Asks somebody for the nodes that come next in an author's log, if there is anybody to ask.
    pub(super) fn ask_nodes(&mut self, author: Address) {
        if self.is_full() || self.quotas.waits(author, Instant::now()) || self.is_to_begin(author) {
            return;
        }
        let (own, from) = (self.parts.shared.peer_of(author), self.next_seq(author));
        if let Some(peer) = self.claims.next(author, own, from, Instant::now()) {
            self.request_range(peer, author, from, Input::Nodes);
        }
        for from in positions(from) {
            if !self.ahead.wants(author, from) {
                continue;
            }
            if let Some(peer) = self.claims.next_ahead(author, own, from, Instant::now()) {
                self.request_range(peer, author, from, Input::Nodes);
            }
        }
    }

    /// Asks `peer` for nodes of `author` from a position on. How that ended comes to the inbox as the `input` it is for.
    pub(super) fn request_range(
        &self,
        peer: PeerId,
        author: Address,
        from: u64,
        input: fn(Delivery) -> Input,
    ) {
        let (network, outbox) = (self.parts.network.clone(), self.parts.outbox.clone());
        let form = self.parts.keys.form();
        let opening = Arc::clone(&self.opening);
        tokio::spawn(async move {
            let delivery = Delivery {
                peer,
                author,
                from,
                nodes: ask_range(network, (form, opening), peer, (author, from)).await,
            };
            report(&outbox, input(delivery)).await;
        });
    }

    /// Asks others beside those who have not answered for a moment.
    pub(super) fn ask_beside_late(&mut self) {
        for author in self.claims.late(Instant::now()) {
            self.ask_nodes(author);
        }
    }

    /// A range of nodes came, or a member gave none.
    pub(super) fn on_nodes(&mut self, delivery: Delivery) -> Result<(), CoreError> {
        let Delivery {
            peer,
            author,
            from,
            nodes,
        } = delivery;
        // First the request is ended, whatever came: otherwise this log would seem to be under way for ever.
        self.claims.ended(author, peer, from);
        let locked = nodes.as_ref().ok().and_then(|range| range.locked);
        if let Some(name) = locked {
            self.ask_key(peer, name);
        }
        match nodes {
            // It has given what it has; another one may give the key too.
            Ok(range) if range.nodes.is_empty() && locked.is_some() => {
                self.claims.refused(author, peer);
            }
            Ok(range) if from > self.next_seq(author) => {
                if !self.ahead.keep(author, from, peer, range.nodes) {
                    self.blame(author, peer, from);
                }
            }
            Ok(range) => {
                let (before, is_good) = (self.next_seq(author), range.is_good);
                self.receive_range(peer, range.nodes)?;
                if self.next_seq(author) > before {
                    self.claims.advanced(author);
                    self.ask_heads(peer);
                // Nothing came that brings the log on. The peer is to blame if it sent bytes that are not this log, or if
                // it gave nothing although the position has not moved meanwhile and this member could have taken nodes.
                } else if !is_good
                    || (before == from
                        && !self.is_full()
                        && !self.quotas.waits(author, Instant::now()))
                {
                    self.blame(author, peer, from);
                }
            }
            Err(Nothing::Refused) => self.claims.refused(author, peer),
            Err(Nothing::Failed) => self.blame(author, peer, from),
        }
        self.take_ahead(author)?;
        self.ask_nodes(author);
        Ok(())
    }

    /// Takes in the ranges that came before their time, as far as their time has come.
    fn take_ahead(&mut self, author: Address) -> Result<(), CoreError> {
        loop {
            let before = self.next_seq(author);
            let Some((from, peer, nodes)) = self.ahead.take(author, before) else {
                return Ok(());
            };
            let is_news = from.saturating_add(nodes.len() as u64) > before;
            self.receive_range(peer, nodes)?;
            if self.next_seq(author) > before {
                self.claims.advanced(author);
            } else if is_news && !self.is_full() && !self.quotas.waits(author, Instant::now()) {
                // They do not link to what others gave.
                self.blame(author, peer, from);
            }
        }
    }

    /// Counts that a peer did not deliver nodes that it had claimed to hold, or had signed itself.
    fn blame(&mut self, author: Address, peer: PeerId, from: u64) {
        let own = self.parts.shared.peer_of(author);
        let Some(times) = self.claims.failed(author, own, peer, from) else {
            return;
        };
        let member = self.parts.shared.stalled(peer);
        tracing::warn!(
            member = member.map(tracing::field::display), %peer, %author, times,
            "a member did not deliver the log nodes that it should have; others are asked before it"
        );
    }
}
