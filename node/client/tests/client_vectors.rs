//! The vectors of clients in `tests/vectors/client`: from keys and messages to log nodes, signatures, `mtx` and calldata.
//!
//! They are made here, from fixed keys, and compared with the committed file; `RINGS_REGENERATE=1` writes it. A last test lets
//! the client in JavaScript make them all again.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic as the tests do.

#[path = "../../protocol/tests/vectors/packages.rs"]
mod packages;

use packages::{installed, run};
use rings_client::{
    register_ring, Action, AvatarState, Call, Changes, Digest, Domain, LineKey, Log, LogMessage,
    MembersChange, ReadKey, Secrecy, SecretKey, Uint, NO_DEADLINE,
};
use rings_protocol::{flush::Signed, private::Wraps, Address};
use serde_json::{json, Value};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const CHAIN: u64 = 31337;
const RING: Address = Address([0x11; 20]);
const KEEPER: Address = Address([0x22; 20]);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn hex(bytes: impl AsRef<[u8]>) -> Value {
    json!(format!("0x{}", hex::encode(bytes)))
}

fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes(&[n; 32]).unwrap()
}

/// What a node is made from.
struct Said {
    messages: Vec<LogMessage>,
    refs: Vec<Digest>,
    time: Option<u64>,
}

fn line(text: &str) -> LogMessage {
    LogMessage {
        domain: "chat".into(),
        payload: text.as_bytes().to_vec().into(),
        status: "new".into(),
        kind: "message".into(),
    }
}

fn say(text: &str) -> Said {
    Said {
        messages: vec![line(text)],
        refs: vec![],
        time: None,
    }
}

fn message(message: &LogMessage) -> Value {
    json!({
        "domain": message.domain, "type": message.kind, "status": message.status,
        "payload": hex(&message.payload),
    })
}

/// One vector: a log, an action at its end, and what follows.
fn vector(
    name: &str,
    (avatar, said): (u8, Vec<Said>),
    (call, nonce, deadline): (Action, u64, Uint),
    on_chain: usize,
) -> Value {
    let (key, domain) = (key(avatar), Domain::new(CHAIN, RING));
    let mut log = Log::new(domain, Secrecy::Open);
    let mut nodes = Vec::new();
    for Said {
        messages,
        refs,
        time,
    } in said
    {
        let shown: Vec<_> = messages.iter().map(message).collect();
        let node = log.append(&key, messages, &refs, time).unwrap();
        nodes.push(json!({
            "messages": shown, "refs": refs, "time": time,
            "bytes": hex(node.bytes()), "digest": node.digest(), "cid": node.cid().to_string(),
        }));
    }
    let head = on_chain.checked_sub(1).map(|at| log.nodes()[at].digest());
    let state = AvatarState {
        head: head.unwrap_or_default(),
        nonce,
    };
    let shown = json!({
        "to": call.to, "value": hex(call.value.0), "gas": call.gas.to_string(), "data": hex(&call.data),
    });
    let (action, signature) = call.sign(&key, &log, state, deadline).unwrap();
    let signed = Signed::read(
        &domain,
        key.address(),
        &action.to_abi(),
        &signature.to_bytes(),
    );
    let request = Call::flush(RING, &action, &signature, &log.since(state.head));
    let replica = self::key(0x99);
    let held = Domain::new(CHAIN, KEEPER).held(RING, key.address(), log.head());
    json!({
        "name": name, "ring": RING, "key": hex(*key.to_bytes()), "avatar": key.address(), "nodes": nodes,
        "action": {"head": state.head, "nonce": nonce, "deadline": hex(deadline.0), "call": shown},
        "msgHash": action.digest(&domain),
        "signature": hex(signature.to_bytes()),
        "mtx": hex(action.to_abi()),
        "calldata": hex(signed.unwrap().calldata()),
        "request": request.params,
        "held": {
            "keeper": KEEPER, "replica": replica.address(),
            "signature": hex(replica.sign(&held.digest()).unwrap().to_bytes()),
        },
        "registerRing": hex(register_ring(KEEPER, RING, key.address()).data),
    })
}

