//! Starts worker processes from one thread that lives as long as the pool.
//!
//! A worker asks the kernel to kill it when its parent dies (`PR_SET_PDEATHSIG`). For the kernel the parent is the
//! thread that started the worker. Threads of an async runtime may end at any time, so workers are started from a
//! thread of their own: [`Spawner`] sends it requests and gets back the child processes.

use std::{
    io,
    path::PathBuf,
    process::Stdio,
    sync::{mpsc::SyncSender, Mutex, PoisonError},
};
use tokio::{
    process::{Child, Command},
    runtime::Handle,
    sync::oneshot,
};

/// Requests that may wait for the thread.
const QUEUE: usize = 16;

/// The whole environment of a worker: it tells the allocator to give memory back after compiling.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("MALLOC_ARENA_MAX", "2"),
    ("MALLOC_TRIM_THRESHOLD_", "131072"),
    ("MALLOC_MMAP_THRESHOLD_", "131072"),
];

/// A child process is wanted, in the runtime that will read its pipes.
struct Request {
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// The thread that starts workers. It is started when the first worker is needed.
pub(crate) struct Spawner {
    command: (PathBuf, Vec<std::ffi::OsString>),
    thread: Mutex<Option<SyncSender<Request>>>,
}

impl Spawner {
    /// Starts workers with that command.
    pub(crate) fn new(command: (PathBuf, Vec<std::ffi::OsString>)) -> Self {
        Self {
            command,
            thread: Mutex::new(None),
        }
    }

    /// Starts a worker process.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) async fn spawn(&self) -> io::Result<Child> {
        let (reply, answer) = oneshot::channel();
        let runtime = Handle::current();
        self.thread()?
            .try_send(Request { runtime, reply })
            .map_err(|_| io::Error::other("the thread that starts workers is stuck"))?;
        answer
            .await
            .map_err(|_| io::Error::other("the thread that starts workers has ended"))?
    }

    fn thread(&self) -> io::Result<SyncSender<Request>> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = thread.as_ref() {
            return Ok(sender.clone());
        }
        let (sender, requests) = std::sync::mpsc::sync_channel::<Request>(QUEUE);
        let command = self.command.clone();
        std::thread::Builder::new()
            .name("worker-spawner".into())
            .spawn(move || {
                for request in requests {
                    let _runtime = request.runtime.enter();
                    // If the caller has gone away, the child is dropped, which kills it.
                    drop(request.reply.send(start(&command)));
                }
            })?;
        *thread = Some(sender.clone());
        Ok(sender)
    }
}

/// Starts a worker with nothing of this process: no environment but the fixed one, no directory, a process group of its
/// own, so that a signal to the member's group does not reach it.
fn start((program, arguments): &(PathBuf, Vec<std::ffi::OsString>)) -> io::Result<Child> {
    Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(ENVIRONMENT.iter().copied())
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
}
