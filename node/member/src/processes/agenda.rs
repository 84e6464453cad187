//! The schedules of installations, by the time at which something is due next: a block at whose time nothing is due costs nothing.

use cid::Cid;
use rings_process::{
    process::Trigger,
    schedule::{Due, Schedule},
};
use rings_protocol::Digest;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The schedules of installations.
#[derive(Default)]
pub(super) struct Agenda {
    entries: BTreeMap<Digest, Entry>,
    /// When something is due next, of each installation of which that is ever so.
    next: BTreeSet<(u64, Digest)>,
    /// The schedules: installations with the same one share it.
    schedules: BTreeMap<(Option<String>, Option<u64>), Arc<Schedule>>,
}

/// The schedule of an installation.
struct Entry {
    process: Cid,
    schedule: Arc<Schedule>,
    /// The time up to which it was followed.
    after: u64,
    next: Option<u64>,
}

/// What is due for an installation.
pub(super) struct DueRun {
    pub installation: Digest,
    pub process: Cid,
    pub due: Due,
}

impl Agenda {
    /// Whether there is no schedule.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Follows a schedule from this time on.
    pub fn add(
        &mut self,
        installation: Digest,
        (process, on): (Cid, &Trigger),
        schedule: &Schedule,
        after: u64,
    ) {
        self.remove(installation);
        let key = (on.cron.clone(), on.every);
        let shared = self.schedules.entry(key);
        let schedule = Arc::clone(shared.or_insert_with(|| Arc::new(schedule.clone())));
        let next = schedule.next(after);
        self.next.extend(next.map(|next| (next, installation)));
        let entry = Entry {
            process,
            schedule,
            after,
            next,
        };
        self.entries.insert(installation, entry);
    }

    /// Follows the schedule of an installation no more.
    pub fn remove(&mut self, installation: Digest) {
        let Some(entry) = self.entries.remove(&installation) else {
            return;
        };
        if let Some(next) = entry.next {
            self.next.remove(&(next, installation));
        }
        drop(entry);
        self.schedules
            .retain(|_, schedule| Arc::strong_count(schedule) > 1);
    }

    /// What is due by the time `now` of a block, of `limit` installations at most.
    pub fn due(&self, now: u64, limit: usize) -> Vec<DueRun> {
        let next = self.next.iter().take_while(|(next, _)| *next <= now);
        let due = next.take(limit).filter_map(|(_, installation)| {
            let entry = self.entries.get(installation)?;
            Some(DueRun {
                installation: *installation,
                process: entry.process,
                due: entry.schedule.due(entry.after, now),
            })
        });
        due.collect()
    }

    /// The schedule of an installation was followed up to this time, and that is on disk.
    pub fn followed(&mut self, installation: Digest, now: u64) {
        let Some(entry) = self.entries.get_mut(&installation) else {
            return;
        };
        if let Some(next) = entry.next {
            self.next.remove(&(next, installation));
        }
        entry.after = now;
        entry.next = entry.schedule.next(now);
        self.next
            .extend(entry.next.map(|next| (next, installation)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rings_process::document::cid_of;

    fn every(seconds: u64) -> (Trigger, Schedule) {
        let on = Trigger {
            every: Some(seconds),
            ..Trigger::default()
        };
        (on, Schedule::every(seconds).unwrap())
    }

    proptest! {
        /// Whatever is asked for at once, the same is due as when each schedule is gone through at each block.
        #[test]
        fn what_is_due_is_what_going_through_all_schedules_finds(
            seconds in prop::collection::vec(1u64..90, 1..8),
            steps in prop::collection::vec(1u64..200, 1..12),
            limit in 1usize..4,
        ) {
            let start = 1_700_000_000;
            let mut agenda = Agenda::default();
            let mut walked: Vec<(Digest, Schedule)> = Vec::new();
            for (number, seconds) in seconds.iter().enumerate() {
                let id = Digest([number as u8; 32]);
                let (on, schedule) = every(*seconds);
                agenda.add(id, (cid_of(b"process"), &on), &schedule, start);
                walked.push((id, schedule));
            }
            let mut now = start;
            for step in steps {
                let after = now;
                now += step;
                let mut found = BTreeMap::new();
                loop {
                    let due = agenda.due(now, limit);
                    if due.is_empty() {
                        break;
                    }
                    for DueRun { installation, due, .. } in due {
                        prop_assert!(!due.times.is_empty());
                        agenda.followed(installation, now);
                        found.insert(installation, due.times);
                    }
                }
                let expected = walked.iter().map(|(id, schedule)| (*id, schedule.due(after, now).times));
                let expected: BTreeMap<_, _> = expected.filter(|(_, times)| !times.is_empty()).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn equal_schedules_are_kept_once_and_forgotten_with_the_last() {
        let mut agenda = Agenda::default();
        let (on, schedule) = every(60);
        for number in 0..3 {
            let id = Digest([number; 32]);
            agenda.add(id, (cid_of(b"process"), &on), &schedule, 0);
        }
        assert_eq!(agenda.schedules.len(), 1);
        for number in 0..3 {
            agenda.remove(Digest([number; 32]));
        }
        assert!(agenda.is_empty() && agenda.schedules.is_empty() && agenda.next.is_empty());
    }
}
