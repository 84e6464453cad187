//! What is shown of the instances that processes use.

use super::{error::ProcessError, keeper::Processes};
use rings_api::{
    processes::{InstanceView, InstancesView},
    ApiError,
};
use rings_protocol::Digest;
use std::collections::BTreeMap;

/// Processes that are named of those that use an instance.
const MAX_NAMED: usize = 256;

impl Processes {
    /// A page of all instances, behind one of them.
    pub(super) fn show_instances(
        &self,
        behind: Option<Digest>,
        limit: usize,
    ) -> Result<InstancesView, ApiError> {
        let mut found = self.used_instances(behind)?;
        let next = found.keys().nth(limit).copied();
        if let Some(next) = next {
            drop(found.split_off(&next));
        }
        for (instance, view) in &mut found {
            view.values = self.parts.instances.values(*instance).is_ok();
        }
        Ok(InstancesView {
            next: found.keys().last().copied().filter(|_| next.is_some()),
            instances: found.into_values().collect(),
        })
    }

    fn used_instances(
        &self,
        behind: Option<Digest>,
    ) -> Result<BTreeMap<Digest, InstanceView>, ProcessError> {
        let mut found = BTreeMap::new();
        self.state.each_installed(|id, installed| {
            let plan = self.plans.known(&installed.installation.process);
            for (name, instance) in &installed.installation.instances {
                if behind.is_some_and(|behind| *instance <= behind) {
                    continue;
                }
                let view = found.entry(*instance).or_insert_with(|| InstanceView {
                    instance: *instance,
                    service: None,
                    processes: Vec::new(),
                    values: false,
                });
                let service = plan
                    .as_ref()
                    .and_then(|plan| plan.process().services.get(name));
                view.service = view.service.or(service.copied());
                if view.processes.len() < MAX_NAMED && !view.processes.contains(&id) {
                    view.processes.push(id);
                }
            }
        })?;
        Ok(found)
    }
}
