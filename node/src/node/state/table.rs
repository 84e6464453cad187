//! The gates' records inside one write transaction.

use super::{Account, StateError, CHANGED, DEPENDANTS, GATES, OPEN};
use redb::{ReadableTable, Table, WriteTransaction};
use rings_protocol::{
    circuit::{GateRecord, GateTable},
    Address,
};
use serde::{de::DeserializeOwned, Serialize};
use std::collections::BTreeSet;

pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StateError> {
    serde_json::to_vec(value).map_err(|error| StateError::Format(error.into()))
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StateError> {
    serde_json::from_slice(bytes).map_err(|error| StateError::Format(error.into()))
}

/// The tables of the circuit in one write transaction.
pub(super) struct Gates<'a> {
    gates: Table<'a, Account, &'static [u8]>,
    dependants: Table<'a, (Account, Account), ()>,
    changed: Table<'a, (u64, Account), ()>,
    open: Table<'a, Account, ()>,
    touched: BTreeSet<Address>,
}

impl<'a> Gates<'a> {
    pub fn open(transaction: &'a WriteTransaction) -> Result<Self, StateError> {
        Ok(Self {
            gates: transaction.open_table(GATES)?,
            dependants: transaction.open_table(DEPENDANTS)?,
            changed: transaction.open_table(CHANGED)?,
            open: transaction.open_table(OPEN)?,
            touched: BTreeSet::new(),
        })
    }

    /// What changed after a block is taken back, and so is its mark.
    pub fn forget_changes_after(&mut self, block: u64) -> Result<(), StateError> {
        self.changed
            .retain_in((block + 1, [0; 20]).., |_, ()| false)?;
        Ok(())
    }

    /// Brings the list of open gates up to date with the records that this transaction changed.
    pub fn index_open(&mut self, ring: Address) -> Result<(), StateError> {
        for gate in std::mem::take(&mut self.touched) {
            let open = self
                .gate(gate)?
                .is_some_and(|record| record.is_open() && record.spec.rings.contains(&ring));
            match open {
                true => self.open.insert(gate.0, ())?,
                false => self.open.remove(gate.0)?,
            };
        }
        Ok(())
    }
}

impl GateTable for Gates<'_> {
    type Error = StateError;

    fn gate(&self, gate: Address) -> Result<Option<GateRecord>, StateError> {
        let record = self.gates.get(gate.0)?;
        record.map(|bytes| decode(bytes.value())).transpose()
    }

    fn put(&mut self, gate: Address, record: &GateRecord, block: u64) -> Result<(), StateError> {
        self.gates.insert(gate.0, encode(record)?.as_slice())?;
        self.changed.insert((block, gate.0), ())?;
        self.touched.insert(gate);
        Ok(())
    }

    fn remove(&mut self, gate: Address) -> Result<(), StateError> {
        self.gates.remove(gate.0)?;
        self.touched.insert(gate);
        Ok(())
    }

    fn dependants(&self, gate: Address) -> Result<Vec<Address>, StateError> {
        let mut found = Vec::new();
        for entry in self
            .dependants
            .range((gate.0, [0; 20])..=(gate.0, [0xff; 20]))?
        {
            found.push(Address(entry?.0.value().1));
        }
        Ok(found)
    }

    fn add_dependant(&mut self, gate: Address, dependant: Address) -> Result<(), StateError> {
        self.dependants.insert((gate.0, dependant.0), ())?;
        Ok(())
    }

    fn changed_after(&self, block: u64) -> Result<Vec<Address>, StateError> {
        let mut gates = BTreeSet::new();
        for entry in self.changed.range((block + 1, [0; 20])..)? {
            gates.insert(Address(entry?.0.value().1));
        }
        Ok(gates.into_iter().collect())
    }
}
