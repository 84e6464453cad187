//! People without a node and without ether: their logs are kept, and what they sign is brought to the chain, once.

use rings_abi::scope::DeclareDataCall;
use rings_api::client_rings::MessageStatus;
use rings_client::{
    held_by, register_ring, Action, Call, CompoundAction, Digest, Keyring, LogMessage, ReadKey,
    Secrecy, SecretKey, Signature, Uint,
};
use rings_member::keystore;
use rings_protocol::{
    cids::{node_cid, sha256},
    flush::{relayers, FlushMessage, FlushStatus},
    log::LogNode,
    private::WrappedKey,
    Address,
};
use rings_tests::{
    avatars::{ask, ended, refusal, ClientRing},
    block_on, quantity, until, Eth, Program, Ring, LONG,
};
use serde_json::{json, Value};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A call with a lasting effect: that a scope has this constant.
fn declare(replicas: &Ring, cid: Digest) -> Action {
    use ethers_core::abi::AbiEncode;
    let call = DeclareDataCall {
        cids: vec![cid.0],
        mutability: 0,
    };
    Action {
        to: replicas.json().address("/scope"),
        data: call.encode(),
        ..Action::default()
    }
}

fn is_declared(replicas: &Ring, cid: Digest) -> bool {
    let scope = replicas.json().address("/scope");
    block_on(replicas.chain().is_declared(scope, cid)).unwrap()
}

fn eth(replicas: &Ring) -> Eth {
    Eth::at(replicas.json().text("/rpcUrl"))
}

/// The transactions since a block that called a contract, with their receipts.
fn calls_of(eth: &Eth, contract: Address, since: u64) -> Vec<(Value, Value)> {
    let all = eth.transactions_since(since).into_iter();
    let calls = all.filter(|(sent, _)| {
        let to = sent["to"].as_str().unwrap_or_default();
        to.parse() == Ok(contract)
    });
    calls.collect()
}

fn name(clients: &ClientRing, action: &CompoundAction) -> Digest {
    action.digest(clients.avatars[0].log.domain())
}

/// Places of members in `ring.json`, in the order in which they relay an action.
fn order(replicas: &Ring, name: Digest) -> Vec<usize> {
    let members = replicas.json().members();
    let place = |member: &Address| members.iter().position(|other| other == member).unwrap();
    relayers(name, &members).iter().map(place).collect()
}

/// What a member has written into its log about an action.
fn said(replicas: &Ring, member: usize, action: Digest) -> Vec<FlushMessage> {
    let log = replicas.log(member, member);
    let messages = log
        .nodes
        .iter()
        .flat_map(|node: &LogNode| &node.content().body);
    let about =
        messages.filter_map(|message: &LogMessage| FlushMessage::from_message(message).unwrap());
    let about = about.filter(|message| match message {
        FlushMessage::Ended { msg_hash, .. } => *msg_hash == action,
        FlushMessage::Received { .. } => true,
    });
    about.collect()
}

#[test]
fn an_avatar_without_ether_calls_through_its_account() {
    let replicas = Ring::up(4);
    let mut clients = ClientRing::kept(&replicas, 2);
    let avatar = clients.avatars[0].key.address();
    assert_eq!(block_on(replicas.chain().balance(avatar)).unwrap(), 0);
    clients.say(0, "and now we do something");
    let cid = sha256(b"what an avatar declares");
    let signed = clients.sign(0, declare(&replicas, cid));
    let request = clients.flush(0, &signed);
    let answer = ask(&replicas, 1, &request).unwrap();
    let name = name(&clients, &signed.0);
    assert_eq!(answer, json!({ "status": "received", "msg_hash": name }));
    // What was taken in stands in the replica's own log before the answer.
    let received = said(&replicas, 1, name);
    assert!(
        received.iter().any(|message| matches!(message, FlushMessage::Received { mtx, .. } if *mtx == signed.0.to_abi())),
        "{received:?}"
    );
    let eth = eth(&replicas);
    for index in 0..4 {
        let message = ended(&replicas, index, name);
        assert_eq!(message.status, MessageStatus::Relayed, "{message:?}");
        let receipt = eth.receipt(&json!(message.tx.unwrap()));
        let fee = u128::from(quantity(&receipt["gasUsed"]))
            * u128::from(quantity(&receipt["effectiveGasPrice"]));
        assert_eq!(message.txfee.unwrap().0, fee);
    }
    assert!(is_declared(&replicas, cid));
    assert_eq!(clients.state(0).head, clients.avatars[0].log.head());
    // Every replica holds what the avatar said, and who paid has said so in its log.
    let relayer = order(&replicas, name)[0];
    let paid = until("the relayer has said so", LONG, || {
        let said = said(&replicas, relayer, name);
        said.into_iter()
            .find(|message| matches!(message, FlushMessage::Ended { .. }))
    });
    assert!(matches!(
        paid,
        FlushMessage::Ended {
            status: FlushStatus::Relayed { .. },
            ..
        }
    ));
    let head = node_cid(clients.avatars[0].log.head());
    for index in 0..4 {
        let url = replicas
            .json()
            .text(&format!("/members/{index}/rpcUrl"))
            .to_owned();
        let block = block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let url = format!("{url}/ipfs/{head}?format=raw");
            client.get(url).send().await.unwrap().bytes().await.unwrap()
        });
        assert_eq!(sha256(&block), clients.avatars[0].log.head());
    }
}

