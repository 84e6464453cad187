//! What a member reads of a chain that is full of other rings' gates.

use crate::{
    fake::Fake,
    support::{next, PATIENCE},
};
use ethers_core::types::Bytes;
use rings_chain::{watch, Chain, ChainEvent, Update, WatchConfig};
use rings_protocol::{cids::keccak256, Address};
use serde_json::{json, Value};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, Barrier},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

const ENGINE: Address = Address([1; 20]);
/// The own ring, and as many others as there are numbers below [`RINGS`].
const RING: Address = Address([2; 20]);
const RINGS: usize = 99;
const FOREIGN: usize = 100_000;
const OWN: usize = 50;
/// Blocks that are there when the watcher starts, and blocks that come then.
const OLD: usize = 980;
const NEW: usize = 20;

type Event = (Value, Value, Value);

fn text(address: Address) -> String {
    address.to_string().to_lowercase()
}

/// An address as an indexed argument.
fn word(address: Address) -> String {
    format!("0x{:0>64}", &text(address)[2..])
}

/// A gate of the own ring, as the engine makes it with CREATE2: its address and its code.
fn gate(number: usize) -> (Address, Bytes) {
    gate_of(&[RING], number)
}

/// A gate of these rings.
fn gate_of(rings: &[Address], number: usize) -> (Address, Bytes) {
    const CLONE: usize = 45;
    let mut code = vec![0xee; CLONE];
    code.extend([3; 20]); // scope
    code.extend([[0; 11].as_slice(), &[1]].concat()); // outputs
    code.extend([0; 24]);
    code.extend((number as u64).to_be_bytes()); // salt
    code.push(rings.len() as u8);
    rings.iter().for_each(|ring| code.extend(ring.0));
    code.push(0); // one input, a constant
    code.extend([7; 32]);
    let [high, low] = (code.len() as u16).to_be_bytes();
    let creation = [0x61, high, low, 0x3d, 0x81, 0x60, 0x0a, 0x3d, 0x39, 0xf3];
    let creation = keccak256(&[&creation[..], &code].concat());
    let hash = keccak256(&[&[0xff][..], &ENGINE.0, &[0; 32], &creation.0].concat());
    (Address(hash.0[12..].try_into().unwrap()), code.into())
}

fn requested(gate: Address, ring: Address) -> Event {
    let kind = keccak256(b"GateRequested(address,address,address)");
    let requester = Address([4; 20]);
    let topics = json!([kind, word(gate), word(ring), word(requester)]);
    (json!(text(ENGINE)), topics, json!("0x"))
}

/// A gate of another ring: its request, and its result.
fn foreign(number: usize) -> [Event; 2] {
    let mut ring = [9; 20];
    ring[19] = (number % RINGS) as u8;
    let gate = keccak256(&number.to_be_bytes());
    let gate = Address(gate.0[12..].try_into().unwrap());
    let kind = keccak256(b"OutputsRegistered(address,uint256,uint96[],bytes32[])");
    let topics = json!([kind, word(gate), format!("0x{:064x}", 1)]);
    let result = (json!(text(Address(ring))), topics, json!("0x"));
    [requested(gate, Address(ring)), result]
}

/// The events of block `block` of all: its share of `foreign_gates`, and of `own` gates.
fn events_of(block: usize, foreign_gates: usize, own: usize) -> Vec<Event> {
    let share = |total: usize| block * total / (OLD + NEW)..(block + 1) * total / (OLD + NEW);
    let mut events: Vec<_> = share(foreign_gates).flat_map(foreign).collect();
    events.extend(share(own).map(|number| requested(gate(number).0, RING)));
    events
}

/// What it cost to follow the chain; the time is that for the blocks which were there at the start.
#[derive(Debug)]
struct Cost {
    requests: u64,
    bytes: usize,
    took: Duration,
}

/// Counts the requests to the own ring in updates, up to a block.
async fn read_to(updates: &mut mpsc::Receiver<Update>, block: u64) -> usize {
    let mut requests = 0;
    loop {
        match next(updates).await {
            Update::Page { events, cursor, .. } => {
                let asked = |event: &ChainEvent| matches!(event, ChainEvent::GateRequested { .. });
                requests += events.iter().filter(|event| asked(&event.event)).count();
                if cursor.number >= block {
                    return requests;
                }
            }
            Update::Rewind { to } => unreachable!("{to:?}"),
        }
    }
}

