//! A run of `rings run` on a ring: from the job to a gate, and to the end of the waiting.
//!
//! A [`Session`] has the job, the ring as read from the chain, and the members that can be asked. [`Session::all`] goes
//! through the steps: does the gate exist with a result, put the files into a member's store, declare the data and make
//! the gate, wait, show. `--timeout` bounds all of it. What was sent stays: a run that ends without a result can be
//! given again and goes on. The files are kept for an hour at least, until the gate needs them.

use super::{
    declined::{until_hopeless, Declined},
    gate::{Gate, Waited},
    job::{Job, StateSource, STATE_PIN},
    receipt::{milliseconds, Milliseconds},
};
use crate::{
    anvil,
    args::{values, RunArgs},
    exit::ExitError,
    known::patiently,
    out::{count, Out},
    place::does_not_run,
    ringdir::{MemberEntry, RingDir, RingFile},
    up::check_chain,
};
use rand::RngCore;
use rings_api::{shown_url, Client};
use rings_chain::{Chain, ChainError, RingState};
use rings_protocol::{gate::GateSpec, Address, Digest};
use std::time::{Duration, Instant};
use tokio::{sync::watch, time::timeout_at};

/// One run, with the ring, chain and members that it talks to.
pub(super) struct Session<'a> {
    pub(super) args: &'a RunArgs,
    pub(super) dir: &'a RingDir,
    pub(super) file: RingFile,
    pub(super) job: Job,
    pub(super) out: Out,
    pub(super) began: Instant,
    /// When `--timeout` is over.
    pub(super) deadline: Instant,
    pub(super) chain: Chain,
    pub(super) ring: RingState,
    /// The members that can be asked.
    pub(super) clients: Vec<Client>,
    /// The members that can be asked, each with its account.
    pub(super) members: Vec<(Address, Client)>,
    pub(super) times: Milliseconds,
    /// The URL of the member that took the files.
    pub(super) brought: Option<String>,
}

impl<'a> Session<'a> {
    /// Connects to the chain, and reads the ring.
    ///
    /// # Errors
    /// When the chain is another one, or does not answer in time.
    pub(super) async fn new(
        args: &'a RunArgs,
        dir: &'a RingDir,
        file: RingFile,
        job: Job,
        began: Instant,
        out: Out,
    ) -> Result<Self, ExitError> {
        if file.own_chain && anvil::running(dir).is_none() {
            return Err(does_not_run(dir));
        }
        let deadline = Instant::now() + args.timeout;
        let late = no_answer(&file, args.timeout);
        let late = |_| ExitError::unavailable(late);
        let asked = async {
            let chain = file.chain().await?;
            check_chain(dir, &file, &chain).await?;
            let ring = patiently(deadline.into(), || chain.ring_state(file.ring)).await?;
            Ok::<_, ExitError>((chain, ring))
        };
        let (chain, ring) = timeout_at(deadline.into(), asked).await.map_err(late)??;
        let mut members = Vec::with_capacity(file.members.len());
        // A node that was removed from the ring still answers, and the members do not fetch files from it.
        let of_today = |entry: &&MemberEntry| ring.members.contains(&entry.address);
        for entry in file.members.iter().filter(of_today) {
            let client = dir.client_at(entry)?;
            members.extend(client.map(|client| (entry.address, client)));
        }
        Ok(Self {
            ring,
            clients: members.iter().map(|(_, client)| client.clone()).collect(),
            members,
            deadline,
            args,
            dir,
            file,
            job,
            out,
            began,
            chain,
            times: Milliseconds::default(),
            brought: None,
        })
    }

    /// Asks, waits, and tells.
    ///
    /// # Errors
    /// As the exit statuses of the interface say.
    pub(super) async fn all(mut self) -> Result<(), ExitError> {
        if self.args.no_gate {
            return self.all_without_gate().await;
        }
        let salt = match self.args.again {
            true => random_digest(),
            false => Digest::ZERO,
        };
        let (gate, known) = self.find(salt).await?;
        let asked = match known {
            true => Asked::Resolved,
            false => self.ask(&gate).await?,
        };
        match asked {
            Asked::Resolved => {
                self.check_upstream(&gate).await?;
                self.show(&gate).await
            }
            Asked::NoQuorum => self.no_quorum(&gate, Vec::new()).await,
            Asked::Declined(declined) => self.no_quorum(&gate, declined).await,
            Asked::NotMined => self.not_mined(&gate).await,
        }
    }

