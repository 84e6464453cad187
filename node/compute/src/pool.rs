//! A few worker processes, kept warm.
//!
//! A run waits for a free slot, takes an idle worker (if possible the one that ran the module last) or starts one, and
//! gives it back afterwards. If there is a cache, a separate process compiles the module before that (`compile`).
//!
//! A [`Pool`] holds the slots (a semaphore, so runs are served in the order in which they came), the idle workers, and
//! what is known about modules (`known`). [`Pool::prepare`] compiles without taking a slot; [`Pool::run`] and
//! [`Pool::run_with_state`] run a task; [`Pool::second_opinion`] runs it again on the other engine. A worker that broke
//! the protocol, died or took too long is killed and not given back. Nothing is tried again here, because only the
//! caller can give the inputs again. [`Pool::shutdown`] ends all runs and waits for all processes.

use crate::{
    cache::DiskCache,
    compile::Compiler,
    conversation::Conversation,
    costs::most_fuel,
    error::ComputeError,
    frame::{Hello, Tag},
    known::Known,
    module_source::ModuleSource,
    opinion::{compare, second_fuel, HashedOutput, Nowhere, Opinion, Witnessed},
    outcome::Outcome,
    profile::profile,
    sandbox::Sandbox,
    spawner::Spawner,
    streams::{OutputSink, Streams},
    task::Task,
    turns::Turns,
    worker_handle::{Broken, Budget, Worker},
};
use bytes::Bytes;
use futures::Stream;
use rings_protocol::Digest;
use std::{
    ffi::OsString,
    io,
    path::PathBuf,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        Arc, Mutex, MutexGuard, PoisonError,
    },
    time::Duration,
};
use tokio::sync::{watch, Semaphore, SemaphorePermit};

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
    /// output to be taken does not count here. See [`crate::most_fuel`] for the fuel that fits it.
    pub wall_limit: Duration,
    /// Wall-clock time that one run may wait, for all its input and for its output to be taken together.
    pub input_limit: Duration,
    /// Wall-clock time that compiling a module for the cache may take. A module that takes longer is tried once more.
    pub compile_limit: Duration,
}

/// Worker processes, started when they are needed and kept warm.
pub struct Pool {
    config: PoolConfig,
    profile: String,
    spawner: Spawner,
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
    idle: Mutex<Vec<Worker>>,
    cache: Option<DiskCache>,
    known: Known,
    /// Compilers at work. They are counted apart from workers, so that a run of a compiled module never waits for a
    /// compiler.
    turns: Turns,
    closing: watch::Sender<bool>,
}

/// A waiting run, counted until it is dropped.
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

impl Pool {
    /// A pool without workers yet, of this program's own profile.
    pub fn new(config: PoolConfig) -> Self {
        let config = prepared(config);
        let slots = Arc::new(Semaphore::new(config.workers));
        Self::build(config, profile(), slots)
    }

    /// A pool of another worker program, which is started and asked for its profile. It shares the slots of `beside`.
    ///
    /// # Errors
    /// When the program cannot be started, or is not a worker.
    pub(crate) async fn of_program(
        config: PoolConfig,
        beside: &Self,
    ) -> Result<Self, ComputeError> {
        let config = prepared(config);
        let profile = ask_profile(&config).await?;
        Ok(Self::build(config, profile, Arc::clone(&beside.slots)))
    }

    fn build(config: PoolConfig, profile: String, slots: Arc<Semaphore>) -> Self {
        let cache = config.cache.as_deref();
        Self {
            spawner: Spawner::new(config.command.clone()),
            slots,
            waiting: AtomicUsize::new(0),
            idle: Mutex::new(Vec::new()),
            cache: cache.map(|directory| DiskCache::new(directory, &profile)),
            profile,
            known: Known::default(),
            turns: Turns::new(),
            closing: watch::Sender::new(false),
            config,
        }
    }

    /// The profile that its workers compute.
    pub fn profile(&self) -> &str {
        &self.profile
    }

