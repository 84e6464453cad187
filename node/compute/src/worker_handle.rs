//! The parent's side of one worker process.
//!
//! A [`Worker`] is started by the spawner, must greet with the right profile, and then sends and receives frames within
//! a [`Budget`] of time. When it breaks the protocol, dies or takes too long, it is killed and waited for, and the
//! reason ([`Broken`]) becomes a [`ComputeError`]. What it writes to its standard error goes to the log, line by line
//! and bounded. Dropping a [`Worker`] kills its process.

use crate::{
    error::ComputeError,
    escape::escape_for_terminal,
    frame::{self, decode, encode, Hello, Ready, Tag, PROTOCOL},
    module_source::ModuleBytes,
    sandbox::Sandbox,
    spawner::Spawner,
};
use bytes::Bytes;
use rings_protocol::Digest;
use sha2::{Digest as _, Sha256};
use std::{io, path::Path, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout},
    task::JoinHandle,
    time::{timeout, Instant},
};

/// How long a worker may take to come up.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a worker may take to end after its input was closed, before it is killed.
const END_LIMIT: Duration = Duration::from_secs(2);
/// How long a killed process may take to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(5);
/// Longest line of a worker's standard error that is logged, in bytes.
const MAX_LINE: u64 = 1024;

/// Why a worker cannot be used any more.
#[derive(Debug)]
pub(crate) enum Broken {
    /// Its pipes are closed: the process has died.
    Pipe(io::Error),
    /// It needed too long.
    Slow,
    /// It sent something that the protocol does not allow.
    Protocol(String),
    /// Its output could not be kept; it is still sending.
    Output(io::Error),
    /// The module that it is getting cannot be read to its end.
    Module(ComputeError),
    /// The pool is shutting down.
    Closed,
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData => Self::Protocol(error.to_string()),
            _ => Self::Pipe(error),
        }
    }
}

/// Wall-clock time that something may still take: a worker at work, or its parent in getting input.
pub(crate) struct Budget {
    limit: Duration,
    left: Duration,
}

impl Budget {
    /// A budget.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, left: limit }
    }

    /// What it was at the start.
    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Waits for the worker, and takes the time from the budget.
    async fn spend<T>(
        &mut self,
        work: impl std::future::Future<Output = io::Result<T>>,
    ) -> Result<T, Broken> {
        Ok(self.within(work).await.ok_or(Broken::Slow)??)
    }

    /// Waits for something, and takes the time from the budget. `None` when the budget is used up.
    pub(crate) async fn within<T>(
        &mut self,
        work: impl std::future::Future<Output = T>,
    ) -> Option<T> {
        let start = Instant::now();
        let result = timeout(self.left, work).await.ok();
        self.left = self.left.saturating_sub(start.elapsed());
        result
    }
}

/// A worker process that has greeted. Dropping it kills it.
pub(crate) struct Worker {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    log: JoinHandle<String>,
    /// The module that it ran last, which it has in memory.
    pub(crate) last: Option<Digest>,
    /// Whether it has asked to be replaced.
    pub(crate) retires: bool,
    /// The sandbox that it reports.
    pub(crate) sandbox: Sandbox,
    /// The profile that it computes.
    pub(crate) profile: String,
}

