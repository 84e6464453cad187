//! Which data the gates are about: what a collection must keep, and what it may keep.

use super::{
    circuit::Reader,
    error::StateError,
    gates::votes_on,
    records::GateData,
    tables::{Account, GATES, OPEN, PAST, VOTES, WAITING},
    votes::read,
    MemberState,
};
use redb::ReadTransaction;
use rings_protocol::{
    circuit::{GateRecord, GateTable},
    gate::GateInput,
    Address, Digest,
};
use std::collections::BTreeSet;

impl MemberState {
    /// The data of the gates that are open or wait for others, with what this member has voted for.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open_data(&self) -> Result<Vec<GateData>, StateError> {
        self.database.read(|transaction| {
            let mut gates = BTreeSet::new();
            for table in [OPEN, WAITING] {
                for entry in transaction.open_table(table)?.range::<Account>(..)? {
                    gates.insert(Address(entry?.0.value()));
                }
            }
            let reader = Reader(transaction.open_table(GATES)?);
            let mut data = Vec::with_capacity(gates.len());
            for gate in gates {
                if let Some(record) = reader.gate(gate)? {
                    let mut of = data_of(&reader, &record)?;
                    of.outputs.extend(self.voted(transaction, gate)?);
                    data.push(of);
                }
            }
            Ok(data)
        })
    }

    /// The data of the gates that are over, the newest first.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn past_data(&self) -> Result<Vec<GateData>, StateError> {
        self.database.read(|transaction| {
            let reader = Reader(transaction.open_table(GATES)?);
            let mut data = Vec::new();
            for entry in transaction
                .open_table(PAST)?
                .range::<(u64, Account)>(..)?
                .rev()
            {
                let (block, gate) = entry?.0.value();
                if let Some(record) = reader.gate(Address(gate))? {
                    data.push(GateData {
                        block,
                        ..data_of(&reader, &record)?
                    });
                }
            }
            Ok(data)
        })
    }

    /// The outputs that this member has voted for, of a gate that has no result yet.
    fn voted(
        &self,
        transaction: &ReadTransaction,
        gate: Address,
    ) -> Result<Vec<(u128, Digest)>, StateError> {
        let (first, last) = votes_on(gate);
        let mut outputs = Vec::new();
        for entry in transaction.open_table(VOTES)?.range(first..=last)? {
            let (key, value) = entry?;
            if key.value().2 == self.identity.member.0 {
                outputs.extend(read(value.value())?.outputs.iter());
            }
        }
        Ok(outputs)
    }
}

/// The data that a gate names: constants, outputs of other gates as far as they are there, and its own result.
fn data_of(gates: &Reader, record: &GateRecord) -> Result<GateData, StateError> {
    let mut inputs = Vec::with_capacity(record.spec.inputs.len());
    for input in &record.spec.inputs {
        match input {
            GateInput::Constant(digest) => inputs.push(*digest),
            GateInput::Future { gate, pin } => {
                let result = gates.gate(*gate)?.and_then(|record| record.result);
                inputs.extend(result.and_then(|result| result.outputs.get(pin).copied()));
            }
        }
    }
    let outputs = record.result.iter().flat_map(|result| &result.outputs);
    Ok(GateData {
        block: 0,
        inputs,
        outputs: outputs.map(|(pin, digest)| (*pin, *digest)).collect(),
    })
}
