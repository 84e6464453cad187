//! Client rings: a member keeps the logs of people who have no node, and brings what they signed to the chain.
//!
//! [`Clients`] holds what the parts share, and answers the HTTP side. A request passes through `intake`: signature and
//! membership are checked, the log nodes are opened (`nodes`, `opener`) and placed (the rules are in `rings_protocol::flush`), the call
//! is simulated and paid for in advance (`purse`). Then blocks are stored, `received` stands in the own log, the index is
//! written, and only then the answer goes out. [`relay`] goes on from there: each open action has an `errand`, which waits for
//! this member's turn, sends it, and writes how it ended. [`hear`] reads the other members' logs, so that any of them takes
//! over an action whose relayer is gone.
//!
//! New log nodes are offered to the other members (`spread`), which hold and sign them (`hold`, with what `others` asks). What
//! somebody has missed, [`follow`] fetches, and what no other member has, [`seek`] looks for in the store's own network; `follow` also lets go of rings that are not registered any more (`forget`). `newcomers` hands keys to
//! members that come later. `forks` keeps evidence against avatars that sign two histories, and brings it to their contract. `look` shows
//! what is kept, and `tell` says what is new to those who subscribe. What must survive a restart is in `clients.redb` (`state/clients.rs`).

mod errand;
mod follow;
mod forget;
mod forks;
mod hear;
mod hold;
mod intake;
mod keeper;
mod known;
mod locks;
mod look;
mod newcomers;
mod nodes;
mod opener;
mod others;
mod purse;
mod refusal;
mod relay;
mod replaced;
mod replicate;
mod seek;
mod spread;
mod tell;

pub use follow::follow;
pub use forks::prove;
pub use hear::hear;
pub use keeper::{Clients, KeeperParts};
pub use relay::relay;
pub use seek::seek;
