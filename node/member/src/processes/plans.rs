//! Plans of processes, read from the store.

use super::{error::ProcessError, keeper::Processes};
use cid::Cid;
use rings_process::{document::Document, plan::Plan, process::Process, service::Service};
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
}
