//! What members have said about external tasks: how far each is with an execution, and what that comes to.

use super::base::{ProcessState, ATTEMPTS, CHOSEN, VERDICTS};
use crate::state::{
    error::StateError,
    tables::{decode, encode, Word},
};
use cid::Cid;
use redb::{ReadableTable, WriteTransaction};
use rings_process::{
    attempt::{Attempt, Stage, Verdict},
    document::DocumentError,
};
use rings_protocol::{cids::digest_of, Address, Digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most verdicts on one execution that are remembered of one member, so that none can hide those of others.
const MAX_VERDICTS: usize = 8;
const NOBODY: [u8; 20] = [0; 20];
const EVERYBODY: [u8; 20] = [0xff; 20];

/// A verdict, and who proposed it.
#[derive(Debug, Serialize, Deserialize)]
struct Proposed {
    by: Address,
    verdict: Verdict,
}

impl ProcessState {
    /// How far each member is with an external task, as it says.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn attempts(&self, execution: &Cid) -> Result<BTreeMap<Address, Attempt>, StateError> {
        let Some(name) = name(execution) else {
            return Ok(BTreeMap::new());
        };
        self.database.read(|transaction| {
            let table = transaction.open_table(ATTEMPTS)?;
            let of_execution = table.range((name, NOBODY)..=(name, EVERYBODY))?;
            let attempts = of_execution.map(|entry| {
                let (key, attempt) = entry?;
                Ok((Address(key.value().1), decode(attempt.value())?))
            });
            attempts.collect()
        })
    }

    /// The verdict with this hash, if somebody has said it.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn verdict(&self, execution: &Cid, choice: Digest) -> Result<Option<Verdict>, StateError> {
        let Some(name) = name(execution) else {
            return Ok(None);
        };
        self.database.read(|transaction| {
            let table = transaction.open_table(VERDICTS)?;
            let found = table.get((name, choice.0))?;
            let found = found.map(|found| decode::<Proposed>(found.value()));
            Ok(found.transpose()?.map(|proposed| proposed.verdict))
        })
    }

    /// Whether this member has said what it would choose for a slot.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn has_chosen(&self, slot: Digest) -> Result<bool, StateError> {
        self.database
            .read(|transaction| Ok(transaction.open_table(CHOSEN)?.get(slot.0)?.is_some()))
    }
}

/// Takes in how far a member is. The first final word of a member counts; what that alone comes to is a verdict.
pub(super) fn attempt(
    transaction: &WriteTransaction,
    author: Address,
    attempt: &Attempt,
) -> Result<bool, StateError> {
    let Some(name) = name(&attempt.execution) else {
        return Ok(false);
    };
    let mut table = transaction.open_table(ATTEMPTS)?;
    let key = (name, author.0);
    let held = table.get(key)?.map(|held| decode::<Attempt>(held.value()));
    if held
        .transpose()?
        .is_some_and(|held| held.state != Stage::Started)
    {
        return Ok(false);
    }
    table.insert(key, encode(attempt)?.as_slice())?;
    if let Some(verdict) = Verdict::of_one(author, attempt) {
        propose(transaction, author, verdict)?;
    }
    Ok(true)
}

/// Takes in what the attempts come to, as a member says.
pub(super) fn verdict(
    transaction: &WriteTransaction,
    author: Address,
    verdict: &Verdict,
) -> Result<(), StateError> {
    let Some(name) = name(&verdict.execution) else {
        return Ok(());
    };
    let mut count = 0;
    let table = transaction.open_table(VERDICTS)?;
    for entry in table.range((name, [0; 32])..=(name, [0xff; 32]))? {
        count += usize::from(decode::<Proposed>(entry?.1.value())?.by == author);
    }
    drop(table);
    match count < MAX_VERDICTS {
        true => propose(transaction, author, verdict.clone()),
        false => Ok(()),
    }
}

fn propose(
    transaction: &WriteTransaction,
    by: Address,
    verdict: Verdict,
) -> Result<(), StateError> {
    let format = |error: DocumentError| StateError::Format(error.into());
    let choice = verdict.choice().map_err(format)?.choice;
    let Some(name) = name(&verdict.execution) else {
        return Ok(());
    };
    let mut table = transaction.open_table(VERDICTS)?;
    let key = (name, choice.0);
    if table.get(key)?.is_none() {
        table.insert(key, encode(&Proposed { by, verdict })?.as_slice())?;
    }
    Ok(())
}

/// The key of an execution; nothing where the CID names no document.
fn name(execution: &Cid) -> Option<Word> {
    digest_of(execution).ok().map(|digest| digest.0)
}