fn config() -> WatchConfig {
    WatchConfig {
        engine: ENGINE,
        ring: RING,
        start_block: 0,
        confirmations: 0,
        poll: Duration::from_millis(5),
        page: 2_000,
        following: Vec::new(),
    }
}

/// Follows a chain with so many gates of other rings and of the own one.
async fn follow(foreign_gates: usize, own: usize) -> Cost {
    let fake = Fake::start(0).await;
    {
        let mut state = fake.state();
        state.is_modern = true;
        state.codes = (0..own)
            .map(|number| (text(gate(number).0), gate(number).1))
            .collect();
        for block in 0..OLD {
            state.push_with_all(events_of(block, foreign_gates, own));
        }
    }
    let chain = Chain::connect(&fake.ws()).await.unwrap();
    let (out, mut updates) = mpsc::channel(4);
    let began = Instant::now();
    let stop = CancellationToken::new();
    let watching = tokio::spawn(watch(chain, config(), Vec::new(), out, stop.clone()));
    let mut found = read_to(&mut updates, OLD as u64).await;
    let took = began.elapsed();
    for block in OLD..OLD + NEW {
        let events = events_of(block, foreign_gates, own);
        fake.state().push_with_all(events);
        found += read_to(&mut updates, block as u64 + 1).await;
    }
    assert_eq!(found, own, "every request was found, and no other");
    stop.cancel();
    timeout(PATIENCE, watching).await.unwrap().unwrap().unwrap();
    let state = fake.state();
    let cost = Cost {
        requests: state.calls.values().sum(),
        bytes: state.bytes,
        took,
    };
    println!(
        "{foreign_gates} foreign gates, {own} own ones: {} requests, {} bytes, {:?}",
        cost.requests, cost.bytes, cost.took
    );
    cost
}

/// Of 100 rings on one engine each reads its own gates. The headers of blocks are part of the cost, because the filter in
/// each says whether there is anything to read.
#[tokio::test]
async fn what_is_read_grows_with_the_own_rings_gates_only() {
    let alone = follow(0, OWN).await;
    let among = follow(FOREIGN, OWN).await;
    let more = follow(0, 4 * OWN).await;
    // A bloom filter may say "perhaps" for nothing, which costs one empty answer.
    let perhaps = NEW as u64 / 2;
    assert!(
        among.requests <= alone.requests + perhaps,
        "{among:?} {alone:?}"
    );
    assert!(
        among.bytes <= alone.bytes + alone.bytes / 10,
        "{among:?} {alone:?}"
    );
    assert!(
        more.requests >= alone.requests + 3 * OWN as u64,
        "{more:?} {alone:?}"
    );
}

/// A stranger can put hundreds of gates into a block. Their specifications must not take a round trip each, one after the
/// other: this endpoint answers no question for code before there are several.
/// Reads the gates of one block from an endpoint that answers no question of a kind before so many are there.
async fn reads_together(rings: &[Address]) {
    const TOGETHER: usize = 8;
    let fake = Fake::start(0).await;
    {
        let mut state = fake.state();
        let gates = (0..4 * TOGETHER).map(|number| gate_of(rings, number));
        state.codes = gates.map(|(gate, code)| (text(gate), code)).collect();
        state.codes_together = Some(Arc::new(Barrier::new(TOGETHER)));
        state.calls_together = Some(Arc::new(Barrier::new(TOGETHER)));
        let asked = (0..4 * TOGETHER).map(|number| requested(gate_of(rings, number).0, RING));
        state.push_with_all(asked.collect::<Vec<_>>());
    }
    let chain = Chain::connect(&fake.ws()).await.unwrap();
    let (out, mut updates) = mpsc::channel(4);
    let stop = CancellationToken::new();
    let watching = tokio::spawn(watch(chain, config(), Vec::new(), out, stop.clone()));
    assert_eq!(read_to(&mut updates, 1).await, 4 * TOGETHER);
    stop.cancel();
    timeout(PATIENCE, watching).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn the_gates_of_a_block_are_read_together() {
    reads_together(&[RING]).await;
}

#[tokio::test]
async fn whether_another_ring_has_answered_gates_is_asked_together() {
    reads_together(&[Address([8; 20]), RING]).await;
}
