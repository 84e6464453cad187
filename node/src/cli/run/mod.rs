//! `rings run`: a program on the ring, from the files of the command line to the agreed bytes on standard output.

pub mod content;
mod dry;
mod gate;
mod job;
mod next_state;
mod receipt;
pub mod votes;

use super::{
    anvil,
    args::RunArgs,
    failure::{Failure, Status},
    out::Out,
    process::{Pauses, LONGEST_PAUSE},
    ringdir::{RingDir, RingFile},
    rings::start,
    signals::Signals,
    up::{check_chain, Plan, Session},
};
use crate::http::{Client, GatewaySource, Pin};
use cid::Cid;
use futures::{future::join_all, stream, StreamExt, TryStreamExt};
use gate::Gate;
pub use job::STATE_PIN;
use job::{Job, Program, State};
use next_state::NextState;
use rand::RngCore;
use receipt::{FailurePart, Milliseconds, OperationPart, OutputPart, Receipt};
use rings_chain::{Chain, Registration, RingState};
use rings_protocol::{
    cids::data_cid,
    gate::FAILURE_PIN,
    operation::{FailureRecord, Reason, MAX_OPERATION_BYTES},
    Address, Digest,
};
use rings_store::{file_size, read_file, BlockSource};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use votes::{answering, Votes};

/// Version of the receipt.
const RECEIPT_VERSION: u32 = 1;
/// Files that are added at one moment; a member takes a few at once and sends others away.
const UPLOADS_AT_ONCE: usize = 4;
/// Time for an endpoint to find in its logs what its state shows already.
const LOGS_LIMIT: Duration = Duration::from_secs(5);
/// Time for a member to see the registration that we have seen, so that it can tell how long each part took.
const TIMES_LIMIT: Duration = Duration::from_secs(1);

/// `rings run`
///
/// # Errors
/// As the exit statuses of the interface say.
pub async fn run(args: RunArgs, out: Out) -> Result<(), Failure> {
    if args.dry {
        return dry::run(&args, out).await;
    }
    let began = Instant::now();
    let job = Job::prepare(&args).await?;
    let mut signals = Signals::new()?;
    let dir = args.dir.dir();
    if let Some(file) = dir.find()? {
        let run = Run::new(&args, &dir, file, job, began, out);
        return tokio::select! {
            done = async { run.await?.all().await } => done,
            () = signals.next() => Err(Failure::internal("interrupted; a gate that was made stays")),
        };
    }
    throw_away(&args, job, began, &mut signals, out).await
}

/// Runs on a ring that is made for this and goes afterwards, however it ends.
async fn throw_away(
    args: &RunArgs,
    job: Job,
    began: Instant,
    signals: &mut Signals,
    out: Out,
) -> Result<(), Failure> {
    let root = args.dir.dir();
    out.note(format_args!(
        "no ring in {}: this runs on a throw-away one; `rings up` makes one that stays",
        root.root().display()
    ));
    let place = tempfile::tempdir().map_err(|error| {
        Failure::unavailable("cannot make a temporary directory").because(error)
    })?;
    let dir = RingDir::new(Some(place.path().into()));
    let plan = Plan {
        dir: dir.clone(),
        members: None,
        given: None,
        store: None,
        confirmations: 0,
    };
    let mut session = Session::new(dir.clone(), out);
    let file = start(&mut session, &plan, signals).await?;
    let run = Run::new(args, &dir, file, job, began, out);
    let done = tokio::select! {
        done = async { run.await?.all().await } => done,
        () = signals.next() => Err(Failure::internal("interrupted")),
    };
    let stopped = session.stop().await;
    done.and(stopped)
}

/// One run, with all that it talks to.
struct Run<'a> {
    args: &'a RunArgs,
    dir: &'a RingDir,
    file: RingFile,
    job: Job,
    out: Out,
    began: Instant,
    chain: Chain,
    ring: RingState,
    clients: Vec<Client>,
    times: Milliseconds,
}