impl Worker {
    /// Starts a process and waits for its greeting.
    ///
    /// # Errors
    /// When it cannot be started, or has another profile than `profile`, if there is one.
    pub(crate) async fn start(
        spawner: &Spawner,
        command: &Path,
        hello: Hello,
        profile: Option<&str>,
    ) -> Result<Self, ComputeError> {
        let spawn_error = |source| ComputeError::Spawn {
            command: command.to_owned(),
            source,
        };
        let mut child = spawner.spawn().await.map_err(spawn_error)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(to), Some(from), Some(stderr)) = pipes else {
            return Err(spawn_error(io::Error::other("a pipe is missing")));
        };
        let mut worker = Self {
            log: tokio::spawn(pump(child.id().unwrap_or_default(), stderr)),
            child,
            to,
            from: BufReader::new(from),
            last: None,
            retires: false,
            sandbox: Sandbox::default(),
            profile: String::new(),
        };
        match worker.greet(&hello).await {
            Ok(ready) if ready.protocol != PROTOCOL => Err(ComputeError::Protocol {
                what: format!("it speaks form {} and not {PROTOCOL}", ready.protocol),
            }),
            Ok(ready) if profile.is_none_or(|profile| ready.profile == profile) => {
                worker.sandbox = ready.sandbox;
                worker.profile = ready.profile;
                Ok(worker)
            }
            Ok(ready) => Err(ComputeError::Profile {
                expected: profile.unwrap_or_default().to_owned(),
                found: ready.profile,
            }),
            Err(broken) => Err(worker.bury(broken, START_LIMIT).await),
        }
    }

    async fn greet(&mut self, hello: &Hello) -> Result<Ready, Broken> {
        let budget = &mut Budget::new(START_LIMIT);
        self.send(budget, Tag::Hello, &encode(hello)?).await?;
        match self.receive(budget).await? {
            (Tag::Ready, payload) => Ok(decode(&payload)?),
            (tag, _) => Err(Broken::Protocol(format!("{tag:?} in place of a greeting"))),
        }
    }

    /// Sends a frame.
    pub(crate) async fn send(
        &mut self,
        budget: &mut Budget,
        tag: Tag,
        payload: &[u8],
    ) -> Result<(), Broken> {
        budget.spend(frame::send(&mut self.to, tag, payload)).await
    }

    /// Sends a module, piece by piece, and gives the hash of what was sent. Waiting for a piece takes time from `waiting`.
    pub(crate) async fn send_module(
        &mut self,
        budget: &mut Budget,
        waiting: &mut Budget,
        tag: Tag,
        mut module: ModuleBytes,
    ) -> Result<Digest, Broken> {
        // A length that does not fit is too long for the frame.
        let length = usize::try_from(module.length()).unwrap_or(usize::MAX);
        budget
            .spend(frame::send_header(&mut self.to, tag, length))
            .await?;
        let mut hash = Sha256::new();
        loop {
            let piece = waiting.within(module.next()).await.ok_or_else(|| {
                Broken::Module(ComputeError::InputTimeout {
                    limit: waiting.limit(),
                })
            })?;
            let Some(piece) = piece.map_err(Broken::Module)? else {
                return Ok(Digest(hash.finalize().into()));
            };
            hash.update(&piece);
            budget
                .spend(frame::send_piece(&mut self.to, &piece))
                .await?;
        }
    }

    /// Receives a frame.
    pub(crate) async fn receive(&mut self, budget: &mut Budget) -> Result<(Tag, Bytes), Broken> {
        budget.spend(frame::receive(&mut self.from)).await
    }

    /// The process id, while it runs.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether the process still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Kills the process, waits for its end, and returns the error.
    pub(crate) async fn bury(mut self, broken: Broken, limit: Duration) -> ComputeError {
        // A process that closed its pipes is about to end by itself, and its own exit status says more than ours.
        let own = match &broken {
            Broken::Pipe(_) => timeout(END_LIMIT, self.child.wait()).await.ok(),
            _ => None,
        };
        let status = match own {
            Some(status) => status,
            None => self.kill().await,
        };
        let stderr = last_words(self.log).await;
        match broken {
            Broken::Pipe(error) => ComputeError::Died {
                status: status.map_or_else(|_| error.to_string(), |status| status.to_string()),
                stderr,
            },
            Broken::Slow => ComputeError::Timeout { limit },
            Broken::Protocol(what) => ComputeError::Protocol { what },
            Broken::Output(error) => ComputeError::Output(error),
            Broken::Module(error) => error,
            Broken::Closed => ComputeError::Closed,
        }
    }

    async fn kill(&mut self) -> io::Result<std::process::ExitStatus> {
        self.child.start_kill()?;
        timeout(KILL_LIMIT, self.child.wait())
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// Lets the process end by itself, and kills it if it does not.
    pub(crate) async fn dismiss(mut self) {
        drop(self.to);
        if timeout(END_LIMIT, self.child.wait()).await.is_ok() {
            return;
        }
        tracing::warn!("a worker did not end by itself and is killed");
        let killed = match self.child.start_kill() {
            Ok(()) => timeout(KILL_LIMIT, self.child.wait()).await.is_ok(),
            Err(_) => false,
        };
        if !killed {
            tracing::error!("a worker could not be killed");
        }
    }
}

/// Logs what a worker writes to its standard error; gives the last line at its end.
async fn pump(process: u32, stderr: ChildStderr) -> String {
    let mut reader = BufReader::new(stderr);
    let mut last = String::new();
    loop {
        let mut line = Vec::new();
        match (&mut reader)
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)
            .await
        {
            Ok(length) if length > 0 => {
                last = escape_for_terminal(&line).trim_end().to_owned();
                tracing::warn!(process, "worker: {last}");
            }
            _ => return last,
        }
    }
}

async fn last_words(log: JoinHandle<String>) -> String {
    match timeout(KILL_LIMIT, log).await {
        Ok(Ok(line)) => line,
        _ => String::new(),
    }
}
