//! What a member does in the agreement on the next ring node: propose one, look at the others' proposals, endorse,
//! send.
//!
//! [`Assembler::tick`] does all of it, in this order:
//!
//! 1. It finds the place of the next ring node: number, epoch, members and links. While the ring node before is not
//!    held, it does nothing.
//! 2. It asks since when a ring node is due: when enough entries wait, or when the oldest has waited long enough.
//! 3. It looks at each proposal that it has not endorsed yet. Where pages are missing it asks for them once. An
//!    objection is reported once, and the proposal is looked at again on the next tick, because more may be known by
//!    then.
//! 4. If a ring node is due and the own turn has come, it proposes. It proposes again only after all others have had a
//!    turn.
//! 5. It sends a proposal that enough members have endorsed: its proposer at once, each other member one turn after the
//!    last.
//!
//! Nothing is sent or written here: the result is a list of [`AssemblyEffect`]s. Nothing needs to be on disk first,
//! since an endorsement binds nobody: the chain takes one ring node for each number, and what another one listed goes
//! into the next.

use super::{
    assembler::{Assembler, AssemblyEffect},
    check::{pending, select, Pending, RingStore, View},
    held::HeldProposal,
    proposal::{Move, NodeRegistration, Proposal},
    turns::proposers,
};
use crate::{
    eip712::members_hash,
    log::skip_target,
    ringlog::{Head, Position, RingNode},
    Address, Digest,
};
use std::collections::BTreeMap;

impl Assembler {
    /// Does what is due. Call it after each batch of news and when [`Assembler::deadline`] has come.
    ///
    /// # Errors
    /// What the store fails with; then nothing was decided that it would have changed.
    pub fn tick<S: RingStore>(
        &mut self,
        store: &S,
        now: u64,
    ) -> Result<Vec<AssemblyEffect>, S::Error> {
        self.wake = None;
        let mut effects = Vec::new();
        if self.members.binary_search(&self.me).is_err() {
            return Ok(effects);
        }
        let Some(position) = self.position(store)? else {
            return Ok(effects);
        };
        let pending = pending(&self.book, &self.decisions);
        let due = self.due(&pending, now);
        if due.is_some_and(|due| due > now) {
            self.wake_at(due);
        }
        let since = due.filter(|due| *due <= now);
        self.consider(store, position, &pending, since.is_some(), &mut effects)?;
        if let Some(since) = since {
            effects.extend(self.propose(store, position, &pending, since, now)?);
        }
        effects.extend(self.register(now));
        Ok(effects)
    }

    fn wake_at(&mut self, at: Option<u64>) {
        self.wake = self.wake.into_iter().chain(at).min();
    }

    /// Where the next ring node stands; nothing while the one before is not held.
    fn position<S: RingStore>(&self, store: &S) -> Result<Option<Position>, S::Error> {
        let at = |number: Option<u64>| match number {
            Some(number) => store.ring_node(number),
            None => Ok(None),
        };
        let (prev, skip) = (at(self.next.checked_sub(1))?, at(skip_target(self.next))?);
        // The first ring node has nothing before it; all others need both links.
        let linked = self.next == 0 || (prev.is_some() && skip.is_some());
        Ok(linked.then(|| Position {
            number: self.next,
            epoch: self.epoch,
            members_hash: members_hash(&self.members),
            prev,
            skip,
        }))
    }

    /// Since when, or from when on, a ring node is due.
    fn due(&mut self, pending: &[Pending], now: u64) -> Option<u64> {
        let oldest = pending.iter().map(|each| each.at).min()?;
        if pending.len() >= self.settings.entries.max(1) {
            self.full.get_or_insert(now);
        }
        let waited = oldest.saturating_add(self.settings.wait);
        Some(self.full.map_or(waited, |full| full.min(waited)))
    }

