//! The vectors of clients in `tests/vectors/client`: from keys and messages to log nodes, signatures, `mtx` and calldata.
//!
//! They are made here, from fixed keys, and compared with the committed file; `RINGS_REGENERATE=1` writes it. A last test lets
//! the client in JavaScript make them all again.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic as the tests do.

#[path = "../../protocol/tests/vectors/packages.rs"]
mod packages;

use packages::{installed, run};
use rings_client::{
    register_ring, Action, AvatarState, Call, Digest, Domain, Log, LogMessage, Secrecy, SecretKey,
    Uint, NO_DEADLINE,
};
use rings_protocol::{flush::Signed, Address};
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

#[test]
fn the_committed_vectors_are_what_this_client_makes() {
    let text = serde_json::to_string_pretty(&vectors()).unwrap() + "\n";
    let path = root().join("tests/vectors/client/actions.json");
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
