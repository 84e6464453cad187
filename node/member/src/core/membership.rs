//! Who is in the ring, and how many signatures are needed.
//!
//! Events only say that the membership changed. The list itself is read from the chain, all of it at one block, so that
//! it is right after a reorganisation, a missed event, or a start in the middle of a change. A task reads until the
//! answer is new enough ([`Reading`] says from which block and epoch on), and its answer comes through the inbox
//! (`on_membership`): to the state machine, to the status, and to the network, which lets only members in. While
//! members who have left are still counted, it is read again from time to time, because the number of signatures needed
//! falls without an event.

use super::{
    input::Membership,
    reading::{Reader, Reading},
    Core, CoreError,
};
use rings_protocol::quorum::quorum;
use std::time::{Duration, Instant};

/// How often the number of signatures needed is read again while the quorum counts members who have left. It falls when
/// their delay is over, and there is no event for that.
const WHILE_COUNTED: Duration = Duration::from_secs(30);

impl Core {
    /// Reads the membership in a state of the chain that is not older than `block`, in which `epoch` began. A reading that
    /// is under way is given up: what it waits for may have been reorganised away.
    pub(super) fn read_membership(&mut self, block: u64, epoch: u64) {
        let reader = Reader {
            chain: self.parts.chain.clone(),
            ring: self.parts.domain.ring,
            known: self.parts.shared.known_contacts(),
            number: self.reading.number + 1,
            block,
            epoch,
        };
        let number = reader.number;
        let task = tokio::spawn(reader.run(self.parts.outbox.clone()));
        // Dropping the previous reading ends its task.
        self.reading = Reading {
            number,
            task: Some(task.abort_handle()),
            block,
            epoch,
            due: None,
            since: (number > 1).then(Instant::now),
        };
    }

    /// Reads it again at once, because something does not fit what is known.
    pub(super) fn read_membership_again(&mut self) {
        self.read_membership(self.reading.block, self.reading.epoch);
    }

    /// When it is to be read without a reason from outside.
    pub(super) fn reading_due(&self) -> Option<Instant> {
        self.reading.due
    }

    /// Reads it if that is due.
    pub(super) fn read_if_due(&mut self) {
        if self.reading.due.is_some_and(|due| due <= Instant::now()) {
            self.read_membership_again();
        }
    }

    /// Takes the membership as it was read at one block. Votes are counted again, and signed again for a new epoch.
    pub(super) fn on_membership(&mut self, membership: Membership) -> Result<(), CoreError> {
        let Membership {
            number,
            ring,
            contacts,
        } = membership;
        // An answer to an earlier question may be older than what is known now.
        if number != self.reading.number {
            return Ok(());
        }
        for (member, contact) in contacts {
            self.parts
                .shared
                .announced(member, &contact.public_key, contact.multiaddress);
        }
        let needed = usize::try_from(ring.quorum).unwrap_or(usize::MAX);
        if ring.epoch != self.parts.member.epoch() {
            tracing::info!(
                epoch = ring.epoch,
                members = ring.members.len(),
                needed,
                "the membership changed"
            );
        }
        // The number needed falls by itself, without an event, when the delay of a member that the keeper put out has
        // passed. So while it is higher than two thirds of the members, it is read again from time to time.
        let counts_who_left = needed > quorum(ring.members.len());
        self.reading.due = counts_who_left.then(|| Instant::now() + WHILE_COUNTED);
        let (now, was_member) = (self.now(), self.parts.member.is_member(self.me));
        let effects = self
            .parts
            .member
            .membership(ring.epoch, ring.members.clone(), needed, now);
        self.effects.extend(effects);
        self.parts.shared.membership(&ring);
        self.refresh_peers();
        self.ring_as_read(&ring)?;
        match self.parts.member.is_member(self.me) {
            true if !was_member => {
                // What was not computed while it was no member is asked for again.
                self.begin_ring_log()?;
                match self.was_behind {
                    true => Ok(()),
                    false => self.resume(),
                }
            }
            false if was_member => {
                tracing::warn!(
                    "this member is not in the ring any more: it follows the ring and does not vote"
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn refresh_peers(&mut self) {
        self.peers_changed = true;
        self.parts
            .member
            .connected(self.parts.shared.connected_members());
    }

    /// Tells the network who may connect. The core waits for it, because two calls at the same time could leave the
    /// older list in force.
    pub(super) async fn tell_peers(&mut self) {
        if std::mem::take(&mut self.peers_changed) {
            self.parts
                .network
                .set_peers(self.parts.shared.peers())
                .await;
        }
    }
}
