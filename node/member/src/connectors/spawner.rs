//! Starts connectors from a thread of their own.
//!
//! A launcher asks the kernel to kill the connector when its parent dies (`PR_SET_PDEATHSIG`). For the kernel the parent is the
//! thread that started it, and the runtime ends threads as it likes; so one thread starts them all, and lives as long as this.

use std::{
    io,
    process::Stdio,
    sync::{
        mpsc::{sync_channel, SyncSender},
        Mutex, PoisonError,
    },
};
use tokio::{
    process::{Child, Command},
    runtime::Handle,
    sync::oneshot,
};

/// Starts that wait.
const QUEUE: usize = 64;
/// What a connector finds in its environment besides this: nothing.
const ENVIRONMENT: [(&str, &str); 2] = [
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("LANG", "C.UTF-8"),
];

struct Request {
    command: Command,
    runtime: Handle,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// The thread that starts connectors. It is started when the first one is needed.
#[derive(Default)]
pub(super) struct Spawner(Mutex<Option<SyncSender<Request>>>);

impl Spawner {
    /// Starts a connector with nothing of this process: no environment but a fixed one, a process group of its own, and
    /// nowhere to write but its standard output.
    ///
    /// # Errors
    /// The system's error.
    pub async fn spawn(&self, mut command: Command) -> io::Result<Child> {
        command
            .env_clear()
            .envs(ENVIRONMENT)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let (reply, answer) = oneshot::channel();
        let runtime = Handle::current();
        self.thread()?
            .try_send(Request {
                command,
                runtime,
                reply,
            })
            .map_err(|_| io::Error::other("the thread that starts connectors is stuck"))?;
        answer
            .await
            .map_err(|_| io::Error::other("the thread that starts connectors has ended"))?
    }

    fn thread(&self) -> io::Result<SyncSender<Request>> {
        let mut thread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = thread.as_ref() {
            return Ok(sender.clone());
        }
        let (sender, requests) = sync_channel::<Request>(QUEUE);
        std::thread::Builder::new()
            .name("connector-spawner".into())
            .spawn(move || {
                for mut request in requests {
                    let _runtime = request.runtime.enter();
                    // If the caller has gone away, the child is dropped, which kills it.
                    drop(request.reply.send(request.command.spawn()));
                }
            })?;
        *thread = Some(sender.clone());
        Ok(sender)
    }
}
