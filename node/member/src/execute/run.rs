//! The second half: the program runs on a worker, and its outputs become files in the store while they are written.
//!
//! [`Prepared::run`] runs once over all inputs, or once for each (mode `each`), or with a state. A `Sink` takes
//! standard output, cuts it into blocks (`rings_store::Importer`) and gives the CID at the end. A program that fails
//! gives a failure record in place of outputs, and what it wrote is removed from the store. For a sample of the gates
//! the second engine runs too, and if it disagrees there is no result.

use super::{
    error::ExecuteError,
    execution::{Execution, Opinions},
    files::{blocks, Files, Input},
    prepared::{Prepared, Work},
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{stream, StreamExt, TryStreamExt};
use rings_api::with_causes;
use rings_compute::{
    Failure, HashedOutput, Opinion, Outcome, OutputSink, Reason as Ended, Task, Witnessed,
};
use rings_protocol::{
    cids::digest_of,
    gate::FAILURE_PIN,
    operation::{FailureRecord, Mode, Reason},
    Digest,
};
use rings_store::{BlockStore, Draft, Imported, Importer};
use std::{io, sync::Arc};

/// Inputs of mode `each` that are worked on at the same time; the pool's workers bound it further.
pub const EACH_IN_FLIGHT: usize = 4;

/// Why a run did not give an output.
enum Stop {
    /// The program failed, which is a result.
    Failed(Box<FailureRecord>, Usage),
    /// A fault of this machine.
    Fault(ExecuteError),
}

impl From<ExecuteError> for Stop {
    fn from(error: ExecuteError) -> Self {
        Self::Fault(error)
    }
}

/// The resources that runs have used, and notes about them.
#[derive(Debug, Clone, Default)]
struct Usage {
    fuel: u64,
    memory: u64,
    notes: Vec<String>,
    opinions: Opinions,
}

impl Usage {
    fn of(outcome: &Outcome, opinions: Opinions) -> Self {
        Self {
            opinions,
            fuel: outcome.fuel,
            memory: outcome.memory,
            notes: outcome.notes.lines(),
        }
    }

    fn and(mut self, other: Self) -> Self {
        self.fuel = self.fuel.saturating_add(other.fuel);
        self.memory = self.memory.max(other.memory);
        self.opinions += other.opinions;
        for note in other.notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        self
    }
}

impl Prepared {
    /// Runs the program. Outputs, and the record of a failure, go into `store`; without one, only their digests are
    /// computed.
    ///
    /// # Errors
    /// [`ExecuteError`] for faults of this machine only.
    pub async fn run(self, store: Option<Arc<dyn BlockStore>>) -> Result<Execution, ExecuteError> {
        let (profile, context) = (self.profile, self.context);
        let ended = match self.work {
            Ok(work) => {
                let run = Run {
                    work: &work,
                    files: &self.files,
                    store: &store,
                    sampled: context.is_sampled,
                };
                run.all().await
            }
            Err(record) => Err(Stop::Failed(record, Usage::default())),
        };
        match ended {
            Ok((outputs, usage)) => {
                let outputs = (0..).zip(outputs).collect();
                Ok(execution(profile, outputs, None, usage))
            }
            Err(Stop::Failed(record, usage)) => {
                let pin = (FAILURE_PIN, keep(&store, &record.to_dag_json()?).await?);
                Ok(execution(profile, vec![pin], Some(*record), usage))
            }
            Err(Stop::Fault(error)) => Err(error),
        }
    }
}

fn execution(
    profile: String,
    outputs: Vec<(u128, Digest)>,
    failure: Option<FailureRecord>,
    usage: Usage,
) -> Execution {
    Execution {
        outputs,
        failure,
        fuel: usage.fuel,
        memory: usage.memory,
        profile,
        notes: usage.notes,
        opinions: usage.opinions,
    }
}

/// A small file in the store.
async fn keep(store: &Option<Arc<dyn BlockStore>>, bytes: &[u8]) -> Result<Digest, ExecuteError> {
    let mut sink = Sink::new(store);
    sink.0.write(bytes).await.map_err(ExecuteError::Store)?;
    let imported = sink.0.finish().await.map_err(ExecuteError::Store)?;
    Ok(digest_of(&imported.cid)?)
}

/// One gate's runs.
struct Run<'a> {
    work: &'a Work,
    files: &'a Files,
    store: &'a Option<Arc<dyn BlockStore>>,
    /// Whether the second engine is asked.
    sampled: bool,
}

