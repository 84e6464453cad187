//! Takes in pages of chain events and reorganisations. Members act on the chain head, so what a reorganisation undoes
//! is undone here too.
//!
//! A page goes into the state database in one transaction with its cursor (`MemberState::page`), which returns signals:
//! gates that became ready, that have a result, or that can never get one. These start and stop work in `gates`. A rewind
//! takes records back, reads the membership again, and starts again with the gates that changed. While the member is far
//! behind the head, it only stores, and resumes work when it has caught up. An update that the disk cannot take is held
//! and tried again; the watcher waits for it.

use super::{Core, CoreError};
use crate::state::{GateFact, Said};
use rings_chain::{ChainEvent, Cursor, Located, Update};
use rings_protocol::{
    circuit::{GateEvent, Signal},
    Address,
};
use std::time::Instant;
use tokio::sync::oneshot;

/// A member that is more than this many blocks behind the head is catching up. Others may have done the work that it reads
/// about, so it starts nothing before it has read all of it.
const CATCHING_UP: u64 = 64;

impl Core {
    /// Takes in an update of the chain. If the disk cannot be written now, it is tried again in a moment, and nothing
    /// more of the chain is read before.
    pub(super) fn on_chain(
        &mut self,
        update: Update,
        taken: oneshot::Sender<()>,
    ) -> Result<(), CoreError> {
        match self.take_update(&update) {
            Err(error) if error.is_transient() => {
                self.pause(&error);
                self.held = Some((update, taken));
                Ok(())
            }
            Err(error) => Err(error),
            Ok(()) => {
                if taken.send(()).is_err() {
                    tracing::debug!("the chain is not followed any more");
                }
                Ok(())
            }
        }
    }

    /// Takes in the update again that could not be written before.
    pub(super) fn on_held(&mut self) -> Result<(), CoreError> {
        match self.held.take() {
            Some((update, taken)) => self.on_chain(update, taken),
            None => Ok(()),
        }
    }

    fn take_update(&mut self, update: &Update) -> Result<(), CoreError> {
        match update {
            Update::Page {
                events,
                cursor,
                head,
            } => self.on_page(events, *cursor, *head),
            Update::Rewind { to } => self.on_rewind(*to),
        }
    }

    /// Takes a page of events. First the page and the cursor that ends it are on disk in one transaction; only then it
    /// has effects in memory. So after a crash the page is either there with all it caused, or it comes again.
    fn on_page(&mut self, events: &[Located], cursor: Cursor, head: u64) -> Result<(), CoreError> {
        let facts: Vec<_> = events.iter().filter_map(fact).collect();
        let nodes = Self::ring_node_facts(events);
        let accepts = |account| self.accepts(account);
        let signals = tokio::task::block_in_place(|| {
            self.parts.state.page(&facts, &nodes, cursor, &accepts)
        })?;
        self.parts.shared.at_block(cursor.number, head);
        let is_behind = cursor.number.saturating_add(CATCHING_UP) < head;
        // While far behind, no work is begun: others may have done it since. What is open is taken up at the end, below.
        self.was_behind |= is_behind;
        for located in events {
            self.tell_event(&located.event);
            self.on_event(&located.event, located.block.number);
        }
        for signal in signals {
            self.on_signal(signal)?;
        }
        self.after_page()?;
        if self.was_behind && !is_behind {
            tracing::info!(block = cursor.number, "caught up with the chain");
            self.was_behind = false;
            self.read_membership(cursor.number, 0);
            self.resume()?;
            self.resume_requests();
            self.claim_forks()?;
        }
        Ok(())
    }

    fn on_signal(&mut self, signal: Signal) -> Result<(), CoreError> {
        match signal {
            Signal::Ready(gate) | Signal::Requested(gate) | Signal::FloodgateOpened(gate) => {
                self.open_gate_at_head(gate)
            }
            Signal::Resolved(gate) => self.close_gate(gate),
            Signal::Doomed(gate) => {
                self.parts.member.forget(gate);
                Ok(())
            }
            // The chain's watcher follows upstream gates by itself.
            Signal::Follow(_) => Ok(()),
        }
    }

