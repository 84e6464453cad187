//! Nodes that wait for one more event: it comes, or the time of blocks is over. On one machine, and on a ring that is killed
//! meanwhile.

use super::{
    process_chain::{deploy, send, text as abi_text, word, SENDER},
    process_members::process,
    processes::example,
};
use rings_api::processes::{ExecutionState, ExecutionView, GetProcessParams, ListExecutionsParams};
use rings_protocol::cids::keccak256;
use rings_tests::{block_on, quantity, until, Call, Program, Ring, LONG};
use serde_json::{json, Value};
use std::path::Path;
use tempfile::TempDir;

/// More seconds than the shop waits.
const TWO_DAYS: u64 = 2 * 24 * 60 * 60;

#[test]
fn on_one_machine_the_shop_packs_what_was_paid_and_drops_what_was_not() {
    let home = TempDir::new().unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let rings = |args: &[&str]| {
        let call = Call::new(Program::Honest).args(args).env("RINGS_DIR", "");
        call.args(["--records", &text(home.path())]).text()
    };
    let shop = example("shop");
    let events = text(&shop.join("events.txt"));
    let lines = rings(&["process", "dev", &text(&shop), "--event", &events]);
    for told in [
        "paid  succeeded(came)  {\"cents\":900,\"order\":1}",
        "order 1: 2 x tea for Ada",
        "drop  skipped: paid is came, not expired",
        "paid  expired",
        "order 2 was not paid: 3900 cents are owed no more",
        "bill  succeeded(unknown)",
    ] {
        assert!(lines.contains(told), "{told}\n{lines}");
    }
    for (node, causes) in [
        (
            "pack",
            vec![
                "pack",
                "paid",
                "event paid by hand",
                "bill",
                "event ordered by hand",
            ],
        ),
        (
            "drop",
            vec!["drop", "paid  expired", "bill", "event ordered by hand"],
        ),
    ] {
        let id = super::processes::id_of(&lines, node);
        let trace = rings(&["trace", id]);
        let traced: Vec<_> = trace.lines().map(str::trim_start).collect();
        assert_eq!(traced.len(), causes.len(), "{trace}");
        for (line, cause) in traced.iter().zip(causes) {
            assert!(line.starts_with(cause), "{cause}\n{trace}");
        }
    }
}

/// What a member knows of the execution of a node, for the order with this event.
fn execution(ring: &Ring, member: usize, event: &str, node: &str) -> Option<ExecutionView> {
    let which = ListExecutionsParams {
        event: Some(event.parse().unwrap()),
        limit: None,
    };
    let listed = block_on(ring.client(member).list_executions(&which)).ok()?;
    let mut executions = listed.executions.into_iter();
    executions.find(|execution| execution.node.as_deref() == Some(node))
}

/// Waits until a node has come so far at each member, and gives its execution.
fn reaches(ring: &Ring, event: &str, node: &str, state: ExecutionState) -> ExecutionView {
    let mut found = (0..3).map(|member| {
        until("a node has come so far", LONG, || {
            execution(ring, member, event, node).filter(|found| found.state == state)
        })
    });
    let first = found.next().unwrap();
    for other in found {
        assert_eq!(
            (other.execution, other.result),
            (first.execution, first.result)
        );
    }
    first
}

#[test]
fn a_ring_decides_between_event_and_deadline_and_waits_through_a_restart() {
    let ring = Ring::up(3);
    let shop = example("shop");
    let shop = shop.to_str().unwrap();
    let instance = ring.rings(["service", "deploy", shop]).text();
    let instance = instance.trim();
    ring.rings(["process", "create", shop]).ok();
    let emit = |event: &str, data: serde_json::Value| {
        let told = ring
            .rings(["emit", instance, event, &data.to_string()])
            .text();
        told.split_whitespace().nth(2).unwrap().to_owned()
    };
    let order = |number: u64| {
        let data = json!({"order": number, "item": "tea", "count": 2, "to": "Ada"});
        emit("ordered", data)
    };
    let (paid, unpaid) = (order(1), order(2));
    let waits = reaches(&ring, &paid, "paid", ExecutionState::Started);
    assert_eq!(waits.awaits.as_deref(), Some("paid"));
    assert!(waits.until.is_some());
    reaches(&ring, &unpaid, "paid", ExecutionState::Started);

    // What does not fit is not waited for; what waits is on disk.
    emit("paid", json!({"order": 1, "cents": 1}));
    ring.kill(&[0, 1, 2]);
    (0..3).for_each(|member| ring.start_member(member, Program::Honest));
    (0..3).for_each(|member| ring.wait_connected(member, 2));
    let payment = emit("paid", json!({"order": 1, "cents": 900}));
    let came = reaches(&ring, &paid, "paid", ExecutionState::Succeeded);
    assert_eq!(
        came.result.map(|result| result.to_string()),
        Some(payment.clone())
    );
    let packed = reaches(&ring, &paid, "pack", ExecutionState::Succeeded);

    ring.eth("evm_increaseTime", &json!([TWO_DAYS]));
    ring.eth("evm_mine", &json!([]));
    let expired = reaches(&ring, &unpaid, "paid", ExecutionState::Expired);
    assert!(expired.reason.is_none());
    reaches(&ring, &unpaid, "drop", ExecutionState::Succeeded);
    // Too late: the ring has decided.
    emit("paid", json!({"order": 2, "cents": 900}));
    until("all is over", LONG, || {
        let process = process(&ring, 0)?;
        (process.runs == 2 && process.open == 0).then_some(())
    });
    reaches(&ring, &unpaid, "paid", ExecutionState::Expired);

    let listed = ring.rings(["execution", "list"]).text();
    for line in [
        "paid  succeeded  waited for paid",
        "paid  expired  waited for paid",
    ] {
        assert!(listed.contains(line), "{line}\n{listed}");
    }
    let trace = ring.rings(["trace", &packed.execution.to_string()]).text();
    assert!(trace.contains("as ring node "), "{trace}");
    assert!(
        trace.contains(&format!("event paid by hand  {payment}")),
        "{trace}"
    );
}

