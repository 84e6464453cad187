//! A few worker processes, kept warm, and one run on one of them.

use crate::{
    cache::DiskCache,
    compile::Compiler,
    engine_id,
    error::ComputeError,
    frame::{decode, encode, Report, ReportedFault, Tag, CHUNK},
    opinion::{compare, second_fuel, HashedOutput, Nowhere, NO_MODULE},
    profile::MAX_MODULE_BYTES,
    spawner::Spawner,
    worker_handle::{Broken, Budget, Worker},
    Opinion, Outcome, Sandbox, Task, Witnessed,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{stream::BoxStream, Stream, StreamExt};
use rings_protocol::Digest;
use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    io,
    path::PathBuf,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Mutex, MutexGuard, PoisonError,
    },
    time::Duration,
};
use tokio::sync::{watch, Semaphore, SemaphorePermit};

/// Modules that are remembered: to be in the cache, or to take too long.
const MAX_REMEMBERED: usize = 10_000;
/// Modules that are compiled at a time.
const COMPILERS: usize = 2;
/// How often compiling a module may take too long before it is not tried again.
const SLOW_TIMES: u32 = 2;

/// How workers are started and bounded.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// Program and arguments of a worker: something that calls [`crate::worker_main`].
    pub command: (PathBuf, Vec<OsString>),
    /// Most workers, and so most runs, at one time. At least one.
    pub workers: usize,
    /// Directory in which compiled modules are kept between runs; made when it is missing.
    pub cache: Option<PathBuf>,
    /// Wall-clock time that one run may take on a worker, compiling included. Waiting for input and for
    /// output to be taken does not count.
    pub wall_limit: Duration,
    /// Wall-clock time that compiling a module for the cache may take. A module that takes longer is tried once more.
    pub compile_limit: Duration,
}

/// Where a module's bytes come from, if they are needed at all.
#[async_trait]
pub trait ModuleSource: Send + Sync {
    /// The bytes whose sha2-256 the task names.
    ///
    /// # Errors
    /// [`ComputeError::module`] with what was wrong.
    async fn load(&self) -> Result<Bytes, ComputeError>;
}

#[async_trait]
impl ModuleSource for Bytes {
    async fn load(&self) -> Result<Bytes, ComputeError> {
        Ok(self.clone())
    }
}

/// Where a program's standard output goes.
#[async_trait]
pub trait OutputSink: Send {
    /// Takes the next piece, at most 256 KiB. The program waits until this returns.
    ///
    /// # Errors
    /// Ends the run with [`ComputeError::Output`].
    async fn write(&mut self, bytes: Bytes) -> Result<(), io::Error>;
}

#[async_trait]
impl OutputSink for Vec<u8> {
    async fn write(&mut self, bytes: Bytes) -> Result<(), io::Error> {
        self.extend_from_slice(&bytes);
        Ok(())
    }
}

/// Worker processes, started when they are needed and kept warm.
pub struct Pool {
    config: PoolConfig,
    engine: String,
    spawner: Spawner,
    slots: Semaphore,
    waiting: AtomicUsize,
    idle: Mutex<Vec<Worker>>,
    cache: Option<DiskCache>,
    /// Modules that the cache had when they were last looked for.
    compiled: Mutex<HashSet<Digest>>,
    /// How often compiling a module has taken too long.
    slow: Mutex<HashMap<Digest, u32>>,
    /// Compilers at work: others than workers, so that programs which are compiled never wait for one that is not.
    compilers: Semaphore,
    closing: watch::Sender<bool>,
}

/// One that waits, counted until it is dropped.
struct Queued<'a>(&'a AtomicUsize);

impl<'a> Queued<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A run that ended while its worker is in order: with an outcome, or with an error of the caller's side.
type Ended = Result<Outcome, ComputeError>;

