//! `rings run --dry`: the program on this machine alone, under the profile of the rings, without a chain.
//!
//! The result is the one that a ring would agree on, except for the random bytes, which depend on the gate. The time is
//! that of the operation here too: `--time`, or a clock that is not set.
//!
//! The job is prepared as for a ring (`job.rs`) and runs in the same workers with the same limits. What it used (fuel,
//! memory) is reported, so that the limits of an operation can be chosen. A [`DryReceipt`] is what `--receipt` writes:
//! it has no chain, no ring and no signers.

use super::{
    content::{blocks, joined, Content},
    job::{self, Job, ProgramSource, StateSource},
    next_state::NextState,
    program_failure::told,
};
use crate::{
    args::RunArgs,
    exit::{Context, ExitError, ExitStatus},
    out::Out,
    run::receipt::{self, milliseconds, FailureWords, OperationPart},
    worker_pool,
};
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use futures::{stream, StreamExt};
use rings_api::GatewaySource;
use rings_compute::{Outcome, OutputSink, Pools, Task, BLOCK_FUEL};
use rings_member::{
    execute::{failure_record, EACH_IN_FLIGHT},
    task,
};
use rings_protocol::{
    cids::sha256,
    gate::{inputs_hash, Computation},
    operation::{FailureRecord, Mode, Operation},
    Address,
};
use rings_store::{check_file, BlockSource, Importer};
use serde::Serialize;
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    sync::Arc,
    time::Instant,
};

/// Version of what `--receipt` writes for a dry run.
const VERSION: u32 = 1;
/// Bytes of a kept output that are shown at once.
const SHOWN_BYTES: usize = 256 * 1024;
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// The receipt of a dry run: without chain, ring and gate, and with the resources that it used.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DryReceipt {
    version: u32,
    dry: bool,
    /// Engine and configuration.
    profile: String,
    operation: OperationPart,
    #[serde(serialize_with = "receipt::texts")]
    inputs: Vec<Cid>,
    outputs: Vec<DryOutput>,
    failure: Option<FailureWords>,
    /// Units of fuel, of all runs together.
    fuel: u64,
    /// Most bytes of memory that one run had.
    memory: u64,
    /// Unix seconds that the program saw.
    time: u64,
    milliseconds: u64,
}

#[derive(Debug, Serialize)]
struct DryOutput {
    #[serde(serialize_with = "receipt::text")]
    cid: Cid,
    bytes: u64,
}

/// `rings run --dry`
///
/// # Errors
/// As `rings run`: status 2 when a program or input cannot be used, 3 when the program failed.
pub async fn run(args: &RunArgs, out: Out) -> Result<(), ExitError> {
    let job = Job::prepare(args).await?;
    let module = module(args, &job).await?;
    let pools = worker_pool::open().await?;
    let dry = Dry::new(args, &job, module, &pools, out)?;
    let began = Instant::now();
    let done = dry.all().await;
    pools.shutdown().await;
    dry.tell(done?, began)
}

/// A program.
struct Module {
    bytes: Bytes,
    /// How many blocks its file has.
    blocks: u64,
}

/// The program, from the file or from the ring in the directory.
async fn module(args: &RunArgs, job: &Job) -> Result<Module, ExitError> {
    let cid = match &job.program {
        ProgramSource::Here(content) => {
            return Ok(Module {
                bytes: content.bytes().await?,
                blocks: content.imported.shape().blocks,
            })
        }
        ProgramSource::There(cid) => *cid,
    };
    let dir = args.dir.dir();
    let file = dir.find()?.ok_or_else(|| {
        ExitError::usage(format!(
            "{cid} is in the store of a ring, and there is no ring in {}; name a WASM file",
            dir.root().display()
        ))
    })?;
    let clients = dir.clients(&file)?;
    let members: Vec<_> = clients.iter().collect();
    let source: Arc<dyn BlockSource> = Arc::new(GatewaySource::of(&members)?);
    Ok(Module {
        blocks: check_file(&*source, cid).await?.blocks,
        bytes: job::read_program(source, cid).await?,
    })
}

/// A run on this machine, and all that it needs.
struct Dry<'a> {
    args: &'a RunArgs,
    job: &'a Job,
    task: Task,
    module: Module,
    pools: &'a Pools,
    out: Out,
}

/// The outcome of all runs.
#[derive(Default)]
struct Done {
    outputs: Vec<DryOutput>,
    failure: Option<FailureRecord>,
    fuel: u64,
    memory: u64,
}

