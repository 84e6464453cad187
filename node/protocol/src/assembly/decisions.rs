//! What depends on order or absence, and is therefore decided by the ring as a whole: slots, and what members choose.
//!
//! Each member writes the [`Choice`] that it would make into its log. Once two thirds have chosen, whatever they chose, the
//! slot is due. The proposer of the next ring node lists the choice that most members made, and the first ring node that
//! lists the slot decides it. Members see each other's choices in different order. So a member accepts each choice that
//! somebody made, unless another one has so many voices that an honest member must be among them and this one has not.

use super::proposal::{message, read};
use crate::{
    cbor::Writer,
    message::{Message, MessageError},
    ringlog::Entry,
    Address, Digest,
};
use std::collections::BTreeMap;

/// Most slots that one member may have chosen for and that are not decided. Beyond it, its choices do not count.
pub const MAX_OPEN_SLOTS: usize = 1024;
const CHOICE: &str = "Choice";
const CAST: &str = "cast";

/// What a member would choose for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Choice {
    /// What is to be decided: a digest that the application computes.
    pub slot: Digest,
    /// What it would choose.
    pub choice: Digest,
}

impl Choice {
    /// The message that carries it.
    pub fn to_message(&self) -> Message {
        let mut writer = Writer::with_capacity(96);
        writer.map(2).text("slot").bytes(&self.slot.0);
        writer.text("choice").bytes(&self.choice.0);
        message(CHOICE, CAST, writer)
    }

    /// The choice in a message, or nothing if the message is something else.
    ///
    /// # Errors
    /// [`MessageError`] when it claims to be one and is malformed.
    pub fn from_message(message: &Message) -> Result<Option<Self>, MessageError> {
        read(message, CHOICE, |reader| {
            let mut fields = reader.map()?;
            fields.key(reader, "slot")?;
            let slot = reader.digest()?;
            fields.key(reader, "choice")?;
            let choice = reader.digest()?;
            fields.end(reader)?;
            Ok(Self { slot, choice })
        })
    }

    fn entry(self) -> Entry {
        Entry::Decision {
            slot: self.slot,
            choice: self.choice,
        }
    }
}

/// What is known of one slot: who chose what, since when two thirds have chosen, and which ring node lists the decision.
#[derive(Debug, Default)]
struct Slot {
    choices: BTreeMap<Address, Digest>,
    /// When two thirds had chosen: the number of the next ring node, and the time.
    due: Option<(u64, u64)>,
    listed: Option<u64>,
}

/// A slot that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DueSlot {
    pub entry: Entry,
    pub since: u64,
    pub at: u64,
}

/// The slots that are not decided for good.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    slots: BTreeMap<Digest, Slot>,
    members: Vec<Address>,
    needed: usize,
    next: u64,
}

impl Decisions {
    pub fn membership(&mut self, members: &[Address], needed: usize, now: u64) {
        (self.members, self.needed) = (members.to_vec(), needed.max(1));
        let slots: Vec<_> = self.slots.keys().copied().collect();
        for slot in slots {
            self.count(slot, now);
        }
    }

    /// Takes what a member would choose; its first choice for a slot counts.
    pub fn choose(&mut self, member: Address, choice: Choice, now: u64) {
        let open = self.slots.values();
        let open = open.filter(|slot| slot.listed.is_none() && slot.choices.contains_key(&member));
        if open.count() >= MAX_OPEN_SLOTS {
            return;
        }
        let slot = self.slots.entry(choice.slot).or_default();
        slot.choices.entry(member).or_insert(choice.choice);
        self.count(choice.slot, now);
    }

    /// Notes since when as many members have chosen as are needed, whatever they chose. If too few are members now, the
    /// moment is forgotten.
    fn count(&mut self, slot: Digest, now: u64) {
        let (next, needed, members) = (self.next, self.needed, &self.members);
        let Some(slot) = self.slots.get_mut(&slot) else {
            return;
        };
        let voices = slot.choices.keys();
        let voices = voices.filter(|member| members.binary_search(member).is_ok());
        let due = slot.due.unwrap_or((next, now));
        slot.due = (voices.count() >= needed).then_some(due);
    }

    /// How many of the members of now have made each choice.
    fn voices(&self, slot: &Slot) -> BTreeMap<Digest, usize> {
        let mut voices = BTreeMap::new();
        for (member, choice) in &slot.choices {
            if self.members.binary_search(member).is_ok() {
                *voices.entry(*choice).or_default() += 1;
            }
        }
        voices
    }

