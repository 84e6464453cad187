//! `rings service deploy` and `rings process create`: definitions and programs into the store of a ring, whose members run the
//! process from then on.

use super::{instances, load, ring::Ring, ring_desk::RingDesk};
use crate::{
    args::{CreateProcessArgs, DeployServiceArgs},
    exit::ExitError,
    input::read_text,
    out::Out,
    place::Place,
    ringdir::RingDir,
    run::content::Content,
};
use cid::Cid;
use rand::RngCore;
use rings_api::processes::{CreateProcessParams, ProcessState};
use rings_process::{
    data::{Data, Fields},
    document::Document,
    instance::Instance,
    plan::Plan,
    service::Service,
};
use rings_protocol::Digest;
use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

/// Time for a member to take the files.
const TAKE_LIMIT: Duration = Duration::from_secs(60);

/// `rings service deploy`
///
/// # Errors
/// Status 2 when the definition or its values are wrong, 5 when the ring does not take it.
pub async fn service(args: DeployServiceArgs, out: Out) -> Result<(), ExitError> {
    let loaded = load::service(&args.file)
        .await
        .map_err(|wrong| wrong.tell(out))?;
    let dir = args.dir.dir();
    let config = values(args.config.as_deref(), &loaded.service)?;
    check_dependencies(&dir, &loaded.service)?;
    let ring = Ring::of(Place::of_dir(dir.clone())?).await?;
    let desk = RingDesk::new(&ring, Instant::now() + TAKE_LIMIT, out).await?;
    for program in loaded.programs.values() {
        desk.keep(program).await?;
    }
    keep(&desk, &loaded.service).await?;
    let mut salt = Digest::ZERO;
    rand::rngs::OsRng.fill_bytes(&mut salt.0);
    let hash = instances::keep(
        &dir,
        &Instance {
            config,
            salt,
            service: loaded.cid,
        },
    )?;
    out.note(format_args!(
        "service {} is {}",
        loaded.service.service, loaded.cid
    ));
    out.line(hash)
}

/// The values of the configuration: those that the service names, and no others.
///
/// # Errors
/// Status 2 when they are others, or cannot be read.
pub(super) fn values(path: Option<&Path>, service: &Service) -> Result<Fields, ExitError> {
    let fields = match path {
        None => Fields::new(),
        Some(path) => {
            let shown = path.display();
            let text = read_text(path)?;
            // What the decoder says could show a value.
            match serde_json::from_str(&text) {
                Ok(Data::Map(fields)) => fields,
                _ => return Err(ExitError::usage(format!("{shown} is no JSON object of names and values (without fractions); write {{\"name\": value}}"))),
            }
        }
    };
    if let Some(missing) = service
        .config
        .iter()
        .find(|name| !fields.contains_key(*name))
    {
        return Err(ExitError::usage(format!(
            "the configuration has no value for {missing}; give it in a file with --config"
        )));
    }
    match fields.keys().find(|name| !service.config.contains(*name)) {
        Some(other) => Err(ExitError::usage(format!(
            "the service has no configuration {other}; remove it from the file"
        ))),
        None => Ok(fields),
    }
}

/// An instance of each service that this one needs has to be there.
fn check_dependencies(dir: &RingDir, service: &Service) -> Result<(), ExitError> {
    for (name, cid) in &service.depends {
        if instances::of_service(dir, *cid)?.is_empty() {
            return Err(ExitError::usage(format!(
                "the service needs {name} ({cid}), of which {} has no instance; deploy that one first",
                dir.root().display()
            )));
        }
    }
    Ok(())
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

/// `rings process create`
///
/// # Errors
/// Status 2 when the definition is wrong or an instance is missing, 5 when the ring does not take it.
pub async fn process(args: CreateProcessArgs, out: Out) -> Result<(), ExitError> {
    let loaded = load::process(&args.file)
        .await
        .map_err(|wrong| wrong.tell(out))?;
    let dir = args.dir.dir();
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
