//! What must be kept, and what may be.
//!
//! Log nodes, ring nodes and their pages are DAG-CBOR, and no DAG-CBOR block is ever collected, but for old nodes of other
//! members' logs where the configuration says so (`old_logs.rs`): with them this member proves what it signed, and answers
//! those who come later. Of files, these must be kept: what is pinned (a person added it, or
//! somebody is about to ask for it); inputs, programs and outputs of gates and requests that are open, wait for others, or are over
//! and not final; and the last state of each service. What may be kept are the data of gates and requests that are over.

use super::keeper::Housekeeper;
use crate::{clock, state::GateData};
use cid::Cid;
use rings_api::StoreWorkError;
use rings_protocol::{
    cids::data_cid,
    operation::{Operation, MAX_OPERATION_BYTES},
    Digest,
};
use rings_store::{mark_below, read_small_file, source, Below, Inventory, Needed};
use std::collections::{BTreeMap, BTreeSet};

/// The output pin that holds the next state of a service.
const STATE_PIN: u128 = 1;

/// What is known of an operation: its program, and whether it has a state.
type Operations = BTreeMap<Digest, Option<(Cid, bool)>>;

/// What a collection knows about the blocks.
pub(super) struct Plan {
    /// What must be kept.
    pub(super) must: Vec<Cid>,
    /// The files of each gate that is over and final, the newest first.
    pub(super) past: Vec<Vec<Cid>>,
}

impl Housekeeper {
    /// Reads the plan from the state and the pins.
    pub(super) async fn plan(&self, inventory: &dyn Inventory) -> Result<Plan, StoreWorkError> {
        let mut open = self.state.open_data().map_err(state_failed)?;
        let mut past = self.state.past_data().map_err(state_failed)?;
        let (asked, answered) = self.state.request_data().map_err(state_failed)?;
        open.extend(asked);
        past.extend(answered);
        past.sort_by_key(|data| std::cmp::Reverse(data.block));
        let newest = self.state.trail().map_err(state_failed)?;
        let final_block = newest.last().map_or(0, |cursor| {
            cursor.number.saturating_sub(self.policy.confirmations)
        });
        let mut operations = Operations::new();
        let used: BTreeSet<_> = open
            .iter()
            .chain(&past)
            .flat_map(|gate| gate.inputs.clone())
            .collect();
        let mut plan = Plan {
            must: self.pinned(inventory).await?,
            past: Vec::new(),
        };
        for gate in &open {
            plan.must.extend(self.files(gate, &mut operations).await);
        }
        for gate in &past {
            let files = self.files(gate, &mut operations).await;
            plan.must.extend(last_state(gate, &operations, &used));
            match gate.block > final_block {
                true => plan.must.extend(files),
                false => plan.past.push(files),
            }
        }
        Ok(plan)
    }

    async fn pinned(&self, inventory: &dyn Inventory) -> Result<Vec<Cid>, StoreWorkError> {
        let now = clock::seconds();
        let pins = inventory.pins().await?.into_iter();
        Ok(pins
            .filter(|pin| pin.until > now)
            .map(|pin| pin.key.cid())
            .collect())
    }

    /// Operation, program, inputs and outputs of a gate.
    async fn files(&self, gate: &GateData, operations: &mut Operations) -> Vec<Cid> {
        let mut files: Vec<_> = gate.inputs.iter().map(|digest| data_cid(*digest)).collect();
        files.extend(gate.outputs.iter().map(|(_, digest)| data_cid(*digest)));
        if let Some(operation) = gate.inputs.first() {
            if !operations.contains_key(operation) {
                operations.insert(*operation, self.operation(*operation).await);
            }
            let known = operations.get(operation).copied().flatten();
            files.extend(known.map(|(program, _)| program));
        }
        files
    }

    /// The program of an operation, and whether it has a state; nothing if it is not here, or is no operation.
    async fn operation(&self, operation: Digest) -> Option<(Cid, bool)> {
        let limit = MAX_OPERATION_BYTES as u32;
        let read = read_small_file(source(&self.store), data_cid(operation), limit).await;
        let operation = Operation::from_dag_json(&read.ok()?).ok()?;
        Some((operation.program, operation.state))
    }
}

/// The state that a gate left behind, if no gate has taken it up yet: the service cannot go on without it.
fn last_state(gate: &GateData, operations: &Operations, used: &BTreeSet<Digest>) -> Option<Cid> {
    let operation = operations.get(gate.inputs.first()?).copied().flatten();
    let (_, has_state) = operation?;
    let (_, state) = gate.outputs.iter().find(|(pin, _)| *pin == STATE_PIN)?;
    (has_state && !used.contains(state)).then(|| data_cid(*state))
}

/// Marks roots and all below them; what is damaged, and how many bytes that were new.
pub(super) async fn mark_all(
    inventory: &dyn Inventory,
    roots: &[Cid],
    needed: &mut Needed,
) -> Result<Below, StoreWorkError> {
    let mut all = Below::default();
    for root in roots {
        let below = mark_below(inventory, *root, needed).await?;
        all.bytes += below.bytes;
        all.missing.extend(below.missing);
        all.damaged.extend(below.damaged);
    }
    Ok(all)
}

pub(super) fn state_failed(error: crate::state::StateError) -> StoreWorkError {
    StoreWorkError::internal("the state database cannot be read", error)
}
