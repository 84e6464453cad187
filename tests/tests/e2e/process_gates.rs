//! Tasks that a gate settles: on the chain, and by another ring, which is down at first.

use super::processes::example;
use rings_api::processes::{ExecutionState, ExecutionView, GetProcessParams, ListExecutionsParams};
use rings_protocol::Address;
use rings_tests::{block_on, free_port, until, Program, Ring, LONG};
use serde_json::{json, Value};
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

const ORDER: &str = r#"{"order": 1, "item": "tea", "count": 2, "to": "Ada"}"#;
/// A ring.
const RING: &str = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
/// Seconds after which the other ring is given up.
const WITHIN: u64 = 600;

/// Deploys the shop and creates a process with these nodes. Gives the instance.
fn create(ring: &Ring, nodes: &str) -> String {
    let shop = example("shop");
    let service = shop.join("service.yml");
    let process = format!(
        "process: order\nservices: {{shop: {}}}\non: shop.ordered\nnodes:\n{nodes}",
        service.display()
    );
    let process = ring.write("process.yml", process);
    let instance = ring.rings(["service", "deploy"]).arg(&shop).text();
    ring.rings(["process", "create"]).arg(process).ok();
    instance.trim().to_owned()
}

/// What a member knows of the execution of a node that follows from an event.
fn execution(ring: &Ring, member: usize, event: &str, node: &str) -> Option<ExecutionView> {
    let which = ListExecutionsParams {
        event: Some(event.parse().unwrap()),
        limit: None,
    };
    let listed = block_on(ring.client(member).list_executions(&which)).ok()?;
    let mut executions = listed.executions.into_iter();
    executions.find(|execution| execution.node.as_deref() == Some(node))
}

fn reaches(
    ring: &Ring,
    member: usize,
    (event, node): (&str, &str),
    state: ExecutionState,
) -> ExecutionView {
    until("a node has come so far", LONG, || {
        execution(ring, member, event, node).filter(|found| found.state == state)
    })
}

/// The token on the first output pin of a gate.
fn output(ring: &Ring, gate: Address) -> Option<rings_protocol::Digest> {
    block_on(ring.chain().output_of(gate, 0)).unwrap()
}

#[test]
fn a_task_is_settled_on_the_chain_with_a_member_down() {
    let ring = Ring::up(4);
    let instance = create(
        &ring,
        "  bill: {task: shop.bill, settle: chain, inputs: {item: \"${event.item}\", count: \"${event.count}\"}}\n  \
           drop: {after: bill.billed, task: shop.drop, inputs: {order: \"${event.order}\", cents: \"${bill.cents}\"}}\n",
    );
    ring.kill(&[3]);
    let emitted = ring.rings(["emit", &instance, "ordered", ORDER, "--no-wait"]);
    let event = emitted.text().split_whitespace().last().unwrap().to_owned();
    let bill = reaches(&ring, 0, (&event, "bill"), ExecutionState::Succeeded);
    let gate = bill.gate.unwrap();
    assert_eq!(bill.request, None);
    let token = output(&ring, gate).unwrap();
    assert_eq!(bill.result, Some(rings_protocol::cids::data_cid(token)));
    for member in 1..3 {
        let other = reaches(&ring, member, (&event, "bill"), ExecutionState::Succeeded);
        assert_eq!((other.execution, other.gate), (bill.execution, bill.gate));
    }
    let drop = reaches(&ring, 0, (&event, "drop"), ExecutionState::Succeeded);
    let trace = ring.rings(["trace", &drop.execution.to_string()]).text();
    assert!(
        trace.contains(&format!("on the chain by gate {gate}")),
        "{trace}"
    );
    assert!(trace.contains("agreed as request"), "{trace}");
    ring.rings(["verify", &gate.to_string()]).ok();
    let listed = ring.rings(["execution", "list"]).text();
    assert!(
        listed.contains(&format!("bill  succeeded  gate {gate}")),
        "{listed}"
    );
}

/// A ring of one member on the same engine.
struct Other<'r> {
    ring: &'r Ring,
    address: String,
    port: u16,
    child: Option<Child>,
}

