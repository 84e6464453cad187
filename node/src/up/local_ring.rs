//! The ring on this machine: starting it, and knowing which of its processes this process has started.
//!
//! [`LocalRing::start`] makes a ring or goes on with one that exists: chain first, then contracts, then members. A lock
//! on the directory keeps a second command out. What this process has started it ends again if the start fails or is
//! interrupted ([`start`]); what was running before stays. The guard does the same if this process is killed. A
//! throw-away ring is one whose directory is removed with it.

use super::{
    check::{check_chain, check_plan},
    guard::Guard,
    plan::Plan,
    stopping::end,
};
use crate::{
    anvil,
    exit::ExitError,
    out::Out,
    ports::Ports,
    process,
    ringdir::{RingDir, RingFile},
    signals::Signals,
};
use rings_chain::Chain;
use rings_member::config::ConnectorsSection;
use tokio::process::Child;

/// A member that this process has started.
#[derive(Debug)]
pub struct Launched {
    /// Its number.
    pub index: usize,
    /// Its process.
    pub child: Child,
}

/// A ring that is being started, or runs. It knows the processes that it has started itself, also before they have locked
/// their files.
#[derive(Debug)]
pub struct LocalRing {
    pub(super) dir: RingDir,
    pub(super) out: Out,
    pub(super) anvil: Option<Child>,
    pub(super) children: Vec<Launched>,
    /// Ends all of it when this process ends without doing so.
    guard: Option<Guard>,
    /// Whether the directory goes with the ring.
    throw_away: bool,
    /// What the members that are started let external tasks use; what their configurations say, without it.
    pub(super) connectors: Option<ConnectorsSection>,
}

impl LocalRing {
    /// Nothing started yet.
    pub fn new(dir: RingDir, out: Out) -> Self {
        Self {
            dir,
            out,
            anvil: None,
            children: Vec::new(),
            guard: None,
            throw_away: false,
            connectors: None,
        }
    }

    /// A ring whose directory is removed when this process ends.
    pub fn throw_away(dir: RingDir, out: Out) -> Self {
        Self {
            throw_away: true,
            ..Self::new(dir, out)
        }
    }

    /// Ends the guard. Whatever was started stays when this process ends, or has been stopped; a throw-away ring is removed
    /// when this returns.
    pub fn release(&mut self) {
        let done = match self.throw_away {
            true => Guard::finish,
            false => Guard::release,
        };
        self.guard.take().map(done).unwrap_or_default();
    }

    /// The process group for what is started.
    pub(super) fn group(&self) -> i32 {
        // 0 stands for a group of its own.
        self.guard.as_ref().map_or(0, Guard::group)
    }

    /// Starts what is not running, and returns when every member is ready.
    ///
    /// # Errors
    /// When a part does not start; what was started until then runs, until [`LocalRing::abandon`].
    pub async fn start(&mut self, plan: &Plan) -> Result<RingFile, ExitError> {
        if self.throw_away {
            self.guard = Some(Guard::start_removing(&self.dir)?);
        }
        self.dir.create()?;
        let busy = || {
            let root = self.dir.root().display();
            self.out.note(format_args!(
                "waiting for another rings up or down in {root}"
            ));
        };
        let lock = process::wait_lock(&self.dir.lock(), busy).await?;
        if self.guard.is_none() {
            self.guard = Some(Guard::start(&self.dir, &lock)?);
        }
        // From here on the guard ends what is started below if this process is killed.
        let mut ports = Ports::default();
        let mut file = match self.dir.find()? {
            None => {
                self.dir.refuse_data_without_ring()?;
                self.end_remains().await?;
                self.create(plan, &mut ports).await?
            }
            Some(file) => self.resume(plan, file, &mut ports).await?,
        };
        self.launch(&mut file, &mut ports).await?;
        Ok(file)
    }

    /// Ends and forgets the chain of a start that was interrupted before there was a ring.
    async fn end_remains(&self) -> Result<(), ExitError> {
        end(self.out, || anvil::running(&self.dir).into_iter().collect()).await;
        anvil::forget(&self.dir)
    }

    /// Opens a ring that exists: starts its chain, if that is its own and does not run, and checks it.
    async fn resume(
        &mut self,
        plan: &Plan,
        mut file: RingFile,
        ports: &mut Ports,
    ) -> Result<RingFile, ExitError> {
        check_plan(plan, &file)?;
        let chain = self.resume_chain(plan, &mut file, ports).await?;
        check_chain(&self.dir, &file, &chain).await?;
        Ok(file)
    }

    /// The chain of a ring that exists: started again on its port, if it was anvil's; otherwise the one that is given or
    /// noted.
    async fn resume_chain(
        &mut self,
        plan: &Plan,
        file: &mut RingFile,
        ports: &mut Ports,
    ) -> Result<Chain, ExitError> {
        if let Some(given) = &plan.given {
            if given.url != file.rpc_url {
                file.rpc_url = given.url.clone();
            }
        }
        if !file.own_chain || anvil::running(&self.dir).is_some() {
            return file.chain().await;
        }
        let step = self.out.step("starting the chain");
        let before = file.rpc_url.rsplit_once(':').map(|(_, port)| port.parse());
        let port = ports.keep_or_choose(before.and_then(Result::ok).unwrap_or_default())?;
        let group = self.group();
        let chain = anvil::start(&self.dir, port, group, &mut self.anvil).await?;
        drop(step);
        file.chain_pid = self.anvil.as_ref().and_then(Child::id);
        file.rpc_url = anvil::http_url(port);
        Ok(chain)
    }
}

/// Starts a ring. When that fails or is interrupted, ends the processes that were started.
///
/// # Errors
/// As [`LocalRing::start`], and when interrupted.
pub async fn start(
    ring: &mut LocalRing,
    plan: &Plan,
    signals: &mut Signals,
) -> Result<RingFile, ExitError> {
    let started = tokio::select! {
        started = ring.start(plan) => started,
        () = signals.next() => Err(ExitError::internal("interrupted; everything that was started has been stopped")),
    };
    if started.is_err() {
        ring.abandon().await;
    }
    started
}
