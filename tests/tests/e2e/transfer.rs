//! The example of a transfer between two chains (`examples/processes/transfer`): a deposit on the chain of the ring is paid on
//! another one, once.

use super::{
    process_members::{over, process as process_of},
    processes::example,
};
use rings_api::processes::GetProcessParams;
use rings_tests::{block_on, compile, program, repository, until, Anvil, Eth, Ring, LONG};
use serde_json::{json, Value};
use std::fs;

/// Who gets the payment.
const TO: &str = "0x00000000000000000000000000000000c0ffee01";
/// The selector of `deposit(address)`.
const DEPOSIT: &str = "0xf340fa01";
/// What is deposited, and what is kept of it.
const DEPOSITED: u64 = 1_000_000;
const FEE: u64 = 3_000;

/// The code of both contracts.
fn contracts() -> [String; 2] {
    compile(
        &example("transfer").join("Vaults.sol"),
        ["Deposits", "Payouts"],
    )
}

/// Sends a transaction of an account that the chain itself holds, and gives its receipt.
fn send(chain: &Eth, mut transaction: Value) -> Value {
    let accounts = chain.call("eth_accounts", &json!([]));
    let rich = accounts.as_array().unwrap().last().cloned();
    transaction["from"] = rich.expect("the chain has accounts of its own");
    let hash = chain.call("eth_sendTransaction", &json!([transaction]));
    let receipt = chain.receipt(&hash);
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    receipt
}

fn balance(chain: &Eth, account: &str) -> u64 {
    let balance = chain.call("eth_getBalance", &json!([account, "latest"]));
    rings_tests::quantity(&balance)
}

#[test]
fn a_deposit_on_one_chain_is_paid_once_on_the_other() {
    program("transfer");
    let [deposits, payouts] = contracts();
    let (ring, there) = (Ring::prepare(), Anvil::start(&["--chain-id", "31338"]));
    let second = Eth::at(&there.http());
    let payer = second.call("eth_accounts", &json!([]))[0]
        .as_str()
        .unwrap()
        .to_owned();
    let data = format!("{payouts}{:0>64}", payer.trim_start_matches("0x"));
    let vault = send(
        &second,
        json!({ "data": data, "value": "0xde0b6b3a7640000" }),
    );
    let vault = vault["contractAddress"].as_str().unwrap().to_owned();

    let address = there.http().trim_start_matches("http://").to_owned();
    let home = example("transfer");
    let copy = |name: &str, change: &dyn Fn(String) -> String| {
        let text = fs::read_to_string(home.join(name)).unwrap();
        ring.write(name, change(text.replace("127.0.0.1:8547", &address)))
    };
    let connectors = copy("connectors.toml", &|text| text);
    ring.start(&[
        "--members",
        "3",
        "--connectors",
        connectors.to_str().unwrap(),
    ]);
    let first = Eth::at(ring.json().text("/rpcUrl"));
    let made = send(&first, json!({ "data": deposits }));
    let made = made["contractAddress"].as_str().unwrap().to_owned();
    let programs = repository().join("examples/target");
    let service = copy("service.yml", &|text| {
        text.replace("../../target", programs.to_str().unwrap())
            .replace("0x5FbDB2315678afecb367f032d93F642f64180aa3", &made)
            .replace("confirmations: 12", "confirmations: 2")
    });
    let process = copy("process.yml", &|text| text);
    let values = json!({ "payer": payer, "payouts": vault });
    let values = ring.write("values.json", values.to_string());
    ring.rings(["service", "deploy"])
        .arg(service)
        .arg("--config")
        .arg(values)
        .ok();
    ring.rings(["process", "create"]).arg(process).ok();

    let data = format!("{DEPOSIT}{:0>64}", TO.trim_start_matches("0x"));
    let value = format!("{DEPOSITED:#x}");
    send(&first, json!({ "to": made, "data": data, "value": value }));
    // It counts when two blocks are on top.
    assert_eq!(balance(&second, TO), 0);
    first.mine(2);
    until("the deposit is paid on the other chain", LONG, || {
        (balance(&second, TO) == DEPOSITED - FEE).then_some(())
    });
    let which = GetProcessParams {
        installation: process_of(&ring, 0).unwrap().installation,
        before: None,
        limit: None,
    };
    let runs = block_on(ring.client(0).get_process(&which)).unwrap().runs;
    assert_eq!(runs.len(), 1);
    let event = runs[0].event.to_string();
    let results = over(&ring, 0, &event);
    for member in 1..3 {
        assert_eq!(over(&ring, member, &event), results);
    }
    let (_, pay, _) = results.iter().find(|(node, ..)| node == "pay").unwrap();
    let trace = ring.rings(["trace", pay]).text();
    for told in [
        "pay  succeeded(ok)",
        "by connector http: the word of 0x",
        "owe  succeeded(owed)",
        "agreed as request",
        "event deposited on chain 31337",
    ] {
        assert!(trace.contains(told), "{told}\n{trace}");
    }
    // Whoever sends the same again, as a member does that takes over, pays nothing.
    let call = ring.rings(["execution", "show", pay, "--json"]).ok();
    let call: Value = serde_json::from_slice(&call).unwrap();
    let call = call["document"]["inputs"]["call"]
        .as_str()
        .unwrap_or_else(|| panic!("{call}"))
        .to_owned();
    let again = json!([{ "from": payer, "to": vault, "data": call }]);
    let again = second.receipt(&second.call("eth_sendTransaction", &again));
    assert_eq!(again["status"], "0x1");
    assert_eq!(balance(&second, TO), DEPOSITED - FEE);
}
