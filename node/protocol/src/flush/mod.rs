//! Actions of avatars: what one signs, when a replica takes it in, and who pays for bringing it to the chain.
//!
//! An avatar signs a [`CompoundAction`]: a call from its account together with the new head of its log. It gives the action
//! and the log nodes behind it to any member of a ring that keeps its logs. The member reads the action with [`Signed::read`],
//! finds with [`plan`] which nodes are new and whether any is missing, and with [`Plan::reaches`] whether they lead from the
//! head on chain to the new one; what it gets from another member it places with [`continuation`]. What it takes in stands in its log as a [`FlushMessage`], so that the others know of it.
//! One of them brings it to the chain: [`relayers`] gives the order, and a [`Purse`] bounds what that may cost in a day.

mod action;
mod message;
mod plan;
mod purse;
mod share;
mod turns;
mod uint;

pub use action::{
    call_of, ActionError, CompoundAction, Signed, FLUSH_SIGNATURE, MAX_ACTION_BYTES, MAX_ACTION_GAS,
};
pub use message::{FlushMessage, FlushStatus, MAX_REASON_BYTES};
pub use plan::{continuation, plan, HeldLogs, Plan, PlanError, Refused, MAX_OFFERED_NODES};
pub use purse::{Allowance, Purse, PurseError, SECONDS_PER_DAY};
pub use share::KeyShare;
pub use turns::relayers;
pub use uint::Uint;
