//! `rings service deploy` and `rings process create`: definitions and programs into the store of a ring, whose members run the
//! process from then on.

use super::{instances, load, needs, registry, ring::Ring, ring_desk::RingDesk};
use crate::{
    args::{CreateProcessArgs, DeployServiceArgs},
    exit::ExitError,
    out::Out,
    place::Place,
    ringdir::RingDir,
    run::content::Content,
};
use cid::Cid;
use rand::RngCore;
use rings_api::processes::{CreateProcessParams, ProcessState};
use rings_chain::Registered;
use rings_process::{
    data::Fields, document::Document, instance::Instance, plan::Plan, service::Service,
};
use rings_protocol::Digest;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Time for a member to take the files.
const TAKE_LIMIT: Duration = Duration::from_secs(60);

/// `rings service deploy`
///
/// # Errors
/// Status 2 when the definition or its values are wrong, or what it depends on is missing; 5 when the ring does not take it.
pub async fn service(args: DeployServiceArgs, out: Out) -> Result<(), ExitError> {
    let loaded = load::service(&args.file)
        .await
        .map_err(|wrong| wrong.tell(out))?;
    let dir = args.dir.dir();
    let entry = registry::entry(&args.register).await?;
    let config = instances::values(args.config.as_deref(), &loaded.service)?;
    let ring = Ring::of(Place::of_dir(dir.clone())?).await?;
    let starts = needs::starts(&dir, &ring, &loaded, &args.needs).await?;
    let desk = RingDesk::new(&ring, Instant::now() + TAKE_LIMIT, out).await?;
    for needed in &starts {
        let hash = start(
            &desk,
            &dir,
            (&needed.service, &needed.programs),
            needed.config.clone(),
        )
        .await?;
        out.note(format_args!(
            "service {}, on which it depends, is started as {hash}",
            needed.service.service
        ));
    }
    describe(&desk, entry.as_ref()).await?;
    let programs: Vec<_> = loaded.programs.values().collect();
    let hash = start(&desk, &dir, (&loaded.service, &programs), config).await?;
    out.note(format_args!(
        "service {} is {}",
        loaded.service.service, loaded.cid
    ));
    if let Some(entry) = entry {
        let what = (Registered::Service, &*loaded.service.service, loaded.cid);
        entry.register((&dir, &ring.place.file), what, out).await?;
    }
    out.line(hash)
}

/// Puts a service into the ring's store, and makes an instance of it. Gives its hash.
async fn start(
    desk: &RingDesk<'_>,
    dir: &RingDir,
    (service, programs): (&Service, &[&Content]),
    config: Fields,
) -> Result<Digest, ExitError> {
    for program in programs {
        desk.keep(program).await?;
    }
    let service = keep(desk, service).await?;
    let mut salt = Digest::ZERO;
    rand::rngs::OsRng.fill_bytes(&mut salt.0);
    let instance = Instance {
        config,
        salt,
        service,
    };
    instances::keep(dir, &instance)
}

/// Puts a document into the ring's store.
///
/// # Errors
/// When no member takes it.
pub async fn keep<D: Document>(desk: &RingDesk<'_>, document: &D) -> Result<Cid, ExitError> {
    let bytes = document
        .to_bytes()
        .map_err(|error| ExitError::usage(error.to_string()))?;
    let content = Content::memory(D::WHAT, bytes).await?;
    desk.keep(&content).await?;
    Ok(content.cid())
}

/// Puts the description of an entry of the registry into the ring's store.
async fn describe(desk: &RingDesk<'_>, entry: Option<&registry::Entry>) -> Result<(), ExitError> {
    match entry.and_then(registry::Entry::description) {
        Some(description) => desk.keep(description).await,
        None => Ok(()),
    }
}

/// `rings process create`
///
/// # Errors
/// Status 2 when the definition is wrong or an instance is missing, 5 when the ring does not take it.
pub async fn process(args: CreateProcessArgs, out: Out) -> Result<(), ExitError> {
    let loaded = load::process(&args.file)
        .await
        .map_err(|wrong| wrong.tell(out))?;
    let dir = args.dir.dir();
    let entry = registry::entry(&args.register).await?;
    let chosen = chosen(&args, &dir, &loaded.plan)?;
    let ring = Ring::of(Place::of_dir(dir.clone())?).await?;
    let desk = RingDesk::new(&ring, Instant::now() + TAKE_LIMIT, out).await?;
    for program in loaded.programs.values() {
        desk.keep(program).await?;
    }
    for service in loaded.plan.services().values() {
        keep(&desk, service).await?;
    }
    let cid = keep(&desk, loaded.plan.process()).await?;
    describe(&desk, entry.as_ref()).await?;
    let created = CreateProcessParams {
        ring: ring.place.file.ring,
        process: cid,
        instances: chosen,
        nonce: match args.again {
            true => u64::from(rand::rngs::OsRng.next_u32()),
            false => 0,
        },
    };
    let created = desk.member()?.create_process(&created).await?;
    if created.state == ProcessState::Cancelled {
        return Err(ExitError::usage(format!(
            "process {cid} was cancelled for these instances; create it with --again"
        )));
    }
    out.note(format_args!("the ring runs it as {}", created.installation));
    if let Some(entry) = entry {
        let what = (Registered::Process, &*loaded.plan.process().process, cid);
        entry.register((&dir, &ring.place.file), what, out).await?;
    }
    out.line(cid)
}

/// An instance for each service of the process: the one that is named, or the only one.
fn chosen(
    args: &CreateProcessArgs,
    dir: &RingDir,
    plan: &Plan,
) -> Result<BTreeMap<String, Digest>, ExitError> {
    let services = &plan.process().services;
    if let Some(other) = args
        .instances
        .iter()
        .find(|named| !services.contains_key(&named.service))
    {
        return Err(ExitError::usage(format!(
            "the process has no service {}; see its services",
            other.service
        )));
    }
    let mut chosen = BTreeMap::new();
    for (name, cid) in services {
        let named = args.instances.iter().find(|named| named.service == *name);
        let instance = match named {
            Some(named) if instances::get(dir, named.instance)?.service == *cid => named.instance,
            Some(named) => {
                return Err(ExitError::usage(format!(
                    "{} is no instance of {name} ({cid}); `rings service deploy` makes one",
                    named.instance
                )))
            }
            None => only(name, *cid, &instances::of_service(dir, *cid)?)?,
        };
        chosen.insert(name.clone(), instance);
    }
    Ok(chosen)
}

fn only(name: &str, cid: Cid, found: &[Digest]) -> Result<Digest, ExitError> {
    match found {
        [only] => Ok(*only),
        [] => Err(ExitError::usage(format!(
            "there is no instance of {name} ({cid}); `rings service deploy` makes one"
        ))),
        _ => Err(ExitError::usage(format!(
            "there are {} instances of {name} ({cid}); choose one with --instance {name}=0x…",
            found.len()
        ))),
    }
}