    /// Looks at the proposals that are not endorsed yet.
    fn consider<S: RingStore>(
        &mut self,
        store: &S,
        position: Position,
        pending: &[Pending],
        is_due: bool,
        effects: &mut Vec<AssemblyEffect>,
    ) -> Result<(), S::Error> {
        let view = View {
            position,
            members: &self.members,
            heads: &self.heads,
            book: &self.book,
            decisions: &self.decisions,
            pending,
            is_due,
        };
        let given = self.drafts.signed_by(self.me);
        let of = self.drafts.all();
        let of = of.filter(|(_, held)| held.header.number == position.number && !held.endorsed);
        for (author, held) in of {
            let Some((node, moves)) = open(store, author, held, effects)? else {
                continue;
            };
            // What is signed depends on the heads that move, and so on the pages: it is known only now.
            let prev = position.prev.unwrap_or(Digest::ZERO);
            let data = self.domain.ring_node(prev, held.node, self.epoch, &moves);
            let signed = data.digest();
            // Before this member was started again, perhaps: its signature is in its log.
            let is_given = given.contains(&signed);
            let objection = match is_given {
                true => None,
                false => view.objection(store, &node, &moves)?,
            };
            (held.moves, held.signed) = (Some(moves), Some(signed));
            let node = held.node;
            match objection {
                None => {
                    held.endorsed = true;
                    held.objection = None;
                    if is_given {
                        continue;
                    }
                    effects.push(AssemblyEffect::Endorse { node, data });
                }
                Some(reason) if held.objection != Some(reason) => {
                    held.objection = Some(reason);
                    effects.push(AssemblyEffect::Object {
                        author,
                        node,
                        reason,
                    });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Proposes when the own turn has come, and again when all others have had theirs.
    fn propose<S: RingStore>(
        &mut self,
        store: &S,
        position: Position,
        pending: &[Pending],
        since: u64,
        now: u64,
    ) -> Result<Option<AssemblyEffect>, S::Error> {
        let round = self.settings.turn.saturating_mul(self.members.len() as u64);
        let turn = match self.proposed {
            Some(before) => before.saturating_add(round),
            None => since.saturating_add(self.settings.turn.saturating_mul(self.place())),
        };
        if turn > now {
            self.wake_at(Some(turn));
            return Ok(None);
        }
        self.proposed = Some(now);
        self.wake_at(Some(now.saturating_add(round)));
        let (heads, before) = self.moves(store)?;
        // What is pending is distinct and fits, so a ring node can be made of it.
        let Ok(node) = RingNode::build(position, select(pending), heads) else {
            return Ok(None);
        };
        let proposal = Proposal {
            header: node.header_bytes().to_vec(),
            before,
        };
        // Logs lose nothing, so the same proposal is not made twice.
        let mut held = self.drafts.all();
        if held.any(|(author, held)| author == self.me && held.proposal == proposal) {
            return Ok(None);
        }
        let node = Box::new(node);
        Ok(Some(AssemblyEffect::Propose { proposal, node }))
    }

    /// How many members' turns come before the own. Those who cannot pay have no turn; if this member cannot, its turn
    /// comes after everybody else's, for its account may have been filled meanwhile.
    fn place(&self) -> u64 {
        let order = proposers(self.domain.ring, self.epoch, self.next, &self.members);
        let last = self.poor.contains(&self.me);
        let before = order
            .iter()
            .take_while(|member| last || **member != self.me);
        let paying = before.filter(|member| **member != self.me && !self.poor.contains(member));
        paying.count() as u64
    }

    /// The heads that can move, and those that the contract has for the same members.
    fn moves<S: RingStore>(&self, store: &S) -> Result<(Vec<Head>, Vec<Digest>), S::Error> {
        let (mut heads, mut before) = (Vec::new(), Vec::new());
        // A head that moved on chain while a ring node was under way stays out of the next one, so that a member that
        // moves its head again and again cannot hold up the ring. No ring node moves the head of a
        // forked log.
        let left_out =
            |member: &Address| self.moved.contains(member) || self.forked.contains(member);
        for member in self.members.iter().filter(|member| !left_out(member)) {
            let on_chain = self.heads.get(member).copied().unwrap_or(Digest::ZERO);
            let Some(head) = store.tip(*member)? else {
                continue;
            };
            let held = store.position(*member, on_chain)?;
            if head == on_chain || (held.is_none() && !on_chain.is_zero()) {
                continue;
            }
            heads.push(Head {
                member: *member,
                head,
            });
            before.push(on_chain);
        }
        Ok((heads, before))
    }

    /// Sends what enough members have endorsed: the proposer at once, the others in their order.
    fn register(&mut self, now: u64) -> Option<AssemblyEffect> {
        let candidates: Vec<_> = self
            .drafts
            .all()
            .filter(|(_, held)| held.header.number == self.next && !held.sent)
            .filter_map(|(author, held)| Some((author, held.node, held.signed?)))
            .collect();
        // The turn of the first member begins one turn after the agreement, so that the proposer has time to send it
        // itself.
        let turns = self.place().saturating_add(1);
        for (author, node, signed) in candidates {
            let Some(signatures) = self.drafts.quorum(signed, &self.members, self.needed) else {
                continue;
            };
            let wait = match author == self.me {
                true => 0,
                false => self.settings.turn.saturating_mul(turns),
            };
            let turn = self.agreed_at(signed, now).saturating_add(wait);
            if turn > now {
                self.wake_at(Some(turn));
                continue;
            }
            return Some(AssemblyEffect::Register(NodeRegistration {
                number: self.next,
                node,
                moves: self.sent(signed),
                signatures,
            }));
        }
        None
    }

    /// When enough members had endorsed what is signed so: now, if that was not noted yet.
    fn agreed_at(&mut self, signed: Digest, now: u64) -> u64 {
        let mut of = self.drafts.all();
        let held = of.find(|(_, held)| held.signed == Some(signed));
        held.map_or(now, |(_, held)| *held.quorum.get_or_insert(now))
    }

    /// Notes that this member sends it, and returns the heads that move.
    fn sent(&mut self, signed: Digest) -> Vec<Move> {
        let mut moves = Vec::new();
        for (_, held) in self.drafts.all() {
            if held.signed == Some(signed) {
                held.sent = true;
                moves = held.moves.clone().unwrap_or_default();
            }
        }
        moves
    }
}

/// The ring node of a proposal and the heads that it moves. Asks once for the pages that are missing. A proposal whose
/// pages are not a ring node is never endorsed.
fn open<S: RingStore>(
    store: &S,
    author: Address,
    held: &mut HeldProposal,
    effects: &mut Vec<AssemblyEffect>,
) -> Result<Option<(RingNode, Vec<Move>)>, S::Error> {
    let (mut pages, mut missing) = (BTreeMap::new(), Vec::new());
    for page in held
        .header
        .entry_pages
        .iter()
        .chain(&held.header.head_pages)
    {
        match store.page(*page)? {
            Some(bytes) => drop(pages.insert(*page, bytes)),
            None => missing.push(*page),
        }
    }
    if !missing.is_empty() {
        if !std::mem::replace(&mut held.fetching, true) {
            let pages = missing;
            effects.push(AssemblyEffect::Fetch { author, pages });
        }
        return Ok(None);
    }
    let node = RingNode::open(&held.proposal.header, |page| pages.get(&page).cloned());
    Ok(node.ok().and_then(|node| {
        let moves = held.proposal.moves(node.heads())?;
        Some((node, moves))
    }))
}
