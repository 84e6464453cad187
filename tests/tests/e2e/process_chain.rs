//! Processes that start by themselves: from logs of contracts on anvil, and by schedules.

use super::{
    process_members::{over, process},
    processes::example,
};
use rings_api::processes::GetProcessParams;
use rings_protocol::cids::keccak256;
use rings_tests::{block_on, quantity, until, Ring, LONG};
use serde_json::{json, Value};
use std::path::Path;

/// A contract that emits one log: its first topic is the first word of what it is called with, its data are the rest.
const EMITTER: &str = "0x6011600c60003960116000f3366000600037600051602036036020a100";
/// The log, as Solidity declares it.
const CHARGED: &str = "Charged(string car, string driver, uint256 kwh, uint256 minutes)";
/// What its first topic is the hash of.
const CHARGED_TYPES: &str = "Charged(string,string,uint256,uint256)";
/// An account of anvil that may send without a key of ours.
pub const SENDER: &str = "0x00000000000000000000000000000000000000aa";

pub fn send(ring: &Ring, transaction: &Value) -> Value {
    let hash = ring.eth("eth_sendTransaction", &json!([transaction]));
    until("the transaction is in a block", LONG, || {
        let receipt = ring.eth("eth_getTransactionReceipt", &json!([hash]));
        (!receipt.is_null()).then_some(receipt)
    })
}

/// Deploys the contract, and gives its address.
pub fn deploy(ring: &Ring) -> String {
    ring.eth("anvil_impersonateAccount", &json!([SENDER]));
    ring.eth("anvil_setBalance", &json!([SENDER, "0x8ac7230489e80000"]));
    let receipt = send(
        ring,
        &json!({ "from": SENDER, "data": EMITTER, "gas": "0x100000" }),
    );
    receipt["contractAddress"].as_str().unwrap().to_owned()
}

pub fn word(number: u64) -> String {
    format!("{number:064x}")
}

pub fn text(text: &str) -> String {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("{}{hex:0<64}", word(text.len() as u64))
}

/// Has the contract emit that a car has charged, and gives the height of the block.
fn charged(ring: &Ring, contract: &str, driver: &str, kwh: u64) -> u64 {
    quantity(&send(ring, &charge(contract, driver, kwh))["blockNumber"])
}

/// The transaction that does.
fn charge(contract: &str, driver: &str, kwh: u64) -> Value {
    let topic = keccak256(CHARGED_TYPES.as_bytes()).to_string();
    let data = [
        topic.trim_start_matches("0x").to_owned(),
        word(0x80),
        word(0xc0),
        word(kwh),
        word(90),
        text("B-EV 1"),
        text(driver),
    ];
    let data = format!("0x{}", data.concat());
    json!({ "from": SENDER, "to": contract, "data": data, "gas": "0x100000" })
}

/// The electric car, started by a contract; `where` leaves out the small ones.
fn write(ring: &Ring, contract: &str, confirmations: u64) -> std::path::PathBuf {
    let car = example("electric-car");
    let service = std::fs::read_to_string(car.join("service.yml")).unwrap();
    let programs = example("../target").canonicalize().unwrap();
    let service = service.replace("../../target", programs.to_str().unwrap()).replace(
        "    data:\n      car",
        &format!("    from:\n      contract: \"{contract}\"\n      log: \"{CHARGED}\"\n      where: event.kwh > 5\n      confirmations: {confirmations}\n    data:\n      car"),
    );
    let path = ring.write("service.yml", service);
    std::fs::copy(car.join("process.yml"), ring.file("process.yml")).unwrap();
    path
}

fn create(ring: &Ring, service: &Path) {
    ring.rings(["service", "deploy", service.to_str().unwrap()])
        .ok();
    let process = ring.file("process.yml");
    ring.rings(["process", "create", process.to_str().unwrap()])
        .ok();
}

/// The events of the only process, the oldest first, once there are so many at a member.
fn events(ring: &Ring, member: usize, count: usize) -> Vec<String> {
    until("the events are found", LONG, || {
        let process = process(ring, member)?;
        let which = GetProcessParams {
            installation: process.installation,
            before: None,
            limit: None,
        };
        let runs = block_on(ring.client(member).get_process(&which)).ok()?.runs;
        assert!(runs.len() <= count, "{runs:?}");
        let events = runs.iter().rev().map(|run| run.event.to_string());
        (runs.len() == count).then(|| events.collect())
    })
}

fn driver(ring: &Ring, event: &str) -> String {
    let bytes = ring.rings(["cat", event]).ok();
    let event: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(event["source"]["by"], "chain");
    event["data"]["driver"].as_str().unwrap().to_owned()
}

/// A member takes no such event down by hand, and starts nothing.
fn refuses_by_hand(ring: &Ring) {
    let process = process(ring, 1).unwrap();
    let instance = process.instances.values().next().unwrap();
    let data = json!({"car": "B-EV 1", "driver": "Mallory", "kwh": 40, "minutes": 90});
    let params = json!({"instance": instance, "event": "charged", "data": data});
    let told = block_on(ring.client(1).call::<Value>("rings_emit", params));
    let refused = told.unwrap_err().to_string();
    assert!(
        refused.contains("event charged comes from the logs Charged("),
        "{refused}"
    );
}