impl Pool {
    /// A pool without workers yet.
    pub fn new(mut config: PoolConfig) -> Self {
        config.workers = config.workers.clamp(1, Semaphore::MAX_PERMITS);
        // Workers live in the root directory.
        config.cache = config.cache.map(absolute);
        if config.command.0.components().count() > 1 {
            config.command.0 = absolute(config.command.0);
        }
        // Here, for workers can only read it. If it cannot be made, each worker compiles for itself.
        if let Some(Err(error)) = config.cache.as_ref().map(std::fs::create_dir_all) {
            tracing::warn!(%error, "compiled modules are not kept");
        }
        Self {
            engine: engine_id(),
            spawner: Spawner::new(config.command.clone()),
            slots: Semaphore::new(config.workers),
            waiting: AtomicUsize::new(0),
            idle: Mutex::new(Vec::new()),
            cache: config.cache.as_deref().map(DiskCache::new),
            compiled: Mutex::new(HashSet::new()),
            slow: Mutex::new(HashMap::new()),
            compilers: Semaphore::new(COMPILERS),
            closing: watch::Sender::new(false),
            config,
        }
    }

    /// Runs a task on a worker, waiting for a free one.
    ///
    /// `module` is asked only if the worker has not got the compiled module, `input` only when the program
    /// reads. When the outcome is a failure, `output` may have got a part of what the program wrote.
    ///
    /// # Errors
    /// A fault of this machine or of the caller's streams, never of the program. Nothing is tried again here:
    /// the caller still has the inputs, and knows whether it is worth it.
    pub async fn run(
        &self,
        task: &Task,
        module: impl ModuleSource,
        input: impl Stream<Item = Result<Bytes, io::Error>> + Send + Unpin,
        output: &mut dyn OutputSink,
    ) -> Result<Outcome, ComputeError> {
        let streams = Streams::new(input, output);
        self.run_on(Tag::Run, task, module, streams).await
    }

