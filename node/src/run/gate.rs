//! A gate on chain: making it if it is new, and waiting for its result.
//!
//! [`Gate::of`] asks the engine for the address. `request` declares the data that the scope does not have yet, and
//! calls `createGate`; each call has a purpose that follows from its content, so a run that was interrupted goes on.
//! `wait` asks for the state until there is a result or the time is up.
//!
//! `createGate` for a gate that exists asks for it again and changes nothing, so two people who ask the same at the
//! same moment both succeed.

use super::job::Job;
use crate::{
    exit::ExitError,
    known::patiently,
    out::Out,
    process::{self, Pauses},
    ringdir::{RingDir, RingFile},
};
use futures::future::try_join_all;
use rings_chain::{
    calls, Call, Chain, ChainError, GateState, Submitted, Submitter, SubmitterConfig,
};
use rings_protocol::{cids::keccak256, gate::GateSpec, Address, Digest};
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

/// A gate that was there and is not for this long went with its branch of the chain. One machine of an endpoint may be
/// behind for a moment.
const GONE: Duration = Duration::from_secs(3);
/// Longest pause between two checks of a gate.
const LONGEST_LOOK: Duration = Duration::from_millis(250);
/// Constants declared in one transaction.
const DECLARED_AT_ONCE: usize = 100;
/// Most gas that a transaction may ask for (EIP-7825).
const MAX_GAS: u64 = 16_777_216;

/// How waiting for a gate ends.
#[derive(Debug)]
pub enum Waited {
    /// It has a result, or failed.
    Ended,
    /// A reorganisation has removed it from the chain.
    Gone,
    /// The time is up.
    TooLate,
}

/// The gate of a job.
#[derive(Debug, Clone)]
pub struct Gate {
    /// Its address.
    pub address: Address,
    spec: GateSpec,
}

