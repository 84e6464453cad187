//! Connectors that are programs: one line of JSON on standard input, an answer on standard output, exit status 0.

use super::{error::ConnectorError, launch::Launcher, spawner::Spawner};
use rings_process::{bounds::MAX_ANSWER_BYTES, external::Call};
use rustix::process::{kill_process_group, Pid, Signal};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
};

/// The programs that the configuration names.
pub(super) struct Programs {
    programs: BTreeMap<String, PathBuf>,
    launcher: Option<Launcher>,
    spawner: Spawner,
}

/// Becomes the connector: this process is that of the program from now on, and ends when its parent does. Returns only why
/// that failed.
pub fn become_connector(program: &Path) -> io::Error {
    use std::os::unix::process::CommandExt;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    std::process::Command::new(program).exec()
}

/// A process group that is killed when this is dropped: what a connector has started ends with it.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            kill_process_group(group, Signal::KILL).unwrap_or_default();
        }
    }
}

impl Programs {
    pub fn new(programs: BTreeMap<String, PathBuf>, launcher: Option<Launcher>) -> Self {
        Self {
            programs,
            launcher,
            spawner: Spawner::default(),
        }
    }

    pub fn has(&self, connector: &str) -> bool {
        self.programs.contains_key(connector)
    }

    /// Runs a connector to its end, and gives what it has written.
    ///
    /// # Errors
    /// [`ConnectorError`]; the connector and all that it has started are stopped then.
    pub async fn run(
        &self,
        connector: &str,
        call: &Call,
        limit: Duration,
    ) -> Result<Vec<u8>, ConnectorError> {
        let program = self
            .programs
            .get(connector)
            .ok_or_else(|| ConnectorError::NotAllowed {
                connector: connector.into(),
            })?;
        let unstarted = |error: io::Error| ConnectorError::Start {
            connector: connector.into(),
            kind: error.kind(),
        };
        // A launcher starts in any case, and could say nothing.
        std::fs::metadata(program).map_err(unstarted)?;
        let command = match &self.launcher {
            Some((launcher, arguments)) => {
                let mut command = Command::new(launcher);
                command.args(arguments).arg(program);
                command
            }
            None => Command::new(program),
        };
        let started = self.spawner.spawn(command).await;
        let child = started.map_err(unstarted)?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let group = Group(pid.and_then(Pid::from_raw));
        let ended = tokio::time::timeout(limit, to_its_end(child, call)).await;
        drop(group);
        ended.unwrap_or(Err(ConnectorError::Slow {
            seconds: limit.as_secs(),
        }))
    }
}

async fn to_its_end(mut child: Child, call: &Call) -> Result<Vec<u8>, ConnectorError> {
    let unread = |error: io::Error| ConnectorError::Unread(error.kind());
    let mut line = serde_json::to_vec(call).map_err(|error| unread(error.into()))?;
    line.push(b'\n');
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let give = async move {
        if let Some(mut stdin) = stdin {
            // One that does not want to read all of it may do without.
            drop(stdin.write_all(&line).await);
        }
        Ok(())
    };
    let take = async move {
        let mut written = Vec::new();
        if let Some(stdout) = stdout {
            let mut bounded = stdout.take(MAX_ANSWER_BYTES as u64 + 1);
            bounded.read_to_end(&mut written).await.map_err(unread)?;
        }
        match written.len() > MAX_ANSWER_BYTES {
            true => Err(ConnectorError::Flood),
            false => Ok(written),
        }
    };
    // Who floods is not waited for.
    let (written, ()) = tokio::try_join!(take, give)?;
    let status = child.wait().await.map_err(unread)?;
    match (status.success(), status.code()) {
        (true, _) => Ok(written),
        (false, Some(code)) => Err(ConnectorError::Exit(code)),
        (false, None) => Err(ConnectorError::Signal),
    }
}