#[test]
fn a_log_of_a_contract_starts_a_process_also_one_that_came_while_the_ring_was_down() {
    let ring = Ring::up(3);
    let contract = deploy(&ring);
    let service = write(&ring, &contract, 1);
    charged(&ring, &contract, "before", 40);
    create(&ring, &service);
    charged(&ring, &contract, "Ada", 40);
    charged(&ring, &contract, "small", 5);
    ring.eth("evm_mine", &json!([]));
    let first = events(&ring, 1, 1);
    assert_eq!(driver(&ring, &first[0]), "Ada");
    refuses_by_hand(&ring);
    let results = over(&ring, 1, &first[0]);
    assert_eq!(results.len(), 3);
    assert_eq!(over(&ring, 0, &first[0]), results);
    let letter = results
        .iter()
        .find(|(node, ..)| node == "tell_paid")
        .unwrap();
    let traced = ring.rings(["trace", &letter.1]).text();
    assert!(
        traced.contains("on chain 31337, transaction 0x"),
        "{traced}"
    );

    // A member that was down, and then the whole ring: what came meanwhile is found, in order, and once.
    ring.kill(&[2]);
    charged(&ring, &contract, "Bob", 41);
    ring.eth("evm_mine", &json!([]));
    let bob = events(&ring, 0, 2);
    over(&ring, 0, &bob[1]);
    ring.kill(&[0, 1]);
    charged(&ring, &contract, "Eve", 42);
    ring.eth("evm_mine", &json!([]));
    ring.start(&[]);
    for member in 0..3 {
        let all = events(&ring, member, 3);
        let drivers: Vec<_> = all.iter().map(|event| driver(&ring, event)).collect();
        assert_eq!(drivers, ["Ada", "Bob", "Eve"]);
        assert_eq!(over(&ring, member, &all[2]).len(), 3);
        assert_eq!(over(&ring, member, &all[0]), results);
    }
}

#[test]
fn a_schedule_follows_the_time_of_blocks() {
    let ring = Ring::up(3);
    let car = example("electric-car");
    let service = car.join("service.yml");
    let process_file = "process: hourly\nservices: {car: SERVICE}\non: {every: 3600}\nnodes:\n  tell:\n    task: car.tell\n    inputs: {driver: Ada, text: \"it is ${event.time}\"}\n";
    let process_file = process_file.replace("SERVICE", service.to_str().unwrap());
    ring.write("process.yml", process_file);
    create(&ring, &service);
    assert_eq!(process(&ring, 0).unwrap().runs, 0);
    ring.eth("evm_increaseTime", &json!([2 * 3600]));
    ring.eth("evm_mine", &json!([]));
    let due = events(&ring, 2, 2);
    let first = over(&ring, 2, &due[0]);
    assert_eq!(first.len(), 1);
    assert_eq!(over(&ring, 0, &due[0]), first);
    assert_eq!(over(&ring, 1, &due[1]).len(), 1);
}

#[test]
fn a_log_that_a_reorganisation_takes_away_is_told_and_one_that_it_brings_is_found() {
    let ring = Ring::up(3);
    let contract = deploy(&ring);
    let service = write(&ring, &contract, 0);
    create(&ring, &service);
    let height = charged(&ring, &contract, "Ada", 40);
    let ada = events(&ring, 1, 1).remove(0);
    let results = over(&ring, 1, &ada);
    let letter = &results
        .iter()
        .find(|(node, ..)| node == "tell_paid")
        .unwrap()
        .1;
    ring.rings(["trace", letter]).ok();

    // The block with Ada's log goes, with all behind it, and one of the same height comes with another log.
    let head = quantity(&ring.eth("eth_blockNumber", &json!([])));
    let other = charge(&contract, "Eve", 41);
    ring.eth("anvil_reorg", &json!([head - height + 1, [[other, 0]]]));
    ring.eth("evm_mine", &json!([]));
    let both = events(&ring, 2, 2);
    assert_eq!(driver(&ring, &both[1]), "Eve");
    let of_eve = over(&ring, 2, &both[1]);
    let letter_to_eve = &of_eve
        .iter()
        .find(|(node, ..)| node == "tell_paid")
        .unwrap()
        .1;
    ring.rings(["trace", letter_to_eve]).ok();
    // What was computed stays, and its cause is gone.
    assert_eq!(over(&ring, 1, &ada), results);
    let gone = ring.rings(["trace", letter]).refused(1);
    assert!(gone.contains("is not on the chain"), "{gone}");
    let orphaned = || {
        let installation = process(&ring, 1)?.installation;
        let which = GetProcessParams {
            installation,
            before: None,
            limit: None,
        };
        let runs = block_on(ring.client(1).get_process(&which)).ok()?.runs;
        let lost = runs.iter().filter(|run| run.orphaned);
        let lost: Vec<_> = lost.map(|run| run.event.to_string()).collect();
        (!lost.is_empty()).then_some(lost)
    };
    assert_eq!(
        until("the lost event is known to be lost", LONG, orphaned),
        [ada]
    );
    let shown = ring.rings(["process", "show", "charging"]).text();
    assert_eq!(shown.matches("    orphaned: ").count(), 1, "{shown}");
}