impl<'a> Run<'a> {
    async fn new(
        args: &'a RunArgs,
        dir: &'a RingDir,
        file: RingFile,
        job: Job,
        began: Instant,
        out: Out,
    ) -> Result<Self, Failure> {
        if file.own_chain && anvil::running(dir).is_none() {
            let root = dir.root().display();
            let what = format!("the ring in {root} does not run; start it with `rings up`");
            return Err(Failure::unavailable(what));
        }
        let chain = file.chain().await?;
        check_chain(dir, &file, &chain).await?;
        Ok(Self {
            ring: chain.ring_state(file.ring).await?,
            clients: dir.clients(&file)?,
            args,
            dir,
            file,
            job,
            out,
            began,
            chain,
            times: Milliseconds::default(),
        })
    }

    async fn all(mut self) -> Result<(), Failure> {
        let salt = match self.args.again {
            true => random_digest(),
            false => Digest::ZERO,
        };
        let gate = Gate::of(&self.chain, &self.file, &self.job, salt).await?;
        let state = gate.state(&self.chain).await?;
        let known = state.resolved || state.failed;
        let resolved = match known {
            true => true,
            false => self.ask(&gate).await?,
        };
        if resolved {
            self.check_upstream(&gate).await?;
        }
        match resolved {
            true => self.show(&gate).await,
            false => self.no_quorum(&gate).await,
        }
    }

    /// A gate behind one that has failed never gets a result.
    async fn check_upstream(&self, gate: &Gate) -> Result<(), Failure> {
        let state = gate.state(&self.chain).await?;
        if state.resolved || !state.failed {
            return Ok(());
        }
        let what = format!(
            "gate {} never gets a result, for a gate that it takes its state from has failed; see `rings gate show`",
            gate.address
        );
        Err(Failure::new(Status::Failed, what))
    }

    /// Publishes, makes the gate, and waits; gives whether there is a result.
    async fn ask(&mut self, gate: &Gate) -> Result<bool, Failure> {
        let clients = self.clients.clone();
        let members = answering(&clients).await.ok_or_else(|| {
            let root = self.dir.root().display();
            Failure::unavailable(format!(
                "no member of the ring in {root} answers; start them with `rings up`"
            ))
        })?;
        let began = Instant::now();
        if let Program::There(cid) = &self.job.program {
            job::read_program(self.source(&members)?, *cid).await?;
        }
        self.publish(&members).await?;
        self.times.store = Some(milliseconds(began));
        let began = Instant::now();
        gate.request(&self.chain, self.dir, &self.file, &self.job, self.out)
            .await?;
        self.times.create = Some(milliseconds(began));
        let (quorum, members) = (self.ring.quorum, self.ring.members.len());
        let _step = self.out.step(format_args!(
            "gate {}: waiting for {quorum} of {members} members",
            gate.address
        ));
        let deadline = Instant::now() + Duration::from_secs(self.args.timeout);
        Ok(gate.wait(&self.chain, deadline).await?.is_some())
    }

    /// Gives all files to the first member that takes them.
    async fn publish(&self, members: &[&Client]) -> Result<(), Failure> {
        let mut last = None;
        for member in members {
            let contents = self.job.contents();
            let added = contents.map(|content| content.add_to(member, self.out));
            let added = stream::iter(added).buffer_unordered(UPLOADS_AT_ONCE);
            match added.try_collect().await {
                Ok(()) => return Ok(()),
                Err(failure) if failure.status() == Status::Usage => return Err(failure),
                Err(failure) => last = Some(failure),
            }
        }
        Err(last.unwrap_or_else(|| Failure::unavailable("the ring has no members")))
    }

    fn source(&self, members: &[&Client]) -> Result<Arc<dyn BlockSource>, Failure> {
        let urls: Vec<_> = members.iter().map(|member| member.url()).collect();
        Ok(Arc::new(GatewaySource::new(&urls)?))
    }

