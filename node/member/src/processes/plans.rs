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
        if let Some(plan) = self.plans.known(&process) {
            return Ok(plan);
        }
        let bytes = self.file(&process).await?;
        let definition = Process::from_bytes(&bytes)?;
        let mut services = BTreeMap::new();
        let mut names = vec![process];
        for (name, cid) in &definition.services {
            let service = Service::from_bytes(&self.file(cid).await?)?;
            names.push(*cid);
            for program in service.tasks.values().filter_map(|task| task.program) {
                names.extend(self.fetch(program).await);
            }
            services.insert(name.clone(), service);
        }
        let plan = Plan::new(definition, services).map_err(|faults| ProcessError::Plan {
            process: process.to_string(),
            what: faults.first().map(ToString::to_string).unwrap_or_default(),
        })?;
        self.pin(&names).await?;
        let plan = Arc::new(plan);
        self.plans.keep(&plan);
        Ok(plan)
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
