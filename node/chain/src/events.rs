//! Logs of the contracts as events.

use crate::{
    abi::{engine, gate, ring},
    convert::{address, count, word},
    reads::from_spec,
    types::ChainEvent,
};
use ethers_contract::EthEvent;
use ethers_core::{
    abi::RawLog,
    types::{Log, H256},
};
use rings_protocol::{crypto::PublicKey, Address, Digest};

/// Whose events are wanted: gates' events count from any address, the others only from these two.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sources {
    pub engine: Address,
    pub ring: Address,
}

/// The first topic of every event that is understood.
pub(crate) fn topics() -> Vec<H256> {
    vec![
        engine::GateCreatedFilter::signature(),
        engine::GateRequestedFilter::signature(),
        gate::OutputSetFilter::signature(),
        gate::GateResolvedFilter::signature(),
        gate::GateFailedFilter::signature(),
        ring::MemberEnteredFilter::signature(),
        ring::MemberExitedFilter::signature(),
        ring::MemberAnnouncedFilter::signature(),
        ring::OutputsRegisteredFilter::signature(),
    ]
}

/// The event of a log; `None` when it is another contract's, however alike.
pub(crate) fn decode(sources: Sources, log: &Log) -> Option<ChainEvent> {
    let emitter = address(log.address);
    let raw = RawLog {
        topics: log.topics.clone(),
        data: log.data.to_vec(),
    };
    if emitter == sources.engine {
        return of_engine(&raw);
    }
    if emitter == sources.ring {
        return of_ring(&raw);
    }
    of_gate(emitter, &raw)
}

/// Reads a log as one kind of event, if it is one.
fn as_event<E: EthEvent>(raw: &RawLog) -> Option<E> {
    if raw.topics.first() != Some(&E::signature()) {
        return None;
    }
    E::decode_log(raw).ok()
}

fn of_engine(raw: &RawLog) -> Option<ChainEvent> {
    if let Some(event) = as_event::<engine::GateCreatedFilter>(raw) {
        return Some(ChainEvent::GateCreated {
            gate: address(event.gate),
            spec: from_spec(event.spec),
        });
    }
    let event = as_event::<engine::GateRequestedFilter>(raw)?;
    Some(ChainEvent::GateRequested {
        gate: address(event.gate),
        requester: address(event.requester),
    })
}

fn of_gate(gate: Address, raw: &RawLog) -> Option<ChainEvent> {
    if let Some(event) = as_event::<gate::OutputSetFilter>(raw) {
        return Some(ChainEvent::OutputSet {
            gate,
            pin: event.pin,
            token: word(event.token_id),
        });
    }
    if let Some(event) = as_event::<gate::GateResolvedFilter>(raw) {
        let ring = address(event.ring);
        return Some(ChainEvent::GateResolved { gate, ring });
    }
    let event = as_event::<gate::GateFailedFilter>(raw)?;
    let ring = address(event.ring);
    Some(ChainEvent::GateFailed { gate, ring })
}

fn of_ring(raw: &RawLog) -> Option<ChainEvent> {
    if let Some(event) = as_event::<ring::OutputsRegisteredFilter>(raw) {
        return Some(ChainEvent::OutputsRegistered {
            gate: address(event.gate),
            epoch: count(event.epoch),
            pins: event.pins,
            cids: event.cids.into_iter().map(Digest).collect(),
        });
    }
    of_member(raw)
}

fn of_member(raw: &RawLog) -> Option<ChainEvent> {
    if let Some(event) = as_event::<ring::MemberEnteredFilter>(raw) {
        return Some(ChainEvent::Entered {
            member: address(event.member),
            epoch: count(event.epoch),
        });
    }
    if let Some(event) = as_event::<ring::MemberExitedFilter>(raw) {
        return Some(ChainEvent::Exited {
            member: address(event.member),
            epoch: count(event.epoch),
        });
    }
    let event = as_event::<ring::MemberAnnouncedFilter>(raw)?;
    Some(ChainEvent::Announced {
        member: address(event.member),
        public_key: PublicKey::from_slice(&event.public_key).ok()?,
        multiaddress: event.multiaddress.to_vec(),
    })
}
