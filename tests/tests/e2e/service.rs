//! A service: a chain of gates, each of which gets the state that the gate before it left.

use rings_api::{views::GateState, Client, Token};
use rings_chain::{calls, Submitter};
use rings_protocol::Address;
use rings_tests::{block_on, free_port, program, until, Program, Receipt, Ring, LONG};
use serde_json::{json, Value};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

/// Gates of the service.
const GATES: usize = 100;

/// The service as it should be: what it says to the lines, and what it keeps.
#[derive(Default)]
struct Model(BTreeMap<String, String>);

impl Model {
    fn lines(&mut self, round: usize) -> (String, String) {
        let visits: i64 = (1..=round as i64).sum();
        let (key, value) = (format!("key-{}", round % 17), format!("value of {round}"));
        self.0.insert("visits".into(), visits.to_string());
        self.0.insert(key.clone(), value.clone());
        let mut input = format!("add visits {round}\nset {key} {value}\nget {key}\n");
        let mut answer = format!("{visits}\n{value}\n");
        if round % 10 == 3 {
            self.0.remove(&key);
            input += &format!("del {key}\n");
        }
        input += "count\n";
        answer += &format!("{}\n", self.0.len());
        (input, answer)
    }

    fn state(&self) -> String {
        let lines = self.0.iter().map(|(key, value)| format!("{key} {value}\n"));
        lines.collect()
    }
}

/// One more gate of the service.
fn step(ring: &Ring, state: &str, input: &str, options: &[&str]) -> (String, Receipt) {
    let receipt = ring.file("receipt.json");
    let fixed = ["--state", state, "--receipt", receipt.to_str().unwrap()];
    let options = [&fixed, options].concat();
    let output = ring.run(&options, "kv", &[]).stdin(input).text();
    (output, Receipt::read(&receipt))
}

#[test]
fn a_service_of_a_hundred_gates_is_the_same_for_a_new_member() {
    let ring = Ring::up(4);
    let (mut model, mut state) = (Model::default(), "new".to_owned());
    let (mut last, mut before) = (None, None);
    for round in 1..=GATES {
        let (input, answer) = model.lines(round);
        let (output, receipt) = step(&ring, &state, &input, &[]);
        assert_eq!(output, answer, "round {round}");
        before = last;
        state = receipt.gate().to_string();
        last = Some(receipt);
    }
    let (last, before) = (last.unwrap(), before.unwrap());
    let next = ring.rings(["cat", last.text("/outputs/1/cid")]).text();
    assert_eq!(next, model.state());
    assert_eq!(last.text("/state"), before.gate().to_string());

    // Someone who has only the chain and the blocks gets the same state.
    let report = history(&ring, last.gate());
    assert_eq!(
        (&report["right"], &report["gates"]),
        (&json!(true), &json!(GATES))
    );
    assert_eq!(report["state"], *last.get("/outputs/1/cid"));
    // And on this machine, without a ring, from the state before.
    let kept = ring.write(
        "before",
        ring.rings(["cat", before.text("/outputs/1/cid")]).ok(),
    );
    let (input, answer) = Model::default().lines(GATES);
    let dry = ring.file("dry");
    let options = [
        "--dry",
        "--state",
        kept.to_str().unwrap(),
        "--next-state",
        dry.to_str().unwrap(),
    ];
    let output = ring.run(&options, "kv", &[]).stdin(input).text();
    // The answers are those to a visitor who has seen it all, but for the number of keys.
    assert_eq!(output.lines().next(), answer.lines().next());
    assert_eq!(fs::read_to_string(&dry).unwrap(), model.state());

    newcomer_goes_on(&ring, &mut model, last.gate());
}

/// A member that enters now, with nothing, votes for the next gate as the others do.
fn newcomer_goes_on(ring: &Ring, model: &mut Model, last: Address) {
    let newcomer = Newcomer::start(ring);
    let (input, answer) = model.lines(GATES + 1);
    let (output, receipt) = step(ring, &last.to_string(), &input, &[]);
    assert_eq!(output, answer);
    let gate = receipt.gate();
    let view = until("the newcomer's vote has come", LONG, || {
        let view = ring.gate(0, gate);
        let voted = view
            .votes
            .iter()
            .any(|vote| vote.member == newcomer.address);
        (voted && view.state == GateState::Resolved).then_some(view)
    });
    assert!(
        view.votes.iter().all(|vote| vote.agrees == Some(true)),
        "{view:?}"
    );
    assert_eq!(view.quorum, 4, "two thirds of five");
    // It also answers for all that was before it came.
    let shown = block_on(newcomer.client.gate(last)).unwrap();
    assert_eq!(shown.state, GateState::Resolved);
    let report = history(ring, gate);
    assert_eq!(report["gates"], GATES + 1);
    newcomer.stop();
}

fn history(ring: &Ring, gate: Address) -> Value {
    let gate = gate.to_string();
    let report = ring.rings(["verify", "--history", "--json", &gate]).ok();
    serde_json::from_slice(&report).unwrap()
}

/// A fifth member, which the test runs itself.
struct Newcomer {
    address: Address,
    client: Client,
    child: Child,
}

