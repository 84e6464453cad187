//! Rings that are disturbed: by their provider, by the chain, by one of their members, and by strangers.
//!
//! Each file is one kind. What a disturbance must not do is the same in all: lose a gate, make a result wrong, name an
//! honest member, cost a second transaction, or end a process.

mod branches;
mod clients;
mod costs;
mod fees;
mod keystores;
mod members;
mod mixed;
mod providers;
mod requests;
mod starts;
mod strangers;
mod urls;