    /// The result: its bytes, or why the program failed.
    async fn show(mut self, gate: &Gate) -> Result<(), Failure> {
        let registered = self.registration(gate).await?;
        let clients = self.clients.clone();
        let members = answering(&clients).await;
        let source = self.source(&members.unwrap_or_else(|| clients.iter().collect()))?;
        let mut receipt = self.receipt(gate);
        receipt.epoch = registered.epoch;
        receipt.signers = registered.signers.clone();
        receipt.transaction = Some(registered.transaction);
        receipt.block = Some(registered.block.number);
        receipt.gas_used = Some(registered.gas_used);
        let failure = match registered.pins.as_slice() {
            [FAILURE_PIN] => Some(self.failed(&registered, &source, &mut receipt).await?),
            _ => {
                self.outputs(&registered, &source, &mut receipt).await?;
                None
            }
        };
        self.times.total = milliseconds(self.began);
        self.write_receipt(gate, receipt).await?;
        failure.map_or(Ok(()), Err)
    }

    /// How the result was registered. An endpoint may show the gate's state before it finds the event in its logs.
    async fn registration(&self, gate: &Gate) -> Result<Registration, Failure> {
        let deadline = Instant::now() + LOGS_LIMIT;
        let mut pauses = Pauses::new(LONGEST_PAUSE);
        loop {
            let found = self
                .chain
                .registration(self.file.ring, gate.address)
                .await?;
            if let Some(registration) = found {
                return Ok(registration);
            }
            if Instant::now() > deadline {
                return Err(Failure::unavailable(format!(
                    "the registration of gate {} cannot be found; does the chain keep its history?",
                    gate.address
                )));
            }
            pauses.next().await;
        }
    }

    async fn outputs(
        &self,
        registered: &Registration,
        source: &Arc<dyn BlockSource>,
        receipt: &mut Receipt,
    ) -> Result<(), Failure> {
        let mut outputs: Vec<_> = registered.pins.iter().zip(&registered.cids).collect();
        outputs.sort_unstable();
        let mut reader_left = false;
        for (pin, digest) in outputs {
            let cid = data_cid(*digest);
            receipt.outputs.push(OutputPart {
                pin: Pin(*pin),
                token_id: digest.token_id(),
                cid,
                bytes: file_size(source.as_ref(), cid).await?,
            });
            if self.job.state.is_some() && *pin == STATE_PIN {
                self.next_state(source, cid).await?;
                continue;
            }
            let mut pieces = read_file(Arc::clone(source), cid);
            while let (false, Some(piece)) = (reader_left, pieces.next().await) {
                match self.out.bytes(&piece?) {
                    // The reader has what it wanted. The receipt is written all the same.
                    Err(failure) if failure.status() == Status::Done => reader_left = true,
                    written => written?,
                }
            }
        }
        Ok(())
    }

    /// Says what the next state is, and writes it where it is wanted.
    async fn next_state(&self, source: &Arc<dyn BlockSource>, cid: Cid) -> Result<(), Failure> {
        self.out.note(format_args!("next state: {cid}"));
        let Some(path) = &self.args.next_state else {
            return Ok(());
        };
        let mut file = NextState::create(path)?;
        let mut pieces = read_file(Arc::clone(source), cid);
        while let Some(piece) = pieces.next().await {
            file.write(&piece?)?;
        }
        file.keep()
    }

    /// Shows the end of the program's standard error, and gives the failure to end with.
    async fn failed(
        &self,
        registered: &Registration,
        source: &Arc<dyn BlockSource>,
        receipt: &mut Receipt,
    ) -> Result<Failure, Failure> {
        let digest = registered.cids.first().copied().unwrap_or_default();
        let cid = data_cid(digest);
        let record = read_record(Arc::clone(source), cid).await?;
        receipt.failure = Some(FailurePart::new(cid, digest.token_id(), &record));
        if !record.stderr.is_empty() {
            self.out
                .warn(String::from_utf8_lossy(&record.stderr).trim_end());
        }
        Ok(Failure::new(
            Status::Failed,
            told("the ring agreed that the program failed", &record),
        ))
    }

    /// Tells who voted for what, and who did not.
    async fn no_quorum(mut self, gate: &Gate) -> Result<(), Failure> {
        let votes = Votes::ask(&self.clients, gate.address).await;
        let silent = votes.silent(self.ring.members.iter().copied());
        votes.tell(&silent, self.out);
        let mut receipt = self.receipt(gate);
        let (voted, members) = (votes.votes.len(), self.ring.members.len());
        receipt.votes = Some(votes.votes.into_values().collect());
        receipt.silent = Some(silent);
        self.times.total = milliseconds(self.began);
        self.write_receipt(gate, receipt).await?;
        let (seconds, quorum) = (self.args.timeout, self.ring.quorum);
        Err(Failure::new(
            Status::NoQuorum,
            format!(
                "no quorum within {seconds} s for gate {}: {voted} of {members} members have voted and {quorum} must agree; the gate stays, and resolves when members return",
                gate.address
            ),
        ))
    }

