//! What a request asks for, and its bytes.
//!
//! A [`Request`] is canonical DAG-CBOR, a map of seven keys, of at most [`MAX_REQUEST_BYTES`]. The sha2-256 of the
//! bytes is its name, so it has one encoding: [`Request::from_bytes`] accepts exactly what [`Request::to_bytes`]
//! writes. Ring and chain are inside, so it is a request to one ring; the nonce tells repeated questions apart. Inputs
//! are data by digest, or outputs of other requests of the same ring ([`RequestInput`]), so requests form a graph
//! without a circle, as gates do.
//!
//! [`Request::resolve`] puts the data on the inputs once they are known and hashes those that came from other requests,
//! by the same rule as for gates. Request and hash together name a computation with one right result
//! ([`super::RequestKey`]).

use crate::{
    cbor::{CborError, Reader, Writer},
    cids::sha256,
    gate::{inputs_hash, ResolvedInputs},
    message::{Message, DOMAIN, MAX_OUTPUTS, MAX_PROFILE_BYTES},
    Address, Digest,
};

/// Most inputs of a request.
pub const MAX_REQUEST_INPUTS: usize = 1024;
/// Most bytes of a request.
pub const MAX_REQUEST_BYTES: usize = 64 * 1024;
const REQUEST: &str = "Request";
const ASKED: &str = "asked";
/// Bytes of the shortest input.
const MIN_INPUT_BYTES: usize = 2 + 34;
const DATA: u64 = 0;
const OUTPUT: u64 = 1;

/// A computation that is asked of a ring without a gate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Request {
    /// The ring that shall compute it.
    pub ring: Address,
    /// The id of the ring's chain.
    pub chain: u64,
    /// The profile that the operation names: engine and configuration.
    pub profile: String,
    /// The digest of the operation, as on a gate's input pin 0.
    pub operation: Digest,
    /// The other inputs, in order.
    pub inputs: Vec<RequestInput>,
    /// Tells requests apart that ask for the same.
    pub nonce: u64,
    /// The number of the last ring node that may list it.
    pub until: u64,
}

/// An input of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequestInput {
    /// Data, by its digest.
    Data(Digest),
    /// What another request of the same ring gives.
    Output {
        /// The other request's digest.
        request: Digest,
        /// Which of its outputs, from 0.
        pin: u32,
    },
}

/// Why something is not a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not the canonical encoding.
    #[error("not a request in DAG-CBOR")]
    Form(#[source] CborError),
    /// Larger than [`MAX_REQUEST_BYTES`].
    #[error("a request of {length} bytes; at most {MAX_REQUEST_BYTES} are accepted")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// An input is an output pin that no request has.
    #[error("input {input} is output {pin} of another request; there are at most {MAX_OUTPUTS}")]
    Pin {
        /// The place of the input.
        input: usize,
        /// The pin.
        pin: u32,
    },
}

impl From<CborError> for RequestError {
    fn from(error: CborError) -> Self {
        Self::Form(error)
    }
}

impl Request {
    /// The bounds of a request: its length, and that no input names an output that cannot exist.
    fn check(&self, length: usize) -> Result<(), RequestError> {
        if length > MAX_REQUEST_BYTES {
            return Err(RequestError::TooLong { length });
        }
        let wrong = self
            .inputs
            .iter()
            .enumerate()
            .find_map(|(input, each)| match each {
                RequestInput::Output { pin, .. } if *pin as usize >= MAX_OUTPUTS => {
                    Some((input, *pin))
                }
                _ => None,
            });
        wrong.map_or(Ok(()), |(input, pin)| Err(RequestError::Pin { input, pin }))
    }

