//! `rings deploy`: engine, scope and ring on any chain.
//!
//! The members are read from a file, the contracts are deployed from the account of `--key`, and a `ring.json` is
//! written with what is known. Every transaction has a purpose in the journal of the directory, so a deployment that
//! was interrupted goes on where it stopped and nothing is deployed twice. A chain that lacks the Cancun upgrade is
//! refused before anything is sent.

use super::{
    args::DeployArgs,
    exit::ExitError,
    input::read_text,
    out::Out,
    place::{connect, from_chain, locate},
    ringdir::{ClientFile, RingDir},
    terms::{KeepingView, DEPLOY_ENTRY_DELAY},
};
use rings_chain::{deploy as deploy_contracts, fund, Submitter};
use rings_member::keystore;
use rings_protocol::Address;
use serde::Serialize;
use std::path::Path;

/// What `rings deploy` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DeployedView {
    chain_id: u64,
    engine: Address,
    scope: Address,
    ring: Address,
    start_block: u64,
    /// Who can change the membership.
    keeping: KeepingView,
}

/// `rings deploy`
///
/// # Errors
/// When the members' file or the key cannot be used, or the chain refuses.
pub async fn deploy(args: DeployArgs, out: Out) -> Result<(), ExitError> {
    let listed = read_members(&args.members)?;
    let members: Vec<_> = listed.iter().map(|member| member.address).collect();
    let client = ClientFile::new(&args.key, args.password_file.as_deref())?;
    let key = keystore::load(&args.key, args.password_file.as_deref())?;
    let dir = args.dir.dir();
    refuse_own_chain(&dir)?;
    dir.create()?;
    let step = out.step("deploying the contracts");
    let chain = connect(&args.rpc).await?;
    let journal = format!("deploy-{}-{}.redb", chain.id(), key.address());
    let terms = args.terms.terms(key.address(), DEPLOY_ENTRY_DELAY);
    let (journal, fees) = (dir.root().join(journal), args.fees.submitter());
    let submitter = Submitter::open_with(journal, chain.clone(), key, fees).await?;
    let deployed = deploy_contracts(&chain, &submitter, &members, &terms, args.salt).await?;
    let funded = match args.fund {
        Some(wei) => fund(&chain, &submitter, &members, wei).await,
        None => Ok(()),
    };
    submitter.shutdown().await;
    let mut file = from_chain(&chain, &args.rpc, deployed.ring, Some(deployed.scope)).await?;
    file.start_block = deployed.block.number;
    file.client = Some(client);
    // The ring is on chain: what is known of it is written down before members are asked.
    dir.write(&file)?;
    drop(step);
    funded?;
    for member in &listed {
        if let Some(url) = &member.url {
            match locate(&mut file, url, None).await {
                Ok(_) => {}
                // It may run later; `rings join` can add it then.
                Err(failure) => out.failure(&failure),
            }
        }
    }
    dir.write(&file)?;
    let view = DeployedView {
        chain_id: chain.id(),
        engine: deployed.engine,
        scope: deployed.scope,
        ring: deployed.ring,
        start_block: deployed.block.number,
        keeping: KeepingView::of(&chain.ring_state(deployed.ring).await?),
    };
    if args.json {
        return out.json(&view);
    }
    let told = out.line(format_args!(
        "chain  {}\nengine {}\nscope  {}\nring   {}\nblock  {}\n{}",
        view.chain_id, view.engine, view.scope, view.ring, view.start_block, view.keeping
    ));
    out.note("next: the members' configurations name this ring ([ring] address) and this block ([chain] start_block); `rings join` adds where they answer");
    told
}

/// The directory of a ring on this machine keeps that ring.
fn refuse_own_chain(dir: &RingDir) -> Result<(), ExitError> {
    match dir.find()? {
        Some(file) if file.own_chain => Err(ExitError::usage(format!(
            "{} is the directory of a ring that runs on this machine; name another with --dir",
            dir.root().display()
        ))),
        _ => Ok(()),
    }
}

/// A member of the new ring.
#[derive(Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its account.
    pub address: Address,
    /// Where it answers, if that is known already.
    url: Option<String>,
}

/// The members in a file, one per line; # begins a comment.
///
/// # Errors
/// Status 2 when it cannot be read, or a line is not an address.
pub fn read_members(path: &Path) -> Result<Vec<Listed>, ExitError> {
    let shown = path.display();
    let text = read_text(path)?;
    let mut members = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let (address, url) = match line.split_once(char::is_whitespace) {
            Some((address, url)) => (address, Some(url.trim().to_owned())),
            None => (line, None),
        };
        let address: Address = address
            .parse()
            .map_err(|error| ExitError::usage(format!("{shown}:{number}: {error}")))?;
        if members
            .iter()
            .any(|member: &Listed| member.address == address)
        {
            let what = format!("{shown}:{number}: {address} is there twice");
            return Err(ExitError::usage(what));
        }
        members.push(Listed { address, url });
    }
    match members.is_empty() {
        true => Err(ExitError::usage(format!(
            "{shown} names no member; write one address a line"
        ))),
        false => Ok(members),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitStatus;
    use std::fs;

    #[test]
    fn members_are_read_and_mistakes_named_by_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("members");
        let (a, b) = (Address([1; 20]), Address([2; 20]));
        let text = format!("# two\n{a}\n\n {b}  http://b.example:7545 # the second\n");
        fs::write(&path, text).unwrap();
        let expected = [
            Listed {
                address: a,
                url: None,
            },
            Listed {
                address: b,
                url: Some("http://b.example:7545".into()),
            },
        ];
        assert_eq!(read_members(&path).unwrap(), expected);
        for (text, told) in [
            (format!("{a}\n{a}\n"), ":2: "),
            ("hello\n".into(), ":1: "),
            ("# none\n".into(), "names no member"),
        ] {
            fs::write(&path, text).unwrap();
            let failure = read_members(&path).unwrap_err();
            assert_eq!(failure.status(), ExitStatus::Usage);
            assert!(failure.to_string().contains(told), "{failure}");
        }
    }
}
