//! `rings ring create`: a client ring, on the engine of the ring in DIR.

use crate::{
    args::CreateRingArgs, deploy::read_members, exit::ExitError, out::Out, place::Place, process,
    ringdir::RingDir,
};
use rings_chain::{create_ring, ForkRule, RingTerms, Submitter};
use rings_member::keystore;
use rings_protocol::{Address, Digest};
use serde::Serialize;

/// What is printed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CreatedView {
    ring: Address,
    members: Vec<Address>,
}

/// Makes a ring of people: self-kept from birth, and a proven fork freezes its author's log.
///
/// # Errors
/// Status 2 when the members or the key cannot be used, 5 when the chain refuses.
pub async fn create(args: CreateRingArgs, out: Out) -> Result<(), ExitError> {
    let members = read_members(&args.members)?;
    let members: Vec<_> = members.iter().map(|member| member.address).collect();
    let dir = args.keep.dir.dir();
    let file = dir.read()?;
    let key = match &args.keep.key {
        Some(key) => keystore::load(key, args.keep.password_file.as_deref())?,
        None => dir.client_of(&file)?,
    };
    let place = Place::of_dir(args.keep.dir.dir())?;
    let chain = place.chain().await?;
    let step = out.step("making the ring");
    let waiting = || out.note("waiting for another command to send its transactions");
    let _lock = process::wait_lock(&dir.client_lock(), waiting).await?;
    let journal = journal(&dir, dir.client_address(&file).ok(), key.address());
    let fees = args.keep.fees.submitter();
    let submitter = Submitter::open_with(journal, chain.clone(), key, fees).await?;
    let terms = RingTerms {
        keeper: None,
        entry_delay: 0,
        fork_rule: ForkRule::Freeze,
    };
    // Each call makes another ring, so each has a purpose of its own.
    let purpose = Digest(rand::random());
    let made = create_ring(&chain, &submitter, file.engine, (&members, &terms), purpose).await;
    submitter.shutdown().await;
    drop(step);
    let view = CreatedView {
        ring: made?,
        members,
    };
    match args.keep.json {
        true => out.json(&view),
        false => out.line(view.ring),
    }
}

/// The journal of the directory's client is shared with `rings run`; another account has one of its own.
fn journal(dir: &RingDir, client: Option<Address>, payer: Address) -> std::path::PathBuf {
    match client == Some(payer) {
        true => dir.client_journal(),
        false => dir.root().join(format!("keeper-{payer}.redb")),
    }
}
