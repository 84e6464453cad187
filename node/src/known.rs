//! The result of a gate, as the chain has it.
//!
//! [`known`] reads it from the event of its registration, with the transaction, the gas and the signatures. If the
//! endpoint does not keep old events or transactions, the pins of the gate itself say what the result is, and the rest
//! is missing. Both ways give the same outputs. `rings run`, `rings gate show` and `rings verify` begin here.

use super::exit::ExitError;
use rings_chain::{Chain, ChainError, RegisteredResult};
use rings_protocol::{
    eip712::Domain,
    gate::{Computation, GateSpec, FAILURE_PIN},
    Address, Digest,
};
use std::future::Future;
use tokio::time::Instant;

/// A result that is on chain. What the endpoint does not keep any more is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The ring that registered it.
    pub ring: Option<Address>,
    /// The transaction.
    pub transaction: Option<Digest>,
    /// Its block.
    pub block: Option<u64>,
    /// The gas that it used.
    pub gas_used: Option<u64>,
    /// The epoch of the signatures.
    pub epoch: Option<u64>,
    /// Pins and the digests of the data on them.
    pub outputs: Vec<(u128, Digest)>,
    /// Who signed; empty when it is not known.
    pub signers: Vec<Address>,
}

impl Known {
    /// The record's digest, when the program failed.
    pub fn failure(&self) -> Option<Digest> {
        match self.outputs.as_slice() {
            [(FAILURE_PIN, digest)] => Some(*digest),
            _ => None,
        }
    }
}

/// The result of a gate; `None` while there is none.
///
/// # Errors
/// When the chain cannot be asked.
pub async fn known(
    chain: &Chain,
    spec: &GateSpec,
    gate: Address,
) -> Result<Option<Known>, ExitError> {
    let registered = match chain.registration(&spec.rings, gate).await {
        // An endpoint that does not keep old events may refuse to search for them.
        Err(error) if error.is_transient() => return Err(error.into()),
        Err(_) => None,
        Ok(registered) => registered,
    };
    match registered {
        Some(registered) => with_signers(chain, gate, registered).await.map(Some),
        None => of_state(chain, spec, gate).await,
    }
}

async fn with_signers(
    chain: &Chain,
    gate: Address,
    registered: RegisteredResult,
) -> Result<Known, ExitError> {
    let signers = match chain.inputs_hash(gate).await? {
        Some(inputs) => {
            let computation = Computation { gate, inputs };
            let domain = Domain::new(chain.id(), registered.ring);
            let (epoch, pins) = (registered.epoch, &registered.pins);
            let data = domain.outputs(computation, epoch, pins, &registered.cids);
            // The contract has accepted them. In the calldata of another contract they cannot be found.
            registered.signers(&data.digest()).unwrap_or_default()
        }
        None => Vec::new(),
    };
    let outputs = registered.pins.iter().copied().zip(registered.cids);
    Ok(Known {
        ring: Some(registered.ring),
        transaction: Some(registered.transaction),
        block: Some(registered.block.number),
        gas_used: registered.gas_used,
        epoch: Some(registered.epoch),
        outputs: outputs.collect(),
        signers,
    })
}

/// What is on the gate's pins now: a constant's token is its digest.
async fn of_state(
    chain: &Chain,
    spec: &GateSpec,
    gate: Address,
) -> Result<Option<Known>, ExitError> {
    if !chain.gate_state(gate).await?.resolved {
        return Ok(None);
    }
    let mut outputs = Vec::new();
    match chain.output_of(gate, FAILURE_PIN).await? {
        Some(record) => outputs.push((FAILURE_PIN, record)),
        None => {
            for pin in 0..spec.outputs {
                outputs.extend(
                    chain
                        .output_of(gate, pin)
                        .await?
                        .map(|digest| (pin, digest)),
                );
            }
        }
    }
    let ring = match spec.rings.as_slice() {
        [ring] => Some(*ring),
        _ => None,
    };
    Ok(Some(Known {
        ring,
        transaction: None,
        block: None,
        gas_used: None,
        epoch: None,
        outputs,
        signers: Vec::new(),
    }))
}

/// Asks the chain, and tries again after temporary errors until `deadline`.
///
/// # Errors
/// The last one.
pub async fn patiently<T, F>(deadline: Instant, ask: impl Fn() -> F) -> Result<T, ChainError>
where
    F: Future<Output = Result<T, ChainError>>,
{
    let mut pauses = super::process::Pauses::new(std::time::Duration::from_secs(1));
    loop {
        match ask().await {
            Err(error) if error.is_transient() && Instant::now() < deadline => {
                pauses.next().await;
            }
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::Cell, time::Duration};

    fn refused() -> ChainError {
        ChainError::RateLimited {
            endpoint: "http://x".into(),
            method: "eth_call".into(),
            wait: None,
        }
    }

    #[tokio::test]
    async fn one_refusal_ends_nothing_and_a_mistake_ends_at_once() {
        let deadline = Instant::now() + Duration::from_millis(300);
        let asked = Cell::new(0);
        let ask = || {
            asked.set(asked.get() + 1);
            let answer = (asked.get() > 3).then_some(7).ok_or_else(refused);
            async move { answer }
        };
        assert_eq!(patiently(deadline, ask).await.unwrap(), 7);
        assert_eq!(asked.get(), 4);
        let never = || async { Err::<(), _>(refused()) };
        assert!(patiently(deadline, never).await.is_err());
        assert!(Instant::now() >= deadline);
        let wrong = || async {
            asked.set(asked.get() + 1);
            Err::<(), _>(ChainError::Reverted {
                reason: "no".into(),
            })
        };
        assert!(patiently(Instant::now() + Duration::from_secs(9), wrong)
            .await
            .is_err());
        assert_eq!(asked.get(), 5);
    }
}
