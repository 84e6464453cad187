//! `rings up`: a ring on this machine. A chain unless there is one, the contracts, and one process per member.
//!
//! Everything is found again from the directory: run once more, it goes on where it stopped, and starts what is down.

mod create;
mod launch;
mod members;
mod supervise;

pub use supervise::stop;

use super::{
    anvil::{self, Anvil},
    failure::{Failure, Status},
    out::Out,
    ports::Ports,
    process,
    ringdir::{RingDir, RingFile},
};
use crate::config::{HttpUrl, VARIABLES};
use launch::Launched;
use rings_chain::{Chain, ChainError};
use std::{fmt, path::PathBuf, str::FromStr};
use tokio::process::Child;

/// Most members of a ring on one machine.
pub const MAX_MEMBERS: u16 = 64;
/// Members of a ring unless told otherwise.
pub const DEFAULT_MEMBERS: u16 = 5;

/// What `rings up` is asked to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where.
    pub dir: RingDir,
    /// How many members; `None`: as many as there are, or [`DEFAULT_MEMBERS`].
    pub members: Option<u16>,
    /// A chain that runs already; `None`: our own.
    pub given: Option<GivenChain>,
    /// Where blocks are kept; `None`: where they are, or embedded.
    pub store: Option<StoreChoice>,
    /// Blocks on top of an event before members act on it.
    pub confirmations: u64,
}

/// A chain that is not ours.
#[derive(Debug, Clone)]
pub struct GivenChain {
    /// Its provider.
    pub url: String,
    /// The account that deploys and gives the members their ether; needed for a new ring only.
    pub key: Option<PathBuf>,
    /// The password of that key.
    pub password_file: Option<PathBuf>,
    /// Wei that each member gets.
    pub fund: u128,
}

/// `--store`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreChoice {
    /// A database per member.
    Embedded,
    /// One Kubo for all.
    Kubo(HttpUrl),
}

impl FromStr for StoreChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "embedded" => Ok(Self::Embedded),
            Some(("kubo", url)) => url.parse().map(Self::Kubo),
            _ => Err("expected embedded or kubo=URL".into()),
        }
    }
}

impl fmt::Display for StoreChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Kubo(url) => write!(f, "kubo={}", url.0),
        }
    }
}

/// A ring that is being started, or runs. What it started itself is known here also before it has locked anything.
#[derive(Debug)]
pub struct Session {
    dir: RingDir,
    out: Out,
    anvil: Option<Child>,
    children: Vec<Launched>,
}

impl Session {
    /// Nothing started yet.
    pub fn new(dir: RingDir, out: Out) -> Self {
        Self {
            dir,
            out,
            anvil: None,
            children: Vec::new(),
        }
    }

    /// Starts what is not running, and returns when every member is ready.
    ///
    /// # Errors
    /// When a part does not start; what was started until then runs, until [`Session::abandon`].
    pub async fn start(&mut self, plan: &Plan) -> Result<RingFile, Failure> {
        self.dir.create()?;
        let busy = || {
            let root = self.dir.root().display();
            self.out.note(format_args!(
                "waiting for another rings up or down in {root}"
            ));
        };
        let _lock = process::wait_lock(&self.dir.lock(), busy).await?;
        let mut ports = Ports::default();
        let mut file = match self.dir.find()? {
            None => self.create(plan, &mut ports).await?,
            Some(file) => self.resume(plan, file, &mut ports).await?,
        };
        self.launch(&mut file, &mut ports).await?;
        Ok(file)
    }

    /// The ring that is there already: its chain is started if it is ours and down, and looked at.
    async fn resume(
        &mut self,
        plan: &Plan,
        mut file: RingFile,
        ports: &mut Ports,
    ) -> Result<RingFile, Failure> {
        check_plan(plan, &file)?;
        let chain = self.resume_chain(plan, &mut file, ports).await?;
        check_chain(&self.dir, &file, &chain).await?;
        Ok(file)
    }

    async fn resume_chain(
        &mut self,
        plan: &Plan,
        file: &mut RingFile,
        ports: &mut Ports,
    ) -> Result<Chain, Failure> {
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
        let Anvil { child, chain, .. } = anvil::start(&self.dir, port).await?;
        drop(step);
        file.chain_pid = child.id();
        self.anvil = Some(child);
        file.rpc_url = anvil::http_url(port);
        Ok(chain)
    }
}

/// The environment of members: their files say everything.
fn foreign_variables() -> impl Iterator<Item = &'static str> {
    VARIABLES.into_iter()
}

fn check_plan(plan: &Plan, file: &RingFile) -> Result<(), Failure> {
    let (root, count) = (plan.dir.root().display(), file.members.len());
    if plan
        .members
        .is_some_and(|members| usize::from(members) != count)
    {
        return Err(Failure::usage(format!(
            "the ring in {root} has {count} members; leave --members out, or start another with --dir"
        )));
    }
    if plan.given.is_some() && file.own_chain {
        return Err(Failure::usage(format!(
            "the ring in {root} has a chain of its own; leave --rpc out, or start another with --dir"
        )));
    }
    match &plan.store {
        Some(store) if store.to_string() != file.store => Err(Failure::usage(format!(
            "the ring in {root} keeps its blocks in {}; leave --store out, or start another with --dir",
            file.store
        ))),
        _ => Ok(()),
    }
}

/// Whether the chain is the one on which the ring of this directory is.
///
/// # Errors
/// One line, status 5, when it is not.
pub async fn check_chain(dir: &RingDir, file: &RingFile, chain: &Chain) -> Result<(), Failure> {
    let (root, endpoint) = (dir.root().display(), chain.endpoint());
    if chain.id() != file.chain_id {
        return Err(Failure::unavailable(format!(
            "the ring in {root} is on chain {}, and {endpoint} serves chain {}; use the directory of a ring on that chain, or start the right chain",
            file.chain_id,
            chain.id()
        )));
    }
    let elsewhere = || {
        Failure::new(
            Status::Unavailable,
            format!(
                "the ring in {root} ({}) is not on the chain at {endpoint}, which is another one or was started anew; start a new ring with --dir",
                file.ring
            ),
        )
    };
    match chain.ring_state(file.ring).await {
        Ok(state) if state.engine == file.engine => Ok(()),
        Ok(_) | Err(ChainError::NotAContract { .. } | ChainError::Malformed { .. }) => {
            Err(elsewhere())
        }
        Err(error) => Err(error.into()),
    }
}
