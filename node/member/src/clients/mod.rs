//! Client rings: a member keeps the logs of people who have no node, and brings what they signed to the chain.
//!
//! [`Clients`] holds what the parts share, and answers the HTTP side. A request passes through `intake`: signature and
//! membership are checked, the log nodes are opened (`nodes`) and placed (the rules are in `rings_protocol::flush`), the call
//! is simulated and paid for in advance (`purse`). Then blocks are stored, `received` stands in the own log, the index is
//! written, and only then the answer goes out. [`relay`] goes on from there: each open action has an `errand`, which waits for
//! this member's turn, sends it, and writes how it ended. [`hear`] reads the other members' logs, so that any of them takes
//! over an action whose relayer is gone. What must survive a restart is in `clients.redb` (`state/clients.rs`).

mod errand;
mod hear;
mod intake;
mod keeper;
mod locks;
mod nodes;
mod purse;
mod refusal;
mod relay;
mod replicate;

pub use hear::hear;
pub use keeper::{Clients, KeeperParts};
pub use relay::relay;