impl Drop for Other<'_> {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl<'r> Other<'r> {
    fn create(ring: &'r Ring) -> Self {
        let home = ring.file("other");
        fs::create_dir_all(&home).unwrap();
        let secret = rings_client::SecretKey::from_bytes(&[0x51; 32]).unwrap();
        rings_member::keystore::store_hex(&home.join("key"), &secret).unwrap();
        let account = secret.address();
        ring.eth("anvil_setBalance", &json!([account, "0xde0b6b3a7640000"]));
        let members = ring.write("others.txt", format!("{account}\n"));
        let address = ring.rings(["ring", "create", "--members"]).arg(members);
        Self {
            ring,
            address: address.text().trim().to_owned(),
            port: free_port(),
            child: None,
        }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts its member, which computes what the members of the first ring ask.
    fn start(&mut self) {
        let home = self.ring.file("other");
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let json = self.ring.json();
        let members: Vec<_> = json.members().iter().map(ToString::to_string).collect();
        let own = [
            ("RINGS_RING_ADDRESS", self.address.clone()),
            ("RINGS_RING_REQUESTERS", members.join(",")),
            ("RINGS_KEY_KEYSTORE", text(&home.join("key"))),
            ("RINGS_STORE_PATH", text(&home.join("data"))),
            ("RINGS_STORE_GATEWAYS", json.rpc_urls().join(",")),
            ("RINGS_RING_LOG_GATES", "1".into()),
            ("RINGS_RPC_LISTEN", format!("127.0.0.1:{}", self.port)),
            (
                "RINGS_NETWORK_LISTEN",
                format!("/ip4/127.0.0.1/tcp/{}", free_port()),
            ),
        ];
        let log = fs::File::create(home.join("node.log")).unwrap();
        let child = Command::new(Program::Honest.path())
            .args(["node", "--config"])
            .arg(self.ring.member_dir(0).join("config.toml"))
            .envs(own)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap());
    }
}

/// Creates a process that the results of another ring start. Gives its name.
fn listens(ring: &Ring, other: &str) -> String {
    let desk = format!("service: desk\nevents:\n  landed:\n    from: {{results: \"{other}\", confirmations: 0, where: '!event.failed && event.gate != \"\"'}}\n    data: {{failed: boolean, gate: string, number: integer, output: string}}\n");
    let shop = example("shop").join("service.yml");
    let process = format!(
        "process: landed\nservices: {{desk: desk.yml, shop: {}}}\non: desk.landed\nnodes:\n  \
           note: {{task: shop.drop, inputs: {{order: \"${{event.number}}\", cents: 0}}}}\n",
        shop.display()
    );
    let desk = ring.write("desk.yml", desk);
    let process = ring.write("landed.yml", process);
    ring.rings(["service", "deploy"]).arg(desk).ok();
    ring.rings(["process", "create"]).arg(process).ok();
    "landed".into()
}

