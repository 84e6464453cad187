//! A gate on chain: made if it is new, and waited for.

use super::job::Job;
use crate::cli::{
    failure::Failure,
    out::Out,
    process::{self, Pauses},
    ringdir::{RingDir, RingFile},
};
use futures::future::try_join_all;
use rings_chain::{calls, Call, Chain, ChainError, GateState, Submitted, Submitter};
use rings_protocol::{cids::keccak256, gate::GateSpec, Address, Digest};
use std::time::{Duration, Instant};

/// Longest pause between two looks at a gate.
const LONGEST_LOOK: Duration = Duration::from_millis(250);
/// Constants declared in one transaction.
const DECLARED_AT_ONCE: usize = 100;
/// Most gas that a transaction of ours may ask for (EIP-7825).
const MAX_GAS: u64 = 16_777_216;

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
    pub async fn of(
        chain: &Chain,
        file: &RingFile,
        job: &Job,
        salt: Digest,
    ) -> Result<Self, Failure> {
        let spec = job.spec(file.scope, file.ring, salt)?;
        let address = chain.gate_of(file.engine, &spec).await?;
        Ok(Self { address, spec })
    }

    /// Where it stands; nowhere while it is not there.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub async fn state(&self, chain: &Chain) -> Result<GateState, ChainError> {
        match chain.gate_state(self.address).await {
            Err(ChainError::NotAContract { .. }) => Ok(GateState::default()),
            state => state,
        }
    }

    /// Declares what is new, and asks for the gate, from the client's account.
    ///
    /// # Errors
    /// When the account cannot pay, or the chain refuses.
    pub async fn request(
        &self,
        chain: &Chain,
        dir: &RingDir,
        file: &RingFile,
        job: &Job,
        out: Out,
    ) -> Result<(), Failure> {
        let missing = self.undeclared(chain, job).await?;
        let waiting = || out.note("waiting for another rings run to send its transactions");
        let _lock = process::wait_lock(&dir.client_lock(), waiting).await?;
        let submitter = Submitter::open(dir.client_journal(), chain.clone(), dir.client()?).await?;
        let sent = self.send(&submitter, file, &missing).await;
        submitter.shutdown().await;
        sent
    }

    async fn undeclared(&self, chain: &Chain, job: &Job) -> Result<Vec<Digest>, Failure> {
        let mut digests = job.digests()?;
        digests.sort_unstable();
        digests.dedup();
        let asked = digests.into_iter().map(|digest| async move {
            match chain.read_data(self.spec.scope, digest.token_id()).await {
                Ok(_) => Ok(None),
                Err(ChainError::Reverted { .. }) => Ok(Some(digest)),
                Err(error) => Err(error),
            }
        });
        let asked = try_join_all(asked).await?;
        Ok(asked.into_iter().flatten().collect())
    }

    /// Sends both kinds of transaction at once where their gas is known: nonces keep their order. What the second was
    /// refused may be for want of the first, so it is asked for again when that is there.
    async fn send(
        &self,
        submitter: &Submitter,
        file: &RingFile,
        missing: &[Digest],
    ) -> Result<(), Failure> {
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

    /// Waits until it has a result, at most until `deadline`.
    ///
    /// # Errors
    /// When the chain could not be asked up to the end.
    pub async fn wait(
        &self,
        chain: &Chain,
        deadline: Instant,
    ) -> Result<Option<GateState>, Failure> {
        let mut pauses = Pauses::new(LONGEST_LOOK);
        loop {
            let state = self.state(chain).await;
            let over = Instant::now() >= deadline;
            match state {
                Ok(state) if state.resolved || state.failed => return Ok(Some(state)),
                Ok(_) if over => return Ok(None),
                Err(error) if over || !error.is_transient() => return Err(error.into()),
                _ => pauses.next().await,
            }
        }
    }
}

/// Bounds by measured costs (some 55,000 for a constant), twice over.
fn declare_gas(count: usize) -> u64 {
    (100_000 + 120_000 * count as u64).min(MAX_GAS)
}

/// A bound for the code of a gate, which grows with its inputs; `None` when only an estimate can tell.
fn create_gas(spec: &GateSpec) -> Option<u64> {
    let words = spec.inputs.len() + spec.rings.len();
    let gas = 400_000 + 80_000 * words as u64;
    (gas <= MAX_GAS).then_some(gas)
}

/// What a call is for is what it says: the same call is sent once from this account, for a constant stays and a gate
/// stays.
fn purpose(call: &Call) -> Digest {
    let mut purpose = call.data.clone();
    purpose.extend_from_slice(b"rings run");
    purpose.extend(call.to.iter().flat_map(|to| to.0));
    keccak256(&purpose)
}

/// A call that must succeed.
async fn mined(submitter: &Submitter, call: Call) -> Result<(), Failure> {
    match submitter.submit_bounded(purpose(&call), call).await? {
        Submitted::Mined { .. } => Ok(()),
        Submitted::Reverted { reason, .. } => Err(ChainError::Reverted { reason }.into()),
    }
}
