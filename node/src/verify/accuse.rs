//! `rings verify GATE --accuse FILE`: the file that proves that a member voted otherwise than two thirds registered.
//!
//! It needs what happened at that time: the signatures in the transaction, the members of that epoch, and what the
//! futures held. An endpoint that does not keep old state cannot give them; the error then asks for an archive node.
//! The accusation is verified here before it is written.

use crate::{exit::ExitError, out::Out, whole_file::WholeFile};
use rings_chain::{Chain, RegisteredResult};
use rings_protocol::{
    accusation::{Accusation, GateAccusation},
    eip712::Domain,
    gate::{GateInput, GateSpec},
    message::{Outputs, Vote},
    Address, Digest,
};
use std::path::Path;

/// What messages call the file.
pub const WHAT: &str = "the accusation";

/// What a ring registered for a gate, with all that an accusation needs of it.
pub struct Registered {
    chain: u64,
    gate: Address,
    result: RegisteredResult,
    outputs: Outputs,
    /// The members of the epoch of the signatures, ascending.
    members: Vec<Address>,
    /// What the futures of the gate held.
    tokens: Vec<Digest>,
}

impl Registered {
    /// Reads it from the chain.
    ///
    /// # Errors
    /// Status 5 when the endpoint does not keep the transaction, or the membership of its time.
    pub async fn of(chain: &Chain, gate: Address, spec: &GateSpec) -> Result<Self, ExitError> {
        let lost = |what: &str| {
            ExitError::unavailable(format!(
                "the chain's endpoint does not keep {what} of gate {gate}, which an accusation needs; use an archive node with --rpc"
            ))
        };
        let result = chain.registration(&spec.rings, gate).await?;
        let result = result.filter(|result| !result.signatures.is_empty());
        let result = result.ok_or_else(|| lost("the transaction with the result"))?;
        let pairs = result.pins.iter().copied().zip(result.cids.iter().copied());
        let outputs = Outputs::new(pairs).map_err(|error| lost("a sound result").because(error))?;
        let members = members(chain, &result).await?;
        Ok(Self {
            chain: chain.id(),
            gate,
            outputs,
            members: members.ok_or_else(|| lost("the members at the time of the result"))?,
            tokens: tokens(chain, spec).await?,
            result,
        })
    }

    /// The accusation of `accused`, or of the first who voted otherwise.
    ///
    /// # Errors
    /// Status 2 when there is nobody to accuse.
    pub fn accuse(
        &self,
        votes: &[Vote],
        accused: Option<Address>,
    ) -> Result<Accusation, ExitError> {
        let domain = Domain::new(self.chain, self.result.ring);
        let against = votes.iter().filter(|vote| vote.outputs != self.outputs);
        let mut against = against.filter(|vote| {
            let signer = vote.signer(&domain);
            signer.is_some() && (accused.is_none() || signer == accused)
        });
        let vote = against.next().ok_or_else(|| self.nobody(accused))?;
        // Its outputs and epoch are what was signed; signatures of that epoch are those that the contract took.
        let same = |vote: &&Vote| vote.outputs == self.outputs && vote.epoch == self.result.epoch;
        let registered = votes.iter().find(same).ok_or_else(|| {
            ExitError::unavailable(
                "no member that answers holds a vote for the registered result; ask others with --member URL",
            )
        })?;
        let accusation = Accusation::Gate(Box::new(GateAccusation {
            chain: self.chain,
            ring: self.result.ring,
            tokens: self.tokens.clone(),
            vote: vote.clone(),
            registered: registered.clone(),
            members: self.members.clone(),
            signatures: self.result.signatures.clone(),
        }));
        // What cannot be checked is not written.
        accusation.verify().map_err(|error| {
            ExitError::internal("the accusation would prove nothing").because(error)
        })?;
        Ok(accusation)
    }

    fn nobody(&self, accused: Option<Address>) -> ExitError {
        ExitError::usage(match accused {
            Some(member) => format!(
                "{member} did not vote against the result of gate {}; no accusation is written",
                self.gate
            ),
            None => format!(
                "nobody voted against the result of gate {}; no accusation is written",
                self.gate
            ),
        })
    }
}

/// The members of the epoch in which the result was signed, ascending.
async fn members(
    chain: &Chain,
    result: &RegisteredResult,
) -> Result<Option<Vec<Address>>, ExitError> {
    let now = chain.ring_state(result.ring).await?;
    let mut members = match now.epoch == result.epoch {
        true => now.members,
        false => match chain.members_at(result.ring, result.block.number).await {
            Ok((epoch, members)) if epoch == result.epoch => members,
            Err(error) if error.is_transient() => return Err(error.into()),
            // An endpoint that does not keep old states refuses. Where the membership changed later in the same block, the
            // state after it tells nothing.
            _ => return Ok(None),
        },
    };
    members.sort_unstable();
    Ok(Some(members))
}

async fn tokens(chain: &Chain, spec: &GateSpec) -> Result<Vec<Digest>, ExitError> {
    let mut tokens = Vec::new();
    for input in &spec.inputs {
        if let GateInput::Future { gate, pin } = input {
            tokens.extend(chain.output_of(*gate, *pin).await?);
        }
    }
    Ok(tokens)
}

/// Writes it.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, accusation: &Accusation, out: Out) -> Result<(), ExitError> {
    let written = |error| ExitError::internal("the accusation cannot be written").because(error);
    let verdict = accusation.verify().map_err(|error| {
        ExitError::internal("the accusation would prove nothing").because(error)
    })?;
    WholeFile::put(path, WHAT, &accusation.to_bytes().map_err(written)?, out)?;
    out.note(format_args!(
        "{} is accused in {}; `rings verify {}` checks it",
        verdict.accused,
        path.display(),
        path.display()
    ));
    Ok(())
}