    fn on_event(&mut self, event: &ChainEvent, block: u64) {
        match event {
            ChainEvent::Entered { member, epoch } | ChainEvent::Exited { member, epoch } => {
                tracing::info!(%member, epoch, "the membership changed on chain");
                // While catching up it would be read again and again, so it is read once, when the head is reached.
                if !self.was_behind {
                    self.read_membership(block, *epoch);
                }
            }
            ChainEvent::Announced {
                member,
                public_key,
                multiaddress,
            } => {
                if *member == self.me && !self.was_behind {
                    self.look_for_twin(multiaddress);
                }
                self.parts
                    .shared
                    .announced(*member, public_key, multiaddress.clone());
                self.refresh_peers();
            }
            ChainEvent::HeadMoved { member, head } => self.on_head_moved(*member, *head, block),
            ChainEvent::ForkProven { member, seq } => {
                tracing::warn!(%member, seq, "a fork of this member's log is proven on chain");
            }
            _ => {}
        }
    }

    /// Takes back what a reorganisation undid: first on disk, then in memory. Afterwards everything that was read from
    /// the chain at one block is read again: membership, announcement, and what became of proofs of forks.
    fn on_rewind(&mut self, to: Option<Cursor>) -> Result<(), CoreError> {
        let block = to.map_or(0, |cursor| cursor.number);
        tracing::warn!(block, "the chain was reorganised");
        let changed = tokio::task::block_in_place(|| self.parts.state.rewind(to))?;
        self.gates_rewound(&changed, block);
        self.ring_log_rewound(block)?;
        self.claim_forks()?;
        self.read_membership(block, 0);
        self.parts.announce.notify_one();
        for gate in changed {
            self.parts.member.forget(gate);
            self.open_gate_at_head(gate)?;
        }
        Ok(())
    }

    /// Starts work on a gate. While this member is catching up, it does nothing: the gate is found later by `resume`.
    fn open_gate_at_head(&mut self, gate: Address) -> Result<(), CoreError> {
        match self.was_behind {
            true => Ok(()),
            false => self.open_gate(gate),
        }
    }

    /// To be called when the disk cannot be written now: everything is tried again in a moment, from what is on disk.
    pub(super) fn pause(&mut self, error: &CoreError) {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "the disk or the store cannot be written now; trying again"
        );
        self.postponed = Some(Instant::now() + super::STORE_PAUSE);
        self.must_recount = true;
    }
}

/// The fact about a gate that an event tells; `None` if it is not about a gate.
fn fact(located: &Located) -> Option<GateFact> {
    let (gate, said) = match &located.event {
        ChainEvent::GateFollowed { gate, spec } => (*gate, Said::Asks(spec.clone())),
        event => {
            let (gate, event) = gate_event(event)?;
            (gate, Said::Event(event))
        }
    };
    Some(GateFact {
        gate,
        said,
        block: located.block.number,
        transaction: located.transaction,
    })
}

/// The event as the protocol's circuit knows it; nothing if it is not about a gate.
fn gate_event(event: &ChainEvent) -> Option<(Address, GateEvent)> {
    Some(match event {
        ChainEvent::GateRequested {
            gate,
            requester,
            spec,
        } => {
            let (requester, spec) = (*requester, spec.clone());
            (*gate, GateEvent::Requested { requester, spec })
        }
        ChainEvent::OutputsRegistered {
            ring,
            gate,
            pins,
            cids,
            ..
        } => {
            let (ring, pins, cids) = (*ring, pins.clone(), cids.clone());
            (*gate, GateEvent::Registered { ring, pins, cids })
        }
        ChainEvent::PrimaryRingChallenged { gate, .. } => (*gate, GateEvent::Challenged),
        ChainEvent::FloodgateOpened { gate } => (*gate, GateEvent::FloodgateOpened),
        _ => return None,
    })
}