    /// The bytes of the block that the request is.
    ///
    /// # Errors
    /// [`RequestError`] when it is too long, or when its profile or inputs are out of bounds.
    pub fn to_bytes(&self) -> Result<Vec<u8>, RequestError> {
        let mut writer = Writer::with_capacity(192 + 48 * self.inputs.len());
        writer.map(7).text("ring").bytes(&self.ring.0);
        writer.text("chain").uint(self.chain);
        writer.text("nonce").uint(self.nonce);
        writer.text("until").uint(self.until);
        writer.text("inputs").list(self.inputs.len());
        for input in &self.inputs {
            match input {
                RequestInput::Data(data) => writer.list(2).uint(DATA).bytes(&data.0),
                RequestInput::Output { request, pin } => {
                    let of = writer.list(3).uint(OUTPUT).bytes(&request.0);
                    of.uint((*pin).into())
                }
            };
        }
        writer.text("profile").text(&self.profile);
        writer.text("operation").bytes(&self.operation.0);
        let bytes = writer.finish();
        // Read again, so that what this program writes is what others read.
        Self::from_bytes(&bytes).map(|_| bytes)
    }

    /// Reads a request.
    ///
    /// # Errors
    /// [`RequestError`] for anything but the canonical bytes of a request.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RequestError> {
        let mut reader = Reader::new(bytes);
        let mut fields = reader.map()?;
        fields.key(&mut reader, "ring")?;
        let ring = Address(reader.fixed()?);
        fields.key(&mut reader, "chain")?;
        let chain = reader.uint()?;
        fields.key(&mut reader, "nonce")?;
        let nonce = reader.uint()?;
        fields.key(&mut reader, "until")?;
        let until = reader.uint()?;
        fields.key(&mut reader, "inputs")?;
        let count = reader.list(MAX_REQUEST_INPUTS, MIN_INPUT_BYTES)?;
        let mut inputs = Vec::with_capacity(count);
        for _ in 0..count {
            inputs.push(read_input(&mut reader)?);
        }
        fields.key(&mut reader, "profile")?;
        let profile = reader.text(MAX_PROFILE_BYTES)?.to_owned();
        fields.key(&mut reader, "operation")?;
        let operation = reader.digest()?;
        fields.end(&reader)?;
        reader.end()?;
        let request = Self {
            ring,
            chain,
            profile,
            operation,
            inputs,
            nonce,
            until,
        };
        request.check(bytes.len()).map(|()| request)
    }

    /// The request's name: sha2-256 of its bytes.
    ///
    /// # Errors
    /// As [`Request::to_bytes`].
    pub fn digest(&self) -> Result<Digest, RequestError> {
        self.to_bytes().map(|bytes| sha256(&bytes))
    }

    /// The message that carries it in a log.
    ///
    /// # Errors
    /// As [`Request::to_bytes`].
    pub fn to_message(&self) -> Result<Message, RequestError> {
        Ok(Message {
            domain: DOMAIN.into(),
            payload: self.to_bytes()?.into(),
            status: ASKED.into(),
            kind: REQUEST.into(),
        })
    }

    /// The request in a message, or nothing if the message is something else.
    ///
    /// # Errors
    /// [`RequestError`] when it claims to be a request and is malformed.
    pub fn from_message(message: &Message) -> Result<Option<Self>, RequestError> {
        match message.domain == DOMAIN && message.kind == REQUEST {
            true => Self::from_bytes(&message.payload).map(Some),
            false => Ok(None),
        }
    }

    /// The requests whose outputs are inputs of this one, in the order of the inputs, without repetition.
    pub fn upstream(&self) -> Vec<Digest> {
        let mut upstream: Vec<_> = self
            .inputs
            .iter()
            .filter_map(|input| match input {
                RequestInput::Output { request, .. } => Some(*request),
                RequestInput::Data(_) => None,
            })
            .collect();
        upstream.sort_unstable();
        upstream.dedup();
        upstream
    }

    /// The data on all inputs, the operation first, and the hash of those that came from other requests: the same rule as
    /// for gates. `None` while one of them is not known.
    pub fn resolve(
        &self,
        mut output: impl FnMut(Digest, u32) -> Option<Digest>,
    ) -> Option<ResolvedInputs> {
        let (mut tokens, mut data) = (Vec::new(), vec![self.operation]);
        for input in &self.inputs {
            data.push(match input {
                RequestInput::Data(digest) => *digest,
                RequestInput::Output { request, pin } => {
                    let token = output(*request, *pin)?;
                    tokens.push(token);
                    token
                }
            });
        }
        Some(ResolvedInputs {
            hash: inputs_hash(&tokens),
            data,
        })
    }

    /// Whether ring node `number` may still list it.
    pub fn may_be_listed_by(&self, number: u64) -> bool {
        number <= self.until
    }
}

