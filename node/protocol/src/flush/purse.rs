//! What a member spends on the actions of others in a day.
//!
//! Gas is counted for each client ring and each avatar. A ring that no operator has granted shares one total with all such
//! rings, so that nobody can empty a member by registering many of them. What was taken in and is not on chain yet is
//! reserved, so that many actions at once cannot pass the limit together. Days begin at midnight UTC, by the time of the
//! chain's blocks.

use crate::{Address, Digest};
use std::collections::{BTreeMap, BTreeSet};

/// Seconds of a day.
pub const SECONDS_PER_DAY: u64 = 86_400;

/// How much gas a member pays for in a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// For each ring that is granted.
    pub granted: u64,
    /// For all other rings together.
    pub others: u64,
    /// For each avatar.
    pub avatar: u64,
    /// The rings that are granted.
    pub rings: BTreeSet<Address>,
}

/// The limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this member has paid for {limit} gas today, which is its limit here; try again in {seconds} s, or ask another member")]
pub struct PurseError {
    /// The limit that is reached.
    pub limit: u64,
    /// Seconds until the next day.
    pub seconds: u64,
}

/// What was spent on this day, and what is reserved.
#[derive(Debug, Clone)]
pub struct Purse {
    allowance: Allowance,
    day: u64,
    spent: BTreeMap<(Address, Address), u64>,
    reserved: BTreeMap<Digest, (Address, Address, u64)>,
}

impl Purse {
    /// A purse from which nothing was taken.
    pub fn new(allowance: Allowance) -> Self {
        Self {
            allowance,
            day: 0,
            spent: BTreeMap::new(),
            reserved: BTreeMap::new(),
        }
    }

    /// Reserves gas for an action, at a time of the chain in seconds since 1970. An action that has a reservation keeps it.
    ///
    /// # Errors
    /// [`PurseError`] when a limit would be passed; then nothing is reserved.
    pub fn reserve(
        &mut self,
        msg_hash: Digest,
        (ring, avatar): (Address, Address),
        gas: u64,
        now: u64,
    ) -> Result<(), PurseError> {
        self.turn_page(now);
        if self.reserved.contains_key(&msg_hash) {
            return Ok(());
        }
        let is_granted = self.allowance.rings.contains(&ring);
        // A ring with a grant has an allowance of its own; all other rings share one.
        let (of_ring, limit) = match is_granted {
            true => (self.taken(|other, _| other == ring), self.allowance.granted),
            false => {
                let taken = self.taken(|other, _| !self.allowance.rings.contains(&other));
                (taken, self.allowance.others)
            }
        };
        let of_avatar = self.taken(|other, by| other == ring && by == avatar);
        for (taken, limit) in [(of_ring, limit), (of_avatar, self.allowance.avatar)] {
            if taken.saturating_add(gas) > limit {
                let seconds = SECONDS_PER_DAY - now % SECONDS_PER_DAY;
                return Err(PurseError { limit, seconds });
            }
        }
        self.reserved.insert(msg_hash, (ring, avatar, gas));
        Ok(())
    }

    /// An action has ended; `paid` is the gas that this member paid for, if it did. Returns day, ring, avatar and all
    /// that was spent on it then, to be written down.
    pub fn settle(
        &mut self,
        msg_hash: Digest,
        (ring, avatar): (Address, Address),
        paid: u64,
        now: u64,
    ) -> (u64, Address, Address, u64) {
        self.turn_page(now);
        self.reserved.remove(&msg_hash);
        let spent = self.spent.entry((ring, avatar)).or_default();
        *spent = spent.saturating_add(paid);
        (self.day, ring, avatar, *spent)
    }

    /// Takes a reservation back: the action was not taken in after all.
    pub fn release(&mut self, msg_hash: Digest) {
        self.reserved.remove(&msg_hash);
    }

