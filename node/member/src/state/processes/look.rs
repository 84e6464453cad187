//! What is shown of processes: the newest runs and executions.

use super::{
    base::{
        read, ProcessState, ENDED, END_ORDER, FIRST, LAST, OF_EVENT, OPEN, PARKED, RUNS, RUN_ORDER,
    },
    records::{Ended, RunRecord},
};
use crate::state::{error::StateError, tables::decode};
use cid::Cid;
use rings_protocol::{cids::data_cid, Digest};

impl ProcessState {
    /// The newest runs of an installation, each with its event and its number at this member: those before `before`.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn newest_runs(
        &self,
        installation: Digest,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, Digest, RunRecord)>, StateError> {
        self.database.read(|transaction| {
            let runs = transaction.open_table(RUNS)?;
            let order = transaction.open_table(RUN_ORDER)?;
            let id = installation.0;
            let end = before.unwrap_or(u64::MAX);
            let mut found = Vec::new();
            for entry in order.range((id, 0)..(id, end))?.rev().take(limit) {
                let (key, event) = entry?;
                if let Some(record) = runs.get((id, event.value()))? {
                    let record = decode(record.value())?;
                    found.push((key.value().1, Digest(event.value()), record));
                }
            }
            Ok(found)
        })
    }

    /// How many runs of an installation there have been, and how many of them are open.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn run_counts(&self, installation: Digest) -> Result<(u64, u64), StateError> {
        self.database.read(|transaction| {
            let id = installation.0;
            let order = transaction.open_table(RUN_ORDER)?;
            let last = order.range((id, 0)..=(id, u64::MAX))?.next_back();
            let all = match last {
                Some(last) => last?.0.value().1 + 1,
                None => 0,
            };
            let open = transaction.open_table(OPEN)?;
            let open = open.range((id, FIRST)..=(id, LAST))?.count();
            let parked = transaction.open_table(PARKED)?;
            let parked = parked.range((id, FIRST)..=(id, LAST))?.count();
            Ok((all, (open + parked) as u64))
        })
    }

    /// The executions that have ended last, the newest first: of one event, or of all.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn newest_ended(
        &self,
        event: Option<Digest>,
        limit: usize,
    ) -> Result<Vec<(Cid, Ended)>, StateError> {
        self.database.read(|transaction| {
            let table = transaction.open_table(ENDED)?;
            let mut names = Vec::new();
            match event {
                Some(event) => {
                    let of_event = transaction.open_table(OF_EVENT)?;
                    let range = (event.0, FIRST)..=(event.0, LAST);
                    for entry in of_event.range(range)?.take(limit) {
                        names.push(Digest(entry?.0.value().1));
                    }
                }
                None => {
                    let order = transaction.open_table(END_ORDER)?;
                    for entry in order.range::<u64>(..)?.rev().take(limit) {
                        names.push(Digest(entry?.1.value()));
                    }
                }
            }
            let mut found = Vec::with_capacity(names.len());
            for name in names {
                if let Some(ended) = read(&table, name)? {
                    found.push((data_cid(name), ended));
                }
            }
            Ok(found)
        })
    }
}