fn read_input(reader: &mut Reader<'_>) -> Result<RequestInput, CborError> {
    let at = reader.at();
    let parts = reader.list(3, 1)?;
    match (reader.uint()?, parts) {
        (DATA, 2) => reader.digest().map(RequestInput::Data),
        (OUTPUT, 3) => {
            let request = reader.digest()?;
            let at = reader.at();
            let pin = u32::try_from(reader.uint()?).map_err(|_| CborError::Type {
                at,
                expected: "the number of an output",
            })?;
            Ok(RequestInput::Output { request, pin })
        }
        _ => Err(CborError::Type {
            at,
            expected: "an input of a known kind",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            ring: Address([1; 20]),
            chain: 31337,
            profile: "wasmtime 48".into(),
            operation: Digest([2; 32]),
            inputs: vec![
                RequestInput::Data(Digest([3; 32])),
                RequestInput::Output {
                    request: Digest([4; 32]),
                    pin: 1,
                },
            ],
            nonce: 7,
            until: 9,
        }
    }

    #[test]
    fn a_request_survives_its_bytes_and_its_message() {
        let message = request().to_message().unwrap();
        assert_eq!(Request::from_message(&message).unwrap(), Some(request()));
        assert_eq!(request().digest().unwrap(), sha256(&message.payload));
        for cut in 0..message.payload.len() {
            assert!(Request::from_bytes(&message.payload[..cut]).is_err());
        }
    }

    #[test]
    fn every_field_is_in_its_name() {
        let base = request();
        let others = [
            Request {
                ring: Address([2; 20]),
                ..base.clone()
            },
            Request {
                chain: 1,
                ..base.clone()
            },
            Request {
                profile: "other".into(),
                ..base.clone()
            },
            Request {
                operation: Digest([9; 32]),
                ..base.clone()
            },
            Request {
                inputs: vec![],
                ..base.clone()
            },
            Request {
                nonce: 8,
                ..base.clone()
            },
            Request {
                until: 10,
                ..base.clone()
            },
        ];
        for other in others {
            assert_ne!(other.digest(), base.digest());
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_refused() {
        let far = RequestInput::Output {
            request: Digest([4; 32]),
            pin: MAX_OUTPUTS as u32,
        };
        let base = request();
        for bad in [
            Request {
                inputs: vec![far],
                ..base.clone()
            },
            Request {
                inputs: vec![base.inputs[0]; MAX_REQUEST_INPUTS + 1],
                ..base.clone()
            },
            Request {
                profile: "x".repeat(MAX_PROFILE_BYTES + 1),
                ..base.clone()
            },
        ] {
            assert!(bad.to_bytes().is_err());
        }
    }

    #[test]
    fn inputs_resolve_as_those_of_a_gate_do() {
        let output =
            |of: Digest, pin: u32| (of == Digest([4; 32]) && pin == 1).then_some(Digest([5; 32]));
        let resolved = request().resolve(output).unwrap();
        assert_eq!(resolved.hash, inputs_hash(&[Digest([5; 32])]));
        assert_eq!(resolved.data, [2, 3, 5].map(|n| Digest([n; 32])));
        assert_eq!(request().resolve(|_, _| None), None);
        assert_eq!(request().upstream(), [Digest([4; 32])]);
    }
}
