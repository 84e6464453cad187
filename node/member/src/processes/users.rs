//! The installations that use an instance: an event of it concerns no others, so they are found without going through all.

use crate::state::{Installed, ProcessState, StateError};
use rings_protocol::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// By instance: who uses it.
#[derive(Debug, Default)]
pub(super) struct Users(Option<BTreeMap<Digest, BTreeSet<Digest>>>);

impl Users {
    /// These installations are new, or have changed. Nothing is done before all were read.
    pub fn add(&mut self, state: &ProcessState, new: &[Digest]) {
        let Some(users) = &mut self.0 else { return };
        for id in new {
            match state.installed(*id) {
                Ok(Some(installed)) => take(users, *id, &installed),
                Ok(None) => {}
                // All are read again when they are asked for.
                Err(_) => {
                    self.0 = None;
                    return;
                }
            }
        }
    }

    /// Who uses an instance. All are read the first time.
    pub fn of(
        &mut self,
        state: &ProcessState,
        instance: Digest,
    ) -> Result<Vec<Digest>, StateError> {
        let users = match self.0.take() {
            Some(users) => users,
            None => read(state)?,
        };
        let users = self.0.insert(users);
        let found = users.get(&instance).into_iter().flatten();
        Ok(found.copied().collect())
    }
}

fn take(users: &mut BTreeMap<Digest, BTreeSet<Digest>>, id: Digest, installed: &Installed) {
    for instance in installed.installation.instances.values() {
        users.entry(*instance).or_default().insert(id);
    }
}

fn read(state: &ProcessState) -> Result<BTreeMap<Digest, BTreeSet<Digest>>, StateError> {
    let mut users = BTreeMap::new();
    state.each_installed(|id, installed| take(&mut users, id, installed))?;
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Heard, Identity};
    use rings_process::{
        document::cid_of,
        words::{Installation, Word, VERSION},
    };
    use rings_protocol::Address;

    #[test]
    fn an_instance_is_used_by_those_that_a_walk_finds_whenever_they_were_installed() {
        let directory = tempfile::TempDir::new().unwrap();
        let identity = Identity {
            chain_id: 31337,
            ring: Address([7; 20]),
            member: Address([1; 20]),
        };
        let path = directory.path().join("processes.redb");
        let state = ProcessState::open(&path, &identity).unwrap();
        let mut users = Users::default();
        for number in 0..12_u8 {
            let instances = [("a", number % 3), ("b", number % 4)];
            let instances =
                instances.map(|(name, instance)| (name.to_owned(), Digest([instance; 32])));
            let installation = Installation {
                heads: Default::default(),
                instances: instances.into(),
                nonce: u64::from(number),
                process: cid_of(b"process"),
                since: 1,
                version: VERSION,
            };
            let heard = Heard {
                author: Address([1; 20]),
                next: u64::from(number) + 1,
                words: vec![Word::Installation(installation)],
            };
            let news = state.hear(&[heard], 5).unwrap();
            users.add(&state, &news.installed);
            if number < 5 {
                continue;
            }
            // The first time, all are read from the disk; later ones are added.
            for instance in (0..5).map(|instance| Digest([instance; 32])) {
                let all = state.all_installed(None, 100).unwrap();
                let uses = |installed: &Installed| {
                    let mut its = installed.installation.instances.values();
                    its.any(|other| *other == instance)
                };
                let walked = all.iter().filter(|(_, installed)| uses(installed));
                let walked: Vec<_> = walked.map(|(id, _)| *id).collect();
                assert_eq!(users.of(&state, instance).unwrap(), walked);
            }
        }
    }
}
