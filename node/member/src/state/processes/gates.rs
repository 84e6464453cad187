//! Executions that wait for the result of a gate.

use super::{
    base::{read, ProcessState, WAITS, WAIT_GATES},
    records::Waiting,
};
use crate::state::{error::StateError, tables::Word};
use rings_protocol::Digest;
use std::ops::Bound;

impl ProcessState {
    /// Executions that wait for gates, in the order of their names, behind `after`.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn waiting_gates(
        &self,
        after: Option<Digest>,
        limit: usize,
    ) -> Result<Vec<(Digest, Waiting)>, StateError> {
        self.database.read(|transaction| {
            let waits = transaction.open_table(WAITS)?;
            let start = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.0));
            let names = transaction.open_table(WAIT_GATES)?;
            let mut found = Vec::new();
            for entry in names.range::<Word>((start, Bound::Unbounded))?.take(limit) {
                let name = Digest(entry?.0.value());
                let waiting: Option<Waiting> = read(&waits, name)?;
                found.extend(waiting.map(|waiting| (name, waiting)));
            }
            Ok(found)
        })
    }
}