#[test]
fn the_same_action_sent_to_all_ten_times_lands_once() {
    let replicas = Ring::up(4);
    let mut clients = ClientRing::kept(&replicas, 1);
    clients.say(0, "once");
    let signed = clients.sign(0, declare(&replicas, sha256(b"once")));
    let (request, name) = (clients.flush(0, &signed), name(&clients, &signed.0));
    let eth = eth(&replicas);
    let since = eth.block_number() + 1;
    let asked = (0..40).map(|n| {
        let (client, request) = (replicas.client(n % 4), request.clone());
        async move { client.call::<Value>(request.method, request.params).await }
    });
    let answers = block_on(async { futures::future::join_all(asked).await });
    for answer in answers {
        assert_eq!(answer.unwrap()["msg_hash"], json!(name));
    }
    let ends: Vec<_> = (0..4).map(|index| ended(&replicas, index, name)).collect();
    assert_eq!(ends[0].status, MessageStatus::Relayed, "{ends:?}");
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
    // The same again, when it is on chain: the same record, and nothing is sent.
    let again = ask(&replicas, 2, &request).unwrap();
    assert_eq!(again, json!(ends[0]));
    let sent = calls_of(&eth, clients.address, since);
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0].1["status"], "0x1");
}

#[test]
fn another_member_takes_over_when_the_relayer_is_gone() {
    let replicas = Ring::up(4);
    let mut clients = ClientRing::kept(&replicas, 1);
    clients.say(0, "who brings it?");
    let signed = clients.sign(0, declare(&replicas, sha256(b"taken over")));
    let (request, name) = (clients.flush(0, &signed), name(&clients, &signed.0));
    let order = order(&replicas, name);
    replicas.kill(&[order[0]]);
    let eth = eth(&replicas);
    let since = eth.block_number() + 1;
    ask(&replicas, order[2], &request).unwrap();
    let end = ended(&replicas, order[2], name);
    assert_eq!(end.status, MessageStatus::Relayed, "{end:?}");
    let next = replicas.json().member(order[1]);
    let sent = calls_of(&eth, clients.address, since);
    let senders: Vec<_> = sent.iter().map(|(sent, _)| sent["from"].clone()).collect();
    let senders: Vec<Address> = senders
        .iter()
        .map(|from| from.as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(senders, [next]);
    // The one that comes back learns of it, and sends nothing.
    replicas.start_member(order[0], Program::Honest);
    assert_eq!(ended(&replicas, order[0], name), end);
    assert_eq!(calls_of(&eth, clients.address, since).len(), 1);
}

#[test]
fn a_relayer_that_is_killed_with_its_transaction_on_the_way_pays_once() {
    let replicas = Ring::up(4);
    let mut clients = ClientRing::kept(&replicas, 1);
    clients.say(0, "on the way");
    let signed = clients.sign(0, declare(&replicas, sha256(b"on the way")));
    let (request, name) = (clients.flush(0, &signed), name(&clients, &signed.0));
    let relayer = order(&replicas, name)[0];
    let eth = eth(&replicas);
    let since = eth.block_number() + 1;
    // No block takes the transaction until the relayer is gone.
    eth.call("evm_setAutomine", &json!([false]));
    ask(&replicas, relayer, &request).unwrap();
    until("the transaction is in the pool", LONG, || {
        let pool = eth.call("txpool_status", &json!([]));
        (quantity(&pool["pending"]) > 0).then_some(())
    });
    replicas.kill(&[relayer]);
    eth.call("evm_setAutomine", &json!([true]));
    eth.mine(1);
    replicas.start_member(relayer, Program::Honest);
    let ends: Vec<_> = (0..4).map(|index| ended(&replicas, index, name)).collect();
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
    assert_eq!(ends[0].status, MessageStatus::Relayed, "{ends:?}");
    let sent = calls_of(&eth, clients.address, since);
    let landed = sent
        .iter()
        .filter(|(_, receipt)| receipt["status"] == "0x1");
    assert_eq!(landed.count(), 1, "{sent:?}");
    assert_eq!(sent.len(), 1, "{sent:?}");
}

#[test]
fn what_was_received_is_relayed_after_all_were_killed() {
    let replicas = Ring::up(4);
    let mut clients = ClientRing::kept(&replicas, 1);
    clients.say(0, "remember me");
    let signed = clients.sign(0, declare(&replicas, sha256(b"remembered")));
    let (request, name) = (clients.flush(0, &signed), name(&clients, &signed.0));
    let eth = eth(&replicas);
    let since = eth.block_number() + 1;
    eth.call("evm_setAutomine", &json!([false]));
    // Whoever is last in the order does not send it itself before the others had their turns.
    let last = order(&replicas, name)[3];
    let others: Vec<_> = (0..4).filter(|index| *index != last).collect();
    replicas.kill(&others);
    ask(&replicas, last, &request).unwrap();
    replicas.kill(&[last]);
    eth.call("evm_setAutomine", &json!([true]));
    assert_eq!(calls_of(&eth, clients.address, since).len(), 0);
    replicas.start(&[]);
    let ends: Vec<_> = (0..4).map(|index| ended(&replicas, index, name)).collect();
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
    assert_eq!(ends[0].status, MessageStatus::Relayed, "{ends:?}");
    assert_eq!(calls_of(&eth, clients.address, since).len(), 1);
}

#[test]
fn refusals_have_their_codes_and_leave_nothing() {
    let replicas = Ring::up(4);
    let mut clients = ClientRing::kept(&replicas, 2);
    let stranger = ClientRing::new(&replicas, 3, |_| Secrecy::Open);
    for text in ["one", "two", "three"] {
        clients.say(0, text);
    }
    let cid = sha256(b"never declared");
    let signed = clients.sign(0, declare(&replicas, cid));
    let (action, signature) = &signed;
    let log = clients.avatars[0].log.clone();
    let nodes = log.since(action.prev_head);
    let eth = eth(&replicas);
    let since = eth.block_number() + 1;
    let code = |request: &Call| refusal(&replicas, 3, request);

    // A ring that nobody registered here: the key of its logs is not known.
    let unknown = Call::flush(stranger.address, action, signature, &nodes);
    assert_eq!(code(&unknown).0, -32002);

    // Another's signature, or one for other bytes.
    let other = &clients.avatars[1].key;
    let forged = action.sign(log.domain(), other).unwrap();
    let forged = Call::flush(clients.address, action, &forged, &nodes);
    assert_eq!(code(&forged).0, -32003);
    let changed = CompoundAction {
        value: 1u64.into(),
        ..action.clone()
    };
    let changed = Call::flush(clients.address, &changed, signature, &nodes);
    assert_eq!(code(&changed).0, -32003);

    // Somebody who is no member.
    let outsider = SecretKey::from_bytes(&[0x77; 32]).unwrap();
    let foreign = CompoundAction {
        avatar: outsider.address(),
        ..action.clone()
    };
    let by: Signature = foreign.sign(log.domain(), &outsider).unwrap();
    let foreign = Call::flush(clients.address, &foreign, &by, &[]);
    assert_eq!(code(&foreign).0, -32004);

    // A gap: the middle node is left out, so it is named.
    let gap: Vec<_> = [nodes[0], nodes[2]].to_vec();
    let gap = Call::flush(clients.address, action, signature, &gap);
    let (number, data) = code(&gap);
    assert_eq!(number, -32001);
    assert_eq!(
        data,
        json!([node_cid(nodes[1].digest()).to_string()]).to_string()
    );
    let nothing = Call::flush(clients.address, action, signature, &[]);
    let (number, data) = code(&nothing);
    assert_eq!(number, -32001);
    assert_eq!(data, json!([node_cid(log.head()).to_string()]).to_string());

    // A head that is not the one on chain.
    let stale = CompoundAction {
        prev_head: Digest([9; 32]),
        ..action.clone()
    };
    let by = stale.sign(log.domain(), &clients.avatars[0].key).unwrap();
    let stale = Call::flush(clients.address, &stale, &by, &nodes);
    assert_eq!(code(&stale), (-32005, clients.state(0).head.to_string()));

    // What the contract would refuse: a nonce gap, a deadline that is over, a call that reverts.
    let reverts = |changed: CompoundAction, error: &str| {
        let by = changed.sign(log.domain(), &clients.avatars[0].key).unwrap();
        let request = Call::flush(clients.address, &changed, &by, &nodes);
        let (number, data) = code(&request);
        assert_eq!(number, -32006, "{data}");
        assert!(data.contains(error), "{data}");
    };
    let nonce = Uint::from(clients.state(0).nonce + 1);
    reverts(
        CompoundAction {
            nonce,
            ..action.clone()
        },
        "WrongNonce",
    );
    let deadline = 1u64.into();
    reverts(
        CompoundAction {
            deadline,
            ..action.clone()
        },
        "DeadlinePassed",
    );
    let to = replicas.json().address("/ring");
    reverts(
        CompoundAction {
            to,
            ..action.clone()
        },
        "CallFailed",
    );

    // Malformed ones.
    let mut cut = clients.flush(0, &signed);
    cut.params["mtx"] = json!("0x00");
    assert_eq!(code(&cut).0, -32602);
    let mut spoilt = clients.flush(0, &signed);
    spoilt.params["logNodes"][0] = json!("0x0102");
    assert_eq!(code(&spoilt).0, -32602);
    let greedy = CompoundAction {
        gas: Uint::MAX,
        ..action.clone()
    };
    let by = greedy.sign(log.domain(), &clients.avatars[0].key).unwrap();
    let greedy = Call::flush(clients.address, &greedy, &by, &nodes);
    assert_eq!(code(&greedy).0, -32602);

    // None of these is known, and none was paid for.
    let message = ask(&replicas, 3, &Call::message(name(&clients, action))).unwrap();
    assert_eq!(message, Value::Null);
    assert_eq!(calls_of(&eth, clients.address, since).len(), 0);

    // The good one is taken in all the same.
    let good = clients.flush(0, &signed);
    ask(&replicas, 3, &good).unwrap();
    let end = ended(&replicas, 3, name(&clients, action));
    assert_eq!(end.status, MessageStatus::Relayed, "{end:?}");
    assert!(is_declared(&replicas, cid));
}

/// Two actions with one nonce, both taken in, each by another member, while no block is made. A member that sees the first
/// one's transaction in the pool refuses the second, as it should; then it is tried again with the next nonce.
fn two_of_one_nonce(replicas: &Ring, clients: &mut ClientRing) -> [Digest; 2] {
    const TRIES: usize = 20;
    let eth = eth(replicas);
    for number in 0..TRIES {
        clients.say(0, &format!("try {number}"));
        let signed = ["one", "the other"].map(|which| {
            let text = format!("{which} of try {number}");
            clients.sign(0, declare(replicas, sha256(text.as_bytes())))
        });
        let requests = [0, 1].map(|which| clients.flush(0, &signed[which]));
        let names = [0, 1].map(|which| name(clients, &signed[which].0));
        eth.call("evm_setAutomine", &json!([false]));
        let members = [0, 1].map(|index| replicas.client(index));
        let bring = async |which: usize| {
            let Call { method, params, .. } = requests[which].clone();
            members[which].call::<Value>(method, params).await.is_ok()
        };
        let asked = block_on(async { tokio::join!(bring(0), bring(1)) });
        let asked = [asked.0, asked.1];
        eth.call("evm_setAutomine", &json!([true]));
        eth.mine(1);
        if asked == [true, true] {
            return names;
        }
        let taken = asked.iter().position(|is_taken| *is_taken).unwrap();
        assert_eq!(
            ended(replicas, taken, names[taken]).status,
            MessageStatus::Relayed
        );
    }
    panic!("one of the two was refused {TRIES} times");
}

#[test]
fn an_action_that_can_not_land_any_more_has_failed() {
    let replicas = Ring::up(4);
    let mut clients = ClientRing::kept(&replicas, 1);
    let names = two_of_one_nonce(&replicas, &mut clients);
    for index in 0..4 {
        let ends = names.map(|name| ended(&replicas, index, name));
        let landed: Vec<_> = ends
            .iter()
            .filter(|end| end.status == MessageStatus::Relayed)
            .collect();
        assert_eq!(landed.len(), 1, "{ends:?}");
        let failed = ends.iter().find(|end| end.status == MessageStatus::Failed);
        let reason = failed.unwrap().reason.clone().unwrap();
        assert!(
            reason.contains("stale")
                || reason.contains("WrongNonce")
                || reason.contains("StaleHead"),
            "{reason}"
        );
    }
}

#[test]
fn lines_are_held_without_a_transaction() {
    let replicas = Ring::up(4);
    let mut clients = ClientRing::kept(&replicas, 1);
    let eth = eth(&replicas);
    let since = eth.block_number() + 1;
    let replica_ring = replicas.json().domain();
    let avatar = clients.avatars[0].key.address();
    let mut known = clients.avatars[0].log.head();
    for n in 0..5 {
        clients.say(0, &format!("line {n}"));
        let log = &clients.avatars[0].log;
        let request = Call::append((clients.address, avatar), &log.since(known), 1, 0);
        let answer = ask(&replicas, 2, &request).unwrap();
        assert_eq!(
            (&answer["status"], &answer["head"]),
            (&json!("held"), &json!(log.head()))
        );
        let by: Address = answer["held"][0]["replica"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(by, replicas.json().member(2));
        let signature = answer["held"][0]["signature"].as_str().unwrap();
        let signature = hex::decode(signature.trim_start_matches("0x")).unwrap();
        held_by(
            &replica_ring,
            by,
            (clients.address, avatar, log.head()),
            &signature,
        )
        .unwrap();
        known = log.head();
    }
    assert_eq!(calls_of(&eth, clients.address, since).len(), 0);
    // A line that was not sent is missed, and named; a flush without it is not taken either.
    clients.say(0, "a line that is not sent yet");
    let unsent = clients.avatars[0].log.head();
    clients.say(0, "the last line");
    let log = clients.avatars[0].log.clone();
    let request = Call::append((clients.address, avatar), &log.since(unsent), 1, 0);
    let (number, data) = refusal(&replicas, 0, &request);
    assert_eq!(
        (number, data),
        (-32001, json!([node_cid(unsent).to_string()]).to_string())
    );
    let signed = clients.sign(0, Action::default());
    let nodes = log.since(unsent);
    let flush = Call::flush(clients.address, &signed.0, &signed.1, &nodes);
    assert_eq!(refusal(&replicas, 0, &flush).0, -32001);
    // Where the others are held, the last two are enough.
    let nodes = log.since(known);
    let flush = Call::flush(clients.address, &signed.0, &signed.1, &nodes);
    ask(&replicas, 2, &flush).unwrap();
    let end = ended(&replicas, 2, name(&clients, &signed.0));
    assert_eq!(end.status, MessageStatus::Relayed, "{end:?}");
    assert_eq!(clients.state(0).head, log.head());
}

#[test]
fn the_command_line_does_all_of_it() {
    let replicas = Ring::up(4);
    let text = |args: &[&str]| {
        replicas
            .rings(args.iter().copied())
            .text()
            .trim()
            .to_owned()
    };
    let file = |name: &str| replicas.file(name).to_str().unwrap().to_owned();
    let (key, password, people) = (file("alice.json"), file("password"), file("people.txt"));
    keystore::write_secret(&replicas.file("password"), b"a secret of alice").unwrap();
    let with_password = ["--password-file", password.as_str()];
    let new = [
        &["avatar", "new", "--light", "--out", key.as_str()],
        &with_password[..],
    ]
    .concat();
    let avatar: Address = text(&new).parse().unwrap();
    replicas.write("people.txt", format!("{avatar}\n"));
    let ring = text(&["ring", "create", "--members", &people]);
    let of = |command: &[&'static str], more: &[&str]| {
        let who = ["--key", &key, "--ring", &ring, "--json"];
        let line = [command, &who[..], &with_password[..], more].concat();
        serde_json::from_str::<Value>(&text(&line)).unwrap()
    };
    let before = of(&["avatar", "show"], &[]);
    assert_eq!(
        (&before["member"], &before["nodes"]),
        (&json!(true), &json!(0))
    );
    assert_eq!(of(&["replicate"], &[])["status"], "relayed");
    for line in ["hello", "is anybody there?"] {
        let held = of(&["log", "append"], &[line]);
        assert_eq!(held["status"], "held");
    }
    let cid = sha256(b"what the command line declares");
    let call = declare(&replicas, cid);
    let (to, data) = (call.to.to_string(), hex::encode(&call.data));
    let flushed = of(&["flush"], &["--to", &to, "--data", &data]);
    assert_eq!(flushed["status"], "relayed", "{flushed}");
    assert!(is_declared(&replicas, cid));
    let after = of(&["avatar", "show"], &[]);
    assert_eq!((&after["nodes"], &after["nonce"]), (&json!(3), &json!(2)));
    assert_eq!(after["head"], after["headOnChain"]);
    // Nothing can be done for somebody who is no member, and that is said.
    let other = file("bob.json");
    text(
        &[
            &["avatar", "new", "--light", "--out", other.as_str()],
            &with_password[..],
        ]
        .concat(),
    );
    let line = [
        &["flush", "--key", &other, "--ring", &ring],
        &with_password[..],
    ]
    .concat();
    let refused = replicas.rings(line).call();
    refused.ends_with(2);
    assert!(
        refused.stderr.contains("is not a member of ring"),
        "{}",
        refused.stderr
    );
}

/// Whether a file below a directory holds any of these bytes.
fn finds(directory: &Path, secrets: &[Vec<u8>]) -> Option<PathBuf> {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if let Some(found) = finds(&path, secrets) {
                return Some(found);
            }
            continue;
        }
        let content = fs::read(&path).unwrap_or_default();
        let holds = |secret: &Vec<u8>| content.windows(secret.len()).any(|part| part == secret);
        if secrets.iter().any(holds) {
            return Some(path);
        }
    }
    None
}

