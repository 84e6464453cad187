//! A throw-away ring, and gates that are asked of it.

use crate::{
    cli::{
        failure::Failure,
        out::Out,
        ringdir::{RingDir, RingFile},
        rings,
        signals::Signals,
        up::{Plan, Session},
    },
    http::Client,
};
use rings_chain::{
    calls, watch, Chain, ChainEvent, Located, Submitted, Submitter, Update, WatchConfig,
};
use rings_protocol::{
    cids::{digest_of, keccak256},
    crypto::SecretKey,
    gate::{GateInput, GateSpec},
    operation::{Mode, Operation},
    Digest,
};
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

const PROGRAM: &str = include_str!("count.wat");
const FUEL: u64 = 1_000_000_000;
const MEMORY: u64 = 16 << 20;
/// Bytes of the input.
const INPUT: usize = 4096;
/// Updates of the chain that wait to be looked at.
const QUEUE: usize = 64;
/// Gates made in one transaction.
const CIRCUIT: usize = 16;
/// How long a result may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The ring and the question.
pub struct Stage {
    directory: PathBuf,
    session: Session,
    file: RingFile,
    chain: Chain,
    key: SecretKey,
    submitter: Submitter,
    events: Events,
    _watcher: DropGuard,
    program: Vec<u8>,
    operation: Operation,
    input: Vec<u8>,
    inputs: Vec<GateInput>,
    asked: u64,
}

impl Stage {
    /// Starts a ring below `directory` and brings program and input to it.
    pub async fn new(
        directory: &Path,
        members: u16,
        out: Out,
        signals: &mut Signals,
    ) -> Result<Self, Failure> {
        let dir = RingDir::new(Some(directory.join("ring")));
        let plan = Plan {
            dir: dir.clone(),
            members: Some(members),
            given: None,
            store: None,
            confirmations: 0,
        };
        let mut session = Session::new(dir.clone(), out);
        let file = rings::start(&mut session, &plan, signals).await?;
        match Self::prepare(directory, &dir, &file).await {
            Ok((parts, inputs)) => Ok(parts.stage(session, file, inputs)),
            Err(failure) => {
                session.abandon().await;
                Err(failure)
            }
        }
    }

    async fn prepare(
        directory: &Path,
        dir: &RingDir,
        file: &RingFile,
    ) -> Result<(Parts, Vec<GateInput>), Failure> {
        let key = dir.client()?;
        let chain = Chain::connect(&file.rpc_url.replacen("http", "ws", 1)).await?;
        let submitter =
            Submitter::open(directory.join("bench.redb"), chain.clone(), key.clone()).await?;
        let clients = dir.clients(file)?;
        let client = clients
            .first()
            .ok_or_else(|| Failure::internal("the ring has no members"))?;
        let program = wat::parse_str(PROGRAM)
            .map_err(|error| Failure::internal("the program cannot be assembled").because(error))?;
        let input = b"the quick brown fox\n".repeat(INPUT / 20);
        let operation = Operation {
            args: vec![],
            fuel: FUEL,
            memory: MEMORY,
            mode: Mode::Cat,
            output: None,
            program: add(client, &program).await?,
            stack: None,
            state: false,
        };
        let encoded = operation
            .to_dag_json()
            .map_err(|error| Failure::internal("the operation cannot be written").because(error))?;
        let cids = [add(client, &encoded).await?, add(client, &input).await?];
        let digests = cids.iter().map(digest_of).collect::<Result<Vec<_>, _>>();
        let digests = digests.map_err(|error| {
            Failure::internal("a member gave a CID of another kind").because(error)
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
            .map(|digest| GateInput::Token(digest.token_id()))
            .collect();
        let directory = directory.to_path_buf();
        Ok((
            Parts {
                directory,
                chain,
                key,
                submitter,
                program,
                operation,
                input,
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
        &self.program
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

    /// Stops the ring.
    pub async fn stop(mut self) -> Result<(), Failure> {
        self.submitter.shutdown().await;
        self.session.stop().await
    }

    /// Asks for gates one after the other; for each, the time between the event of its block and that of its result's.
    pub async fn one_by_one(&mut self, count: usize) -> Result<Vec<Duration>, Failure> {
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let asked = tokio::spawn(self.ask(1));
            let mut begins = None;
            let time = loop {
                let (at, located) = self.events.next().await?;
                match located.event {
                    ChainEvent::GateCreated { .. } => begins = Some(at),
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
    pub async fn stream(&mut self, count: usize, in_flight: usize) -> Result<Duration, Failure> {
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
    ) -> impl std::future::Future<Output = Result<(), Failure>> + Send + 'static {
        let specs: Vec<_> = (0..count).map(|_| self.spec()).collect();
        let purpose = specs.last().map(|spec| spec.salt).unwrap_or_default();
        let call = calls::create_circuit(self.file.engine, &specs);
        let submitter = self.submitter.clone();
        async move { mined(submitter.submit(purpose, call).await?) }
    }

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

/// What a stage is made of, before its ring is handed over.
struct Parts {
    directory: PathBuf,
    chain: Chain,
    key: SecretKey,
    submitter: Submitter,
    program: Vec<u8>,
    operation: Operation,
    input: Vec<u8>,
}

impl Parts {
    fn stage(self, session: Session, file: RingFile, inputs: Vec<GateInput>) -> Stage {
        let (sender, updates) = mpsc::channel(QUEUE);
        let stop = CancellationToken::new();
        let config = WatchConfig {
            engine: file.engine,
            ring: file.ring,
            start_block: file.start_block,
            confirmations: 0,
            poll: Duration::from_millis(20),
            page: 1000,
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
            session,
            file,
            chain: self.chain,
            key: self.key,
            submitter: self.submitter,
            events: Events {
                updates,
                waiting: VecDeque::new(),
            },
            _watcher: stop.drop_guard(),
            program: self.program,
            operation: self.operation,
            input: self.input,
            inputs,
            asked: 0,
        }
    }
}

fn broken(error: tokio::task::JoinError) -> Failure {
    Failure::internal("a question ended badly").because(error)
}

async fn add(client: &Client, bytes: &[u8]) -> Result<cid::Cid, Failure> {
    Ok(client.add(std::io::Cursor::new(bytes.to_vec())).await?.cid)
}

fn mined(submitted: Submitted) -> Result<(), Failure> {
    match submitted {
        Submitted::Mined { .. } => Ok(()),
        Submitted::Reverted { reason, .. } => {
            Err(Failure::unavailable(format!("the chain refused: {reason}")))
        }
    }
}

/// The chain's events one by one, each with the moment at which its page came.
struct Events {
    updates: mpsc::Receiver<Update>,
    waiting: VecDeque<(Instant, Located)>,
}

impl Events {
    async fn next(&mut self) -> Result<(Instant, Located), Failure> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Ok(event);
            }
            let update = tokio::time::timeout(PATIENCE, self.updates.recv()).await;
            let silent = |_| {
                Failure::unavailable("no result came for a minute; the members' logs may say why")
            };
            let update = update.map_err(silent)?;
            let update = update
                .ok_or_else(|| Failure::unavailable("the chain cannot be followed any more"))?;
            let now = Instant::now();
            if let Update::Page { events, .. } = update {
                self.waiting
                    .extend(events.into_iter().map(|event| (now, event)));
            }
        }
    }
}