    /// The most fuel that fits its limit of time; see [`crate::most_fuel`]. A member declines what asks for more.
    pub fn most_fuel(&self) -> u64 {
        most_fuel(self.config.wall_limit)
    }

    /// Makes sure that a task's module is compiled, so that a run only has to load it. It takes no worker, and a module that compiles
    /// quickly does not wait for others. A module outside the profile, or one that the task's fuel does not pay for, is no error
    /// here: its run says so.
    ///
    /// # Errors
    /// An error of this machine or of `module`. Where nothing can be kept, nothing is done.
    pub async fn prepare(
        &self,
        task: &Task,
        source: impl ModuleSource,
    ) -> Result<(), ComputeError> {
        self.known.check(task.module)?;
        self.compiled(task, &source).await.map(|_| ())
    }

    /// Runs a task on a worker, waiting for a free one.
    ///
    /// `module` is asked only if the worker has not got the compiled module, `input` only when the program
    /// reads. When the run does not succeed, `output` may have got a part of what the program wrote, and is told to discard it
    /// ([`OutputSink::discard`]).
    ///
    /// # Errors
    /// An error of this machine or of the caller's streams, never of the program. Nothing is tried again here, because
    /// only the caller can give the inputs again.
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

    /// As [`Self::run`], of a task with a state: `state` gives the state, and `next` takes the next one.
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
    /// [`HashedOutput`](crate::HashedOutput), `input` the same input from its start. It takes many times as long, so use it
    /// for a sample of the runs. If the answer is [`Opinion::Differs`], a member must not vote. If the second engine takes
    /// too long or fails, the answer is [`Opinion::Silent`], and the first engine's result is used.
    ///
    /// # Errors
    /// [`ComputeError::Closed`] only.
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
    /// As [`Self::second_opinion`].
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
            Err(ComputeError::Closed) => Err(ComputeError::Closed),
            Err(error) => {
                tracing::warn!(%error, "the second engine gave no opinion; the first engine's result stands");
                Ok(Opinion::Silent { why: why(&error) })
            }
        }
    }

    /// The sandbox of workers on this machine, as one of them reports it. A worker is started if there is none.
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
        self.known.check(task.module)?;
        let mut closing = self.closing.subscribe();
        if tag == Tag::Run {
            if let Some(outcome) = self.compiled(task, &module).await? {
                return Ok(outcome);
            }
        }
        let _slot = self.slot().await?;
        let mut worker = self.worker(Some(task.module)).await?;
        let compiles = AtomicBool::new(false);
        let missed = || {
            compiles.store(tag == Tag::Run, Ordering::Relaxed);
            self.forget(task.module);
        };
        let mut conversation = Conversation {
            tag,
            worker: &mut worker,
            budget: Budget::new(self.config.wall_limit),
            waiting: Budget::new(self.config.input_limit),
            task,
            streams,
        };
        let ended = tokio::select! {
            ended = conversation.drive(&module, missed) => ended,
            // An error would mean that the pool is gone, which is impossible while it is borrowed.
            _ = closing.wait_for(|closed| *closed) => Err(Broken::Closed),
        };
        if !matches!(&ended, Ok(Ok(outcome)) if outcome.result.is_ok()) {
            conversation.streams.discard().await;
        }
        match ended {
            Ok(ended) => {
                self.keep(worker, task).await;
                ended
            }
            Err(broken) => {
                let error = worker.bury(broken, self.config.wall_limit).await;
                // A run that takes too long says nothing about compiling.
                if compiles.load(Ordering::Relaxed) && matches!(error, ComputeError::Died { .. }) {
                    self.known.note_failed(task.module, &error);
                }
                Err(error)
            }
        }
    }

    /// Process ids of the workers that are idle now.
    pub fn idle_workers(&self) -> Vec<u32> {
        self.idle().iter().filter_map(Worker::id).collect()
    }

    /// Ends all runs with [`ComputeError::Closed`] and all workers, and waits for that.
    pub async fn shutdown(&self) {
        self.close();
        let all = u32::try_from(self.config.workers).unwrap_or(u32::MAX);
        // All slots are free when no run is left. An error means that another call has been here before.
        if let Ok(slots) = self.slots.acquire_many(all).await {
            slots.forget();
            self.slots.close();
        }
        let workers = std::mem::take(&mut *self.idle());
        futures::future::join_all(workers.into_iter().map(Worker::dismiss)).await;
    }

    /// Tells all runs to end.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Worker>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that the task's module is compiled, if it can be kept. An outcome is returned for one outside the profile, and for
    /// one that its fuel does not pay for.
    async fn compiled(
        &self,
        task: &Task,
        source: &impl ModuleSource,
    ) -> Result<Option<Outcome>, ComputeError> {
        let Some(cache) = &self.cache else {
            return Ok(None);
        };
        let mut closing = self.closing.subscribe();
        tokio::select! {
            ensured = self.ensure(cache, task, source) => ensured,
            _ = closing.wait_for(|closed| *closed) => Err(ComputeError::Closed),
        }
    }

    async fn ensure(
        &self,
        cache: &DiskCache,
        task: &Task,
        source: &impl ModuleSource,
    ) -> Result<Option<Outcome>, ComputeError> {
        let module = task.module;
        if self.known.is_compiled(module) {
            return Ok(None);
        }
        let compiler = Compiler {
            spawner: &self.spawner,
            command: &self.config.command.0,
            profile: &self.profile,
            limit: self.config.compile_limit,
            turns: &self.turns,
            known: &self.known,
            fuel: task.limits.fuel,
        };
        let ensured = compiler.ensure(cache, module, source).await;
        if let Err(error) = &ensured {
            self.known.note_failed(module, error);
            self.known.check(module)?;
        }
        let outside = ensured?;
        if outside.is_none() && cache.has(module) {
            self.known.note_compiled(module);
        }
        Ok(outside)
    }

    /// A worker did not find the module in the cache, or found it damaged.
    fn forget(&self, module: Digest) {
        self.known.forget(module);
        if let Some(cache) = &self.cache {
            cache.forget(module);
        }
    }

    /// An idle worker, best the one that ran this module last, or a new one.
    async fn worker(&self, module: Option<Digest>) -> Result<Worker, ComputeError> {
        while let Some(mut worker) = self.take_idle(module) {
            if worker.is_alive() {
                return Ok(worker);
            }
            tracing::warn!("an idle worker has died; another takes its place");
        }
        let hello = Hello {
            cache: self.config.cache.clone(),
            ..Hello::default()
        };
        let command = &self.config.command.0;
        Worker::start(&self.spawner, command, hello, Some(&self.profile)).await
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

/// The configuration with absolute paths, because workers run in the root directory.
fn prepared(mut config: PoolConfig) -> PoolConfig {
    config.workers = config.workers.clamp(1, Semaphore::MAX_PERMITS);
    config.cache = config.cache.map(absolute);
    if config.command.0.components().count() > 1 {
        config.command.0 = absolute(config.command.0);
    }
    // It is made here, because workers can only read it. If it cannot be made, each worker compiles for itself.
    if let Some(Err(error)) = config.cache.as_ref().map(std::fs::create_dir_all) {
        tracing::warn!(%error, "compiled modules are not kept");
    }
    config
}

/// Starts a worker only to learn its profile.
async fn ask_profile(config: &PoolConfig) -> Result<String, ComputeError> {
    let spawner = Spawner::new(config.command.clone());
    let worker = Worker::start(&spawner, &config.command.0, Hello::default(), None).await?;
    let profile = worker.profile.clone();
    worker.dismiss().await;
    Ok(profile)
}

/// Why the second engine has no opinion.
fn why(error: &ComputeError) -> &'static str {
    match error {
        // It has bounds of its own, on the size of its code and of its frames.
        ComputeError::Compile { .. } => "it does not take the module",
        ComputeError::Timeout { .. } => "it needs too long",
        _ => "its run failed on this machine",
    }
}

fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}
