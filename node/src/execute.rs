//! Running a gate's operation over its inputs: one function for the member that votes and for whoever verifies.
//!
//! What comes out is a function of the blocks and of the [`TaskContext`] alone. Whatever else goes wrong (a block
//! that nobody has, a worker that dies, a full disk) is an [`ExecuteError`], and no vote follows from it.

use crate::task::{task, with_state};
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use futures::{stream, Stream, StreamExt, TryStreamExt};
use rings_compute::{
    ComputeError, Failure, HashedOutput, Opinion, Outcome, OutputSink, Pool, Reason as Ended, Task,
    Witnessed, MAX_MODULE_BYTES,
};
use rings_protocol::{
    cids::{digest_of, sha256, CidError},
    gate::FAILURE_PIN,
    operation::{
        FailureRecord, Mode, Operation, OperationError, Reason, DEFAULT_OUTPUT, MAX_OPERATION_BYTES,
    },
    Address, Digest,
};
use rings_store::{read_file, BlockSource, BlockStore, ErrorClass, Importer, StoreError};
use std::{io, sync::Arc};

/// Inputs of mode `each` that are worked on at the same time; the pool's workers bound it further.
pub const EACH_IN_FLIGHT: usize = 4;

/// Separates this use of the hash from all others.
const SAMPLE_DOMAIN: &[u8] = b"rings second opinion v1";

/// What the chain says about the gate that is computed, and what this machine does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskContext {
    /// Chain id.
    pub chain_id: u64,
    /// The ring that computes.
    pub ring: Address,
    /// The gate.
    pub gate: Address,
    /// Who computes it; only the choice of what is computed twice depends on it.
    pub member: Address,
    /// Time of the block that made the gate ready, in Unix seconds.
    pub ready_timestamp: u64,
    /// How many output pins the gate has.
    pub outputs: u128,
    /// What this machine spends on it.
    pub bounds: Bounds,
}

/// What a machine is willing to spend on a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most bytes of memory for one run.
    pub memory: u64,
    /// Most units of fuel for one run.
    pub fuel: u64,
    /// Most bytes of output for one run.
    pub output: u64,
    /// Of a hundred gates, how many are computed on the second engine too.
    pub second_opinion: u8,
}

impl Bounds {
    /// No bound, and one engine.
    pub const NONE: Self = Self {
        memory: u64::MAX,
        fuel: u64::MAX,
        output: u64::MAX,
        second_opinion: 0,
    };

    /// Whether `member` asks the second engine about `gate`. Each member has a sample of its own, so that together they
    /// see more gates than one of them, and nobody who makes a gate knows of none.
    fn samples(self, member: Address, gate: Address) -> bool {
        let draw = sha256(&[SAMPLE_DOMAIN, member.as_ref(), gate.as_ref()].concat());
        u16::from_be_bytes([draw.0[0], draw.0[1]]) % 100 < u16::from(self.second_opinion)
    }
}

/// A result that can be voted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// The digest of the data on each output pin; one pin, [`FAILURE_PIN`], when the program failed.
    pub outputs: Vec<(u128, Digest)>,
    /// Why it failed.
    pub failure: Option<FailureRecord>,
    /// Units of fuel used by all runs together.
    pub fuel: u64,
    /// Most bytes of linear memory that one run had.
    pub memory: u64,
}

