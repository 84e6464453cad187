//! What the chain says.

use super::{Core, CoreError};
use rings_chain::{ChainEvent, Cursor, Located, Update};
use rings_protocol::{circuit::Signal, Address};

impl Core {
    pub(super) fn on_chain(&mut self, update: Update) -> Result<(), CoreError> {
        match update {
            Update::Page {
                events,
                cursor,
                head,
            } => self.on_page(&events, cursor, head),
            Update::Rewind { to } => self.on_rewind(to),
        }
    }

    fn on_page(&mut self, events: &[Located], cursor: Cursor, head: u64) -> Result<(), CoreError> {
        let ring = self.parts.domain.ring;
        let signals = tokio::task::block_in_place(|| self.parts.state.page(ring, events, cursor))?;
        self.parts.shared.at_block(cursor.number, head);
        for located in events {
            self.on_event(&located.event);
        }
        for signal in signals {
            match signal {
                Signal::Ready(gate) | Signal::Requested(gate) => self.open_gate(gate)?,
                Signal::Resolved(gate) => self.close_gate(gate)?,
                Signal::Doomed(gate) => self.parts.member.forget(gate),
            }
        }
        Ok(())
    }

    fn on_event(&mut self, event: &ChainEvent) {
        match event {
            ChainEvent::Entered { member, epoch } => self.on_membership(*epoch, *member, true),
            ChainEvent::Exited { member, epoch } => self.on_membership(*epoch, *member, false),
            ChainEvent::Announced {
                member,
                public_key,
                multiaddress,
            } => {
                self.parts
                    .shared
                    .announced(*member, public_key, multiaddress.clone());
                self.refresh_peers();
            }
            ChainEvent::OutputsRegistered { cids, .. } => {
                self.tokens.extend(cids);
            }
            _ => {}
        }
    }

    fn on_membership(&mut self, epoch: u64, account: Address, enters: bool) {
        // Events from before the state that was read at the start are in it already.
        if epoch <= self.parts.member.epoch() {
            return;
        }
        let mut members = self.parts.member.members().to_vec();
        members.retain(|member| *member != account);
        if enters {
            members.push(account);
        }
        tracing::info!(epoch, %account, enters, "the membership changed");
        let effects = self.parts.member.membership(epoch, members.clone());
        self.effects.extend(effects);
        self.parts.shared.membership(epoch, members);
        self.refresh_peers();
    }

    fn refresh_peers(&mut self) {
        self.peers_changed = true;
        self.parts
            .member
            .connected(self.parts.shared.connected_members());
    }

    /// Tells the network who may connect. In the core's own order: two of these side by side could leave the older
    /// list in force.
    pub(super) async fn tell_peers(&mut self) {
        if std::mem::take(&mut self.peers_changed) {
            self.parts
                .network
                .set_peers(self.parts.shared.peers())
                .await;
        }
    }

    fn on_rewind(&mut self, to: Option<Cursor>) -> Result<(), CoreError> {
        let ring = self.parts.domain.ring;
        tracing::warn!(
            to = to.map(|cursor| cursor.number),
            "the chain was reorganised"
        );
        let changed = tokio::task::block_in_place(|| self.parts.state.rewind(ring, to))?;
        for gate in changed {
            self.parts.member.forget(gate);
            self.open_gate(gate)?;
        }
        Ok(())
    }
}