    /// As [`Self::run`], of a task with a state: `state` is what there is, and `next` takes what follows it.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_with_state(
        &self,
        task: &Task,
        module: impl ModuleSource,
        (input, output): (
            impl Stream<Item = Result<Bytes, io::Error>> + Send + Unpin,
            &mut dyn OutputSink,
        ),
        (state, next): (
            impl Stream<Item = Result<Bytes, io::Error>> + Send + Unpin,
            &mut dyn OutputSink,
        ),
    ) -> Result<Outcome, ComputeError> {
        let streams = Streams::new(input, output).with_state(state, next);
        self.run_on(Tag::Run, task, module, streams).await
    }

    /// Runs a task again on the second engine (wasmi), and compares: `first` is what [`Self::run`] gave through a
    /// [`HashedOutput`](crate::HashedOutput), `input` the same input from its begin. It takes many times as long, so it is
    /// for a sample. Where the answer is [`Opinion::Differs`], a member must not vote.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn second_opinion(
        &self,
        task: &Task,
        module: impl ModuleSource,
        input: impl Stream<Item = Result<Bytes, io::Error>> + Send + Unpin,
        first: &Witnessed,
    ) -> Result<Opinion, ComputeError> {
        let none = futures::stream::empty();
        self.second_opinion_with_state(task, module, input, none, first)
            .await
    }

    /// As [`Self::second_opinion`], of a task with a state.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn second_opinion_with_state(
        &self,
        task: &Task,
        module: impl ModuleSource,
        input: impl Stream<Item = Result<Bytes, io::Error>> + Send + Unpin,
        state: impl Stream<Item = Result<Bytes, io::Error>> + Send + Unpin,
        first: &Witnessed,
    ) -> Result<Opinion, ComputeError> {
        let mut task = task.clone();
        task.limits.fuel = match second_fuel(&first.outcome) {
            Ok(fuel) => fuel,
            Err(why) => return Ok(Opinion::Silent { why }),
        };
        let (mut nowhere, mut lost) = (Nowhere, Nowhere);
        let mut output = HashedOutput::new(&mut nowhere);
        let mut next = HashedOutput::new(&mut lost);
        let streams = Streams::new(input, &mut output).with_state(state, &mut next);
        match self.run_on(Tag::Second, &task, module, streams).await {
            Ok(outcome) => {
                let second = output.witness(outcome);
                let second = match task.state {
                    true => second.with_state(next),
                    false => second,
                };
                Ok(compare(first, &second))
            }
            // It has bounds of its own, on the size of its code and of its frames.
            Err(ComputeError::Compile { what }) => {
                tracing::debug!(what, "the second engine does not take a module");
                Ok(Opinion::Silent { why: NO_MODULE })
            }
            Err(error) => Err(error),
        }
    }

    /// What workers have given up on this machine, by the account of one of them, which is started if there is none.
    ///
    /// # Errors
    /// When no worker can be started.
    pub async fn sandbox(&self) -> Result<Sandbox, ComputeError> {
        let _slot = self.slot().await?;
        let worker = self.worker(None).await?;
        let sandbox = worker.sandbox.clone();
        self.idle().push(worker);
        Ok(sandbox)
    }

    /// Runs that wait for a worker.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A place on a worker; places are given in the order of the calls.
    async fn slot(&self) -> Result<SemaphorePermit<'_>, ComputeError> {
        let queued = Queued::new(&self.waiting);
        let slot = self.slots.acquire().await;
        drop(queued);
        let slot = slot.map_err(|_| ComputeError::Closed)?;
        match *self.closing.borrow() {
            true => Err(ComputeError::Closed),
            false => Ok(slot),
        }
    }

    async fn run_on(
        &self,
        tag: Tag,
        task: &Task,
        module: impl ModuleSource,
        streams: Streams<'_>,
    ) -> Result<Outcome, ComputeError> {
        let mut closing = self.closing.subscribe();
        if let (Tag::Run, Some(cache)) = (tag, &self.cache) {
            let outside = tokio::select! {
                ensured = self.ensure(cache, task.module, &module) => ensured?,
                _ = closing.wait_for(|closed| *closed) => return Err(ComputeError::Closed),
            };
            if let Some(outcome) = outside {
                return Ok(outcome);
            }
        }
        let _slot = self.slot().await?;
        let mut worker = self.worker(Some(task.module)).await?;
        let mut session = Session {
            tag,
            worker: &mut worker,
            budget: Budget::new(self.config.wall_limit),
            task,
            streams,
        };
        let ended = tokio::select! {
            ended = session.drive(&module, self) => ended,
            // An error means that the pool is gone, which cannot be while it is borrowed.
            _ = closing.wait_for(|closed| *closed) => Err(Broken::Closed),
        };
        match ended {
            Ok(ended) => {
                self.keep(worker, task).await;
                ended
            }
            Err(broken) => Err(worker.bury(broken, self.config.wall_limit).await),
        }
    }

    /// Process ids of the workers that are idle now.
    pub fn idle_workers(&self) -> Vec<u32> {
        self.idle().iter().filter_map(Worker::id).collect()
    }

    /// Ends all runs with [`ComputeError::Closed`] and all workers, and waits for that.
    pub async fn shutdown(&self) {
        self.closing.send_replace(true);
        let all = u32::try_from(self.config.workers).unwrap_or(u32::MAX);
        // All slots are free when no run is left. An error means that another call has been here before.
        if let Ok(slots) = self.slots.acquire_many(all).await {
            slots.forget();
            self.slots.close();
        }
        let workers = std::mem::take(&mut *self.idle());
        futures::future::join_all(workers.into_iter().map(Worker::dismiss)).await;
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that the module is compiled, so that the worker only has to load it.
    async fn ensure(
        &self,
        cache: &DiskCache,
        module: Digest,
        source: &impl ModuleSource,
    ) -> Result<Option<Outcome>, ComputeError> {
        if self.compiled().contains(&module) {
            return Ok(None);
        }
        self.check_speed(module)?;
        let turn = self.compilers.acquire().await;
        let _turn = turn.map_err(|_| ComputeError::Closed)?;
        // The one before may have been about the same.
        self.check_speed(module)?;
        let limit = self.config.compile_limit;
        let compiler = Compiler {
            spawner: &self.spawner,
            command: &self.config.command.0,
            engine: &self.engine,
            limit,
        };
        let ensured = compiler.ensure(cache, module, source).await;
        if let Err(ComputeError::Timeout { .. }) = ensured {
            self.note_slow(module);
            self.check_speed(module)?;
        }
        let outside = ensured?;
        let mut compiled = self.compiled();
        if compiled.len() >= MAX_REMEMBERED {
            compiled.clear();
        }
        if outside.is_none() && cache.has(module) {
            compiled.insert(module);
        }
        Ok(outside)
    }

    fn note_slow(&self, module: Digest) {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        if slow.len() >= MAX_REMEMBERED {
            slow.clear();
        }
        *slow.entry(module).or_default() += 1;
    }

    /// Refuses a module whose compiling has taken too long too often.
    fn check_speed(&self, module: Digest) -> Result<(), ComputeError> {
        let slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        match slow.get(&module) {
            Some(times) if *times >= SLOW_TIMES => Err(ComputeError::CompileTimeout {
                limit: self.config.compile_limit,
            }),
            _ => Ok(()),
        }
    }

    /// A worker did not find the module in the cache, or found that it is spoilt.
    fn forget(&self, module: Digest) {
        self.compiled().remove(&module);
        if let Some(cache) = &self.cache {
            cache.forget(module);
        }
    }

    fn compiled(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle worker, best the one that ran this module last, or a new one.
    async fn worker(&self, module: Option<Digest>) -> Result<Worker, ComputeError> {
        while let Some(mut worker) = self.take_idle(module) {
            if worker.is_alive() {
                return Ok(worker);
            }
            tracing::warn!("an idle worker has died; another takes its place");
        }
        let (command, cache) = (&self.config.command.0, self.config.cache.as_deref());
        Worker::start(&self.spawner, command, cache, &self.engine).await
    }

    async fn keep(&self, mut worker: Worker, task: &Task) {
        if worker.retires {
            return worker.dismiss().await;
        }
        worker.last = Some(task.module);
        self.idle().push(worker);
    }

    fn take_idle(&self, module: Option<Digest>) -> Option<Worker> {
        let mut idle = self.idle();
        let best = idle
            .iter()
            .rposition(|worker| module.is_some() && worker.last == module);
        match best {
            Some(best) => Some(idle.swap_remove(best)),
            None => idle.pop(),
        }
    }
}

fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

/// One run on one worker.
struct Session<'a, 's> {
    tag: Tag,
    worker: &'a mut Worker,
    budget: Budget,
    task: &'a Task,
    streams: Streams<'s>,
}

/// What a program reads and writes.
struct Streams<'a> {
    input: Pieces<'a>,
    output: &'a mut dyn OutputSink,
    /// The state, and where the next one goes.
    state: Option<(Pieces<'a>, &'a mut dyn OutputSink)>,
}

