//! What gates have given that settle executions, by the chain alone.
//!
//! A member says at most where to look. A gate's address commits to what it asks, so it is the gate of an execution if the
//! execution is its input, the task's program its operation, and the ring the one that the process names; and what it has given
//! stands on the chain.

use super::ring::{Found, Ring, Said};
use crate::exit::ExitError;
use cid::Cid;
use rings_chain::GateOutcome;
use rings_process::{
    document::{cid_of, Document},
    execution::Execution,
    missing,
    plan::Settlement,
    process::Process,
    service::Service,
    wait::{self, expired},
    work::operation,
};
use rings_protocol::{
    cids::{data_cid, digest_of},
    gate::{GateInput, GateSpec},
    operation::Operation,
    Address, Digest,
};

/// What the gate of an execution has given, or that it was given up; nothing if no gate settles it, or has not yet.
///
/// # Errors
/// Status 1 when a member names a gate that is another one's, 5 when no member or the chain does not answer.
pub async fn settled(ring: &Ring, id: &Cid) -> Result<Option<Found>, ExitError> {
    let Some((execution, settlement)) = settlement(ring, id).await? else {
        return Ok(None);
    };
    let decided = match settlement.within {
        Some(_) => match decided(ring, id).await? {
            None => return Ok(None),
            decided => decided,
        },
        None => None,
    };
    let said = decided.map(|(_, ring_node)| Said {
        by: Vec::new(),
        ring_node,
    });
    let none = cid_of(&expired());
    if decided.is_some_and(|(choice, _)| data_cid(choice) == none) {
        return Ok(Some(Found {
            request: None,
            gate: None,
            said,
            result: none,
        }));
    }
    let Some((gate, outcome)) = outcome(ring, id, (&execution, settlement)).await? else {
        return Ok(None);
    };
    if decided.is_some_and(|(choice, _)| choice != outcome.token) {
        return Err(ExitError::internal(format!(
            "the ring decided about execution {id} for something else than gate {gate} has given"
        )));
    }
    Ok((!outcome.failed).then(|| Found {
        request: None,
        gate: Some(gate),
        said,
        result: data_cid(outcome.token),
    }))
}

/// What the ring decided about a gate that may expire; if it was given up, that it has expired.
async fn decided(ring: &Ring, id: &Cid) -> Result<Option<(Digest, u64)>, ExitError> {
    let slot = wait::slot(id);
    match ring.decided(missing::slot(slot)).await? {
        Some((_, ring_node)) => Ok(Some((missing::given_up(), ring_node))),
        None => ring.decided(slot).await,
    }
}

/// The execution, and how a gate settles it; nothing if none does.
async fn settlement(ring: &Ring, id: &Cid) -> Result<Option<(Execution, Settlement)>, ExitError> {
    let Ok(execution) = Execution::from_bytes(&ring.get(id).await?) else {
        return Ok(None);
    };
    let Ok(process) = Process::from_bytes(&ring.get(&execution.process).await?) else {
        return Ok(None);
    };
    let node = process.nodes.get(&execution.node);
    let node = node.filter(|node| node.settle.is_some() || node.ring.is_some());
    Ok(node.map(|node| {
        let settlement = Settlement {
            ring: node.ring,
            within: node.within,
        };
        (execution, settlement)
    }))
}

/// The gate of an execution, and what it has given.
async fn outcome(
    ring: &Ring,
    id: &Cid,
    (execution, settlement): (&Execution, Settlement),
) -> Result<Option<(Address, GateOutcome)>, ExitError> {
    let members = ring.place.members().await?;
    for member in members {
        let Ok(Some(view)) = member.get_execution(*id).await else {
            continue;
        };
        let Some(gate) = view.gate else { continue };
        let (spec, outcome) = ring.gate(gate).await?;
        let wanted = settlement.ring.unwrap_or(ring.domain.ring);
        if !is_gate_of(ring, &spec, (id, execution), wanted).await? {
            return Err(ExitError::internal(format!(
                "a member says that gate {gate} settles execution {id}, and that gate asks something else"
            )));
        }
        return Ok(outcome.map(|outcome| (gate, outcome)));
    }
    Ok(None)
}

async fn is_gate_of(
    ring: &Ring,
    spec: &GateSpec,
    (id, execution): (&Cid, &Execution),
    wanted: Address,
) -> Result<bool, ExitError> {
    let [GateInput::Constant(asked), GateInput::Constant(input), ..] = spec.inputs.as_slice()
    else {
        return Ok(false);
    };
    if digest_of(id).ok() != Some(*input) || spec.rings != [wanted] {
        return Ok(false);
    }
    let service = Service::from_bytes(&ring.get(&execution.service).await?);
    let task = service
        .ok()
        .and_then(|mut service| service.tasks.remove(&execution.task));
    let asked = Operation::from_dag_json(&ring.get(&data_cid(*asked)).await?);
    Ok(task
        .zip(asked.ok())
        .is_some_and(|(task, asked)| operation(&task, &asked.profile).as_ref() == Some(&asked)))
}