    /// What was written down.
    pub fn restore(&mut self, (day, ring, avatar, spent): (u64, Address, Address, u64)) {
        if day > self.day {
            self.day = day;
            self.spent.clear();
        }
        if day == self.day {
            self.spent.insert((ring, avatar), spent);
        }
    }

    /// A new day begins with nothing spent. A chain that goes back to an earlier one does not.
    fn turn_page(&mut self, now: u64) {
        let day = now / SECONDS_PER_DAY;
        if day > self.day {
            self.day = day;
            self.spent.clear();
        }
    }

    /// The gas of this day that counts against a limit: what was spent, and what is reserved for actions that are under
    /// way.
    fn taken(&self, counts: impl Fn(Address, Address) -> bool) -> u64 {
        let spent = self
            .spent
            .iter()
            .map(|((ring, by), gas)| (*ring, *by, *gas));
        let all = spent.chain(self.reserved.values().copied());
        all.filter(|(ring, by, _)| counts(*ring, *by))
            .fold(0, |sum, (_, _, gas)| sum.saturating_add(gas))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 20_000 * SECONDS_PER_DAY + SECONDS_PER_DAY / 2;
    const KNOWN: Address = Address([1; 20]);

    fn purse() -> Purse {
        Purse::new(Allowance {
            granted: 1_000,
            others: 500,
            avatar: 400,
            rings: [KNOWN].into(),
        })
    }

    fn avatar(n: u8) -> Address {
        Address([n; 20])
    }

    fn name(n: u8) -> Digest {
        Digest([n; 32])
    }

    #[test]
    fn rings_that_nobody_granted_share_one_total() {
        let mut purse = purse();
        for n in 1..=5 {
            let place = (Address([100 + n; 20]), avatar(n));
            purse.reserve(name(n), place, 100, NOON).unwrap();
        }
        let refused = purse.reserve(name(6), (Address([106; 20]), avatar(6)), 1, NOON);
        let seconds = SECONDS_PER_DAY / 2;
        assert_eq!(
            refused,
            Err(PurseError {
                limit: 500,
                seconds
            })
        );
        for n in 11..=13 {
            purse
                .reserve(name(n), (KNOWN, avatar(n)), 333, NOON)
                .unwrap();
        }
        assert!(purse
            .reserve(name(14), (KNOWN, avatar(14)), 333, NOON)
            .is_err());
    }

    #[test]
    fn an_avatar_has_a_limit_of_its_own() {
        let mut purse = purse();
        purse
            .reserve(name(1), (KNOWN, avatar(1)), 400, NOON)
            .unwrap();
        assert!(purse.reserve(name(2), (KNOWN, avatar(1)), 1, NOON).is_err());
        purse.release(name(1));
        purse
            .reserve(name(1), (KNOWN, avatar(1)), 400, NOON)
            .unwrap();
        purse.reserve(name(2), (KNOWN, avatar(2)), 1, NOON).unwrap();
        purse
            .reserve(name(1), (KNOWN, avatar(1)), 400, NOON)
            .unwrap();
    }

    #[test]
    fn what_another_member_paid_is_free_again_and_a_day_ends() {
        let (mut purse, place) = (purse(), (KNOWN, avatar(1)));
        purse.reserve(name(1), place, 400, NOON).unwrap();
        purse.settle(name(1), place, 0, NOON);
        purse.reserve(name(2), place, 400, NOON).unwrap();
        let written = purse.settle(name(2), place, 390, NOON);
        assert_eq!(written, (20_000, KNOWN, avatar(1), 390));
        assert!(purse.reserve(name(3), place, 100, NOON).is_err());
        let mut again = self::purse();
        again.restore(written);
        assert!(again.reserve(name(3), place, 100, NOON).is_err());
        assert!(again.reserve(name(3), place, 10, NOON).is_ok());
        purse
            .reserve(name(3), place, 100, NOON + SECONDS_PER_DAY)
            .unwrap();
        // A reorganisation that goes back before midnight gives nothing back.
        assert!(purse.reserve(name(4), place, 400, NOON).is_err());
    }
}
