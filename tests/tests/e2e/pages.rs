//! The web pages, in a browser: the one that every member serves, and the chat.

use super::{
    no_gate::{offline, place, run},
    process_members::{over, process},
    processes::{example, id_of},
};
use rings_tests::{browse, build_page, repository, until, Page, Program, Ring, LONG};
use serde_json::{json, Value};
use std::{fs, path::Path};

const TEXT: &[u8] = b"seen in a browser\n";

#[test]
fn a_member_shows_its_ring_gates_requests_processes_and_proofs_in_a_browser() {
    let ring = Ring::up(4);
    let (_, receipt) = ring.result("wc", TEXT);
    let (_, requested) = run(&ring, &[], "wc", TEXT);
    let lines = charged(&ring);
    let event = lines.lines().next().unwrap().split_whitespace().last();
    over(&ring, 1, event.unwrap());
    let (json, proof) = (ring.json(), ring.file("saved.proof"));
    let said = browse(
        "ui.mjs",
        &json!({
            "url": json.text("/members/1/rpcUrl"),
            "members": json.count(),
            "member": json.text("/members/2/address").to_lowercase(),
            "quorum": receipt.number("/quorum"),
            "gate": receipt.text("/gate").to_lowercase(),
            "output": receipt.text("/outputs/0/cid"),
            "operation": receipt.text("/operation/cid"),
            "request": requested["request"],
            "installation": process(&ring, 1).unwrap().installation,
            "execution": id_of(&lines, "tell_paid"),
            "token": fs::read_to_string(ring.dir().join("token")).unwrap().trim(),
            "proof": proof,
        }),
    );
    assert_eq!(said, "the page is as it should be\n");
    // What the page saved proves the result, with the chain and nothing else.
    let place = place(&ring);
    let verified = offline(&["verify", proof.to_str().unwrap(), "--json"]).args(place);
    let verified: Value = serde_json::from_slice(&verified.ok()).unwrap();
    assert_eq!(verified["request"], requested["request"], "{verified}");
}

/// Has the ring run the process of the electric car, and gives what followed from one event.
fn charged(ring: &Ring) -> String {
    let car = example("electric-car");
    let car = car.to_str().unwrap();
    let instance = ring
        .rings(["service", "deploy", car, "--register", "1.0"])
        .text();
    ring.rings(["process", "create", car]).ok();
    let data = r#"{"car": "B-EV 1", "driver": "Ada", "kwh": 40, "minutes": 90}"#;
    ring.rings(["emit", instance.trim(), "charged", data])
        .text()
}

#[test]
fn processes_are_shown_in_every_state() {
    let said = browse(
        "processes.mjs",
        &json!({ "node": repository().join("node") }),
    );
    assert_eq!(said, "processes are shown as they are\n");
}

#[test]
fn the_registry_is_shown_whatever_strangers_have_written() {
    let said = browse(
        "registry.mjs",
        &json!({ "node": repository().join("node") }),
    );
    assert_eq!(said, "the registry is shown as it is\n");
}

#[test]
fn two_browsers_chat_through_four_replicas() {
    let replicas = Ring::up(4);
    let path = replicas.file("chat.html");
    build_page(&path, "clients/js/chat");
    let page = Page::serve(fs::read(&path).unwrap());
    allow(&replicas, &page.origin());
    let json = replicas.json();
    let said = browse(
        "chat.mjs",
        &json!({
            "page": page.origin(),
            "rpc": json.text("/rpcUrl"),
            "replicas": json.rpc_urls(),
            "rings": Program::Honest.path(),
            "dir": replicas.dir(),
        }),
    );
    // The ring is private: what was said, and the key that reads it, came to no replica's disk.
    let said: Value = serde_json::from_str(&said).unwrap();
    let key = hex::decode(said["key"].as_str().unwrap()).unwrap();
    for secret in [&key, said["key"].as_str().unwrap().as_bytes(), b"Hello Bob"] {
        for index in 0..4 {
            let found = holds(&replicas.member_dir(index), secret);
            assert_eq!(found, None::<String>, "in a file of replica {index}");
        }
    }
}

/// Starts all members anew, so that pages of this origin may call them.
pub fn allow(ring: &Ring, origin: &str) {
    let all: Vec<_> = (0..ring.json().count()).collect();
    ring.terminate(&all);
    for index in &all {
        ring.launch_member(*index, Program::Honest, &[("RINGS_RPC_ORIGINS", origin)]);
    }
    for index in &all {
        ring.wait_connected(*index, all.len() - 1);
    }
    until("all members answer", LONG, || {
        all.iter().all(|index| ring.answers(*index)).then_some(())
    });
}

/// The first file below `dir` in which these bytes are.
fn holds(dir: &Path, bytes: &[u8]) -> Option<String> {
    fs::read_dir(dir).unwrap().flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return holds(&path, bytes);
        }
        let content = fs::read(&path).unwrap_or_default();
        let found = content.windows(bytes.len()).any(|window| window == bytes);
        found.then(|| path.display().to_string())
    })
}
