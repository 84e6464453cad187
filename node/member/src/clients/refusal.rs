//! Refusals of the protocol's rules as errors of JSON-RPC.
//!
//! A client acts on these: a stale head means to read the chain again, missing nodes mean to send them, an empty purse
//! means to come back tomorrow. So each refusal becomes the error that says so, and nothing becomes an internal error
//! that is not one.

use crate::state::StateError;
use rings_api::{
    client_rings::{MessageStatus, MessageView},
    ApiError, Uint96,
};
use rings_chain::ChainError;
use rings_protocol::{
    cids::node_cid,
    flush::{ActionError, FlushStatus, PlanError, PurseError, Refused},
    Digest,
};

/// Milliseconds of a second.
const MILLISECONDS: u64 = 1_000;

pub(super) fn of_action(error: &ActionError) -> ApiError {
    let reason = error.to_string();
    match error {
        ActionError::Form | ActionError::Gas { .. } => ApiError::InvalidParams { reason },
        ActionError::Avatar { .. } | ActionError::Signature { .. } => {
            ApiError::WrongSignature { reason }
        }
    }
}

pub(super) fn of_plan(error: PlanError<StateError>) -> ApiError {
    match error {
        PlanError::Refused(refused) => of_refused(&refused),
        PlanError::Held(error) => of_state(error),
    }
}

fn of_refused(refused: &Refused) -> ApiError {
    let reason = refused.to_string();
    match refused {
        Refused::Incomplete { missing } => ApiError::LogIncomplete {
            missing: missing.iter().copied().map(node_cid).collect(),
        },
        Refused::Author { .. } => ApiError::WrongSignature { reason },
        Refused::StaleHead { head } => ApiError::StaleHead { head: *head },
        Refused::TooMany { .. } | Refused::Taken { .. } | Refused::Unlinked { .. } => {
            ApiError::InvalidParams { reason }
        }
    }
}

pub(super) fn of_purse(error: &PurseError) -> ApiError {
    ApiError::Busy {
        milliseconds: error.seconds.saturating_mul(MILLISECONDS),
    }
}

pub(super) fn of_state(error: StateError) -> ApiError {
    ApiError::internal(
        "what is kept of client rings cannot be read or written",
        error,
    )
}

pub(super) fn of_chain(error: ChainError) -> ApiError {
    match error {
        ChainError::Reverted { reason } => ApiError::Reverted { reason },
        error => ApiError::internal("the chain cannot be asked", error),
    }
}

/// An action as JSON-RPC shows it.
pub(super) fn view(msg_hash: Digest, status: &FlushStatus) -> MessageView {
    let mut view = MessageView {
        status: MessageStatus::Received,
        msg_hash,
        tx: None,
        txfee: None,
        reason: None,
    };
    match status {
        FlushStatus::Received => {}
        FlushStatus::Relayed { transaction, fee } => {
            view.status = MessageStatus::Relayed;
            (view.tx, view.txfee) = (Some(*transaction), Some(Uint96(*fee)));
        }
        FlushStatus::Failed { reason } => {
            view.status = MessageStatus::Failed;
            view.reason = Some(reason.clone());
        }
    }
    view
}
