//! What a member keeps, and pays, for people whom nobody has vouched for: a part each, and no more.

use rings_api::client_rings::MessageStatus;
use rings_client::{Action, Call, Digest};
use rings_protocol::{flush::relayers, Address};
use rings_tests::{
    avatars::{ask, ended, ClientRing},
    block_on, quantity, until, Eth, Ring, LONG,
};
use serde_json::{json, Value};
use std::{collections::BTreeMap, fs};

/// Bytes that a member keeps of a ring, in the test.
const BYTES: u64 = 64 << 10;
/// Gas that a member pays in a day for all rings that nobody has granted more, in the test.
const GAS: u64 = 600_000;
/// Attempts after which a bound that was not reached is none.
const MOST: usize = 120;

/// Writes lines into `[clients]` of all members' configurations and starts them again.
fn configure(replicas: &Ring, lines: &str) {
    replicas.stop();
    for index in 0..replicas.json().count() {
        let path = replicas.member_dir(index).join("config.toml");
        let text = fs::read_to_string(&path).unwrap();
        let head = "[clients]\n";
        let text = match text.contains(head) {
            true => text.replace(head, &format!("{head}{lines}\n")),
            false => format!("{text}\n{head}{lines}\n"),
        };
        fs::write(&path, text).unwrap();
    }
    replicas.start(&[]);
}

/// A line of an avatar, held by the first member.
fn append(
    replicas: &Ring,
    clients: &ClientRing,
    known: Digest,
) -> Result<Value, rings_api::ClientError> {
    let avatar = &clients.avatars[0];
    let request = Call::append(
        (clients.address, avatar.key.address()),
        &avatar.log.since(known),
        1,
        0,
    );
    ask(replicas, 0, &request)
}

#[test]
fn a_ring_that_fills_its_space_is_refused_and_others_go_on() {
    let replicas = Ring::up(4);
    let mut greedy = ClientRing::kept(&replicas, 1);
    let mut modest = ClientRing::kept(&replicas, 2);
    configure(&replicas, &format!("bytes_per_ring = {BYTES}"));
    let line = "x".repeat(4_000);
    let mut refused = None;
    for _ in 0..MOST {
        let known = greedy.avatars[0].log.head();
        greedy.say(0, &line);
        if let Err(error) = append(&replicas, &greedy, known) {
            refused = Some(error.to_string());
            break;
        }
    }
    let refused = refused.expect("it may fill the disk");
    assert!(refused.contains("keeps at most 65536 bytes"), "{refused}");
    for index in 0..4 {
        let which = json!({ "ring": greedy.address });
        let shown: Value =
            block_on(replicas.client(index).call("rings_getClientRings", which)).unwrap();
        assert!(
            shown["rings"][0]["bytes"].as_u64().unwrap() <= BYTES,
            "{shown}"
        );
    }
    let known = modest.avatars[0].log.head();
    modest.say(0, "one line more");
    append(&replicas, &modest, known).unwrap();
}

/// Moves the head of the first avatar on chain through a member. `None` when the member refuses, because its purse is empty.
fn flush(replicas: &Ring, clients: &mut ClientRing, index: usize) -> Option<Digest> {
    clients.say(0, "to the chain");
    let signed = clients.sign(0, Action::default());
    match ask(replicas, index, &clients.flush(0, &signed)) {
        Ok(answer) => Some(answer["msg_hash"].as_str().unwrap().parse().unwrap()),
        Err(rings_api::ClientError::Rpc {
            code: -32007, data, ..
        }) => {
            // Until midnight at the latest.
            let wait: u64 = data.parse().unwrap();
            assert!(wait > 0 && wait <= 24 * 3_600_000, "{wait}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// What each account has paid for calls of a contract, in gas.
fn paid(eth: &Eth, contract: Address) -> BTreeMap<String, u64> {
    let mut paid = BTreeMap::new();
    for (sent, receipt) in eth.transactions_since(0) {
        let to = sent["to"].as_str().unwrap_or_default();
        if to.parse() == Ok(contract) {
            let from = sent["from"].as_str().unwrap().to_owned();
            *paid.entry(from).or_default() += quantity(&receipt["gasUsed"]);
        }
    }
    paid
}

#[test]
fn a_ring_cannot_drain_the_purse() {
    let replicas = Ring::up(4);
    let mut greedy = ClientRing::kept(&replicas, 1);
    let mut granted = ClientRing::kept(&replicas, 2);
    configure(
        &replicas,
        &format!(
            "gas_for_others = {GAS}\ngranted = [\"{}\"]",
            granted.address
        ),
    );
    let mut flushed = 0;
    while let Some(name) = flush(&replicas, &mut greedy, 0) {
        assert_eq!(ended(&replicas, 0, name).status, MessageStatus::Relayed);
        flushed += 1;
        assert!(flushed < MOST, "it may drain the purse");
    }
    let eth = Eth::at(replicas.json().text("/rpcUrl"));
    let paid = paid(&eth, greedy.address);
    println!("{flushed} flushes; paid: {paid:?}");
    assert!(paid.values().all(|gas| *gas <= GAS), "{paid:?}");
    // Starting again does not fill the purse.
    replicas.stop();
    replicas.start(&[]);
    assert_eq!(flush(&replicas, &mut greedy, 0), None);
    // Lines without a transaction are held still, and who was granted more is served.
    let known = greedy.avatars[0].log.head();
    greedy.say(0, "a line costs no gas");
    let since = greedy.avatars[0].log.since(Digest::ZERO);
    assert!(since.len() > 1 && known != Digest::ZERO);
    append(&replicas, &greedy, Digest::ZERO).unwrap();
    let name = flush(&replicas, &mut granted, 0).unwrap();
    assert_eq!(ended(&replicas, 0, name).status, MessageStatus::Relayed);
}

#[test]
fn a_relayer_without_ether_passes_its_turn_on_and_says_so() {
    let replicas = Ring::up(4);
    let mut clients = ClientRing::kept(&replicas, 1);
    clients.say(0, "who pays?");
    let signed = clients.sign(0, Action::default());
    let name = signed.0.digest(clients.avatars[0].log.domain());
    let members = replicas.json().members();
    let order = relayers(name, &members);
    let poor = order[0];
    replicas.eth("anvil_setBalance", &json!([poor, "0x0"]));
    let eth = Eth::at(replicas.json().text("/rpcUrl"));
    let since = eth.block_number() + 1;
    let asked = members.iter().position(|member| *member == poor).unwrap();
    ask(&replicas, asked, &clients.flush(0, &signed)).unwrap();
    for index in 0..4 {
        let end = ended(&replicas, index, name);
        assert_eq!(end.status, MessageStatus::Relayed, "{end:?}");
    }
    let sent = eth.transactions_since(since);
    let to_ring = sent
        .iter()
        .filter(|(sent, _)| sent["to"].as_str().unwrap_or_default().parse() == Ok(clients.address));
    let senders: Vec<Address> = to_ring
        .map(|(sent, _)| sent["from"].as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(senders, [order[1]]);
    until("the poor member says so", LONG, || {
        replicas
            .rings(["status"])
            .text()
            .contains("SHORT OF ETHER")
            .then_some(())
    });
}