impl Run<'_> {
    /// Runs the program as the operation's mode says: once over all inputs, once for each, or as a step of a service.
    async fn all(&self) -> Result<(Vec<Digest>, Usage), Stop> {
        let inputs = &self.work.inputs;
        match self.work.mode {
            Mode::Cat if self.work.task.state => self.step(inputs).await,
            Mode::Cat => {
                let (sink, usage) = self.one(inputs, None).await?;
                Ok((vec![self.finish(sink).await?], usage))
            }
            Mode::Each => self.each(inputs).await,
        }
    }

    /// One run per input. Of several failures, the one of the lowest input counts. The outputs stay only if no run failed.
    async fn each(&self, inputs: &[Input]) -> Result<(Vec<Digest>, Usage), Stop> {
        // Collected first, because a stream over a borrowing closure is not `Send` for every lifetime.
        let runs: Vec<_> = (0u64..)
            .zip(inputs.chunks(1))
            .map(|(index, input)| self.one_of_many(input, index))
            .collect();
        let mut runs = stream::iter(runs).buffered(EACH_IN_FLIGHT);
        let (mut outputs, mut total) = (Vec::with_capacity(inputs.len()), Usage::default());
        while let Some(run) = runs.next().await {
            match run {
                Ok((output, usage)) => {
                    outputs.push(output);
                    total = total.and(usage);
                }
                Err(Stop::Failed(record, usage)) => {
                    return Err(Stop::Failed(record, total.and(usage)));
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok((self.keep_all(outputs).await?, total))
    }

    /// One run of several. What it gives is a draft, because another one may fail.
    async fn one_of_many(&self, inputs: &[Input], index: u64) -> Result<(Drafted, Usage), Stop> {
        let (sink, usage) = self.one(inputs, Some(index)).await?;
        let drafted = sink.0.finish_draft().await.map_err(ExecuteError::Store)?;
        Ok((drafted, usage))
    }

    /// All runs have succeeded, so their outputs stay.
    async fn keep_all(&self, outputs: Vec<Drafted>) -> Result<Vec<Digest>, ExecuteError> {
        let kept: Vec<_> = outputs
            .into_iter()
            .map(|drafted| self.keep_one(drafted))
            .collect();
        let kept = stream::iter(kept).buffered(EACH_IN_FLIGHT);
        kept.try_collect().await
    }

    async fn keep_one(&self, (imported, draft): Drafted) -> Result<Digest, ExecuteError> {
        if let (Some(store), Some(draft)) = (self.store, draft) {
            store.keep(draft).await.map_err(ExecuteError::Store)?;
            let named = store.name_file(&imported.cid).await;
            named.map_err(ExecuteError::Store)?;
        }
        self.kept(imported)
    }

    /// One run with a state, which is the first of `inputs`: the outputs are its standard output and the next state.
    async fn step(&self, inputs: &[Input]) -> Result<(Vec<Digest>, Usage), Stop> {
        let task = self.task(inputs);
        let (state, inputs) = inputs.split_at(1.min(inputs.len()));
        let (mut sink, mut kept) = (Sink::new(self.store), Sink::new(self.store));
        let mut output = HashedOutput::new(&mut sink);
        let mut next = HashedOutput::new(&mut kept);
        let standard = (self.content(inputs), &mut output as &mut dyn OutputSink);
        let states = (self.content(state), &mut next as &mut dyn OutputSink);
        let program = self.work.program.clone();
        let ran = self
            .work
            .pool
            .run_with_state(&task, program, standard, states);
        let outcome = ran.await.map_err(ExecuteError::Compute)?;
        let witnessed = output.witness(outcome).with_state(next);
        let opinions = self.ask_second(&task, (inputs, state), &witnessed).await?;
        let usage = succeeded(witnessed.outcome, opinions, None)?;
        let (output, next) = (self.finish(sink).await?, self.finish(kept).await?);
        Ok((vec![output, next], usage))
    }

    /// One run, with `inputs` one after the other as standard input.
    async fn one(&self, inputs: &[Input], index: Option<u64>) -> Result<(Sink, Usage), Stop> {
        let task = self.task(inputs);
        let mut sink = Sink::new(self.store);
        let mut output = HashedOutput::new(&mut sink);
        let (program, input) = (self.work.program.clone(), self.content(inputs));
        let ran = self.work.pool.run(&task, program, input, &mut output);
        let outcome = ran.await.map_err(ExecuteError::Compute)?;
        let witnessed = output.witness(outcome);
        let opinions = self.ask_second(&task, (inputs, &[]), &witnessed).await?;
        let usage = succeeded(witnessed.outcome, opinions, index)?;
        Ok((sink, usage))
    }

    fn task(&self, inputs: &[Input]) -> Task {
        Task {
            blocks: blocks(&self.work.program, inputs),
            ..self.work.task.clone()
        }
    }

    /// Asks the second engine for an opinion on the same run, if this gate is in the member's sample.
    async fn ask_second(
        &self,
        task: &Task,
        (inputs, state): (&[Input], &[Input]),
        first: &Witnessed,
    ) -> Result<Opinions, Stop> {
        let mut opinions = Opinions::default();
        if !self.sampled {
            return Ok(opinions);
        }
        let program = self.work.program.clone();
        let (input, state) = (self.content(inputs), self.content(state));
        let asked = self
            .work
            .pool
            .second_opinion_with_state(task, program, input, state, first)
            .await;
        match asked.map_err(ExecuteError::Compute)? {
            // One of the two engines is wrong, and this member cannot know which. So it has no result.
            differs @ Opinion::Differs { .. } => {
                tracing::error!(module = %task.module, "{differs}");
                Err(ExecuteError::Differs(differs).into())
            }
            said => {
                tracing::debug!(module = %task.module, "{said}");
                match said {
                    Opinion::Agrees => opinions.agreed += 1,
                    _ => opinions.silent += 1,
                }
                Ok(opinions)
            }
        }
    }

    /// The output as a file.
    async fn finish(&self, sink: Sink) -> Result<Digest, ExecuteError> {
        let imported = sink.0.finish().await.map_err(ExecuteError::Store)?;
        self.kept(imported)
    }

    /// The digest of an output. If it was stored, it counts as checked, so that other gates can use it as an input at
    /// once.
    fn kept(&self, imported: Imported) -> Result<Digest, ExecuteError> {
        if self.store.is_some() {
            self.files.remember(&imported);
        }
        Ok(digest_of(&imported.cid)?)
    }

    fn content(&self, inputs: &[Input]) -> stream::BoxStream<'static, Result<Bytes, io::Error>> {
        self.files.content(inputs)
    }
}

/// What a run has used, if its program succeeded.
fn succeeded(outcome: Outcome, opinions: Opinions, index: Option<u64>) -> Result<Usage, Stop> {
    let usage = Usage::of(&outcome, opinions);
    match outcome.result {
        Ok(()) => Ok(usage),
        Err(failure) => Err(Stop::Failed(
            Box::new(failure_record(failure, index)),
            usage,
        )),
    }
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

/// An output that stays in the store only if its draft is kept.
type Drafted = (Imported, Option<Draft>);

/// Standard output, on its way to being a file. What it has stored is removed if it is discarded, or dropped before its
/// end.
pub(super) struct Sink(Importer);

#[async_trait]
impl OutputSink for Sink {
    async fn write(&mut self, bytes: Bytes) -> Result<(), io::Error> {
        self.0.write(&bytes).await.map_err(io::Error::other)
    }

    async fn discard(&mut self) {
        if let Err(error) = self.0.discard().await {
            let reason = with_causes(&error);
            tracing::error!(
                reason,
                "the output of a run that failed was not removed from the store"
            );
        }
    }
}

impl Sink {
    /// Into this store; without one, only the CID is computed.
    pub(super) fn new(store: &Option<Arc<dyn BlockStore>>) -> Self {
        Self(match store {
            Some(store) => Importer::draft(Arc::clone(store)),
            None => Importer::hasher(),
        })
    }
}