#[test]
fn a_private_ring_is_kept_and_not_read() {
    const SECRET: &[u8; 32] = b"the read key of the private ring";
    let replicas = Ring::up(4);
    let mut clients = ClientRing::new(&replicas, 1, |domain| {
        Secrecy::with_key(domain, ReadKey::from_bytes(*SECRET, domain))
    });
    let domain = *clients.avatars[0].log.domain();
    let read = ReadKey::from_bytes(*SECRET, &domain);
    let wrapped = |key: WrappedKey| {
        let mut keys = Keyring::new(domain);
        let member = replicas.member_key(0).public_key();
        keys.approve(member.address());
        keys.wrap(1, &key, &member, |bytes| *bytes = rand::random())
            .unwrap()
            .1
    };
    clients.say(0, "a canary that nobody may read");
    // A read key is not taken, whatever it is called.
    let keeper = replicas.json().address("/ring");
    let call = register_ring(keeper, clients.address, clients.avatars[0].key.address());
    let (action, signature) = clients.sign(0, call);
    let read_key = wrapped(WrappedKey::Read(read.clone()));
    let places = (clients.address, keeper);
    let refused = Call::replicate(places, &read_key, (&action, &signature), &[]);
    assert_eq!(refusal(&replicas, 0, &refused).0, -32602);

    let replica_key = wrapped(WrappedKey::Replica(read.replica_key()));
    clients.hand_over(&replicas, &replica_key);
    clients.say(0, "another canary that nobody may read");
    let cid = sha256(b"what a private ring declares");
    let signed = clients.sign(0, declare(&replicas, cid));
    let name = name(&clients, &signed.0);
    // The other members have the key from the first one's log: the last checks the nodes as the first would.
    until("the last member has the key", LONG, || {
        ask(&replicas, 3, &clients.flush(0, &signed)).ok()
    });
    for index in 0..4 {
        let message = ended(&replicas, index, name);
        assert_eq!(message.status, MessageStatus::Relayed, "{message:?}");
    }
    assert!(is_declared(&replicas, cid));
    replicas.stop();
    let secrets = [
        SECRET.to_vec(),
        hex::encode(SECRET).into_bytes(),
        b"canary that nobody".to_vec(),
        read.replica_key().to_bytes().to_vec(),
        hex::encode(*read.replica_key().to_bytes()).into_bytes(),
    ];
    assert_eq!(finds(&replicas.dir(), &secrets), None);
}
