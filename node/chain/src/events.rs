//! Events of the engine and of rings, decoded.
//!
//! [`decode`] takes an event that an interest has selected, so its emitter is known, and gives a [`ChainEvent`] without
//! types of ethers. The specification of a gate is not in the event; it is read from the gate's code afterwards
//! ([`Decoded::Requested`]).

use crate::{
    abi::{engine, ring},
    convert::{address, count},
    raw_event::RawEvent,
    types::ChainEvent,
};
use rings_protocol::{crypto::PublicKey, Address, Digest};

/// A decoded event, before the specification of a gate is added to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// The event is complete.
    Event(ChainEvent),
    /// A request, for which the gate's specification is still to be read.
    Requested { gate: Address, requester: Address },
}

/// Reads an event that one of the interests has selected; `None` when its form is not the expected one.
pub(crate) fn decode(event: &RawEvent) -> Option<Decoded> {
    if let Some(event) = event.read::<engine::GateRequestedFilter>() {
        return Some(Decoded::Requested {
            gate: address(event.gate),
            requester: address(event.requester),
        });
    }
    of_gate(event)
        .or_else(|| of_member(event))
        .or_else(|| of_entry(event))
        .or_else(|| of_log(event))
        .map(Decoded::Event)
}

/// Events of a ring about a gate.
fn of_gate(event: &RawEvent) -> Option<ChainEvent> {
    let emitter = address(event.address);
    if let Some(event) = event.read::<ring::OutputsRegisteredFilter>() {
        return Some(ChainEvent::OutputsRegistered {
            ring: emitter,
            gate: address(event.gate),
            epoch: count(event.epoch),
            pins: event.pins,
            cids: event.cids.into_iter().map(Digest).collect(),
        });
    }
    if let Some(event) = event.read::<ring::PrimaryRingChallengedFilter>() {
        return Some(ChainEvent::PrimaryRingChallenged {
            gate: address(event.gate),
            challenger: address(event.challenger),
        });
    }
    let event = event.read::<ring::FloodgateOpenedFilter>()?;
    let gate = address(event.gate);
    Some(ChainEvent::FloodgateOpened { gate })
}

/// Events of a ring about its members.
fn of_member(event: &RawEvent) -> Option<ChainEvent> {
    if let Some(event) = event.read::<ring::MemberEnteredFilter>() {
        return Some(ChainEvent::Entered {
            member: address(event.member),
            epoch: count(event.epoch),
        });
    }
    if let Some(event) = event.read::<ring::MemberExitedFilter>() {
        return Some(ChainEvent::Exited {
            member: address(event.member),
            epoch: count(event.epoch),
        });
    }
    let event = event.read::<ring::MemberAnnouncedFilter>()?;
    Some(ChainEvent::Announced {
        member: address(event.member),
        public_key: PublicKey::from_slice(&event.public_key).ok()?,
        multiaddress: event.multiaddress.to_vec(),
    })
}

/// Events of a ring about accounts that may become members.
fn of_entry(event: &RawEvent) -> Option<ChainEvent> {
    if let Some(event) = event.read::<ring::EntryAnnouncedFilter>() {
        return Some(ChainEvent::EntryAnnounced {
            member: address(event.member),
            settles_at: count(event.settles_at),
        });
    }
    let event = event.read::<ring::EntryCancelledFilter>()?;
    let member = address(event.member);
    Some(ChainEvent::EntryCancelled { member })
}

/// Events of a ring about the ring log and the logs of its members.
fn of_log(event: &RawEvent) -> Option<ChainEvent> {
    if let Some(event) = event.read::<ring::RingNodeRegisteredFilter>() {
        return Some(ChainEvent::RingNodeRegistered {
            node: Digest(event.cid),
            prev: Digest(event.prev),
            epoch: count(event.epoch),
        });
    }
    if let Some(event) = event.read::<ring::LogNodeHeadMovedFilter>() {
        return Some(ChainEvent::HeadMoved {
            member: address(event.member),
            head: Digest(event.head),
        });
    }
    let event = event.read::<ring::ForkProvenFilter>()?;
    Some(ChainEvent::ForkProven {
        member: address(event.member),
        seq: event.seq,
    })
}