impl<'a> Dry<'a> {
    fn new(
        args: &'a RunArgs,
        job: &'a Job,
        module: Module,
        pools: &'a Pools,
        out: Out,
    ) -> Result<Self, ExitError> {
        // There is no gate; this one only seeds the random bytes.
        let nowhere = Computation {
            gate: Address::default(),
            inputs: inputs_hash(&[]),
        };
        let mut task = task::task(nowhere, &job.what, sha256(&module.bytes));
        if let Some(state) = &job.state {
            let content = state.content().ok_or_else(|| {
                ExitError::usage("a dry run asks no ring for its state; name a file with --state")
            })?;
            let pins = [content].into_iter().chain(&job.inputs).map(job::digest);
            task = task::with_state(task, &pins.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Self {
            args,
            job,
            task,
            module,
            pools,
            out,
        })
    }

    fn operation(&self) -> &Operation {
        &self.job.what
    }

    /// Runs the program as the operation's mode says. With one run for each input several are under way, but their
    /// outputs are shown in the order of the inputs, and the first failure ends it, as in a ring.
    async fn all(&self) -> Result<Done, ExitError> {
        let mut done = Done::default();
        match self.operation().mode {
            Mode::Cat => {
                let inputs: Vec<_> = self.job.inputs.iter().collect();
                let run = self.one(&inputs, Shown::Now(self.out)).await?;
                done.take(None, run, self.out)?;
            }
            Mode::Each => {
                let numbered = (0..).zip(&self.job.inputs);
                let runs = self.worth_running(numbered.collect());
                let runs = runs.into_iter().map(|(index, input)| async move {
                    let kept = Shown::Later(spool()?);
                    Ok::<_, ExitError>((index, self.one(&[input], kept).await?))
                });
                let runs: Vec<_> = runs.collect();
                let mut runs = stream::iter(runs).buffered(EACH_IN_FLIGHT);
                while let (None, Some(run)) = (&done.failure, runs.next().await) {
                    let (index, run) = run?;
                    done.take(Some(index), run, self.out)?;
                }
            }
        }
        Ok(done)
    }

    /// All of them, or the first that has more blocks than its fuel pays for: a ring finds that out before it runs any.
    fn worth_running<'i>(&self, inputs: Vec<(u64, &'i Content)>) -> Vec<(u64, &'i Content)> {
        let paid = (self.operation().fuel / BLOCK_FUEL).saturating_sub(self.program_blocks());
        let unpaid = |(_, input): &&(u64, &Content)| blocks([*input].into_iter()) > paid;
        match inputs.iter().find(unpaid) {
            Some(first) => vec![*first],
            None => inputs,
        }
    }

    /// How many blocks the program has.
    fn program_blocks(&self) -> u64 {
        self.module.blocks
    }

    /// One run, with `inputs` one after the other as standard input.
    async fn one(&self, inputs: &[&Content], shown: Shown) -> Result<OneRun, ExitError> {
        let mut sink = Sink::new(shown);
        let path = self.args.next_state.as_deref();
        let file = path
            .map(|path| NextState::create(path, self.out))
            .transpose()?;
        let mut next = Sink::new(file.map_or(Shown::Never, Shown::State));
        let standard = (joined(inputs).await?, &mut sink as &mut dyn OutputSink);
        let state: Vec<_> = self
            .job
            .state
            .iter()
            .filter_map(StateSource::content)
            .collect();
        let task = Task {
            blocks: blocks(inputs.iter().chain(&state).copied())
                .saturating_add(self.program_blocks()),
            ..self.task.clone()
        };
        let state = (joined(&state).await?, &mut next as &mut dyn OutputSink);
        let ran = self
            .pools
            .own()
            .run_with_state(&task, self.module.bytes.clone(), standard, state)
            .await;
        // That an output could not be shown is the reason why the run was broken off, so it is told first.
        if let Some(failure) = sink.failed.or(next.failed) {
            return Err(failure);
        }
        let outcome = ran.map_err(|error| {
            ExitError::unavailable("this machine could not run the program to its end")
                .because(error)
        })?;
        outcome
            .notes
            .lines()
            .iter()
            .for_each(|note| self.out.note(note));
        let mut outputs = vec![DryOutput::new(sink.importer).await?];
        if self.job.state.is_some() {
            outputs.push(DryOutput::new(next.importer).await?);
        }
        if let (Shown::State(file), Ok(())) = (next.shown, &outcome.result) {
            file.keep()?;
        }
        Ok(OneRun {
            outcome,
            outputs,
            shown: sink.shown,
        })
    }

    /// Reports what the run has used, on standard error and in the receipt, and returns its failure.
    fn tell(&self, done: Done, began: Instant) -> Result<(), ExitError> {
        let milliseconds = milliseconds(began);
        self.out.note(self.summary(&done, milliseconds));
        let failure = done.failure.as_ref().map(|record| {
            if !record.stderr.is_empty() {
                self.out
                    .warn(String::from_utf8_lossy(&record.stderr).trim_end());
            }
            ExitError::new(ExitStatus::Failed, told("the program failed", record))
        });
        if let Some(path) = &self.args.receipt {
            receipt::write(path, &self.receipt(done, milliseconds), self.out)?;
        }
        failure.map_or(Ok(()), Err)
    }

    fn summary(&self, done: &Done, milliseconds: u64) -> String {
        let operation = self.operation();
        let bytes: u64 = done.outputs.iter().map(|output| output.bytes).sum();
        let cids: Vec<_> = done.outputs.iter().map(|o| o.cid.to_string()).collect();
        format!(
            "dry run: {} of {} units of fuel, {:.1} of {:.1} MiB of memory, {bytes} bytes of output, {milliseconds} ms\n{}",
            done.fuel,
            operation.fuel,
            mebibytes(done.memory),
            mebibytes(operation.memory),
            match (cids.as_slice(), &self.job.state) {
                ([], _) => "output: none".into(),
                ([output, state], Some(_)) => format!("output: {output}\nnext state: {state}"),
                _ => format!("output: {}", cids.join(" ")),
            }
        )
    }

    fn receipt(&self, done: Done, milliseconds: u64) -> DryReceipt {
        DryReceipt {
            version: VERSION,
            dry: true,
            profile: rings_compute::profile(),
            operation: OperationPart {
                cid: self.job.operation.cid(),
                program: self.job.program.cid(),
            },
            inputs: self.job.inputs.iter().map(Content::cid).collect(),
            outputs: done.outputs,
            failure: done.failure.as_ref().map(FailureWords::new),
            fuel: done.fuel,
            memory: done.memory,
            time: self.task.time,
            milliseconds,
        }
    }
}