/// Members that lie have the ring decide for an event that nobody has. Honest ones give it up when an hour is over in the time of
/// blocks, which is a decision again, and the process goes on as if none had come.
#[test]
fn what_the_ring_has_decided_for_and_nobody_gives_is_given_up() {
    let ring = Ring::up(3);
    let shop = example("shop");
    let shop = shop.to_str().unwrap();
    let instance = ring.rings(["service", "deploy", shop]).text();
    ring.rings(["process", "create", shop]).ok();
    let all_become = |program: Program| {
        ring.terminate(&[0, 1, 2]);
        (0..3).for_each(|member| ring.launch_member(member, program, &[("FAULT", "choice")]));
        (0..3).for_each(|member| ring.wait_connected(member, 2));
    };
    let emit = |event: &str, data: serde_json::Value| {
        let told = ring.rings([
            "emit",
            instance.trim(),
            event,
            &data.to_string(),
            "--no-wait",
        ]);
        told.text().split_whitespace().nth(2).unwrap().to_owned()
    };
    let chain = ring.chain();
    let address = ring.json().address("/ring");
    let ring_nodes = || block_on(chain.ring_node_count(address)).unwrap();

    all_become(Program::Faulty);
    let order = emit(
        "ordered",
        json!({"order": 1, "item": "tea", "count": 2, "to": "Ada"}),
    );
    let waits = reaches(&ring, &order, "paid", ExecutionState::Started);
    until("the bill is listed, so that nothing else is", LONG, || {
        let request = execution(&ring, 0, &order, "bill")?.request?;
        let request = block_on(ring.client(0).get_request(request)).ok()?;
        request.ring_node.map(drop)
    });
    let before = ring_nodes();
    emit("paid", json!({"order": 1, "cents": 900}));
    until("the ring has decided", LONG, || {
        (ring_nodes() > before).then_some(())
    });

    all_become(Program::Honest);
    reaches(&ring, &order, "paid", ExecutionState::Started);
    ring.eth("evm_increaseTime", &json!([2 * 60 * 60]));
    ring.eth("anvil_mine", &json!(["0x2"]));
    reaches(&ring, &order, "paid", ExecutionState::Expired);
    let latest = ring.eth("eth_getBlockByNumber", &json!(["latest", false]));
    let is_early = quantity(&latest["timestamp"]) < waits.until.unwrap();
    assert!(is_early, "its own time is not over");
    reaches(&ring, &order, "drop", ExecutionState::Succeeded);
    let log = std::fs::read_to_string(ring.member_dir(0).join("node.log")).unwrap();
    assert!(
        log.contains("nobody gives what the ring has decided for"),
        "{log}"
    );
}

/// The payment on the chain, as Solidity declares it.
const PAID: &str = "Paid(uint256 order, uint256 cents)";
/// What its first topic is the hash of.
const PAID_TYPES: &str = "Paid(uint256,uint256)";

/// The order on the chain, and what its first topic is the hash of.
const ORDERED: &str = "Ordered(uint256 order, string item, uint256 count, string to)";
const ORDERED_TYPES: &str = "Ordered(uint256,string,uint256,string)";

/// Has the contract say that an order was paid.
fn pay(ring: &Ring, contract: &str, order: u64, cents: u64) {
    say(ring, contract, PAID_TYPES, &[word(order), word(cents)]);
}

/// Has the contract emit a log.
fn say(ring: &Ring, contract: &str, types: &str, words: &[String]) {
    let topic = keccak256(types.as_bytes()).to_string();
    let data = format!("{topic}{}", words.concat());
    send(
        ring,
        &json!({ "from": SENDER, "to": contract, "data": data, "gas": "0x100000" }),
    );
}

