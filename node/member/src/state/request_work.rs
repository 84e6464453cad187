//! Which data the requests are about: what a collection must keep, and what it may keep.

use super::{error::StateError, records::GateData, tables::OVER, MemberState};
use rings_protocol::{
    request::{Request, RequestInput},
    ringlog::{Entry, Outcome},
    Digest,
};
use std::collections::BTreeSet;

impl MemberState {
    /// The data of the requests that are held: of those that are open, and of those that are over, with the block in which
    /// the ring node is that lists each.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn request_data(&self) -> Result<(Vec<GateData>, Vec<GateData>), StateError> {
        let over = self.over()?;
        let (mut open, mut past) = (Vec::new(), Vec::new());
        for (_, request) in self.all_asked()? {
            let Ok(digest) = request.digest() else {
                continue;
            };
            let data = self.data_of_request(digest, &request)?;
            match over.contains(&digest) {
                true => past.push(data),
                false => open.push(data),
            }
        }
        Ok((open, past))
    }

    fn over(&self) -> Result<BTreeSet<Digest>, StateError> {
        self.database.read(|transaction| {
            let mut over = BTreeSet::new();
            for entry in transaction.open_table(OVER)?.range::<(u64, [u8; 32])>(..)? {
                over.insert(Digest(entry?.0.value().1));
            }
            Ok(over)
        })
    }

    /// The data that a request reads and gives, as far as this member knows it: what a ring node lists, else what it
    /// voted for itself.
    fn data_of_request(&self, digest: Digest, request: &Request) -> Result<GateData, StateError> {
        let mut data = GateData {
            inputs: vec![request.operation],
            ..GateData::default()
        };
        for input in &request.inputs {
            match input {
                RequestInput::Data(digest) => data.inputs.push(*digest),
                RequestInput::Output { request, pin } => {
                    let (outcomes, _) = self.outcomes(*request)?;
                    data.inputs.extend(
                        outcomes
                            .iter()
                            .filter_map(|outcome| digests(outcome).get(*pin as usize).copied()),
                    );
                }
            }
        }
        let (outcomes, block) = self.outcomes(digest)?;
        data.block = block;
        for outcome in &outcomes {
            data.outputs.extend((0..).zip(digests(outcome)));
        }
        Ok(data)
    }

    /// What a ring node lists for a request, or what this member voted for; and the block in which that ring node is.
    fn outcomes(&self, request: Digest) -> Result<(Vec<Outcome>, u64), StateError> {
        if let Some((number, Entry::Result { outcome, .. })) = self.listed(request)? {
            let block = self.ring_node(number)?.map_or(0, |node| node.block);
            return Ok((vec![outcome], block));
        }
        let votes = self.request_votes(request)?.into_iter();
        let own = votes.filter(|(member, _)| *member == self.identity.member);
        Ok((own.map(|(_, vote)| vote.outcome).collect(), 0))
    }
}

fn digests(outcome: &Outcome) -> Vec<Digest> {
    match outcome {
        Outcome::Outputs(outputs) => outputs.clone(),
        Outcome::Failure(record) => vec![*record],
    }
}
