//! `rings run`: a program on the ring, from the files of the command line to the agreed bytes on standard output.
//!
//! `job.rs` reads and checks program, operation and inputs (`content.rs`) before anything is sent. Then `session.rs` puts
//! the files into a member's store, and `gate.rs` declares the data, makes the gate and waits for its result, all of it
//! until `--timeout`. `outcome.rs` reads the result from the chain (`known.rs`), and its bytes from the members, each
//! block hashed. `receipt.rs` writes what is known for programs; when there is no quorum, `votes.rs` says who voted for
//! what, and `declined.rs` who never will. With `--no-gate`, `request.rs` and `request_outcome.rs` stand in the place of
//! `gate.rs` and `outcome.rs`. A program that failed is described by `program_failure.rs`. Without a ring in the default
//! directory, a throw-away one is started; with `--dry`, `dry.rs` does all of it on this machine.

mod bring;
pub mod content;
mod declined;
mod dry;
mod gate;
mod job;
mod next_state;
mod outcome;
mod program_failure;
mod receipt;
mod request;
mod request_outcome;
mod session;

pub use job::STATE_PIN;

use super::{
    args::RunArgs,
    exit::ExitError,
    out::Out,
    ringdir::RingDir,
    signals::Signals,
    terms::TermsArgs,
    up::{plan::Plan, start, LocalRing},
    whole_file,
};
use job::Job;
use session::Session;
use std::{env, path::PathBuf, time::Instant};

/// `rings run`
///
/// # Errors
/// As the exit statuses of the interface say.
pub async fn run(args: RunArgs, out: Out) -> Result<(), ExitError> {
    // What cannot be written in the end is told before anything is computed.
    args.receipt.as_deref().map_or(Ok(()), receipt::check)?;
    args.next_state
        .as_deref()
        .map_or(Ok(()), next_state::check)?;
    args.proof.as_deref().map_or(Ok(()), |path| {
        whole_file::check(path, request_outcome::PROOF)
    })?;
    if args.dry {
        return dry::run(&args, out).await;
    }
    let began = Instant::now();
    let job = Job::prepare(&args).await?;
    let mut signals = Signals::new()?;
    let dir = args.dir.dir();
    let Some(file) = dir.find()? else {
        if args.dir.is_named() || dir.root().exists() {
            return dir.read().map(drop);
        }
        return throw_away(&args, job, began, &mut signals, out).await;
    };
    let session = Session::new(&args, &dir, file, job, began, out);
    tokio::select! {
        done = async { session.await?.all().await } => done,
        () = signals.next() => Err(ExitError::internal("interrupted; what was asked stays")),
    }
}

/// Runs on a ring that is made for this run and removed afterwards, also when the run fails.
async fn throw_away(
    args: &RunArgs,
    job: Job,
    began: Instant,
    signals: &mut Signals,
    out: Out,
) -> Result<(), ExitError> {
    // The ring's guard, which is started before the directory is made, removes it also when this process is killed.
    let dir = RingDir::new(Some(throw_away_place()));
    let plan = Plan {
        dir: dir.clone(),
        members: None,
        given: None,
        store: None,
        confirmations: 0,
        terms: TermsArgs::none(),
        fees: args.fees.submitter(),
    };
    let mut ring = LocalRing::throw_away(dir.clone(), out);
    let file = start(&mut ring, &plan, signals).await?;
    let session = Session::new(args, &dir, file, job, began, out);
    let done = tokio::select! {
        done = async { session.await?.all().await } => done,
        () = signals.next() => Err(ExitError::internal("interrupted")),
    };
    let stopped = ring.stop().await;
    let root = args.dir.dir();
    out.note(format_args!(
        "no ring in {}: this was a throw-away one, which is gone with its chain; `rings up` makes one that stays",
        root.root().display()
    ));
    done.and(stopped)
}

/// A directory for temporary files that nobody uses.
fn throw_away_place() -> PathBuf {
    env::temp_dir().join(format!("rings-{:032x}", rand::random::<u128>()))
}
