//! `rings ring create`: a client ring, on the engine of the ring in DIR.

use super::{line, log_file};
use crate::{
    args::CreateRingArgs, deploy::read_members, exit::ExitError, out::Out, place::Place, process,
    ringdir::RingDir,
};
use rand::RngCore;
use rings_chain::{create_ring, ForkRule, RingTerms, Submitter};
use rings_client::{Domain, LineKey, ReadKey, RecoveryLine};
use rings_member::keystore;
use rings_protocol::{Address, Digest};
use serde::Serialize;

/// What is printed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CreatedView {
    ring: Address,
    members: Vec<Address>,
    /// The recovery line. It is a secret.
    recovery_line: String,
}

/// Makes a ring of people: self-kept from birth, and a proven fork freezes its author's log. Its logs are sealed with a new read
/// key, which is in the recovery line, unless everybody is to read them.
///
/// # Errors
/// Status 2 when the members or the key cannot be used, 5 when the chain refuses.
pub async fn create(args: CreateRingArgs, out: Out) -> Result<(), ExitError> {
    let members = read_members(&args.members)?;
    let members: Vec<_> = members.iter().map(|member| member.address).collect();
    let place = Place::of_dir(args.keep.dir.dir())?;
    let ring = make(&args, &members, &place, out).await?;
    let domain = Domain::new(place.file.chain_id, ring);
    let random = |bytes: &mut [u8; 32]| rand::rngs::OsRng.fill_bytes(bytes);
    let key = (!args.open).then(|| ReadKey::generate(&domain, random));
    let keys = key.map(|key| LineKey {
        epoch: Some(0),
        key,
    });
    let urls = place.file.members.iter().map(|member| &member.rpc_url);
    let line = RecoveryLine {
        domain,
        rpc: place.file.rpc_url.clone(),
        keeper: place.file.ring,
        replicas: urls.filter(|url| !url.is_empty()).cloned().collect(),
        keys: keys.into_iter().collect(),
    };
    let files = log_file::directory(args.keep.dir.dir().root())?;
    let path = line::keep(&files, &line)?;
    if args.keep.json {
        let recovery_line = line.to_line();
        return out.json(&CreatedView {
            ring,
            members,
            recovery_line,
        });
    }
    line::show(&line, &path, out);
    out.line(ring)
}

/// Makes the ring on chain.
async fn make(
    args: &CreateRingArgs,
    members: &[Address],
    place: &Place,
    out: Out,
) -> Result<Address, ExitError> {
    let (dir, file) = (args.keep.dir.dir(), &place.file);
    let key = match &args.keep.key {
        Some(key) => keystore::load(key, args.keep.password_file.as_deref())?,
        None => dir.client_of(file)?,
    };
    let chain = place.chain().await?;
    let step = out.step("making the ring");
    let waiting = || out.note("waiting for another command to send its transactions");
    let _lock = process::wait_lock(&dir.client_lock(), waiting).await?;
    let journal = journal(&dir, dir.client_address(file).ok(), key.address());
    let fees = args.keep.fees.submitter();
    let submitter = Submitter::open_with(journal, chain.clone(), key, fees).await?;
    let terms = RingTerms {
        keeper: None,
        entry_delay: 0,
        fork_rule: ForkRule::Freeze,
    };
    // Each call makes another ring, so each has a purpose of its own.
    let purpose = Digest(rand::random());
    let made = create_ring(&chain, &submitter, file.engine, (members, &terms), purpose).await;
    submitter.shutdown().await;
    drop(step);
    Ok(made?)
}

/// The journal of the directory's client is shared with `rings run`; another account has one of its own.
fn journal(dir: &RingDir, client: Option<Address>, payer: Address) -> std::path::PathBuf {
    match client == Some(payer) {
        true => dir.client_journal(),
        false => dir.root().join(format!("keeper-{payer}.redb")),
    }
}
