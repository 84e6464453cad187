//! A ring whose blocks are in a real Kubo.

use super::quick::wc;
use rings_protocol::Address;
use rings_tests::{block_on, signal, until, Kubo, Receipt, Ring, Signal, LONG};
use serde_json::Value;
use std::fs;

const TEXT: &[u8] = b"kept by another program\n";

#[test]
fn a_ring_on_kubo_and_its_logs_in_ipfs() {
    let kubo = Kubo::start();
    let ring = Ring::up_with(["--store", &format!("kubo={}", kubo.url())]);
    let (output, receipt) = ring.result("wc", TEXT);
    assert_eq!(output, wc(TEXT));
    let cid = receipt.text("/outputs/0/cid").to_owned();
    assert_eq!(kubo.ipfs(&["cat", &cid]).ok(), output);
    assert_eq!(kubo.cid_of(TEXT), receipt.text("/inputs/0"));
    let operation = kubo.ipfs(&["cat", receipt.text("/operation/cid")]).text();
    let operation: Value = serde_json::from_str(&operation).unwrap();
    assert_eq!(
        operation["program"]["/"],
        receipt.text("/operation/program")
    );

    let json = ring.json();
    for index in 0..3 {
        let status = block_on(ring.client(index).status()).unwrap();
        assert_eq!(status.store.kind, "kubo");
        let page =
            block_on(
                ring.client(index)
                    .log(json.address("/ring"), json.member(index), None, 100),
            )
            .unwrap();
        for entry in page.nodes {
            let node = kubo.ipfs(&["dag", "get", &entry.cid.to_string()]).text();
            let node: Value = serde_json::from_str(&node).unwrap();
            assert_eq!(node, entry.node, "as DAG-JSON");
            assert_eq!(node["content"]["seq"], entry.seq);
            let bytes = kubo.ipfs(&["block", "get", &entry.cid.to_string()]).ok();
            assert_eq!(bytes, entry.bytes.0);
        }
    }
    let heads: Vec<_> = ring.logs().iter().map(|log| log.nodes.len()).collect();
    assert!(
        heads.iter().filter(|length| **length > 0).count() >= 2,
        "{heads:?}"
    );

    ring.stop();
    ring.start(&[]);
    assert_eq!(ring.result("wc", b"more\n").0, wc(b"more\n"));

    drop(kubo);
    let line = ring.rings(["add"]).arg(ring.write("file", "x")).call();
    line.ends_with(5);
    assert!(
        line.stderr.contains("Kubo") || line.stderr.contains("127.0.0.1"),
        "{}",
        line.stderr
    );
}

/// Lets a member that is down keep its blocks in Kubo.
pub fn move_to_kubo(ring: &Ring, member: usize, kubo: &Kubo) {
    let path = ring.member_dir(member).join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    let kind = "kind = \"embedded\"";
    assert!(text.contains(kind), "{text}");
    let other = format!("kind = \"kubo\"\nurl = \"{}\"", kubo.url());
    fs::write(&path, text.replace(kind, &other)).unwrap();
}

/// All four have voted at this gate.
/// Asks for results until each member has voted for this gate or for one that came after it: a member that is late does
/// not vote for a gate that is resolved by then.
fn all_vote(ring: &Ring, gate: Address) {
    let mut gates = vec![gate];
    until("each member has voted", LONG, || {
        let voted = |member| {
            let log = ring.log(member, member);
            gates.iter().any(|gate| log.result(*gate).is_some())
        };
        if (0..4).all(voted) {
            return Some(());
        }
        let text = format!("{}\n", gates.len());
        let (output, receipt) = ring.result("wc", text.as_bytes());
        assert_eq!(output, wc(text.as_bytes()));
        gates.push(receipt.gate());
        None
    });
}

#[test]
fn a_ring_with_both_kinds_of_store_and_a_kubo_that_stumbles() {
    let mut kubo = Kubo::start();
    let ring = Ring::up(4);
    ring.stop();
    for member in [2, 3] {
        move_to_kubo(&ring, member, &kubo);
    }
    ring.start(&[]);
    let (output, receipt) = ring.result("wc", TEXT);
    assert_eq!(output, wc(TEXT));
    all_vote(&ring, receipt.gate());
    // What a person who knows IPFS looks at.
    let cid = receipt.text("/outputs/0/cid");
    assert_eq!(kubo.ipfs(&["cat", cid]).ok(), output);
    let pinned = kubo.ipfs(&["pin", "ls", "--type=recursive", cid]).text();
    assert!(
        pinned.contains(cid) && pinned.contains("recursive"),
        "{pinned}"
    );
    let head = ring.log(2, 2).nodes.last().unwrap().cid().to_string();
    let pinned = kubo.ipfs(&["pin", "ls", "--type=direct", &head]).text();
    assert!(pinned.contains(&head), "{pinned}");
    let node = kubo.ipfs(&["dag", "get", &head]).text();
    let node: Value = serde_json::from_str(&node).unwrap();
    assert!(node["content"]["seq"].is_u64(), "{node}");
    kubo.ipfs(&["repo", "gc"]).ok();
    let line = ring.rings(["store", "gc", "--member", "2"]).refused(5);
    assert!(line.contains("ipfs repo gc"), "{line}");
    ring.rings(["store", "check"]).ok();

    // One that answers slowly costs time and no vote.
    let receipt = ring.file("slow.json");
    let options = ["--timeout", "80", "--receipt", receipt.to_str().unwrap()];
    signal(kubo.pid(), Signal::STOP);
    let run = ring.run(&options, "wc", &["-"]).stdin(b"slow\n").start();
    the_embedded_ones_vote(&ring);
    signal(kubo.pid(), Signal::CONT);
    assert_eq!(run.end().ok().stdout, wc(b"slow\n"));
    all_vote(&ring, Receipt::read(&receipt).gate());

    // And so does one that is started again.
    kubo.fail();
    let run = ring.run(&options, "wc", &["-"]).stdin(b"down\n").start();
    the_embedded_ones_vote(&ring);
    kubo.go_on();
    assert_eq!(run.end().ok().stdout, wc(b"down\n"));
    all_vote(&ring, Receipt::read(&receipt).gate());
    ring.rings(["store", "check"]).ok();
}

