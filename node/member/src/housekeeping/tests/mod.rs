//! Collecting, checking, backing up and crashing, on a store and a state of their own.

mod clients;
mod crash;
mod disk;
mod keeping;
mod old_logs;
mod others;

use super::{Housekeeper, Policy};
use crate::state::{GateFact, Identity, MemberState, Said};
use cid::Cid;
use rings_chain::Cursor;
use rings_protocol::{
    circuit::GateEvent,
    crypto::SecretKey,
    eip712::Domain,
    gate::{Computation, GateInput, GateSpec},
    journal::{prepare, Draft, Prepared},
    message::Outputs,
    operation::{Mode, Operation},
    Address, Digest,
};
use rings_store::{import, source, BlockStore};
use std::sync::Arc;

const RING: Address = Address([7; 20]);
const REQUESTER: Address = Address([5; 20]);

fn key() -> SecretKey {
    SecretKey::from_bytes(&[3; 32]).unwrap()
}

fn identity() -> Identity {
    Identity {
        chain_id: 31337,
        ring: RING,
        member: key().address(),
    }
}

fn domain() -> Domain {
    Domain::new(31337, RING)
}

fn cursor(number: u64) -> Cursor {
    Cursor {
        number,
        hash: Digest([number as u8; 32]),
    }
}

fn gate(n: u8) -> Address {
    Address([n; 20])
}

fn digest_of(cid: &Cid) -> Digest {
    rings_protocol::cids::digest_of(cid).unwrap()
}

fn draft(n: u8, result: Digest) -> Draft {
    Draft {
        computation: Computation {
            gate: gate(n),
            inputs: Digest([n; 32]),
        },
        profile: "p".into(),
        epoch: 1,
        fuel: 5,
        outputs: Outputs::new([(0, result)]).unwrap(),
    }
}

fn sign(state: &MemberState, draft: Draft) -> Result<Prepared, crate::core::CoreError> {
    let journal = state.journal()?;
    Ok(prepare(
        &journal,
        &[draft],
        vec![],
        None,
        &domain(),
        &key(),
    )?)
}

fn keeper(store: &Arc<dyn BlockStore>, state: &Arc<MemberState>, policy: Policy) -> Housekeeper {
    Housekeeper::new(
        Arc::clone(store),
        Arc::clone(state),
        source(store),
        policy,
        std::env::temp_dir(),
    )
}

const NOTHING_OLD: Policy = Policy {
    results: 0,
    max_bytes: None,
    confirmations: 0,
    logs: false,
};

/// Bytes that do not repeat.
fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    (0..length)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        })
        .collect()
}

async fn file(
    store: &Arc<dyn BlockStore>,
    length: usize,
    seed: u64,
) -> Result<Cid, rings_store::StoreError> {
    let content = bytes(length, seed);
    Ok(import(Arc::clone(store), &content[..]).await?.cid)
}

/// An operation file with this program.
fn operation(program: Cid, state: bool) -> Vec<u8> {
    let operation = Operation {
        args: vec![],
        fuel: 1,
        memory: 1 << 20,
        mode: Mode::Cat,
        output: None,
        profile: "p".into(),
        program,
        stack: None,
        state,
        time: 0,
    };
    operation.to_dag_json().unwrap()
}

fn requested(n: u8, block: u64, inputs: &[Cid], outputs: u128) -> GateFact {
    let inputs = inputs.iter().map(|cid| GateInput::Constant(digest_of(cid)));
    let spec = GateSpec {
        scope: Address([9; 20]),
        rings: vec![RING],
        inputs: inputs.collect(),
        outputs,
        salt: Digest::ZERO,
    };
    let requester = REQUESTER;
    GateFact {
        gate: gate(n),
        said: Said::Event(GateEvent::Requested { requester, spec }),
        block,
        transaction: Digest([block as u8; 32]),
    }
}

fn registered(n: u8, block: u64, outputs: &[Cid]) -> GateFact {
    let event = GateEvent::Registered {
        ring: RING,
        pins: (0..outputs.len() as u128).collect(),
        cids: outputs.iter().map(digest_of).collect(),
    };
    GateFact {
        gate: gate(n),
        said: Said::Event(event),
        block,
        transaction: Digest([block as u8; 32]),
    }
}

fn everybody(_: Address) -> bool {
    true
}
