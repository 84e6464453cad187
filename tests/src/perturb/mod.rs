//! What disturbs a ring on purpose: a provider that misbehaves on command, a chain that reorganises, members that
//! lie, stall, flood and fork, and strangers who know the written interface of the contracts and nothing else.
//!
//! * [`Provider`] stands before a chain and answers as its [`Conduct`] says, over HTTP and WebSocket, and counts what
//!   it is asked.
//! * [`Branch`] is a place of the chain to go back to, so that what follows it happens otherwise.
//! * [`Account`] signs transactions and typed data; [`Contracts`] builds the calls. Neither uses our bindings: a test
//!   that attacks with them knows what an outsider knows.
//! * [`Impostor`] has a member's key and speaks to the others as a member does, with manners of its own.
//! * [`Stage`] joins a chain, a provider and a ring, for the tests that need all three.
//! * [`Random`] and [`Seeds`] make a run that mixes everything repeat itself.
//!
//! A test says what is disturbed, and for how long; what it then checks is always the same kind of thing: gates end,
//! results are right, honest members are not named, and the ring is well again within [`RECOVERY`].

mod account;
mod branch;
mod conduct;
mod contracts;
mod desk;
mod impostor;
mod provider;
mod seeds;
mod serve;
mod stage;

pub use account::Account;
pub use branch::{reorganise, time_of, Branch};
pub use conduct::{Conduct, Door, Fault, Lag, Rate};
pub use contracts::{call_data, Contracts, Pin, Spec};
pub use impostor::{Impostor, Manners};
pub use provider::Provider;
pub use seeds::{Random, Seeds};
pub use stage::{Job, Sent, Stage};

use std::time::Duration;

/// How long a ring may take to be well again after a disturbance has ended.
pub const RECOVERY: Duration = Duration::from_secs(10);
