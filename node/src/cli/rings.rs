//! `rings up`, `rings down` and `rings deploy`.

use super::{
    args::{DeployArgs, DirArg, UpArgs},
    failure::{Context, Failure, Status},
    out::Out,
    process,
    ringdir::RingFile,
    signals::Signals,
    up::{self, GivenChain, Plan, Session},
};
use crate::keystore;
use rings_chain::{deploy as deploy_contracts, Chain, Submitter};
use rings_protocol::Address;
use serde::Serialize;
use std::{fs, path::Path};

/// `rings up`
///
/// # Errors
/// When a part of the ring does not start; nothing that was started here stays then.
pub async fn up(args: UpArgs, out: Out) -> Result<(), Failure> {
    let plan = plan(&args);
    let mut signals = Signals::new()?;
    let mut session = Session::new(plan.dir.clone(), out);
    let mut file = start(&mut session, &plan, &mut signals).await?;
    out.line("ready")?;
    describe(&plan, &file, out);
    if args.detach {
        return Ok(());
    }
    let Some(_supervisor) = process::try_lock(&plan.dir.supervisor())? else {
        out.note("another `rings up` watches this ring, and goes on doing so");
        return Ok(());
    };
    out.note("Ctrl-C stops it");
    tokio::select! {
        ended = session.supervise(&mut file) => {
            out.note("nothing of the ring runs any more");
            ended
        }
        () = signals.next() => session.stop().await,
    }
}

/// Starts a ring, and takes back what was started when that fails or is interrupted.
///
/// # Errors
/// As [`Session::start`], and when interrupted.
pub async fn start(
    session: &mut Session,
    plan: &Plan,
    signals: &mut Signals,
) -> Result<RingFile, Failure> {
    let started = tokio::select! {
        started = session.start(plan) => started,
        () = signals.next() => Err(Failure::internal("interrupted; nothing that was started stays")),
    };
    if started.is_err() {
        session.abandon().await;
    }
    started
}

fn plan(args: &UpArgs) -> Plan {
    Plan {
        dir: args.dir.dir(),
        members: args.members,
        given: args.rpc.clone().map(|url| GivenChain {
            url,
            key: args.key.clone(),
            password_file: args.password_file.clone(),
            fund: args.fund,
        }),
        store: args.store.clone(),
        confirmations: args.confirmations,
    }
}

fn describe(plan: &Plan, file: &RingFile, out: Out) {
    let (count, root) = (file.members.len(), plan.dir.root().display());
    out.note(format_args!(
        "ring {} of {count} members on chain {} at {}, in {root}",
        file.ring, file.chain_id, file.rpc_url
    ));
}

/// `rings down`
///
/// # Errors
/// When there is no ring in the directory.
pub async fn down(args: DirArg, out: Out) -> Result<(), Failure> {
    up::stop(&args.dir(), out).await
}

/// What `rings deploy` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeployedView {
    chain_id: u64,
    engine: Address,
    scope: Address,
    ring: Address,
    start_block: u64,
}

/// `rings deploy`
///
/// # Errors
/// When the members' file or the key cannot be used, or the chain refuses.
pub async fn deploy(args: DeployArgs, out: Out) -> Result<(), Failure> {
    let members = read_members(&args.members)?;
    let key = keystore::load(&args.key, args.password_file.as_deref())?;
    let dir = args.dir.dir();
    dir.create()?;
    let step = out.step("deploying the contracts");
    let chain = Chain::connect(&args.rpc).await?;
    let journal = format!("deploy-{}-{}.redb", chain.id(), key.address());
    let submitter = Submitter::open(dir.root().join(journal), chain.clone(), key).await?;
    let deployed = deploy_contracts(&chain, &submitter, &members, args.salt).await?;
    submitter.shutdown().await;
    drop(step);
    let view = DeployedView {
        chain_id: chain.id(),
        engine: deployed.engine,
        scope: deployed.scope,
        ring: deployed.ring,
        start_block: deployed.block.number,
    };
    if args.json {
        return out.json(&view);
    }
    out.line(format_args!(
        "chain  {}\nengine {}\nscope  {}\nring   {}\nblock  {}",
        view.chain_id, view.engine, view.scope, view.ring, view.start_block
    ))
}

/// The addresses in a file, one a line; what follows # is a comment.
fn read_members(path: &Path) -> Result<Vec<Address>, Failure> {
    let shown = path.display();
    let text = fs::read_to_string(path).context(
        Status::Usage,
        format!("cannot read the members in {shown}; check the path"),
    )?;
    let mut members = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let member: Address = line
            .parse()
            .map_err(|error| Failure::usage(format!("{shown}:{number}: {error}")))?;
        if members.contains(&member) {
            let what = format!("{shown}:{number}: {member} is there twice");
            return Err(Failure::usage(what));
        }
        members.push(member);
    }
    match members.is_empty() {
        true => Err(Failure::usage(format!(
            "{shown} names no member; write one address a line"
        ))),
        false => Ok(members),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_and_mistakes_named_by_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("members");
        let (a, b) = (Address([1; 20]), Address([2; 20]));
        fs::write(&path, format!("# two\n{a}\n\n {b} # the second\n")).unwrap();
        assert_eq!(read_members(&path).unwrap(), [a, b]);
        for (text, told) in [
            (format!("{a}\n{a}\n"), ":2: "),
            ("hello\n".into(), ":1: "),
            ("# none\n".into(), "names no member"),
        ] {
            fs::write(&path, text).unwrap();
            let failure = read_members(&path).unwrap_err();
            assert_eq!(failure.status(), Status::Usage);
            assert!(failure.to_string().contains(told), "{failure}");
        }
    }
}
