//! Plans of processes that are kept in memory.

use cid::Cid;
use rings_process::plan::Plan;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Most plans that are kept in memory.
const MAX_PLANS: usize = 1_024;

/// The plans that were read, by the CIDs of their processes.
#[derive(Default)]
pub(super) struct Plans(Mutex<BTreeMap<Cid, Arc<Plan>>>);

impl Plans {
    /// A plan that was read before.
    pub fn known(&self, process: &Cid) -> Option<Arc<Plan>> {
        let plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        plans.get(process).map(Arc::clone)
    }

    /// Keeps one.
    pub fn keep(&self, plan: &Arc<Plan>) {
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if plans.len() >= MAX_PLANS {
            // Whichever: it is read again when it is wanted.
            plans.pop_first();
        }
        plans.insert(plan.cid(), Arc::clone(plan));
    }
}