#[test]
fn a_payment_behind_its_order_is_found_although_it_needs_fewer_blocks_on_top() {
    let ring = Ring::up(3);
    let contract = deploy(&ring);
    let shop = example("shop");
    let programs = example("../target").canonicalize().unwrap();
    let service = std::fs::read_to_string(shop.join("service.yml")).unwrap();
    let from = |log: &str, confirmations: u64| {
        format!("    from: {{contract: \"{contract}\", log: \"{log}\", confirmations: {confirmations}}}\n    data:")
    };
    let service = service
        .replace("../../target", programs.to_str().unwrap())
        .replace("    data:\n", &format!("{}\n", from(ORDERED, 3)))
        .replace("    data: {order", &format!("{} {{order", from(PAID, 0)));
    let service = ring.write("service.yml", service);
    let process_file = ring.file("process.yml");
    std::fs::copy(shop.join("process.yml"), &process_file).unwrap();
    ring.rings(["service", "deploy", service.to_str().unwrap()])
        .ok();
    ring.rings(["process", "create", process_file.to_str().unwrap()])
        .ok();
    // A payment of before the order is not the one, and all members have found both before the process begins.
    pay(&ring, &contract, 1, 900);
    let (item, to) = (abi_text("tea"), abi_text("Ada"));
    let order = [word(1), word(0x80), word(2), word(0xc0), item, to];
    let early = quantity(&ring.eth("eth_blockNumber", &json!([])));
    say(&ring, &contract, ORDERED_TYPES, &order);
    pay(&ring, &contract, 1, 900);
    ring.eth("anvil_mine", &json!(["0x3"]));
    let event = until("the order has started the process", LONG, || {
        let which = GetProcessParams {
            installation: process(&ring, 0)?.installation,
            before: None,
            limit: None,
        };
        let runs = block_on(ring.client(0).get_process(&which)).ok()?.runs;
        runs.first().map(|run| run.event.to_string())
    });
    reaches(&ring, &event, "pack", ExecutionState::Succeeded);
    let came = reaches(&ring, &event, "paid", ExecutionState::Succeeded);
    let payment: Value = {
        let bytes = ring.rings(["cat", &came.result.unwrap().to_string()]).ok();
        serde_json::from_slice(&bytes).unwrap()
    };
    let receipt = json!([payment["source"]["transaction"]]);
    let receipt = ring.eth("eth_getTransactionReceipt", &receipt);
    assert!(quantity(&receipt["blockNumber"]) > early, "{receipt}");
}

#[test]
fn a_payment_on_the_chain_is_found_also_when_it_came_while_the_ring_was_down() {
    let ring = Ring::up(3);
    let contract = deploy(&ring);
    let shop = example("shop");
    let programs = example("../target").canonicalize().unwrap();
    let service = std::fs::read_to_string(shop.join("service.yml")).unwrap();
    let from = format!(
        "    from: {{contract: \"{contract}\", log: \"{PAID}\", confirmations: 0}}\n    data: {{order"
    );
    let service = service
        .replace("../../target", programs.to_str().unwrap())
        .replace("    data: {order", &from);
    let service = ring.write("service.yml", service);
    let process_file = ring.file("process.yml");
    std::fs::copy(shop.join("process.yml"), &process_file).unwrap();
    let instance = ring.rings(["service", "deploy", service.to_str().unwrap()]);
    let instance = instance.text();
    let create = ["process", "create", process_file.to_str().unwrap()];
    ring.rings(create).ok();
    let data = json!({"order": 1, "item": "tea", "count": 2, "to": "Ada"}).to_string();
    let told = ring
        .rings(["emit", instance.trim(), "ordered", &data])
        .text();
    let event = told.split_whitespace().nth(2).unwrap();
    // The service says that it comes from the contract, so it is nobody's word.
    let by_hand = ring.rings([
        "emit",
        instance.trim(),
        "paid",
        r#"{"order": 1, "cents": 900}"#,
    ]);
    let refused = by_hand.refused(2);
    assert!(
        refused.contains(
            "event paid comes from the logs Paid(uint256 order, uint256 cents) of contract 0x"
        ),
        "{refused}"
    );
    reaches(&ring, event, "paid", ExecutionState::Started);

    ring.kill(&[0, 1, 2]);
    pay(&ring, &contract, 2, 900);
    pay(&ring, &contract, 1, 900);
    (0..3).for_each(|member| ring.start_member(member, Program::Honest));
    (0..3).for_each(|member| ring.wait_connected(member, 2));
    let packed = reaches(&ring, event, "pack", ExecutionState::Succeeded);
    let trace = ring.rings(["trace", &packed.execution.to_string()]).text();
    assert!(trace.contains("event paid on chain 31337"), "{trace}");
}
