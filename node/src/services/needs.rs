//! The services on which one depends: those that have no instance here are started with it, and a missing one is named first.
//!
//! A dependency is found as an instance of the directory. Otherwise it is started: from its file, if the definition names one, or
//! from the ring's store, in which whoever deployed it has put definition and programs. What needs values of a configuration gets
//! them by `--config-of`. Nothing is deployed before all of them are known.

use super::{
    instances::{self, values},
    load::{LoadedService, SERVICE_FILE},
    ring::Ring,
};
use crate::{args::NamedFile, exit::ExitError, ringdir::RingDir, run::content::Content};
use cid::Cid;
use rings_process::{data::Fields, document::Document, service::Service};
use std::collections::{BTreeMap, BTreeSet};

/// Services that are started with one, at most.
const MAX_STARTS: usize = 64;

/// A service that is to be started.
pub struct Start<'l> {
    /// The definition.
    pub service: Service,
    /// Its programs; none where the ring's store has them.
    pub programs: Vec<&'l Content>,
    /// The values of its configuration.
    pub config: Fields,
}

/// The services that have to be started before this one, in this order.
///
/// # Errors
/// Status 2 when one is missing, or has no values for its configuration: all of them are named.
pub async fn starts<'l>(
    dir: &RingDir,
    ring: &Ring,
    loaded: &'l LoadedService,
    given: &[NamedFile],
) -> Result<Vec<Start<'l>>, ExitError> {
    let mut search = Search {
        dir,
        ring,
        loaded,
        given,
        seen: BTreeSet::new(),
        starts: Vec::new(),
        missing: Vec::new(),
    };
    search.below(&loaded.service).await?;
    if let Some(unused) = given
        .iter()
        .find(|named| !search.is_started(&named.service))
    {
        search.missing.push(format!(
            "{} is not started with it, so it gets no --config-of",
            unused.service
        ));
    }
    match search.missing.is_empty() {
        true => Ok(search.starts),
        false => Err(ExitError::usage(format!(
            "nothing was deployed: {}",
            search.missing.join("; ")
        ))),
    }
}

struct Search<'a, 'l> {
    dir: &'a RingDir,
    ring: &'a Ring,
    loaded: &'l LoadedService,
    given: &'a [NamedFile],
    seen: BTreeSet<Cid>,
    starts: Vec<Start<'l>>,
    missing: Vec<String>,
}

impl<'l> Search<'_, 'l> {
    fn is_started(&self, name: &str) -> bool {
        self.starts
            .iter()
            .any(|start| start.service.service == name)
    }

    /// Looks for what a service needs. A hash cannot contain itself, so this ends; how many there are is bounded.
    async fn below(&mut self, service: &Service) -> Result<(), ExitError> {
        let depends: BTreeMap<_, _> = service.depends.clone();
        for (name, cid) in depends {
            if !self.seen.insert(cid) || !instances::of_service(self.dir, cid)?.is_empty() {
                continue;
            }
            if self.seen.len() > MAX_STARTS {
                return Err(ExitError::usage(format!(
                    "it depends on more than {MAX_STARTS} services that have no instance here; deploy some of them first"
                )));
            }
            let Some((needed, programs)) = self.find(cid).await else {
                self.missing.push(format!(
                    "{} needs {name} ({cid}), of which there is no instance in {} and no definition in the ring's store; deploy that one first, or name its {} in depends",
                    service.service,
                    self.dir.root().display(),
                    SERVICE_FILE,
                ));
                continue;
            };
            Box::pin(self.below(&needed)).await?;
            let named = self
                .given
                .iter()
                .find(|named| named.service == needed.service);
            match values(named.map(|named| named.file.as_path()), &needed) {
                Ok(config) => self.starts.push(Start {
                    service: needed,
                    programs,
                    config,
                }),
                Err(_) if named.is_none() => {
                    let names: Vec<_> = needed.config.iter().map(String::as_str).collect();
                    self.missing.push(format!(
                        "{} needs values for {}; give them with --config-of {}=FILE",
                        needed.service,
                        names.join(", "),
                        needed.service
                    ));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The definition of a dependency, from its file or from the ring's store.
    async fn find(&self, cid: Cid) -> Option<(Service, Vec<&'l Content>)> {
        if let Some(needed) = self.loaded.needs.iter().find(|needed| needed.cid == cid) {
            let programs = needed.programs.values().collect();
            return Some((needed.service.clone(), programs));
        }
        let bytes = self.ring.get(&cid).await.ok()?;
        let service = Service::from_bytes(&bytes).ok()?;
        service.faults().is_empty().then_some((service, Vec::new()))
    }
}
