//! Proposals of ring nodes, and endorsements of them, as members' logs hold them.
//!
//! Without them a member that starts again could neither endorse what was proposed before, nor send what enough members had
//! endorsed, and nobody would tell it again: the nodes that say it are on its disk. As in memory, only the newest few of
//! each member are kept, so nothing has to be removed when a ring node is registered. They are written in the transaction
//! that stores the nodes.

use super::{
    error::StateError,
    recorded::{Recorded, Recorder},
    tables::{SaidKey, ENDORSED, PROPOSED},
    MemberState,
};
use redb::{Range, WriteTransaction};
use rings_protocol::{
    assembly::{Endorsement, Proposal, MAX_ENDORSEMENTS, MAX_PROPOSALS},
    log::LogNode,
    message::{Message, MessageError},
    Address,
};

impl MemberState {
    /// The newest proposals of each member, in the order in which it made them.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn proposals(&self) -> Result<Vec<(Address, Proposal)>, StateError> {
        self.database.read(|transaction| {
            let table = transaction.open_table(PROPOSED)?;
            let all = table.range::<SaidKey>(..)?;
            read_all(all, Proposal::from_payload)
        })
    }

    /// The newest endorsements of each member, in the order in which it gave them.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn endorsements(&self) -> Result<Vec<(Address, Endorsement)>, StateError> {
        self.database.read(|transaction| {
            let table = transaction.open_table(ENDORSED)?;
            let all = table.range::<SaidKey>(..)?;
            read_all(all, Endorsement::from_payload)
        })
    }
}

fn read_all<T>(
    all: Range<'_, SaidKey, &'static [u8]>,
    read: impl Fn(&[u8]) -> Result<T, MessageError>,
) -> Result<Vec<(Address, T)>, StateError> {
    all.map(|entry| {
        let (key, payload) = entry?;
        let said = read(payload.value()).map_err(|error| StateError::Format(error.into()))?;
        Ok((Address(key.value().0), said))
    })
    .collect()
}

/// Proposals and endorsements, in one write transaction.
pub(super) struct Drafts<'a> {
    proposed: Recorded<'a, SaidKey, &'static [u8]>,
    endorsed: Recorded<'a, SaidKey, &'static [u8]>,
}

impl<'a> Drafts<'a> {
    pub const fn new(recorded: (&'a WriteTransaction, &'a Recorder)) -> Self {
        Self {
            proposed: Recorded::new(recorded, PROPOSED),
            endorsed: Recorded::new(recorded, ENDORSED),
        }
    }

    /// Takes proposals and endorsements out of a node. What is malformed does not count.
    pub fn add(&mut self, node: &LogNode) -> Result<(), StateError> {
        for (place, message) in (0..).zip(&node.content().body) {
            let key = (node.author().0, node.seq(), place);
            if let Ok(Some(_)) = Proposal::from_message(message) {
                keep(&mut self.proposed, key, message, MAX_PROPOSALS)?;
            } else if let Ok(Some(_)) = Endorsement::from_message(message) {
                keep(&mut self.endorsed, key, message, MAX_ENDORSEMENTS)?;
            }
        }
        Ok(())
    }
}

/// Keeps what a member has said, and of what it said before no more than `most` with it. What it says again is kept once.
fn keep(
    table: &mut Recorded<'_, SaidKey, &'static [u8]>,
    key: SaidKey,
    message: &Message,
    most: usize,
) -> Result<(), StateError> {
    let of_member = (key.0, 0, 0)..=(key.0, u64::MAX, u32::MAX);
    let mut held = Vec::with_capacity(most + 1);
    for entry in table.range(of_member)? {
        let (key, payload) = entry?;
        if payload.value() == &message.payload[..] {
            return Ok(());
        }
        held.push(key.value());
    }
    let too_many = (held.len() + 1).saturating_sub(most);
    for oldest in held.into_iter().take(too_many) {
        table.remove(oldest)?;
    }
    table.insert(key, &message.payload[..])?;
    Ok(())
}