/// A fault of this machine: nothing is known about the program, and no vote follows.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// A block could not be read, or an output could not be kept.
    #[error("the blocks of the gate could not be read or written")]
    Store(#[source] StoreError),
    /// The worker failed.
    #[error("the program could not be run to its end")]
    Compute(#[source] ComputeError),
    /// The operation may use more than this machine gives to one run.
    #[error("the operation may use {asked} {unit} and this member gives {limit} to one run; see [compute] {key}")]
    TooMuch {
        /// The key of the configuration that sets the limit.
        key: &'static str,
        /// In what it is counted.
        unit: &'static str,
        /// What the operation asks for.
        asked: u64,
        /// What this machine gives.
        limit: u64,
    },
    /// Two WebAssembly engines do not agree about the program: one of them is wrong.
    #[error("{0}")]
    Differs(Opinion),
    /// A CID of the wrong kind came out of the importer.
    #[error("the output has a CID that cannot go on chain")]
    Cid(#[from] CidError),
    /// The failure record could not be written.
    #[error("the failure record could not be encoded")]
    Record(#[from] OperationError),
}

impl ExecuteError {
    /// Whether it is this machine's will, which another try does not change.
    pub fn is_declined(&self) -> bool {
        matches!(
            self,
            Self::TooMuch { .. }
                | Self::Differs(_)
                | Self::Compute(ComputeError::CompileTimeout { .. })
        )
    }
}

/// Why a run did not give an output.
enum Stop {
    /// A result like any other.
    Failed(Box<FailureRecord>, Usage),
    /// A fault of this machine.
    Fault(ExecuteError),
}

/// What runs have used.
#[derive(Debug, Clone, Copy, Default)]
struct Usage {
    fuel: u64,
    memory: u64,
}

impl Usage {
    fn and(self, other: Self) -> Self {
        Self {
            fuel: self.fuel.saturating_add(other.fuel),
            memory: self.memory.max(other.memory),
        }
    }
}

impl From<ExecuteError> for Stop {
    fn from(error: ExecuteError) -> Self {
        Self::Fault(error)
    }
}

impl Stop {
    /// The operation, the program or an input is malformed, and always will be.
    fn malformed(what: &str, input: Option<u64>) -> Self {
        let record = FailureRecord {
            code: None,
            input,
            reason: Reason::Input,
            stderr: what.as_bytes().to_vec(),
            trap: None,
        };
        Self::Failed(Box::new(record), Usage::default())
    }
}

/// Runs the operation in the file `operation` over `inputs` (the gate's input pins behind pin 0, in order).
///
/// Outputs, and the record of a failure, go into `store`; without one, only their digests are computed.
///
/// # Errors
/// [`ExecuteError`] for faults of this machine only. A malformed operation or program, like a program that traps,
/// is an [`Execution`] with a failure.
pub async fn execute(
    pool: &Pool,
    source: Arc<dyn BlockSource>,
    store: Option<Arc<dyn BlockStore>>,
    operation: Cid,
    inputs: &[Cid],
    context: TaskContext,
) -> Result<Execution, ExecuteError> {
    let run = Run {
        sampled: context.bounds.samples(context.member, context.gate),
        pool,
        source,
        store,
        context,
    };
    match run.all(operation, inputs).await {
        Ok((outputs, usage)) => Ok(Execution {
            outputs: (0..).zip(outputs).collect(),
            failure: None,
            fuel: usage.fuel,
            memory: usage.memory,
        }),
        Err(Stop::Failed(record, usage)) => run.failed(*record, usage).await,
        Err(Stop::Fault(error)) => Err(error),
    }
}

/// One gate's work.
struct Run<'a> {
    pool: &'a Pool,
    source: Arc<dyn BlockSource>,
    store: Option<Arc<dyn BlockStore>>,
    context: TaskContext,
    /// Whether the second engine is asked.
    sampled: bool,
}

/// The program of an operation, ready to be handed to a worker.
struct Program {
    task: Task,
    module: Bytes,
}

impl Run<'_> {
    async fn all(&self, operation: Cid, inputs: &[Cid]) -> Result<(Vec<Digest>, Usage), Stop> {
        let operation = self.operation(operation, inputs.len()).await?;
        let mut program = self.program(&operation).await?;
        match operation.mode {
            Mode::Cat if operation.state => {
                let pins: Result<Vec<_>, _> = inputs.iter().map(digest_of).collect();
                program.task = with_state(program.task, &pins.map_err(ExecuteError::Cid)?);
                self.step(&program, inputs).await
            }
            Mode::Cat => {
                let (output, usage) = self.one(&program, inputs, None).await?;
                Ok((vec![output], usage))
            }
            Mode::Each => self.each(&program, inputs).await,
        }
    }

    async fn operation(&self, cid: Cid, inputs: usize) -> Result<Operation, Stop> {
        let bytes = self
            .small_file(cid, MAX_OPERATION_BYTES, "operation")
            .await?;
        let operation = Operation::from_dag_json(&bytes).map_err(|_| {
            Stop::malformed("the operation is not canonical DAG-JSON of Rings", None)
        })?;
        if operation.outputs(inputs) != Some(self.context.outputs) {
            let wrong = "the operation does not fill the gate's output pins";
            return Err(Stop::malformed(wrong, None));
        }
        let bounds = self.context.bounds;
        within("memory", "bytes of memory", operation.memory, bounds.memory)?;
        within("fuel", "units of fuel", operation.fuel, bounds.fuel)?;
        let output = operation.output.unwrap_or(DEFAULT_OUTPUT);
        within("output", "bytes of output", output, bounds.output)?;
        Ok(operation)
    }

    async fn program(&self, operation: &Operation) -> Result<Program, Stop> {
        let bytes = self
            .small_file(operation.program, MAX_MODULE_BYTES, "program")
            .await?;
        let TaskContext {
            chain_id,
            ring,
            gate,
            ready_timestamp,
            ..
        } = self.context;
        let module = sha256(&bytes);
        Ok(Program {
            task: task(chain_id, ring, gate, operation, module, ready_timestamp),
            module: bytes.into(),
        })
    }

    /// The whole of a file that must not be longer than `limit` bytes.
    async fn small_file(&self, cid: Cid, limit: usize, what: &str) -> Result<Vec<u8>, Stop> {
        let mut content = read_file(Arc::clone(&self.source), cid);
        let mut bytes = Vec::new();
        while let Some(piece) = content.next().await {
            let piece = piece.map_err(|error| match error.class() {
                ErrorClass::Invalid => Stop::malformed(&format!("the {what} is not a file"), None),
                _ => ExecuteError::Store(error).into(),
            })?;
            if bytes.len() + piece.len() > limit {
                let wrong = format!("the {what} has more than {limit} bytes");
                return Err(Stop::malformed(&wrong, None));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// One run per input. Of several failures, the one of the lowest input counts.
    async fn each(&self, program: &Program, inputs: &[Cid]) -> Result<(Vec<Digest>, Usage), Stop> {
        // Collected, for a stream over a borrowing closure is not `Send` for every lifetime.
        let runs: Vec<_> = (0u64..)
            .zip(inputs.chunks(1))
            .map(|(index, input)| self.one(program, input, Some(index)))
            .collect();
        let mut runs = stream::iter(runs).buffered(EACH_IN_FLIGHT);
        let (mut outputs, mut total) = (Vec::with_capacity(inputs.len()), Usage::default());
        while let Some(run) = runs.next().await {
            let (output, usage) = run.map_err(|stop| match stop {
                Stop::Failed(record, usage) => Stop::Failed(record, total.and(usage)),
                fault => fault,
            })?;
            outputs.push(output);
            total = total.and(usage);
        }
        Ok((outputs, total))
    }

    /// One run with a state, which is the first of `inputs`: the outputs are its standard output and the next state.
    async fn step(&self, program: &Program, inputs: &[Cid]) -> Result<(Vec<Digest>, Usage), Stop> {
        let (state, inputs) = inputs.split_at(1.min(inputs.len()));
        let (mut sink, mut kept) = (Sink(self.importer()), Sink(self.importer()));
        let mut output = HashedOutput::new(&mut sink);
        let mut next = HashedOutput::new(&mut kept);
        let standard = (self.content(inputs), &mut output as &mut dyn OutputSink);
        let states = (self.content(state), &mut next as &mut dyn OutputSink);
        let (task, module) = (&program.task, program.module.clone());
        let ran = self.pool.run_with_state(task, module, standard, states);
        let outcome = ran.await.map_err(|error| stop_of(error, None))?;
        let witnessed = output.witness(outcome).with_state(next);
        if self.sampled {
            self.ask_second(program, inputs, state, &witnessed, None)
                .await?;
        }
        let usage = succeeded(witnessed.outcome, None)?;
        Ok((vec![sink.finish().await?, kept.finish().await?], usage))
    }

    /// One run, with `inputs` one after the other as standard input.
    async fn one(
        &self,
        program: &Program,
        inputs: &[Cid],
        index: Option<u64>,
    ) -> Result<(Digest, Usage), Stop> {
        let mut sink = Sink(self.importer());
        let mut output = HashedOutput::new(&mut sink);
        let (task, module) = (&program.task, &program.module);
        let outcome = self
            .pool
            .run(task, module.clone(), self.content(inputs), &mut output)
            .await
            .map_err(|error| stop_of(error, index))?;
        let witnessed = output.witness(outcome);
        if self.sampled {
            self.ask_second(program, inputs, &[], &witnessed, index)
                .await?;
        }
        let usage = succeeded(witnessed.outcome, index)?;
        Ok((sink.finish().await?, usage))
    }

    /// The same run on the second engine.
    async fn ask_second(
        &self,
        program: &Program,
        inputs: &[Cid],
        state: &[Cid],
        first: &Witnessed,
        index: Option<u64>,
    ) -> Result<(), Stop> {
        let (task, module) = (&program.task, program.module.clone());
        let (input, state) = (self.content(inputs), self.content(state));
        let asked = self
            .pool
            .second_opinion_with_state(task, module, input, state, first)
            .await;
        let gate = self.context.gate;
        match asked.map_err(|error| stop_of(error, index))? {
            differs @ Opinion::Differs { .. } => {
                tracing::error!(%gate, "{differs}");
                Err(ExecuteError::Differs(differs).into())
            }
            said => {
                tracing::debug!(%gate, "{said}");
                Ok(())
            }
        }
    }

    /// The bytes of all inputs, one after the other.
    fn content(
        &self,
        inputs: &[Cid],
    ) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + Unpin + 'static {
        let source = Arc::clone(&self.source);
        stream::iter(inputs.to_vec())
            .map(move |cid| read_file(Arc::clone(&source), cid))
            .flatten()
            .map_err(io::Error::other)
            .boxed()
    }

    fn importer(&self) -> Importer {
        match &self.store {
            Some(store) => Importer::new(Arc::clone(store)),
            None => Importer::hasher(),
        }
    }

    async fn failed(&self, record: FailureRecord, usage: Usage) -> Result<Execution, ExecuteError> {
        let mut sink = Sink(self.importer());
        let bytes = record.to_dag_json()?;
        sink.0.write(&bytes).await.map_err(ExecuteError::Store)?;
        Ok(Execution {
            outputs: vec![(FAILURE_PIN, sink.finish().await?)],
            failure: Some(record),
            fuel: usage.fuel,
            memory: usage.memory,
        })
    }
}

/// What a run has used, if its program succeeded.
fn succeeded(outcome: Outcome, index: Option<u64>) -> Result<Usage, Stop> {
    let usage = Usage {
        fuel: outcome.fuel,
        memory: outcome.memory,
    };
    match outcome.result {
        Ok(()) => Ok(usage),
        Err(failure) => Err(Stop::Failed(
            Box::new(failure_record(failure, index)),
            usage,
        )),
    }
}

/// Whether an operation asks for no more than this machine gives.
fn within(
    key: &'static str,
    unit: &'static str,
    asked: u64,
    limit: u64,
) -> Result<(), ExecuteError> {
    match asked <= limit {
        true => Ok(()),
        false => Err(ExecuteError::TooMuch {
            key,
            unit,
            asked,
            limit,
        }),
    }
}

/// What a fault during a run means: an input that is malformed is a result, all else is not.
fn stop_of(error: ComputeError, index: Option<u64>) -> Stop {
    match error {
        ComputeError::Input(cause) if is_invalid(&cause) => {
            Stop::malformed("an input is not a file", index)
        }
        error => ExecuteError::Compute(error).into(),
    }
}

fn is_invalid(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|e| e.downcast_ref::<StoreError>());
    cause.is_some_and(|error| error.class() == ErrorClass::Invalid)
}

/// The record of a failure, of the run over `input` in mode `each`.
pub fn failure_record(failure: Failure, input: Option<u64>) -> FailureRecord {
    let (reason, code, trap) = match failure.reason {
        Ended::Exit { code } => (Reason::Exit, Some(code), None),
        Ended::Trap { trap } => (Reason::Trap, None, Some(trap.to_owned())),
        Ended::Fuel => (Reason::Fuel, None, None),
        Ended::Memory => (Reason::Memory, None, None),
        Ended::Input => (Reason::Input, None, None),
    };
    FailureRecord {
        code,
        input,
        reason,
        stderr: failure.stderr,
        trap,
    }
}

/// Standard output, on its way to being a file.
struct Sink(Importer);

#[async_trait]
impl OutputSink for Sink {
    async fn write(&mut self, bytes: Bytes) -> Result<(), io::Error> {
        self.0.write(&bytes).await.map_err(io::Error::other)
    }
}

impl Sink {
    async fn finish(self) -> Result<Digest, ExecuteError> {
        let imported = self.0.finish().await.map_err(ExecuteError::Store)?;
        Ok(digest_of(&imported.cid)?)
    }
}
