//! Plans of processes, read from the store.

use super::{error::ProcessError, keeper::Processes};
use cid::Cid;
use rings_api::with_causes;
use rings_compute::MAX_MODULE_BYTES;
use rings_process::{document::Document, plan::Plan, process::Process, service::Service};
use rings_store::{read_small_file, BlockSource};
use std::{collections::BTreeMap, sync::Arc};

impl Processes {
    /// A process with its services, from the own store or from other members, and kept here for good.
    ///
    /// # Errors
    /// [`ProcessError`]: a document is missing, or the process cannot be run.
    pub(super) async fn plan(&self, process: Cid) -> Result<Arc<Plan>, ProcessError> {
        let (plan, to_pin) = self.read_plan(process).await?;
        if !to_pin.is_empty() {
            self.pin(&to_pin).await?;
            self.plans.keep(&plan);
        }
        Ok(plan)
    }

    /// The same, and what the caller is to pin before it keeps the plan; nothing where that was done before.
    ///
    /// # Errors
    /// As [`Processes::plan`].
    pub(super) async fn read_plan(
        &self,
        process: Cid,
    ) -> Result<(Arc<Plan>, Vec<Cid>), ProcessError> {
        if let Some(plan) = self.plans.known(&process) {
            return Ok((plan, Vec::new()));
        }
        let bytes = self.file(&process).await?;
        let definition = Process::from_bytes(&bytes)?;
        let mut services = BTreeMap::new();
        let mut to_pin = vec![process];
        for (name, cid) in &definition.services {
            let service = match self.plans.service(cid) {
                Some(service) => service,
                None => self.read_service(*cid, &mut to_pin).await?,
            };
            services.insert(name.clone(), service);
        }
        let plan = Plan::new(definition, services).map_err(|faults| ProcessError::Plan {
            process: process.to_string(),
            what: faults.first().map(ToString::to_string).unwrap_or_default(),
        })?;
        Ok((Arc::new(plan), to_pin))
    }

    /// A service with its programs. What could not be pinned with all of them is to be pinned by the caller.
    async fn read_service(&self, cid: Cid, to_pin: &mut Vec<Cid>) -> Result<Service, ProcessError> {
        let service = Service::from_bytes(&self.file(&cid).await?)?;
        let (mut names, mut is_whole) = (vec![cid], true);
        for program in service.tasks.values().filter_map(|task| task.program) {
            let fetched = self.fetch(program).await;
            is_whole &= fetched.is_some();
            names.extend(fetched);
        }
        if is_whole {
            self.pin(&names).await?;
            self.plans.keep_service(cid, &service);
        } else {
            to_pin.extend(names);
        }
        Ok(service)
    }

    /// Fetches a program, so that the process goes on when whoever installed it is gone. Nothing if it cannot be had now: it is
    /// asked for again when it is to be run.
    async fn fetch(&self, program: Cid) -> Option<Cid> {
        let blocks = Arc::clone(&self.parts.blocks) as Arc<dyn BlockSource>;
        let limit = u32::try_from(MAX_MODULE_BYTES).unwrap_or(u32::MAX);
        match read_small_file(blocks, program, limit).await {
            Ok(_) => Some(program),
            Err(error) => {
                let cause = with_causes(&error);
                tracing::warn!(%program, cause, "a program of a process cannot be fetched now");
                None
            }
        }
    }
}