type Pieces<'a> = Chunks<BoxStream<'a, io::Result<Bytes>>>;

impl<'a> Streams<'a> {
    fn new(
        input: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'a,
        output: &'a mut dyn OutputSink,
    ) -> Self {
        Self {
            input: Chunks::new(input.boxed()),
            output,
            state: None,
        }
    }

    fn with_state(
        self,
        state: impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'a,
        next: &'a mut dyn OutputSink,
    ) -> Self {
        Self {
            state: Some((Chunks::new(state.boxed()), next)),
            ..self
        }
    }

    /// The next piece of what the worker asks for.
    async fn read(&mut self, question: Tag) -> io::Result<Option<Bytes>> {
        match (question, &mut self.state) {
            (Tag::NeedInput, _) => self.input.next().await,
            (_, Some((state, _))) => state.next().await,
            (_, None) => Ok(None),
        }
    }

    async fn write(&mut self, tag: Tag, bytes: Bytes) -> Result<(), Broken> {
        let written = match (tag, &mut self.state) {
            (Tag::Output, _) => self.output.write(bytes).await,
            (_, Some((_, next))) => next.write(bytes).await,
            (_, None) => return Err(Broken::Protocol("a state that nobody asked for".into())),
        };
        written.map_err(Broken::Output)
    }
}