/// One run that came to its end.
struct OneRun {
    outcome: Outcome,
    outputs: Vec<DryOutput>,
    shown: Shown,
}

impl DryOutput {
    async fn new(importer: Importer) -> Result<Self, ExitError> {
        let imported = importer.finish().await?;
        Ok(Self {
            cid: imported.cid,
            bytes: imported.bytes,
        })
    }
}

impl Done {
    /// Adds a run, in input order, and shows its output if that has not been done.
    fn take(&mut self, index: Option<u64>, run: OneRun, out: Out) -> Result<(), ExitError> {
        self.fuel = self.fuel.saturating_add(run.outcome.fuel);
        self.memory = self.memory.max(run.outcome.memory);
        if let Shown::Later(kept) = run.shown {
            show(kept, out)?;
        }
        match run.outcome.result {
            Ok(()) => self.outputs.extend(run.outputs),
            Err(failure) => self.failure = Some(failure_record(failure, index)),
        }
        Ok(())
    }
}

/// When an output is shown: at once, or in its turn, where several programs write at the same time. A state goes into a
/// file, if one is named.
enum Shown {
    Now(Out),
    Later(File),
    State(NextState),
    Never,
}

/// Standard output, which is hashed while it is written.
struct Sink {
    shown: Shown,
    importer: Importer,
    /// Why nothing more could be written; it ends the run.
    failed: Option<ExitError>,
}

impl Sink {
    fn new(shown: Shown) -> Self {
        Self {
            shown,
            importer: Importer::hasher(),
            failed: None,
        }
    }

    fn show(&mut self, bytes: &[u8]) -> Result<(), ExitError> {
        match &mut self.shown {
            Shown::Now(out) => out.bytes(bytes),
            Shown::Later(file) => file.write_all(bytes).context(
                ExitStatus::Unavailable,
                "cannot keep the outputs; is there space for temporary files?",
            ),
            Shown::State(file) => file.write(bytes),
            Shown::Never => Ok(()),
        }
    }
}

#[async_trait]
impl OutputSink for Sink {
    async fn write(&mut self, bytes: Bytes) -> Result<(), io::Error> {
        if let Err(failure) = self.show(&bytes) {
            self.failed = Some(failure);
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.importer.write(&bytes).await.map_err(io::Error::other)
    }
}

fn spool() -> Result<File, ExitError> {
    tempfile::tempfile().context(
        ExitStatus::Unavailable,
        "cannot keep the outputs; is there space for temporary files?",
    )
}

fn show(mut kept: File, out: Out) -> Result<(), ExitError> {
    let unread = "cannot read an output that was kept";
    kept.seek(SeekFrom::Start(0))
        .context(ExitStatus::Internal, unread)?;
    let mut buffer = vec![0; SHOWN_BYTES];
    loop {
        match kept
            .read(&mut buffer)
            .context(ExitStatus::Internal, unread)?
        {
            0 => return Ok(()),
            length => out.bytes(&buffer[..length])?,
        }
    }
}

fn mebibytes(bytes: u64) -> f64 {
    // Exact up to 2^53 bytes, and shown with one digit.
    #[allow(clippy::cast_precision_loss)]
    let bytes = bytes as f64;
    bytes / MEBIBYTE
}