fn vectors() -> Value {
    let nothing = Action::default;
    let pay = Action {
        to: Address([0x33; 20]),
        value: 1_000_000_000_000_000_000u64.into(),
        gas: 60_000,
        data: vec![],
    };
    let seen = Said {
        messages: vec![line("I have seen yours"), line("and another")],
        refs: vec![Digest([9; 32]), Digest([3; 32])],
        time: Some(1_767_225_600),
    };
    let empty = Said {
        messages: vec![],
        refs: vec![],
        time: Some(0),
    };
    let odd = Action {
        to: Address([0x44; 20]),
        data: (0..33).collect(),
        ..Action::default()
    };
    let long: Vec<_> = (0..20).map(|n| say(&format!("line {n}"))).collect();
    let vectors = vec![
        vector(
            "the first node",
            (1, vec![say("hello")]),
            (nothing(), 0, NO_DEADLINE),
            0,
        ),
        vector(
            "a payment",
            (2, vec![say("one"), say("two")]),
            (pay, 1, 1_767_225_600u64.into()),
            1,
        ),
        vector(
            "heads of others, and two messages",
            (3, vec![seen]),
            (nothing(), 0, NO_DEADLINE),
            0,
        ),
        vector(
            "a node that says nothing",
            (4, vec![empty]),
            (nothing(), 7, NO_DEADLINE),
            0,
        ),
        vector(
            "data that does not fill a word",
            (5, vec![say("ö")]),
            (odd, 0, NO_DEADLINE),
            0,
        ),
        vector(
            "registering a ring, with skip links",
            (6, long),
            (
                register_ring(KEEPER, RING, key(6).address()),
                2,
                NO_DEADLINE,
            ),
            7,
        ),
    ];
    json!({
        "about": "From an avatar's key and what it says to its log nodes, its action, and the request that brings both to a replica. Each node is made from messages, refs and time; the action moves the head on chain (`head`) to the last node. docs/client-rings.md explains the steps.",
        "chain": CHAIN,
        "vectors": vectors,
    })
}

/// The key of a private ring is changed by one member, of whom another has written too; a member that has not is left out.
fn rotation() -> Value {
    let (domain, [alice, bob]) = (Domain::new(CHAIN, RING), [key(1), key(2)]);
    let (keeper, silent) = (key(9), key(3));
    let first = LineKey {
        epoch: Some(0),
        key: ReadKey::from_bytes([5; 32], &domain),
    };
    let line_keys = std::slice::from_ref(&first);
    let keys = Secrecy::of(&domain, line_keys, Some(&alice));
    let mut log = Log::new(domain, keys.clone());
    log.append(&alice, vec![line("hello")], &[], None).unwrap();
    let mut other = Log::new(domain, Secrecy::of(&domain, line_keys, Some(&bob)));
    keys.hear(other.append(&bob, vec![line("hi")], &[], None).unwrap());
    let members = [alice.address(), bob.address(), silent.address()];
    let mut count = 0u8;
    let random = |bytes: &mut [u8; 32]| {
        count += 1;
        *bytes = [0x60 + count; 32];
    };
    let keys = keys.keys().unwrap();
    let made = keys.rotate(7, (&members, &[keeper.public_key()]), random);
    let made = made.unwrap();
    let messages: Vec<_> = made.messages.iter().map(message).collect();
    let wraps = Wraps::from_message(&made.messages[1]).unwrap().unwrap();
    log.append(&alice, made.messages, &[], None).unwrap();
    log.append(&alice, vec![line("after")], &[], None).unwrap();
    let current = keys.current().unwrap();
    assert_eq!(current.key.name(), made.name);
    let secret = |account| {
        [&alice, &bob]
            .into_iter()
            .find(|key| key.address() == account)
    };
    let wraps: Vec<_> = wraps
        .accounts()
        .map(|account| {
            let mut shown = json!({"account": account, "wrapped": hex(wraps.of(account).unwrap())});
            if let Some(key) = secret(account) {
                shown["key"] = hex(*key.to_bytes());
            }
            shown
        })
        .collect();
    let nodes = log.nodes().iter();
    let nodes = nodes.map(|node| json!({"bytes": hex(node.bytes()), "digest": node.digest()}));
    json!({
        "about": "How the key of a private client ring changes: the first node is sealed with `readKey`, the second announces `newKey` under that seal, the third is sealed with it. `wraps` are in the second; those with a `key` hold the read key, the others the replica key. docs/log-format.md explains it.",
        "chain": CHAIN, "ring": RING, "epoch": made.epoch,
        "readKey": hex(*first.key.to_bytes()),
        "newKey": {
            "secret": hex(*current.key.to_bytes()), "name": current.key.name(),
            "replica": current.key.replica_key().name(),
        },
        "members": members, "keepers": [keeper.address()], "leftOut": made.left_out,
        "wraps": wraps, "messages": messages, "nodes": nodes.collect::<Vec<_>>(),
    })
}

