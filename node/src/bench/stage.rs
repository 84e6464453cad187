//! A throw-away ring, and the gates that the measurements ask of it.
//!
//! A [`Stage`] is a running ring with a program and an input in its store. It asks for gates, one by one or many at a
//! time, and follows the chain's events, so that times are measured from block to block, without the time of polling.
//!
//! All gates ask the same of the same program; a salt makes them different gates. The program is small on purpose: what
//! is measured is the way of a result through the ring and not the work of the program.

use super::figures::BenchReport;
use crate::{
    exit::{Context, ExitError, ExitStatus},
    out::Out,
    ringdir::{RingDir, RingFile},
    signals::Signals,
    terms::TermsArgs,
    up::{plan::Plan, start, LocalRing},
};
use futures::{StreamExt, TryStreamExt};
use rings_api::{
    views::{RequestInputView, RequestState},
    Client, RequestParams,
};
use rings_chain::{
    calls, create_ring, watch, Call, Chain, ChainEvent, ForkRule, Located, RingTerms, Submitted,
    Submitter, SubmitterConfig, Update, WatchConfig,
};
use rings_protocol::{
    cids::{digest_of, keccak256},
    crypto::SecretKey,
    gate::{GateInput, GateSpec},
    operation::{Mode, Operation},
    Address, Digest,
};
use std::{
    collections::{BTreeSet, VecDeque},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What is run: `count.wat`, assembled. A test compares the two.
const PROGRAM: &[u8] = include_bytes!("count.wasm");
const FUEL: u64 = 1_000_000_000;
const MEMORY: u64 = 16 << 20;
/// Bytes of the input.
const INPUT: usize = 4096;
/// Updates of the chain that wait to be looked at.
const QUEUE: usize = 64;
/// Gates made in one transaction.
const CIRCUIT: usize = 16;
/// Requests that are being asked at one time.
const LANES: usize = 64;
/// Between two looks at a request.
const LOOK: Duration = Duration::from_millis(1);
/// How long a result may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The ring, with a program and an input in its store.
pub struct Stage {
    directory: PathBuf,
    ring: LocalRing,
    file: RingFile,
    chain: Chain,
    key: SecretKey,
    submitter: Submitter,
    events: Events,
    _watcher: DropGuard,
    operation: Operation,
    input: Vec<u8>,
    inputs: Vec<GateInput>,
    cids: [cid::Cid; 2],
    clients: Vec<Client>,
    asked: u64,
}

/// What became of requests that were asked at once.
#[derive(Debug, Clone, Copy)]
pub struct Answered {
    /// From the first one to the last listing.
    pub elapsed: Duration,
    /// Ring nodes that list them.
    pub nodes: usize,
    /// What those cost in all.
    pub gas: u64,
}

/// Measures on a throw-away ring of so many members, which is stopped whatever comes of it, and shows what was found, as JSON if
/// that is wanted.
///
/// # Errors
/// When the ring does not start, or a part of it fails.
pub async fn on_stage(
    (members, json): (u16, bool),
    out: Out,
    measure: impl AsyncFnOnce(&Stage, &mut BenchReport) -> Result<(), ExitError>,
) -> Result<(), ExitError> {
    let mut signals = Signals::new()?;
    let directory =
        tempfile::tempdir().context(ExitStatus::Internal, "cannot make a temporary directory")?;
    let mut report = BenchReport::default();
    let stage = Stage::new(directory.path(), members, out, &mut signals).await?;
    let measured = tokio::select! {
        measured = measure(&stage, &mut report) => measured,
        () = signals.next() => Err(ExitError::internal("interrupted")),
    };
    stage.stop().await?;
    measured?;
    report.show(json, out)
}

impl Stage {
    /// Starts a ring below `directory` and brings program and input to it.
    pub async fn new(
        directory: &Path,
        members: u16,
        out: Out,
        signals: &mut Signals,
    ) -> Result<Self, ExitError> {
        let plan = Self::plan(directory, members);
        let dir = plan.dir.clone();
        let mut ring = LocalRing::throw_away(dir.clone(), out);
        let file = start(&mut ring, &plan, signals).await?;
        match Self::prepare(directory, &dir, &file).await {
            Ok((setup, inputs)) => Ok(setup.stage(ring, file, inputs)),
            Err(failure) => {
                ring.abandon().await;
                Err(failure)
            }
        }
    }

    /// The ring that is started below `directory`.
    pub fn plan(directory: &Path, members: u16) -> Plan {
        Plan {
            dir: RingDir::new(Some(directory.join("ring"))),
            members: Some(members),
            given: None,
            store: None,
            confirmations: 0,
            terms: TermsArgs::none(),
            fees: SubmitterConfig::default(),
        }
    }

    /// Adds program, operation and input, and declares them, so that what is measured later is only the gate.
    async fn prepare(
        directory: &Path,
        dir: &RingDir,
        file: &RingFile,
    ) -> Result<(StageSetup, Vec<GateInput>), ExitError> {
        let key = dir.client()?;
        let chain = Chain::connect(&file.rpc_url.replacen("http", "ws", 1)).await?;
        let submitter =
            Submitter::open(directory.join("bench.redb"), chain.clone(), key.clone()).await?;
        let clients = dir.clients(file)?;
        let client = clients
            .first()
            .ok_or_else(|| ExitError::internal("the ring has no members"))?;
        let input = b"the quick brown fox\n".repeat(INPUT / 20);
        let operation = Operation {
            args: vec![],
            fuel: FUEL,
            memory: MEMORY,
            mode: Mode::Cat,
            output: None,
            profile: rings_compute::profile(),
            program: add(client, PROGRAM).await?,
            stack: None,
            state: false,
            time: 0,
        };
        let encoded = operation.to_dag_json().map_err(|error| {
            ExitError::internal("the operation cannot be written").because(error)
        })?;
        let cids = [add(client, &encoded).await?, add(client, &input).await?];
        let digests = cids.iter().map(digest_of).collect::<Result<Vec<_>, _>>();
        let digests = digests.map_err(|error| {
            ExitError::internal("a member gave a CID of another kind").because(error)
        })?;
        mined(
            submitter
                .submit(
                    keccak256(b"declare"),
                    calls::declare_data(file.scope, &digests),
                )
                .await?,
        )?;
        let inputs = digests
            .iter()
            .map(|digest| GateInput::Constant(*digest))
            .collect();
        let directory = directory.to_path_buf();
        Ok((
            StageSetup {
                directory,
                chain,
                key,
                submitter,
                operation,
                input,
                cids,
                clients,
            },
            inputs,
        ))
    }

    /// The chain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The account that asks.
    pub fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Where files may be put.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The module.
    pub fn program(&self) -> &[u8] {
        PROGRAM
    }

    /// What is asked.
    pub fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The one input.
    pub fn input(&self) -> &[u8] {
        &self.input
    }

    /// The members' processes.
    pub fn pids(&self) -> Vec<u32> {
        self.file
            .members
            .iter()
            .filter_map(|member| member.pid)
            .collect()
    }

    /// The ring itself.
    pub fn ring(&self) -> Address {
        self.file.ring
    }

    /// A client of the first member.
    ///
    /// # Errors
    /// When the ring has none.
    pub fn member(&self) -> Result<&Client, ExitError> {
        let first = self.clients.first();
        first.ok_or_else(|| ExitError::internal("the ring has no members"))
    }

    /// Puts a file into the store of the first member, for good.
    ///
    /// # Errors
    /// When it does not take it.
    pub async fn add(&self, bytes: &[u8]) -> Result<cid::Cid, ExitError> {
        add(self.member()?, bytes).await
    }

    /// A client of the last member.
    ///
    /// # Errors
    /// When the ring has none.
    pub fn last_member(&self) -> Result<&Client, ExitError> {
        let last = self.clients.last();
        last.ok_or_else(|| ExitError::internal("the ring has no members"))
    }

    /// Makes a further ring on the engine, which keeps itself.
    ///
    /// # Errors
    /// When the chain refuses.
    pub async fn client_ring(&self, members: &[Address]) -> Result<Address, ExitError> {
        self.client_ring_for(members, keccak256(b"client ring"))
            .await
    }

    /// The same, for another purpose: one of several.
    ///
    /// # Errors
    /// When the chain refuses.
    pub async fn client_ring_for(
        &self,
        members: &[Address],
        purpose: Digest,
    ) -> Result<Address, ExitError> {
        let terms = RingTerms {
            keeper: None,
            entry_delay: 0,
            fork_rule: ForkRule::Freeze,
        };
        let engine = self.file.engine;
        let made = create_ring(
            &self.chain,
            &self.submitter,
            engine,
            (members, &terms),
            purpose,
        );
        Ok(made.await?)
    }

    /// Sends a transaction, and waits until it is in a block.
    ///
    /// # Errors
    /// When the chain refuses, or it reverts.
    pub async fn send(&self, purpose: Digest, call: Call) -> Result<(), ExitError> {
        match self.submitter.submit(purpose, call).await? {
            Submitted::Mined { .. } => Ok(()),
            Submitted::Reverted { reason, .. } => Err(ExitError::unavailable(format!(
                "a transaction reverted: {reason}"
            ))),
        }
    }

    /// Stops the ring.
    pub async fn stop(mut self) -> Result<(), ExitError> {
        self.submitter.shutdown().await;
        self.ring.stop().await
    }

    /// Asks for gates one after the other; for each, the time between the event of its block and that of its result's.
    pub async fn one_by_one(&mut self, count: usize) -> Result<Vec<Duration>, ExitError> {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let asked = tokio::spawn(self.ask(1));
            let mut begins = None;
            let time = loop {
                let (at, located) = self.events.next().await?;
                match located.event {
                    ChainEvent::GateRequested { .. } => begins = Some(at),
                    ChainEvent::OutputsRegistered { .. } => {
                        if let Some(begins) = begins {
                            break at - begins;
                        }
                    }
                    _ => {}
                }
            };
            times.push(time);
            asked.await.map_err(broken)??;
        }
        Ok(times)
    }

    /// Keeps `in_flight` gates waiting until `count` have their results; the time from the first to the last.
    pub async fn stream(&mut self, count: usize, in_flight: usize) -> Result<Duration, ExitError> {
        let began = Instant::now();
        let mut asking = tokio::task::JoinSet::new();
        let (mut asked, mut answered) = (0, 0);
        while answered < count {
            while asked < count && asked - answered + CIRCUIT <= in_flight {
                asking.spawn(self.ask(CIRCUIT));
                asked += CIRCUIT;
            }
            let (_, located) = self.events.next().await?;
            answered += usize::from(matches!(
                located.event,
                ChainEvent::OutputsRegistered { .. }
            ));
        }
        let elapsed = began.elapsed();
        while let Some(asked) = asking.join_next().await {
            asked.map_err(broken)??;
        }
        Ok(elapsed)
    }

    /// Asks for gates, in one transaction, that nobody has asked for.
    fn ask(
        &mut self,
        count: usize,
    ) -> impl std::future::Future<Output = Result<(), ExitError>> + Send + 'static {
        let specs: Vec<_> = (0..count).map(|_| self.spec()).collect();
        let purpose = specs.last().map(|spec| spec.salt).unwrap_or_default();
        let call = calls::create_circuit(self.file.engine, &specs);
        let submitter = self.submitter.clone();
        async move { mined(submitter.submit(purpose, call).await?) }
    }

    /// Asks one request at the first member. Returns the time until that member knows that two thirds have voted the same.
    ///
    /// # Errors
    /// When a member refuses it, or it has no result.
    pub async fn ask_request(&mut self) -> Result<Duration, ExitError> {
        let (params, began) = (self.request(), Instant::now());
        let member = self.member()?;
        let request = member.request(&params).await?.request;
        while began.elapsed() < PATIENCE {
            let view = member.get_request(request).await?;
            if matches!(view.state, RequestState::Agreed | RequestState::Listed) {
                return Ok(began.elapsed());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(silent())
    }

    /// Asks so many requests at all members, and waits until ring nodes list them.
    ///
    /// # Errors
    /// As [`Stage::ask_request`].
    pub async fn ask_requests(&mut self, count: usize) -> Result<Answered, ExitError> {
        // The first of them, one for each member: one member has the operation, and many that ask it for that at the same time
        // would be refused. Together they are as many as were asked for, so that a ring node can hold all of them.
        let first: Vec<_> = (0..self.clients.len()).map(|_| self.request()).collect();
        let others = count.saturating_sub(first.len()).max(1);
        let params: Vec<_> = (0..others).map(|_| self.request()).collect();
        let members = &self.clients;
        let began = Instant::now();
        for (params, member) in first.iter().zip(members) {
            member.request(params).await?;
        }
        let asking = params.iter().zip(members.iter().cycle());
        let asked: Vec<_> = futures::stream::iter(asking)
            .map(|(params, member)| member.request(params))
            .buffered(LANES)
            .try_collect()
            .await?;
        let mut transactions = BTreeSet::new();
        let mut elapsed = Duration::ZERO;
        let member = self.member()?;
        // The last one first: mostly it is listed with or after the others.
        for asked in asked.iter().rev() {
            let transaction = loop {
                let view = member.get_request(asked.request).await?;
                if let Some(node) = view.ring_node {
                    break node.transaction;
                }
                if began.elapsed() > PATIENCE {
                    return Err(silent());
                }
                tokio::time::sleep(LOOK).await;
                elapsed = Duration::ZERO;
            };
            if elapsed.is_zero() {
                elapsed = began.elapsed();
            }
            transactions.insert(transaction);
        }
        let mut gas = 0;
        for transaction in &transactions {
            gas += self.chain.gas_used(*transaction).await?.unwrap_or_default();
        }
        Ok(Answered {
            elapsed,
            nodes: transactions.len(),
            gas,
        })
    }

    fn request(&mut self) -> RequestParams {
        self.asked += 1;
        let [operation, input] = self.cids;
        RequestParams {
            ring: self.file.ring,
            operation,
            inputs: vec![RequestInputView::Data { cid: input }],
            nonce: self.asked,
            until: None,
        }
    }

    /// A gate that nobody has asked for: the salt makes it another one each time.
    fn spec(&mut self) -> GateSpec {
        self.asked += 1;
        let mut salt = Digest::ZERO;
        salt.0[..8].copy_from_slice(&self.asked.to_be_bytes());
        GateSpec {
            scope: self.file.scope,
            rings: vec![self.file.ring],
            inputs: self.inputs.clone(),
            outputs: 1,
            salt,
        }
    }
}

/// A stage without its ring.
struct StageSetup {
    directory: PathBuf,
    chain: Chain,
    key: SecretKey,
    submitter: Submitter,
    operation: Operation,
    input: Vec<u8>,
    cids: [cid::Cid; 2],
    clients: Vec<Client>,
}

impl StageSetup {
    fn stage(self, ring: LocalRing, file: RingFile, inputs: Vec<GateInput>) -> Stage {
        let (sender, updates) = mpsc::channel(QUEUE);
        let stop = CancellationToken::new();
        let config = WatchConfig {
            engine: file.engine,
            ring: file.ring,
            start_block: file.start_block,
            confirmations: 0,
            poll: Duration::from_millis(20),
            page: 1000,
            following: Vec::new(),
        };
        tokio::spawn(watch(
            self.chain.clone(),
            config,
            Vec::new(),
            sender,
            stop.clone(),
        ));
        Stage {
            directory: self.directory,
            ring,
            file,
            chain: self.chain,
            key: self.key,
            submitter: self.submitter,
            events: Events {
                updates,
                waiting: VecDeque::new(),
            },
            _watcher: stop.drop_guard(),
            operation: self.operation,
            input: self.input,
            inputs,
            cids: self.cids,
            clients: self.clients,
            asked: 0,
        }
    }
}

fn silent() -> ExitError {
    ExitError::unavailable("no result came for a minute; the members' logs may say why")
}

fn broken(error: tokio::task::JoinError) -> ExitError {
    ExitError::internal("a measurement failed").because(error)
}

async fn add(client: &Client, bytes: &[u8]) -> Result<cid::Cid, ExitError> {
    Ok(client.add(std::io::Cursor::new(bytes.to_vec())).await?.cid)
}

fn mined(submitted: Submitted) -> Result<(), ExitError> {
    match submitted {
        Submitted::Mined { .. } => Ok(()),
        Submitted::Reverted { reason, .. } => Err(ExitError::unavailable(format!(
            "the chain refused: {reason}"
        ))),
    }
}

/// The chain's events one by one, each with the moment at which its page came.
struct Events {
    updates: mpsc::Receiver<Update>,
    waiting: VecDeque<(Instant, Located)>,
}

impl Events {
    /// The next event, with the moment at which its page came.
    async fn next(&mut self) -> Result<(Instant, Located), ExitError> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Ok(event);
            }
            let update = tokio::time::timeout(PATIENCE, self.updates.recv()).await;
            let update = update.map_err(|_| silent())?;
            let update = update
                .ok_or_else(|| ExitError::unavailable("the chain cannot be followed any more"))?;
            let now = Instant::now();
            if let Update::Page { events, .. } = update {
                self.waiting
                    .extend(events.into_iter().map(|event| (now, event)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_assembled_program_is_the_one_in_the_source() {
        let made = wat::parse_str(include_str!("count.wat")).unwrap();
        assert_eq!(PROGRAM, made);
    }
}