/// Waits until those members that have a store of their own have voted on the newest gate without a result.
fn the_embedded_ones_vote(ring: &Ring) {
    until("those with a store of their own have voted", LONG, || {
        let gate = gates(ring).into_iter().next()?;
        [0, 1]
            .iter()
            .all(|member| ring.log(*member, *member).result(gate).is_some())
            .then_some(())
    });
}

/// The gates that have no result, the newest first.
fn gates(ring: &Ring) -> Vec<Address> {
    let status = ring.rings(["status", "--json"]).ok();
    let status: Value = serde_json::from_slice(&status).unwrap();
    let gates = status["gates"].as_array().unwrap().iter();
    let open = gates.filter(|gate| gate["state"] != "resolved");
    open.map(|gate| gate["gate"].as_str().unwrap().parse().unwrap())
        .collect()
}

/// Waits until all members say that their store at this URL fails, or until they have nothing to say.
fn members_name(ring: &Ring, url: Option<&str>) {
    until("members say how their store is", LONG, || {
        let told = (0..ring.json().count()).all(|member| match (ring.health(member), url) {
            (Some((503, Some(trouble))), Some(url)) => trouble.contains(url),
            (Some((200, None)), None) => true,
            _ => false,
        });
        told.then_some(())
    });
}

#[test]
fn a_kubo_that_stands_still_or_is_away_is_named_and_a_run_waits_for_it() {
    let mut kubo = Kubo::start();
    let url = kubo.url();
    let ring = Ring::up_with(["--store", &format!("kubo={url}")]);
    members_name(&ring, None);
    signal(kubo.pid(), Signal::STOP);
    let run = ring.run(&["--timeout", "80"], "wc", &["-"]);
    let run = run.stdin(b"still\n").start();
    members_name(&ring, Some(&url));
    // All of them answer, and say the same.
    let status = ring.rings(["status", "--json"]).ok();
    let status: Value = serde_json::from_slice(&status).unwrap();
    for member in status["members"].as_array().unwrap() {
        assert!(member["following"] == true, "{member}");
        let trouble = member["trouble"].as_str().unwrap();
        assert!(trouble.contains(&url), "{trouble}");
    }
    signal(kubo.pid(), Signal::CONT);
    assert_eq!(run.end().ok().stdout, wc(b"still\n"));
    members_name(&ring, None);

    kubo.fail();
    members_name(&ring, Some(&url));
    let run = ring.run(&["--timeout", "80"], "wc", &["-"]);
    let run = run.stdin(b"away\n").start();
    kubo.go_on();
    assert_eq!(run.end().ok().stdout, wc(b"away\n"));
    members_name(&ring, None);
}

#[test]
fn a_kubo_that_is_not_there() {
    let ring = Ring::prepare();
    let line = ring
        .rings([
            "up",
            "--detach",
            "--members",
            "1",
            "--store",
            "kubo=http://127.0.0.1:1",
        ])
        .refused(5);
    assert!(line.contains("http://127.0.0.1:1"), "{line}");
}

#[test]
fn the_embedded_store_gives_the_names_of_ipfs() {
    let kubo = Kubo::start();
    let ring = Ring::up(1);
    for bytes in [0, 1, 262_143, 262_144, 262_145, 1_000_000, 45_613_057] {
        let content: Vec<u8> = (0..bytes)
            .map(|index: u32| (index.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let file = ring.write("file", &content);
        let cid = ring.rings(["add"]).arg(&file).text();
        assert_eq!(cid.trim(), kubo.cid_of(&content), "{bytes} bytes");
        assert!(
            ring.rings(["cat", cid.trim()]).ok() == content,
            "{bytes} bytes come back"
        );
    }
    let by_pipe = ring.rings(["add", "-"]).stdin("hello worlds\n").text();
    assert_eq!(by_pipe.trim(), kubo.cid_of(b"hello worlds\n"));
}