    /// The slots that are due, each with the choice that most members made.
    pub fn pending(&self) -> Vec<DueSlot> {
        let open = self.slots.iter().filter(|(_, slot)| slot.listed.is_none());
        let due = open.filter_map(|(name, slot)| {
            let (since, at) = slot.due?;
            let voices = self.voices(slot).into_iter();
            let (choice, _) =
                voices.max_by_key(|(choice, count)| (*count, std::cmp::Reverse(*choice)))?;
            let entry = Choice {
                slot: *name,
                choice,
            }
            .entry();
            Some(DueSlot { entry, since, at })
        });
        due.collect()
    }

    /// Whether this member accepts a choice. A slot that was decided, or that nobody chose for, is refused.
    pub fn supports(&self, slot: Digest, choice: Digest) -> bool {
        let open = self.slots.get(&slot).filter(|slot| slot.listed.is_none());
        let Some(slot) = open else { return false };
        let voices = self.voices(slot);
        // More members than may be faulty, so at least one of them is honest.
        let weighty = self.members.len().saturating_sub(self.needed) + 1;
        let own = voices.get(&choice).copied().unwrap_or(0);
        own >= weighty || (own > 0 && voices.values().all(|count| *count < weighty))
    }

    pub fn listed(&mut self, number: u64, entries: &[Entry]) {
        self.next = number.saturating_add(1);
        for entry in entries {
            if let Entry::Decision { slot, .. } = entry {
                self.slots.entry(*slot).or_default().listed = Some(number);
            }
        }
    }

    pub fn rewound(&mut self, next: u64) {
        self.next = next;
        for slot in self.slots.values_mut() {
            slot.listed = slot.listed.filter(|number| *number < next);
        }
    }

    /// Forgets the slots that are decided for good. The caller keeps the decisions, and gives no further choices for them.
    pub fn finalised(&mut self, number: u64) {
        self.slots
            .retain(|_, slot| slot.listed.is_none_or(|listed| listed > number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(n: u8) -> Address {
        Address([n; 20])
    }

    fn choice(n: u8) -> Choice {
        Choice {
            slot: Digest([9; 32]),
            choice: Digest([n; 32]),
        }
    }

    fn decisions(choices: &[(u8, u8)]) -> Decisions {
        let mut decisions = Decisions::default();
        decisions.membership(&[1, 2, 3, 4].map(member), 3, 0);
        for (who, what) in choices {
            decisions.choose(member(*who), choice(*what), 7);
        }
        decisions
    }

    fn supports(decisions: &Decisions, n: u8) -> bool {
        decisions.supports(choice(n).slot, choice(n).choice)
    }

    #[test]
    fn a_choice_survives_its_message() {
        let message = choice(1).to_message();
        assert_eq!(Choice::from_message(&message).unwrap(), Some(choice(1)));
    }

    #[test]
    fn two_thirds_must_have_chosen_whatever_they_chose() {
        assert!(decisions(&[(1, 1), (2, 2)]).pending().is_empty());
        let split = decisions(&[(1, 1), (2, 2), (3, 3)]);
        assert_eq!(split.pending()[0].entry, choice(1).entry());
        assert!([1, 2, 3].iter().all(|n| supports(&split, *n)));
        assert!(!supports(&split, 4), "nobody chose it");
    }

    #[test]
    fn the_weight_of_honest_voices_decides() {
        let heavy = decisions(&[(1, 1), (2, 2), (3, 2)]);
        assert_eq!(heavy.pending()[0].entry, choice(2).entry());
        assert!(supports(&heavy, 2) && !supports(&heavy, 1));
        let again = decisions(&[(1, 1), (1, 2), (1, 3)]);
        assert!(again.pending().is_empty(), "one member has one voice");
    }

    #[test]
    fn the_first_listing_decides() {
        let mut decided = decisions(&[(1, 1), (2, 1), (3, 2)]);
        decided.listed(0, &[choice(2).entry()]);
        assert!(!supports(&decided, 1) && decided.pending().is_empty());
        decided.rewound(0);
        assert!(supports(&decided, 1));
        decided.listed(0, &[choice(1).entry()]);
        decided.finalised(0);
        assert!(!supports(&decided, 1));
    }

    #[test]
    fn one_member_cannot_fill_the_memory() {
        let mut decisions = decisions(&[]);
        for n in 0..2 * MAX_OPEN_SLOTS as u64 {
            let slot = crate::cids::sha256(&n.to_be_bytes());
            decisions.choose(member(1), Choice { slot, choice: slot }, 0);
        }
        assert_eq!(decisions.slots.len(), MAX_OPEN_SLOTS);
    }
}