    fn receipt(&self, gate: &Gate) -> Receipt {
        Receipt {
            version: RECEIPT_VERSION,
            chain_id: self.file.chain_id,
            engine: self.file.engine,
            scope: self.file.scope,
            ring: self.file.ring,
            gate: gate.address,
            epoch: self.ring.epoch,
            operation: OperationPart {
                cid: self.job.operation.cid(),
                program: self.job.program.cid(),
            },
            state: self.job.state.as_ref().map(State::name),
            inputs: self.job.inputs.iter().map(content::Content::cid).collect(),
            outputs: Vec::new(),
            failure: None,
            fuel: None,
            signers: Vec::new(),
            quorum: self.ring.quorum,
            members: self.ring.members.len(),
            transaction: None,
            block: None,
            gas_used: None,
            votes: None,
            silent: None,
            milliseconds: Milliseconds::default(),
        }
    }

    async fn write_receipt(&mut self, gate: &Gate, mut receipt: Receipt) -> Result<(), Failure> {
        let Some(path) = &self.args.receipt else {
            return Ok(());
        };
        if receipt.transaction.is_some() {
            receipt.fuel = self.member_view(gate, &receipt.signers).await;
        }
        receipt.milliseconds = self.times;
        receipt::write(path, &receipt)
    }

    /// What the member has measured that knows most, and the fuel that the signers' votes name. A member may see the
    /// registration a moment after us, and one that was slower than two thirds of the others has measured little.
    async fn member_view(&mut self, gate: &Gate, signers: &[Address]) -> Option<u64> {
        let deadline = Instant::now() + TIMES_LIMIT;
        let mut pauses = Pauses::new(LONGEST_PAUSE);
        let mut fuel = None;
        loop {
            let asked = self.clients.iter().map(|client| async {
                let view = tokio::time::timeout(TIMES_LIMIT, client.gate(gate.address)).await;
                view.ok().and_then(Result::ok)
            });
            let views = join_all(asked).await.into_iter().flatten();
            if let Some(view) = views.max_by_key(|view| view.milliseconds.known()) {
                self.times.of_member(&view);
                fuel = view.fuel_of(signers).or(fuel);
            }
            if self.times.are_known() || Instant::now() > deadline {
                return fuel;
            }
            pauses.next().await;
        }
    }
}

/// A failure record; every block of it is hashed.
async fn read_record(
    source: Arc<dyn BlockSource>,
    cid: cid::Cid,
) -> Result<FailureRecord, Failure> {
    let mut pieces = read_file(source, cid);
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece?);
        if bytes.len() > MAX_OPERATION_BYTES {
            break;
        }
    }
    FailureRecord::from_dag_json(&bytes).map_err(|error| {
        Failure::unavailable(format!("{cid} on the failure pin is not a failure record"))
            .because(error)
    })
}

/// Why the program failed, in words that begin with `what`.
fn told(what: &str, record: &FailureRecord) -> String {
    let why = match record.reason {
        Reason::Exit => format!(
            "it ended with exit status {}",
            record.code.unwrap_or_default()
        ),
        Reason::Trap => format!("trap ({})", record.trap.as_deref().unwrap_or("unknown")),
        Reason::Fuel => "it used all its fuel; give it more with --fuel".into(),
        Reason::Memory => {
            "it needed more memory than it may have; give it more with --memory".into()
        }
        Reason::Input => "the operation, the program or an input is malformed".into(),
    };
    match record.input {
        Some(input) => format!("{what} on input {input}: {why}"),
        None => format!("{what}: {why}"),
    }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn random_digest() -> Digest {
    let mut digest = Digest::ZERO;
    rand::rngs::OsRng.fill_bytes(&mut digest.0);
    digest
}
