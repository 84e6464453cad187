//! Starting the members that are down, and waiting until all of them are ready.
//!
//! [`launch`] starts a process for each member that does not run, writes `ring.json`, and asks all of them until each
//! follows the chain and is connected to all others. When one ends or is not ready in time, the error names it and the
//! end of its log.
//!
//! The processes join the process group of the guard (`guard.rs`), so they end with the command unless it lets them go
//! (`--detach`). They get none of this process's variables that would change a configuration.

use super::{
    local_ring::{Launched, LocalRing},
    members,
};
use crate::{
    anvil,
    exit::{Context, ExitError, ExitStatus},
    out::count,
    ports::Ports,
    process::{self, Pauses, LONGEST_PAUSE},
    ringdir::{log_end, MemberDir, RingFile},
};
use futures::future::try_join_all;
use rings_api::Client;
use rings_member::config::PREFIX;
use std::{
    env,
    fs::OpenOptions,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::process::{Child, Command};

/// Time for all members to be ready.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// How often members are started that ran when they were looked for, and have ended since.
const STARTS: usize = 5;

/// Why members are not ready.
enum NotReady {
    /// One that ran, and that this command did not start, has ended: it was on its way down when it was looked for.
    Ended,
    /// What is to be said.
    Fault(ExitError),
}

impl LocalRing {
    /// Starts the members that are down, writes `ring.json`, and waits until all are ready.
    pub(super) async fn launch(
        &mut self,
        file: &mut RingFile,
        ports: &mut Ports,
    ) -> Result<(), ExitError> {
        let step = self.out.step(format_args!(
            "starting {}",
            count(file.members.len(), "member")
        ));
        for _ in 0..STARTS {
            self.start_missing(file, ports)?;
            match self.wait_ready(file).await {
                Ok(()) => {
                    drop(step);
                    return Ok(());
                }
                Err(NotReady::Ended) => {}
                Err(NotReady::Fault(error)) => return Err(error),
            }
        }
        Err(ExitError::unavailable(
            "members end again and again while they are started; does another command end them?",
        ))
    }

    /// Starts the members that are down, and writes `ring.json`.
    fn start_missing(&mut self, file: &mut RingFile, ports: &mut Ports) -> Result<(), ExitError> {
        let program =
            env::current_exe().context(ExitStatus::Internal, "cannot find this program")?;
        let own_url = own_chain_url(file);
        for index in 0..file.members.len() {
            let dir = self.dir.member(index);
            let pid = match process::holder(&dir.lock()) {
                Some(pid) => Some(pid),
                None => {
                    if let Some(connectors) = &self.connectors {
                        members::connect(&dir, connectors)?;
                    }
                    let port = members::refresh(&dir, file, ports, own_url.as_deref())?;
                    file.members[index].rpc_url = anvil::http_url(port);
                    let child = spawn(&program, &dir, self.group())?;
                    let pid = child.id();
                    self.children.push(Launched { index, child });
                    pid
                }
            };
            file.members[index].pid = pid;
        }
        file.chain_pid = anvil::running(&self.dir);
        self.dir.write(file)
    }

    /// Waits for all members at the same time, because each needs the others to be connected.
    async fn wait_ready(&mut self, file: &RingFile) -> Result<(), NotReady> {
        let deadline = Instant::now() + READY_LIMIT;
        let clients = self.dir.clients(file).map_err(NotReady::Fault)?;
        let others = clients.len() - 1;
        let mut children: Vec<Option<&mut Child>> = clients.iter().map(|_| None).collect();
        for launched in &mut self.children {
            children[launched.index] = Some(&mut launched.child);
        }
        let members = clients.iter().zip(children).enumerate();
        let waits = members.map(|(index, (client, child))| {
            let dir = self.dir.member(index);
            async move { ready(index, &dir, client, child, others, deadline).await }
        });
        try_join_all(waits).await.map(drop)
    }
}

/// URL of our own chain as members use it.
fn own_chain_url(file: &RingFile) -> Option<String> {
    let (_, port) = file.rpc_url.rsplit_once(':')?;
    let port = port.parse().ok()?;
    file.own_chain.then(|| anvil::ws_url(port))
}

fn spawn(program: &Path, dir: &MemberDir, group: i32) -> Result<Child, ExitError> {
    let path = dir.log();
    let unwritten = || format!("cannot write {}", path.display());
    let log = OpenOptions::new().create(true).append(true).open(&path);
    let log = log.context(ExitStatus::Unavailable, unwritten())?;
    let errors = log
        .try_clone()
        .context(ExitStatus::Unavailable, unwritten())?;
    let mut command = Command::new(program);
    // Members take their configuration from their files only.
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with(PREFIX) {
            command.env_remove(name);
        }
    }
    // In another process group, so that Ctrl-C reaches only this process, which stops members before their chain.
    command
        .args(["node", "--config"])
        .arg(dir.config())
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .process_group(group)
        .spawn()
        .context(
            ExitStatus::Internal,
            format!("cannot start {}", program.display()),
        )
}

/// Waits until a member follows the chain and is connected to all others.
async fn ready(
    index: usize,
    dir: &MemberDir,
    client: &Client,
    mut child: Option<&mut Child>,
    others: usize,
    deadline: Instant,
) -> Result<(), NotReady> {
    let mut pauses = Pauses::new(LONGEST_PAUSE);
    loop {
        let state = match client.status().await {
            Ok(status) if status.following && status.peers as usize >= others => return Ok(()),
            Ok(status) if !status.following => "does not follow the chain".to_owned(),
            Ok(status) => format!("is connected to {} of {others} others", status.peers),
            Err(_) => "does not answer".to_owned(),
        };
        if let Some(status) = child
            .as_mut()
            .and_then(|child| child.try_wait().ok().flatten())
        {
            return Err(fault(
                dir,
                format!("member {index} ended at once ({status})"),
            ));
        }
        if child.is_none() && process::holder(&dir.lock()).is_none() {
            return Err(NotReady::Ended);
        }
        if Instant::now() > deadline {
            let seconds = READY_LIMIT.as_secs();
            let what = format!("member {index} is not ready after {seconds} s: it {state}");
            return Err(fault(dir, what));
        }
        pauses.next().await;
    }
}

fn fault(dir: &MemberDir, what: String) -> NotReady {
    let log = dir.log();
    let said = log_end(&log);
    let error = ExitError::unavailable(format!("{what}: {said}; see {}", log.display()));
    NotReady::Fault(error)
}