    /// The gate, and whether it has a result already.
    async fn find(&self, salt: Digest) -> Result<(Gate, bool), ExitError> {
        let (deadline, late) = (self.deadline.into(), |_| {
            ExitError::unavailable(no_answer(&self.file, self.args.timeout))
        });
        if let Some(StateSource::After(before)) = &self.job.state {
            let asked = patiently(deadline, || self.chain.gate_spec(self.file.engine, *before));
            check_state(*before, timeout_at(deadline, asked).await.map_err(late)?)?;
        }
        let spec = self.job.spec(self.file.scope, self.file.ring, salt)?;
        let found = async {
            let gate = patiently(deadline, || Gate::of(&self.chain, &self.file, &spec)).await?;
            let state = patiently(deadline, || gate.state(&self.chain)).await?;
            Ok::<_, ChainError>((gate, state.resolved || state.failed))
        };
        Ok(timeout_at(deadline, found).await.map_err(late)??)
    }

    /// Publishes, makes the gate, and waits, all of it until the deadline.
    async fn ask(&mut self, gate: &Gate) -> Result<Asked, ExitError> {
        self.bring().await?;
        let began = Instant::now();
        loop {
            let request = gate.request(
                &self.chain,
                self.dir,
                &self.file,
                &self.job,
                self.args.fees.submitter(),
                self.out,
                self.deadline,
            );
            if !request.await? {
                return Ok(Asked::NotMined);
            }
            self.times.create.get_or_insert(milliseconds(began));
            if let Some(asked) = self.wait(gate).await? {
                return Ok(asked);
            }
            let what =
                "the chain was reorganised, and the gate with it is gone: asking for it again";
            self.out.note(what);
        }
    }

    /// Waits for the result, or until it is known that there will be none. `None` when the gate is not on the chain any more.
    async fn wait(&self, gate: &Gate) -> Result<Option<Asked>, ExitError> {
        let (quorum, total) = (self.ring.quorum, self.ring.members.len());
        let _step = self.out.step(format_args!(
            "gate {}: waiting for {quorum} of {}",
            gate.address,
            count(total, "member")
        ));
        let (lacking, mut lacks) = watch::channel(false);
        let hopeless = until_hopeless(&self.members, gate.address, (quorum, total), &lacking);
        let waited = tokio::select! {
            waited = gate.wait(&self.chain, self.deadline) => waited?,
            declined = hopeless => return Ok(Some(Asked::Declined(declined))),
            never = self.bring_again(&mut lacks) => match never {},
        };
        Ok(match waited {
            Waited::Ended => Some(Asked::Resolved),
            Waited::TooLate => Some(Asked::NoQuorum),
            Waited::Gone => None,
        })
    }
}

/// How far asking has come.
enum Asked {
    /// There is a result.
    Resolved,
    /// The gate is there, and its result is not.
    NoQuorum,
    /// The members that have not declined are too few for a result.
    Declined(Vec<Declined>),
    /// The chain did not take the client's transactions.
    NotMined,
}

/// Whether a gate can leave a state, as `--state` says of it.
fn check_state(gate: Address, spec: Result<GateSpec, ChainError>) -> Result<(), ExitError> {
    match spec {
        Err(ChainError::NotAContract { .. }) => Err(ExitError::usage(format!(
            "--state: there is no gate {gate} of this ring's engine; name a gate, a file, or new"
        ))),
        Ok(spec) if spec.outputs <= STATE_PIN => Err(ExitError::usage(format!(
            "--state: gate {gate} leaves no state; name one that was run with --state"
        ))),
        Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn no_answer(file: &RingFile, timeout: Duration) -> String {
    let url = shown_url(&file.rpc_url);
    too_late(&format!("the chain at {url} does not answer"), timeout)
}

pub(super) fn too_late(what: &str, timeout: Duration) -> String {
    format!(
        "{what} within {}; try again, or give it more with --timeout",
        values::shown(timeout)
    )
}

/// A number that JSON keeps exactly, for a request that is new.
pub(super) fn random_nonce() -> u64 {
    rand::rngs::OsRng.next_u64() >> 11
}

fn random_digest() -> Digest {
    let mut digest = Digest::ZERO;
    rand::rngs::OsRng.fill_bytes(&mut digest.0);
    digest
}