/// A device takes the place of another: two of three members have signed.
fn members() -> Value {
    let domain = Domain::new(CHAIN, RING);
    let members = [1, 2, 3].map(|n| key(n).address());
    let change = MembersChange {
        epoch: 5,
        enter: vec![key(4).address()],
        exit: vec![key(3).address()],
        deadline: 1_800_000_000,
    };
    let name = change.digest(&domain, &members);
    let mut changes = Changes::new(domain, members.to_vec(), 5);
    let messages: Vec<_> = [1, 2]
        .map(|n| {
            let said = change.sign(&domain, &members, &key(n)).unwrap();
            changes.hear(key(n).address(), &said);
            json!({"author": key(n).address(), "message": message(&said)})
        })
        .into();
    json!({
        "about": "How members agree on who comes and goes: what each says in its log, and the call that brings it to the ring. docs/client-rings.md explains it.",
        "chain": CHAIN, "ring": RING, "members": members, "epoch": 5, "name": name,
        "messages": messages, "call": hex(changes.ready(name).unwrap().data),
    })
}

#[test]
fn the_committed_vectors_are_what_this_client_makes() {
    compare("members.json", &members());
    compare("actions.json", &vectors());
    compare("rotation.json", &rotation());
}

fn compare(name: &str, made: &Value) {
    let text = serde_json::to_string_pretty(made).unwrap() + "\n";
    let path = root().join("tests/vectors/client").join(name);
    if std::env::var_os("RINGS_REGENERATE").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let held = fs::read_to_string(&path).unwrap();
    assert!(
        held == text,
        "{} differs: RINGS_REGENERATE=1 writes it again",
        path.display()
    );
}

/// It signs and encodes with viem and @ipld/dag-cbor, and shares no line with this one.
#[test]
fn the_client_in_javascript_makes_the_same() {
    let source = root().join("clients/js");
    let place = installed(&source, "js");
    // Packages are looked for above the files that import them, so these are copied beside the packages.
    let here = place.join(format!("of-{}", std::process::id()));
    for part in ["chat", "src", "test"] {
        copy_files(&source.join(part), &here.join(part));
    }
    fs::write(here.join("package.json"), r#"{"type": "module"}"#).unwrap();
    let file = root().join("tests/vectors/client/actions.json");
    let mut script = Command::new("node");
    script
        .arg("test/vectors.mjs")
        .arg(file.canonicalize().unwrap());
    let said = run(&mut script, &here);
    let count = vectors()["vectors"].as_array().unwrap().len();
    assert!(said.contains(&format!("{count} vectors agree")), "{said}");
    // Its own tests, with the vectors of logs and of private rings among them.
    let mut tests = Command::new("node");
    let vectors = root().join("tests/vectors").canonicalize().unwrap();
    let files = fs::read_dir(here.join("test")).unwrap().flatten();
    let files = files.filter(|file| file.file_name().to_string_lossy().ends_with(".test.mjs"));
    tests
        .args(["--test", "--test-reporter=tap"])
        .args(files.map(|file| file.path()))
        .env("RINGS_VECTORS", vectors);
    let said = run(&mut tests, &here);
    assert!(
        said.contains("# fail 0") && !said.contains("# pass 0"),
        "{said}"
    );
    fs::remove_dir_all(here).unwrap();
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap().flatten() {
        fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}