#[test]
fn a_task_of_another_ring_expires_while_that_is_down_and_delays_nothing_else() {
    let ring = Ring::up(3);
    let mut other = Other::create(&ring);
    ring.terminate(&[0, 1, 2]);
    for member in 0..3 {
        let environment = [("RINGS_STORE_GATEWAYS", &other.url()[..])];
        ring.launch_member(member, Program::Honest, &environment);
    }
    (0..3).for_each(|member| ring.wait_connected(member, 2));
    let nodes = format!(
        "  bill:\n    task: shop.bill\n    ring: \"{}\"\n    within: {WITHIN}\n    inputs: {{item: \"${{event.item}}\", count: \"${{event.count}}\"}}\n  \
           own: {{task: shop.drop, inputs: {{order: \"${{event.order}}\", cents: 1}}}}\n  \
           dear: {{after: bill.billed, task: shop.drop, inputs: {{order: \"${{event.order}}\", cents: \"${{bill.cents}}\"}}}}\n  \
           none: {{after: bill.expired, task: shop.drop, inputs: {{order: \"${{event.order}}\", cents: 0}}}}\n",
        other.address
    );
    let instance = create(&ring, &nodes);
    let landed = listens(&ring, &other.address);
    let emit = |data: &str| {
        let told = ring.rings(["emit", &instance, "ordered", data, "--no-wait"]);
        told.text().split_whitespace().last().unwrap().to_owned()
    };
    let late = emit(ORDER);
    reaches(&ring, 0, (&late, "own"), ExecutionState::Succeeded);
    let waits = reaches(&ring, 0, (&late, "bill"), ExecutionState::Started);
    assert!(waits.gate.is_some() && waits.until.is_some());
    ring.eth("evm_increaseTime", &json!([2 * WITHIN]));
    ring.eth("evm_mine", &json!([]));
    for member in 0..3 {
        reaches(&ring, member, (&late, "bill"), ExecutionState::Expired);
    }
    reaches(&ring, 0, (&late, "none"), ExecutionState::Succeeded);

    other.start();
    let second = emit(&ORDER.replace("\"order\": 1", "\"order\": 2"));
    let bills: Vec<_> = (0..3)
        .map(|member| reaches(&ring, member, (&second, "bill"), ExecutionState::Succeeded))
        .collect();
    let gate = bills[0].gate.unwrap();
    assert!(bills
        .iter()
        .all(|bill| bill.gate == Some(gate) && bill.result == bills[0].result));
    let dear = reaches(&ring, 0, (&second, "dear"), ExecutionState::Succeeded);
    let trace = ring.rings(["trace", &dear.execution.to_string()]).text();
    let line = format!("on the chain by gate {gate} of ring {}", other.address);
    assert!(
        trace.to_lowercase().contains(&line.to_lowercase()),
        "{trace}"
    );
    // What the ring has decided stays, although the other ring has given that gate a result meanwhile.
    reaches(&ring, 0, (&late, "bill"), ExecutionState::Expired);
    let steps = ring
        .rings(["trace", "--json", &dear.execution.to_string()])
        .ok();
    let steps: Value = serde_json::from_slice(&steps).unwrap();
    assert!(steps[1]["ringNode"].is_u64(), "{steps}");
    // The ring node of the other ring lists the result, which starts a process here.
    for member in 0..3 {
        until(
            "the result of the other ring starts a process",
            LONG,
            || {
                let listed =
                    block_on(ring.client(member).list_processes(&Default::default())).ok()?;
                let mut all = listed.processes.into_iter();
                let process = all.find(|process| process.name.as_deref() == Some("landed"))?;
                (process.runs > 0 && process.open == 0).then_some(())
            },
        );
    }
    // The execution behind it was started by hand, so it is the first in a row.
    let listed = block_on(ring.client(0).list_processes(&Default::default())).unwrap();
    let mut all = listed.processes.into_iter();
    let process = all.find(|process| process.name.as_deref() == Some("landed"));
    let which = GetProcessParams {
        installation: process.unwrap().installation,
        before: None,
        limit: None,
    };
    let runs = block_on(ring.client(0).get_process(&which)).unwrap().runs;
    let event = ring.rings(["cat", &runs[0].event.to_string()]).ok();
    let event: Value = serde_json::from_slice(&event).unwrap();
    assert_eq!(event["source"]["depth"], 1, "{event}");
    let shown = ring.rings(["process", "show", &landed]).text();
    let line = shown.lines().find(|line| line.contains("note  succeeded"));
    let note = line
        .and_then(|line| line.split_whitespace().last())
        .unwrap();
    let trace = ring.rings(["trace", note]).text();
    let line = format!("event landed of ring {}", other.address);
    assert!(
        trace.to_lowercase().contains(&line.to_lowercase()),
        "{trace}"
    );
}

#[test]
fn on_one_machine_such_tasks_are_computed_there() {
    let home = tempfile::TempDir::new().unwrap();
    let shop = example("shop").join("service.yml");
    let process = format!(
        "process: order\nservices: {{shop: {}}}\non: shop.ordered\nnodes:\n  \
           bill: {{task: shop.bill, ring: \"{RING}\", within: 9, inputs: {{item: \"${{event.item}}\", count: \"${{event.count}}\"}}}}\n  \
           drop: {{after: bill.billed, task: shop.drop, settle: chain, inputs: {{order: 1, cents: \"${{bill.cents}}\"}}}}\n",
        shop.display()
    );
    fs::write(home.path().join("process.yml"), process).unwrap();
    let events = home.path().join("events.txt");
    fs::write(&events, format!("{ORDER}\n")).unwrap();
    let dev = |more: &[&str]| {
        let call = rings_tests::Call::new(Program::Honest).env("RINGS_DIR", "");
        let call = call.args(["process", "dev"]).arg(home.path()).args(more);
        let call = call.arg("--event").arg(&events).arg("--records");
        call.arg(home.path().join("records")).text()
    };
    let lines = dev(&[]);
    assert!(lines.contains("drop  succeeded(dropped)"), "{lines}");
    // With that ring down, its task expires by the time of blocks.
    fs::write(&events, format!("{ORDER}\ntime 1000\ntime 1009\n")).unwrap();
    let lines = dev(&["--down", RING]);
    assert!(lines.contains("bill  expired"), "{lines}");
    assert!(
        lines.contains("drop  skipped: bill is expired, not billed"),
        "{lines}"
    );
}