impl Newcomer {
    fn start(ring: &Ring) -> Self {
        let dir = ring.dir().join("members/new");
        fs::create_dir_all(&dir).unwrap();
        let key = rings_member::keystore::generate();
        let password = rings_member::keystore::generate_password();
        rings_member::keystore::write_secret(&dir.join("password"), password.as_bytes()).unwrap();
        rings_member::keystore::store(
            &dir.join("key.json"),
            &key,
            &password,
            rings_member::keystore::Strength::Light,
        )
        .unwrap();
        let port = configure(ring, &dir);
        let address = key.address();
        ring.eth("anvil_setBalance", &json!([address, "0xde0b6b3a7640000"]));
        enter(ring, address);
        let log = fs::File::create(dir.join("node.log")).unwrap();
        let child = Command::new(Program::Honest.path())
            .args(["node", "--config"])
            .arg(dir.join("config.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let token = Token::read(&ring.dir().join("token")).ok();
        let client = Client::new(&format!("http://127.0.0.1:{port}"), token).unwrap();
        until("the newcomer is connected to all", LONG, || {
            let status = block_on(client.status()).ok()?;
            (status.following && status.peers >= 4).then_some(())
        });
        Self {
            address,
            client,
            child,
        }
    }

    fn stop(mut self) {
        rings_tests::signal(self.child.id(), rings_tests::Signal::TERM);
        assert!(self.child.wait().unwrap().success());
    }
}

/// A test that fails leaves no process behind.
impl Drop for Newcomer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// As the first member's, with other ports.
fn configure(ring: &Ring, dir: &Path) -> u16 {
    let text = fs::read_to_string(ring.member_dir(0).join("config.toml")).unwrap();
    let (rpc, libp2p) = (free_port(), free_port());
    let lines = text.lines().map(|line| match line {
        line if line.starts_with("listen = [") => format!(
            "listen = [\"/ip4/127.0.0.1/tcp/{libp2p}\", \"/ip4/127.0.0.1/udp/{libp2p}/quic-v1\"]"
        ),
        line if line.starts_with("listen = ") => format!("listen = \"127.0.0.1:{rpc}\""),
        line => line.to_owned(),
    });
    let text: Vec<_> = lines.collect();
    fs::write(dir.join("config.toml"), text.join("\n") + "\n").unwrap();
    rpc
}

/// The ring's keeper, which is the client's account, lets it in. There is no entry delay, so it is settled at once.
fn enter(ring: &Ring, newcomer: Address) {
    let json = ring.json();
    let (engine, at) = (json.address("/engine"), json.address("/ring"));
    let file = ring.dir().join("client.key");
    let keeper =
        rings_member::keystore::parse_hex(&file, &fs::read_to_string(&file).unwrap()).unwrap();
    let chain = ring.chain();
    block_on(async {
        let journal = ring.file("entering.redb");
        let submitter = Submitter::open(journal, chain, keeper).await.unwrap();
        let calls = [
            calls::enter(engine, at, newcomer),
            calls::settle(at, newcomer),
        ];
        for call in calls {
            let purpose = rings_protocol::cids::keccak256(&call.data);
            submitter.submit(purpose, call).await.unwrap();
        }
        submitter.shutdown().await;
    });
}

#[test]
fn a_step_that_fails_leaves_the_state_and_ends_what_builds_on_it() {
    let ring = Ring::up(3);
    let (output, good) = step(&ring, "new", "add a 5\n", &[]);
    assert_eq!(output, "5\n");
    let receipt = ring.file("failed.json");
    let options = [
        "--state",
        &good.gate().to_string(),
        "--receipt",
        receipt.to_str().unwrap(),
    ];
    let failed = ring.run(&options, "kv", &[]).stdin("nonsense\n").call();
    failed.ends_with(3);
    assert!(
        failed.stderr.contains("kv: line 1: there are"),
        "{}",
        failed.stderr
    );

    // A run that waits for a state that will never come is told so.
    let failed = Receipt::read(&receipt).gate().to_string();
    let behind = ring
        .run(&["--state", &failed], "kv", &[])
        .stdin("get a\n")
        .call();
    behind.ends_with(3);
    assert!(
        behind.stderr.contains("never gets a result"),
        "{}",
        behind.stderr
    );
    // The service goes on from the last good state.
    let (output, _) = step(&ring, &good.gate().to_string(), "get a\n", &[]);
    assert_eq!(output, "5\n");
}

#[test]
fn a_state_of_a_file_goes_in_and_out() {
    let ring = Ring::up(3);
    let (before, after) = (
        ring.write("before", "a 1\nb two words\n"),
        ring.file("after"),
    );
    let options = ["--next-state", after.to_str().unwrap()];
    let (output, receipt) = step(
        &ring,
        before.to_str().unwrap(),
        "add a 41\nget b\n",
        &options,
    );
    assert_eq!(output, "42\ntwo words\n");
    assert_eq!(fs::read_to_string(&after).unwrap(), "a 42\nb two words\n");
    let outputs = receipt.get("/outputs").as_array().unwrap();
    assert_eq!(outputs.len(), 2);
    // The next state alone is not shown, and a program that knows of no state leaves an empty one.
    let wc = ring.run(&["--state", "new"], "wc", &[]).stdin("x\n").text();
    assert_eq!(wc.split_whitespace().collect::<Vec<_>>(), ["1", "1", "2"]);
    // What is not a state of this service is the service's own failure.
    let bad = ring.write("bad", "nospace\n");
    let refused = ring
        .run(&["--state", bad.to_str().unwrap()], "kv", &[])
        .stdin("count\n")
        .call();
    refused.ends_with(3);
    assert!(
        refused.stderr.contains("the state is not one of kv"),
        "{}",
        refused.stderr
    );
    // Usage.
    let missing = ring
        .run(&["--state", "no/such/file"], "kv", &[])
        .stdin("")
        .call();
    missing.ends_with(2);
    let each = ring
        .run(&["--state", "new", "--each"], "kv", &[])
        .stdin("")
        .call();
    each.ends_with(2);
    assert!(program("kv").exists());
}
