//! Plans of processes, and services, that are kept in memory.

use cid::Cid;
use rings_process::{plan::Plan, service::Service};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Most plans that are kept in memory.
const MAX_PLANS: usize = 1_024;

/// Most services that are kept in memory.
const MAX_SERVICES: usize = 256;

/// The plans that were read, by the CIDs of their processes, and the services by theirs.
#[derive(Default)]
pub(super) struct Plans {
    plans: Mutex<BTreeMap<Cid, Arc<Plan>>>,
    services: Mutex<BTreeMap<Cid, Service>>,
}

impl Plans {
    /// A plan that was read before.
    pub fn known(&self, process: &Cid) -> Option<Arc<Plan>> {
        let plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.get(process).map(Arc::clone)
    }

    /// Keeps one.
    pub fn keep(&self, plan: &Arc<Plan>) {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if plans.len() >= MAX_PLANS {
            // Whichever: it is read again when it is wanted.
            plans.pop_first();
        }
        plans.insert(plan.cid(), Arc::clone(plan));
    }

    /// A service that was read before, and whose programs are kept here.
    pub fn service(&self, cid: &Cid) -> Option<Service> {
        let services = self.services.lock();
        let services = services.unwrap_or_else(PoisonError::into_inner);
        services.get(cid).cloned()
    }

    /// Keeps a service whose programs are kept here.
    pub fn keep_service(&self, cid: Cid, service: &Service) {
        let services = self.services.lock();
        let mut services = services.unwrap_or_else(PoisonError::into_inner);
        if services.len() >= MAX_SERVICES {
            services.pop_first();
        }
        services.insert(cid, service.clone());
    }
}
