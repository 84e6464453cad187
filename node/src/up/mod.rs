//! `rings up`: a ring on this machine. A chain unless there is one, the contracts, and one process per member.
//!
//! Everything is in the directory. If the command is run again, it goes on where it stopped, and starts what does not
//! run.
//!
//! [`LocalRing`] is the ring while it is started and watched; [`plan::Plan`] is what the command line asks for. `create.rs`
//! makes a new ring, `launch.rs` starts its members, `supervise.rs` watches them, `stopping.rs` stops them, and `guard.rs`
//! does so when this process is killed.

mod check;
mod create;
mod guard;
mod launch;
mod local_ring;
pub mod members;
pub mod plan;
mod stopping;
mod supervise;

pub use check::check_chain;
use check::check_store;
pub use guard::watch;
pub use local_ring::{start, LocalRing};

use super::{
    args::{DownArgs, UpArgs},
    exit::{Context, ExitError, ExitStatus},
    out::{count, Out},
    process,
    ringdir::{RingDir, RingFile},
    signals::Signals,
};
use plan::{GivenChain, Plan};
use rings_api::shown_url;
use rings_member::config::ConnectorsFile;
use std::{fs, path::Path};
use stopping::stop;

/// `rings up`
///
/// # Errors
/// When a part of the ring does not start; everything that was started is stopped then.
pub async fn up(args: UpArgs, out: Out) -> Result<(), ExitError> {
    let plan = plan_of(&args)?;
    let connectors = args.connectors.as_deref().map(ConnectorsFile::load);
    let connectors = connectors
        .transpose()
        .context(ExitStatus::Usage, "the connectors cannot be read")?;
    let mut signals = Signals::new()?;
    tokio::select! {
        checked = check_store(&plan, args.fresh) => checked?,
        () = signals.next() => return Err(ExitError::internal("interrupted; nothing was started")),
    }
    if args.fresh && plan.dir.root().exists() {
        remove(&plan.dir, out).await?;
    }
    let mut ring = LocalRing::new(plan.dir.clone(), out);
    ring.connectors = connectors.map(|file| file.connectors);
    let mut file = start(&mut ring, &plan, &mut signals).await?;
    if args.detach {
        ring.release();
    }
    match args.json {
        true => out.json(&file)?,
        false => out.line("ready")?,
    }
    describe(&plan, &file, out);
    if args.detach {
        return Ok(());
    }
    // Two supervisors would both stop the ring at their ends.
    let Some(_supervisor) = process::try_lock(&plan.dir.supervisor())? else {
        ring.release();
        out.note("another `rings up` watches this ring already");
        return Ok(());
    };
    out.note("Ctrl-C stops it");
    tokio::select! {
        ended = ring.supervise(&mut file) => {
            ring.release();
            out.note("nothing of the ring runs any more");
            ended
        }
        () = signals.next() => ring.stop().await,
    }
}

fn plan_of(args: &UpArgs) -> Result<Plan, ExitError> {
    // This is not parsed by clap, because clap shows a wrong value in its error, and the URL may have a password.
    let store = args.store.as_deref().map(str::parse).transpose();
    let store = store.map_err(|wrong: String| ExitError::usage(format!("--store: {wrong}")))?;
    if let Some(key) = args.key.as_deref().filter(|key| *key != Path::new("-")) {
        // Before a directory is made.
        let what = format!(
            "cannot read {}; check the path and who owns it",
            key.display()
        );
        let found = fs::metadata(key).context(ExitStatus::Usage, what)?;
        if found.is_dir() {
            let what = format!("{} is a directory; name the file of a key", key.display());
            return Err(ExitError::usage(what));
        }
    }
    Ok(Plan {
        dir: args.dir.dir(),
        members: args.members,
        given: args.rpc.clone().map(|url| GivenChain {
            url,
            key: args.key.clone(),
            password_file: args.password_file.clone(),
            fund: args.fund,
        }),
        store,
        confirmations: args.confirmations,
        terms: args.terms.clone(),
        fees: args.fees.submitter(),
    })
}

fn describe(plan: &Plan, file: &RingFile, out: Out) {
    let root = plan.dir.root().display();
    out.note(format_args!(
        "ring {} of {} on chain {} at {}, in {root}",
        file.ring,
        count(file.members.len(), "member"),
        file.chain_id,
        shown_url(&file.rpc_url)
    ));
}

/// `rings down`
///
/// # Errors
/// When there is no ring in the directory, or it cannot be removed.
pub async fn down(args: DownArgs, out: Out) -> Result<(), ExitError> {
    let dir = args.dir.dir();
    let is_there = dir.find()?.is_some() || dir.has_remains();
    match args.remove && is_there {
        true => remove(&dir, out).await,
        false => stop(&dir, out).await,
    }
}

/// Stops a ring and removes it. A ring on a chain of others is not removed: its members' keys may hold ether, and a key
/// whose signing journal is gone must not be used again.
async fn remove(dir: &RingDir, out: Out) -> Result<(), ExitError> {
    match dir.find()? {
        Some(file) if !file.own_chain => Err(ExitError::usage(format!(
            "the ring in {} is on chain {}, where its keys may hold ether; if you do not need them, remove the directory by hand",
            dir.root().display(),
            file.chain_id
        ))),
        None if !dir.has_remains() => Ok(()),
        _ => {
            stop(dir, out).await?;
            dir.remove()
        }
    }
}
