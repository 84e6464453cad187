//! A member's statement of what a request gives.
//!
//! A [`RequestVote`] is a message in the member's log and has no signature beside that of its log node, since no
//! contract checks it by itself: the contract checks the endorsements of the ring node that lists the result. It names
//! a [`RequestKey`], the [`Outcome`], the profile that computed it and the fuel used. [`RequestVote::entry`] is what a
//! ring node lists when two thirds have voted so.
//!
//! The signing journal holds [`RequestVote::result`] for each key: a member that has voted once never votes otherwise
//! for the same request and inputs.

use crate::{
    cbor::{CborError, Reader, Writer},
    gate::Computation,
    message::{Message, MessageError, DOMAIN, MAX_PROFILE_BYTES},
    ringlog::{Entry, Outcome},
    Address, Digest,
};

const REQUEST_VOTE: &str = "RequestVote";
const CAST: &str = "cast";
const OUTPUTS: u64 = 0;
const FAILURE: u64 = 1;

/// A request together with what its inputs resolved to. A member votes for only one outcome of it, ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestKey {
    /// The request's digest.
    pub request: Digest,
    /// The hash of those inputs that are outputs of other requests.
    pub inputs: Digest,
}

impl RequestKey {
    /// The computation as the part that runs programs names it. The last 20 bytes of the request's digest stand in the
    /// place of a gate. Only two things depend on them: the program's random bytes, and which members compute it a second
    /// time.
    pub fn computation(&self) -> Computation {
        let mut gate = [0; 20];
        gate.copy_from_slice(&self.request.0[12..]);
        Computation {
            gate: Address(gate),
            inputs: self.inputs,
        }
    }
}

/// A member's statement of what a request gives. The signature of its log node is the only one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestVote {
    /// Fuel that the program used.
    pub fuel: u64,
    /// What was computed.
    pub key: RequestKey,
    /// What it gave.
    pub outcome: Outcome,
    /// The profile that ran the program.
    pub profile: String,
}

impl RequestVote {
    /// The entry that lists it when two thirds have voted so.
    pub fn entry(&self) -> Entry {
        Entry::Result {
            request: self.key.request,
            inputs: self.key.inputs,
            outcome: self.outcome.clone(),
        }
    }

    /// What the journal holds for the key.
    ///
    /// # Errors
    /// [`MessageError`] when there is no output, or too many.
    pub fn result(&self) -> Result<Digest, MessageError> {
        Ok(self.outcome.to_outputs()?.result())
    }

    /// The message that carries it.
    ///
    /// # Errors
    /// [`MessageError`] when it is out of bounds.
    pub fn to_message(&self) -> Result<Message, MessageError> {
        self.result()?;
        if self.profile.len() > MAX_PROFILE_BYTES {
            return Err(MessageError::Profile {
                length: self.profile.len(),
            });
        }
        let mut writer = Writer::with_capacity(256);
        writer.map(5).text("fuel").uint(self.fuel);
        writer.text("inputs").bytes(&self.key.inputs.0);
        let kind = match self.outcome {
            Outcome::Outputs(_) => OUTPUTS,
            Outcome::Failure(_) => FAILURE,
        };
        writer.text("outcome").list(2).uint(kind);
        self.outcome.write(&mut writer);
        writer.text("profile").text(&self.profile);
        writer.text("request").bytes(&self.key.request.0);
        Ok(Message {
            domain: DOMAIN.into(),
            payload: writer.finish().into(),
            status: CAST.into(),
            kind: REQUEST_VOTE.into(),
        })
    }

    /// The vote in a message, or nothing if the message is something else.
    ///
    /// # Errors
    /// [`MessageError`] when it claims to be one and is malformed.
    pub fn from_message(message: &Message) -> Result<Option<Self>, MessageError> {
        if message.domain != DOMAIN || message.kind != REQUEST_VOTE {
            return Ok(None);
        }
        Self::from_payload(&message.payload).map(Some)
    }

    /// The vote in the payload of its message.
    ///
    /// # Errors
    /// [`MessageError`] when it is malformed.
    pub fn from_payload(payload: &[u8]) -> Result<Self, MessageError> {
        Self::read(payload).map_err(|error| MessageError::Payload {
            kind: REQUEST_VOTE.into(),
            source: error.into(),
        })
    }

    fn read(payload: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(payload);
        let mut fields = reader.map()?;
        fields.key(&mut reader, "fuel")?;
        let fuel = reader.uint()?;
        fields.key(&mut reader, "inputs")?;
        let inputs = reader.digest()?;
        fields.key(&mut reader, "outcome")?;
        let outcome = read_outcome(&mut reader)?;
        fields.key(&mut reader, "profile")?;
        let profile = reader.text(MAX_PROFILE_BYTES)?.to_owned();
        fields.key(&mut reader, "request")?;
        let request = reader.digest()?;
        fields.end(&reader)?;
        reader.end()?;
        Ok(Self {
            fuel,
            key: RequestKey { request, inputs },
            outcome,
            profile,
        })
    }
}

fn read_outcome(reader: &mut Reader<'_>) -> Result<Outcome, CborError> {
    reader.tuple(2)?;
    let at = reader.at();
    match reader.uint()? {
        OUTPUTS => Outcome::read_outputs(reader),
        FAILURE => reader.digest().map(Outcome::Failure),
        _ => Err(CborError::Type {
            at,
            expected: "an outcome of a known kind",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(outcome: Outcome) -> RequestVote {
        RequestVote {
            fuel: 5,
            key: RequestKey {
                request: Digest([1; 32]),
                inputs: Digest([2; 32]),
            },
            outcome,
            profile: "p".into(),
        }
    }

    #[test]
    fn a_vote_survives_its_message() {
        for outcome in [
            Outcome::Outputs(vec![Digest([3; 32]); 3]),
            Outcome::Failure(Digest([4; 32])),
        ] {
            let message = vote(outcome.clone()).to_message().unwrap();
            let again = RequestVote::from_message(&message).unwrap();
            assert_eq!(again, Some(vote(outcome.clone())));
            let payload = RequestVote::from_payload(&message.payload).unwrap();
            assert_eq!(payload, vote(outcome));
            for cut in 0..message.payload.len() {
                assert!(RequestVote::read(&message.payload[..cut]).is_err());
            }
        }
    }

    #[test]
    fn a_request_is_computed_under_the_end_of_its_digest() {
        let mut key = vote(Outcome::Failure(Digest([4; 32]))).key;
        key.request.0[31] = 9;
        let computation = key.computation();
        assert_eq!(computation.gate.0[..19], [1; 19]);
        assert_eq!(
            (computation.gate.0[19], computation.inputs),
            (9, key.inputs)
        );
    }

    #[test]
    fn a_vote_without_outputs_is_none() {
        assert!(vote(Outcome::Outputs(vec![])).to_message().is_err());
    }
}
