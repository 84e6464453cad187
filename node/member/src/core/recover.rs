//! Signing begins again when enough members have said where the own log ends: the core's side of [`super::recovery`],
//! which has the rule.

use super::{Core, CoreError};
use rings_network::PeerId;
use rings_protocol::{Address, Digest};

impl Core {
    /// A member has told the heads of the logs that it holds.
    pub(super) fn hear_of_own_log(&mut self, peer: &PeerId, heads: &[(Address, u64, Digest)]) {
        let Some(recovery) = &mut self.recovery else {
            return;
        };
        let Some(member) = self.parts.shared.member_of(peer) else {
            return;
        };
        let own = heads.iter().find(|(author, _, _)| *author == self.me);
        let length = own.map_or(0, |(_, seq, _)| seq.saturating_add(1));
        recovery.lengths.insert(member, length);
    }

    /// Goes on signing once enough members have said where the own log ends, and all of it is on disk.
    pub(super) fn recover(&mut self) -> Result<(), CoreError> {
        let Some(recovery) = &self.recovery else {
            return Ok(());
        };
        let others: Vec<_> = self.parts.shared.snapshot().members;
        let others: Vec<_> = others
            .into_iter()
            .filter(|member| *member != self.me)
            .collect();
        let (heard, needed) = recovery.progress(&others, self.next_seq(self.me));
        let is_unwritten = self
            .entries
            .iter()
            .any(|entry| entry.node.author() == self.me);
        // A node of the own log that came and is not on disk yet counts as missing: a vote in it could still be
        // contradicted.
        if heard < needed || is_unwritten {
            self.parts.shared.recovers(Some((heard, needed)));
            return Ok(());
        }
        self.parts.state.caught_up()?;
        self.recovery = None;
        self.parts.shared.recovers(None);
        // Open gates are taken up again from what is on disk, which has this member's own earlier votes now: what it has
        // voted for is not computed again.
        self.must_recount = true;
        tracing::info!(
            nodes = self.next_seq(self.me),
            heard,
            "the others have said where this member's log ends; it votes again"
        );
        Ok(())
    }
}