impl Gate {
    /// The address that the engine gives to the job's gate.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub async fn of(chain: &Chain, file: &RingFile, spec: &GateSpec) -> Result<Self, ChainError> {
        let address = chain.gate_of(file.engine, spec).await?;
        Ok(Self {
            address,
            spec: spec.clone(),
        })
    }

    /// What it asks.
    pub fn spec(&self) -> &GateSpec {
        &self.spec
    }

    /// Its state; the default one while the gate does not exist.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub async fn state(&self, chain: &Chain) -> Result<GateState, ChainError> {
        Ok(self.state_if_there(chain).await?.unwrap_or_default())
    }

    async fn state_if_there(&self, chain: &Chain) -> Result<Option<GateState>, ChainError> {
        match chain.gate_state(self.address).await {
            Err(ChainError::NotAContract { .. }) => Ok(None),
            state => state.map(Some),
        }
    }

    /// Declares what is new, and asks for the gate, from the client's account. Gives `false` when the chain has not taken
    /// the transactions by `deadline`; they stay in the journal, and the next run goes on with them.
    ///
    /// # Errors
    /// When the account cannot pay, or the chain refuses.
    pub async fn request(
        &self,
        chain: &Chain,
        dir: &RingDir,
        file: &RingFile,
        job: &Job,
        fees: SubmitterConfig,
        out: Out,
        deadline: Instant,
    ) -> Result<bool, ExitError> {
        let opening = async {
            let missing = self.undeclared(chain, job, deadline).await?;
            let waiting = || out.note("waiting for another rings run to send its transactions");
            let lock = process::wait_lock(&dir.client_lock(), waiting).await?;
            let client = dir.client_of(file)?;
            let submitter = patiently(deadline.into(), || {
                let (journal, chain) = (dir.client_journal(), chain.clone());
                Submitter::open_with(journal, chain, client.clone(), fees.clone())
            });
            Ok::<_, ExitError>((missing, lock, submitter.await?))
        };
        let Ok(opened) = timeout_at(deadline.into(), opening).await else {
            return Ok(false);
        };
        let (missing, _lock, submitter) = opened?;
        let sending = self.send(&submitter, file, &missing);
        let sent = timeout_at(deadline.into(), sending).await;
        submitter.shutdown().await;
        sent.map_or(Ok(false), |sent| sent.map(|()| true))
    }

    /// Which of the job's data the scope does not know yet: only these are declared, because each costs gas.
    async fn undeclared(
        &self,
        chain: &Chain,
        job: &Job,
        deadline: Instant,
    ) -> Result<Vec<Digest>, ExitError> {
        let mut digests = job.digests()?;
        digests.sort_unstable();
        digests.dedup();
        let asked = digests.into_iter().map(|digest| async move {
            let ask = || chain.is_declared(self.spec.scope, digest);
            let declared = patiently(deadline.into(), ask).await?;
            Ok::<_, ChainError>((!declared).then_some(digest))
        });
        let asked = try_join_all(asked).await?;
        Ok(asked.into_iter().flatten().collect())
    }

    /// Sends both kinds of transaction at once if their gas is known; their nonces keep them in order. The second may
    /// revert because the first is not mined yet, so it is sent again when the first is mined.
    async fn send(
        &self,
        submitter: &Submitter,
        file: &RingFile,
        missing: &[Digest],
    ) -> Result<(), ExitError> {
        let declared = missing.chunks(DECLARED_AT_ONCE).map(|digests| {
            let mut call = calls::declare_data(file.scope, digests);
            call.gas = Some(declare_gas(digests.len()));
            mined(submitter, call)
        });
        let declared = try_join_all(declared);
        let mut call = calls::create_gate(file.engine, &self.spec);
        call.gas = create_gas(&self.spec);
        if call.gas.is_some() {
            let early = submitter.submit(purpose(&call), call.clone());
            let (declared, early) = tokio::join!(declared, early);
            declared?;
            early?;
        } else {
            declared.await?;
        }
        mined(submitter, call).await
    }

    /// Waits until it has a result, at most until `deadline`. The gate was there.
    ///
    /// # Errors
    /// When the chain could not be asked until the deadline.
    pub async fn wait(&self, chain: &Chain, deadline: Instant) -> Result<Waited, ExitError> {
        let mut pauses = Pauses::new(LONGEST_LOOK);
        let mut seen = Instant::now();
        loop {
            // A chain that does not answer is not waited for any longer than the gate.
            let state = timeout_at(deadline.into(), self.state_if_there(chain)).await;
            let over = Instant::now() >= deadline;
            match state {
                Ok(Ok(Some(state))) if state.resolved || state.failed => return Ok(Waited::Ended),
                Ok(Err(error)) if over || !error.is_transient() => return Err(error.into()),
                Ok(Ok(_)) | Err(_) if over => return Ok(Waited::TooLate),
                Ok(Ok(None)) if seen.elapsed() >= GONE => return Ok(Waited::Gone),
                Ok(Ok(None)) => {}
                // Whether it is there is not known while the chain does not answer.
                Ok(Ok(Some(_)) | Err(_)) | Err(_) => seen = Instant::now(),
            }
            pauses.next().await;
        }
    }
}

/// A bound for declaring constants: twice the measured cost (some 55,000 for each).
fn declare_gas(count: usize) -> u64 {
    (100_000 + 120_000 * count as u64).min(MAX_GAS)
}

/// A bound for the code of a gate, which grows with its inputs; `None` when only an estimate can tell.
fn create_gas(spec: &GateSpec) -> Option<u64> {
    let words = spec.inputs.len() + spec.rings.len();
    let gas = 400_000 + 80_000 * words as u64;
    (gas <= MAX_GAS).then_some(gas)
}

/// The purpose of a call is its content: the same call is sent only once from this account, because a constant or gate
/// that exists stays.
fn purpose(call: &Call) -> Digest {
    let mut purpose = call.data.clone();
    purpose.extend_from_slice(b"rings run");
    purpose.extend(call.to.iter().flat_map(|to| to.0));
    keccak256(&purpose)
}

/// A call that must succeed.
async fn mined(submitter: &Submitter, call: Call) -> Result<(), ExitError> {
    match submitter.submit_bounded(purpose(&call), call).await? {
        Submitted::Mined { .. } => Ok(()),
        Submitted::Reverted { reason, .. } => Err(ChainError::Reverted { reason }.into()),
    }
}
