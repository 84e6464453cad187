//! Sends transactions so that each takes effect at most once, also when this process is killed or the chain is
//! reorganised.
//!
//! [`Submitter`] is the handle. Behind it one task, the writer, owns the account's nonces. A submission passes through:
//! 1. `accept`: it gets gas (`estimate`) and fees (`market`), then a nonce. The signed transaction is written into the
//!    `journal` before it is sent, and is a `flight` from then on; several are in flight at once.
//! 2. `send`: it goes to the pool; `verdict` interprets the pool's answer.
//! 3. `receipts`: it is looked for in blocks, and looked for again when the chain is reorganised.
//! 4. `repair` replaces a stuck transaction by one with higher fees. If a transaction can never be mined, `nonces` puts a
//!    transfer of 0 wei on its nonce, so that later ones do not wait for it.
//!
//! When the journal is opened again, the writer looks up the unfinished transactions on the chain and sends the missing
//! ones again.

mod accept;
mod config;
mod done;
mod estimate;
mod fees;
mod flight;
mod journal;
mod market;
mod nonces;
mod outcome;
mod probe;
mod receipts;
mod record;
mod repair;
mod request;
mod run;
mod send;
mod sign;
mod submitter;
mod verdict;
mod writer;

pub use config::SubmitterConfig;
pub use journal::KEPT_OUTCOMES;
pub use probe::bare_transactions;
pub use request::Submitted;
pub use submitter::{Submitter, SUBMIT_QUEUE};
