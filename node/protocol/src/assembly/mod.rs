//! How a ring agrees on its next ring node: a state machine without I/O.
//!
//! An [`Assembler`] belongs to one member. It is told what members write into their logs ([`Assembler::request`],
//! [`Assembler::vote`], [`Assembler::choose`], [`Assembler::proposal`], [`Assembler::endorsement`]) and what the chain says
//! ([`Assembler::membership`], [`Assembler::registered`], [`Assembler::rewound`], [`Assembler::chain_head`],
//! [`Assembler::finalised`]). [`Assembler::tick`] then says what is to be done: propose a ring node, endorse one, send one.
//!
//! A ring node is due when enough entries wait, or one has waited long enough ([`Settings`]); logs that only grow make none
//! due. Members propose in an order that depends on ring, epoch and number ([`proposers`]), each when those before it have
//! had their turn. A member endorses only what it holds and has seen two thirds vote for. It may endorse several proposals
//! for one number: the chain takes one, and what the others listed goes into the next. Nothing here needs a journal,
//! because the votes that entries rest on have one.

mod act;
mod assembler;
mod check;
mod decisions;
mod held;
mod proposal;
mod turns;

pub use assembler::{Assembler, AssemblyEffect, Settings};
pub use check::{Reason, RingStore};
pub use decisions::{Choice, MAX_OPEN_SLOTS};
pub use held::{MAX_ENDORSEMENTS, MAX_PROPOSALS};
pub use proposal::{Endorsement, Move, NodeRegistration, Proposal};
pub use turns::proposers;

#[cfg(test)]
mod tests;