impl Session<'_, '_> {
    /// Answers the worker until the run has ended.
    async fn drive(&mut self, module: &impl ModuleSource, pool: &Pool) -> Result<Ended, Broken> {
        let task = encode(self.task)?;
        self.send(self.tag, &task).await?;
        loop {
            let (tag, payload) = self.worker.receive(&mut self.budget).await?;
            match tag {
                Tag::NeedModule => {
                    pool.forget(self.task.module);
                    match load(module).await {
                        Ok(bytes) => self.send(Tag::Module, &bytes).await?,
                        Err(error) => return self.abandon(error).await,
                    }
                }
                Tag::NeedInput | Tag::NeedState => match self.streams.read(tag).await {
                    Ok(Some(bytes)) => self.send(Tag::Input, &bytes).await?,
                    Ok(None) => self.send(Tag::End, &[]).await?,
                    Err(error) => return self.abandon(ComputeError::Input(error)).await,
                },
                Tag::Output | Tag::NextState => self.streams.write(tag, payload).await?,
                Tag::Done => {
                    let report: Report = decode(&payload)?;
                    self.worker.retires = report.retire;
                    return Outcome::try_from(report).map(Ok).map_err(Broken::Protocol);
                }
                Tag::Fault => return Ok(Err(self.fault(&payload)?)),
                tag => return Err(Broken::Protocol(format!("{tag:?} during a run"))),
            }
        }
    }

    async fn send(&mut self, tag: Tag, payload: &[u8]) -> Result<(), Broken> {
        self.worker.send(&mut self.budget, tag, payload).await
    }

    /// Tells the worker that its question has no answer, so that it is ready for the next run.
    async fn abandon(&mut self, error: ComputeError) -> Result<Ended, Broken> {
        self.send(Tag::Abandon, &[]).await?;
        loop {
            match self.worker.receive(&mut self.budget).await? {
                (Tag::Output | Tag::NextState, _) => {}
                (Tag::Fault, _) => return Ok(Err(error)),
                (tag, _) => return Err(Broken::Protocol(format!("{tag:?} after the end"))),
            }
        }
    }

    fn fault(&self, payload: &[u8]) -> Result<ComputeError, Broken> {
        Ok(match decode(payload)? {
            ReportedFault::Memory(what) => ComputeError::Memory { what },
            ReportedFault::Compile(what) => ComputeError::Compile { what },
            ReportedFault::ModuleHash => ComputeError::ModuleHash {
                expected: self.task.module,
            },
            ReportedFault::Abandoned => {
                return Err(Broken::Protocol("it gave up unasked".into()));
            }
            ReportedFault::Internal(what) => ComputeError::Protocol { what },
        })
    }
}

/// The module's bytes, if they are not too many.
pub(crate) async fn load(module: &impl ModuleSource) -> Result<Bytes, ComputeError> {
    let bytes = module.load().await?;
    match bytes.len() {
        length if length > MAX_MODULE_BYTES => Err(ComputeError::ModuleTooLarge {
            length,
            limit: MAX_MODULE_BYTES,
        }),
        _ => Ok(bytes),
    }
}

/// A stream in pieces that fit a frame.
struct Chunks<I> {
    stream: I,
    rest: Bytes,
}

impl<I: Stream<Item = io::Result<Bytes>> + Unpin> Chunks<I> {
    fn new(stream: I) -> Self {
        Self {
            stream,
            rest: Bytes::new(),
        }
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while self.rest.is_empty() {
            match self.stream.next().await.transpose()? {
                Some(bytes) => self.rest = bytes,
                None => return Ok(None),
            }
        }
        Ok(Some(self.rest.split_to(self.rest.len().min(CHUNK))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pieces_fit_a_frame_and_none_is_empty() {
        let pieces = [0, CHUNK + 1, 0, 5].map(|length| Ok(Bytes::from(vec![1; length])));
        let mut chunks = Chunks::new(futures::stream::iter(pieces));
        let mut lengths = Vec::new();
        while let Some(chunk) = chunks.next().await.unwrap() {
            lengths.push(chunk.len());
        }
        assert_eq!(lengths, [CHUNK, 1, 5]);
        assert!(chunks.next().await.unwrap().is_none()); // at the end it stays
    }
}
