//! Who is who in a chat: a person is several avatars that name each other, shown as one name.

use crate::chat::Said;
use rings_protocol::Address;
use std::collections::{BTreeMap, BTreeSet};

/// Characters of an address that are shown.
const SHOWN: usize = 10;

/// The names of a ring's avatars.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct People {
    /// What each avatar has said last about itself.
    said: BTreeMap<Address, (String, BTreeSet<Address>)>,
    /// The names that the reader has given.
    given: BTreeMap<Address, String>,
}

impl People {
    /// An avatar says how it wants to be called. The newest word counts.
    pub fn hear(&mut self, avatar: Address, said: &Said) {
        if let Said::Name { name, also } = said {
            self.said.insert(avatar, (name.clone(), also.clone()));
        }
    }

    /// The reader calls an avatar so, whatever it says itself.
    pub fn call(&mut self, avatar: Address, name: &str) {
        self.given.insert(avatar, name.to_owned());
    }

    /// What an avatar has said last about its name.
    pub fn said_name(&self, avatar: Address) -> Option<&str> {
        self.said.get(&avatar).map(|(name, _)| name.as_str())
    }

    /// The avatars that an avatar has named last as those of the same person.
    pub fn named_by(&self, avatar: Address) -> impl Iterator<Item = Address> + '_ {
        let named = self.said.get(&avatar).map(|(_, also)| also);
        named.into_iter().flatten().copied()
    }

    /// All avatars of the person that `avatar` is of: those that it names and that name it, and theirs in turn. It is the first
    /// that is least.
    pub fn devices(&self, avatar: Address) -> BTreeSet<Address> {
        let (mut found, mut next) = (BTreeSet::new(), vec![avatar]);
        while let Some(one) = next.pop() {
            if !found.insert(one) {
                continue;
            }
            let named = self.said.get(&one).map(|(_, also)| also);
            let mutual = named.into_iter().flatten().filter(|other| {
                let back = self.said.get(other);
                back.is_some_and(|(_, also)| also.contains(&one))
            });
            next.extend(mutual.copied());
            let given = self.given.get(&one);
            let alike = self.given.iter().filter(|(_, name)| Some(*name) == given);
            next.extend(alike.map(|(other, _)| *other));
        }
        found
    }

    /// How an avatar is shown.
    pub fn name(&self, avatar: Address) -> String {
        let devices = self.devices(avatar);
        let given = devices.iter().find_map(|one| self.given.get(one));
        if let Some(name) = given {
            return name.clone();
        }
        let said = devices.iter().find_map(|one| self.said.get(one));
        let Some((name, _)) = said else {
            return short(avatar);
        };
        let is_taken = self.is_given(name)
            || self
                .said
                .iter()
                .any(|(other, (theirs, _))| theirs == name && !devices.contains(other));
        match (is_taken, devices.first()) {
            (true, Some(first)) => format!("{name} ({})", short(*first)),
            _ => name.clone(),
        }
    }

    fn is_given(&self, name: &str) -> bool {
        self.given.values().any(|given| given == name)
    }
}

fn short(avatar: Address) -> String {
    avatar.to_string().chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn avatar(n: u8) -> Address {
        Address([n; 20])
    }

    #[test]
    fn two_that_name_each_other_are_one_person_and_nobody_else_becomes_it() {
        let mut people = People::default();
        assert!(people.name(avatar(1)).starts_with("0x010101"));
        people.hear(avatar(1), &Said::name("alice", [avatar(2)]));
        assert_eq!(people.name(avatar(1)), "alice");
        assert_ne!(people.name(avatar(2)), "alice");
        people.hear(avatar(2), &Said::name("phone", [avatar(1)]));
        assert_eq!(people.name(avatar(2)), "alice");
        assert_eq!(people.devices(avatar(2)).len(), 2);
        // A third one that claims to be alice is told apart, and alice from it.
        people.hear(avatar(3), &Said::name("alice", [avatar(1), avatar(2)]));
        assert_eq!(people.devices(avatar(1)).len(), 2);
        assert_ne!(people.name(avatar(3)), people.name(avatar(1)));
        assert!(people.name(avatar(3)).starts_with("alice (0x03"));
        assert_eq!(people.name(avatar(1)), people.name(avatar(2)));
        // The newest word counts: alice lost her phone.
        people.hear(avatar(1), &Said::name("alice", []));
        assert_eq!(people.devices(avatar(1)).len(), 1);
    }

    #[test]
    fn the_readers_own_names_come_first() {
        let mut people = People::default();
        people.hear(avatar(1), &Said::name("alice", []));
        people.hear(avatar(2), &Said::name("bob", []));
        people.call(avatar(1), "bob");
        assert_eq!(people.name(avatar(1)), "bob");
        assert!(people.name(avatar(2)).starts_with("bob (0x02"));
        people.call(avatar(3), "bob");
        assert_eq!(people.devices(avatar(3)).len(), 2);
        assert_eq!(people.name(avatar(3)), "bob");
    }
}
