//! A ring whose members seal their logs: who reads what is shown by trying, with real members.

use super::{processes::example, quick::wc};
use rings_api::{processes::ListProcessesParams, views::LogEntry, Client};
use rings_protocol::{
    log::{LogNode, SkipProof},
    private::{node_key, Unsealed},
    Address, Digest,
};
use rings_tests::{block_on, until, Call, Newcomer, Program, Ring, LONG};
use serde_json::Value;
use std::fs;

/// A ring of four that worked openly, and is private now.
fn private() -> Ring {
    let ring = Ring::up(4);
    assert_eq!(ring.result("wc", b"open\n").0, wc(b"open\n"));
    ring.stop();
    let told = ring.rings(["ring", "private"]).call();
    assert!(
        told.status.success() && told.stderr.contains("4 configurations changed"),
        "{}",
        told.stderr
    );
    ring.start(&[]);
    ring
}

#[test]
fn a_private_ring_runs_processes() {
    let ring = private();
    let car = example("electric-car");
    let file = |name: &str| car.join(name).to_str().unwrap().to_owned();
    let instance = ring
        .rings(["service", "deploy", &file("service.yml")])
        .text();
    ring.rings(["process", "create", &file("process.yml")]).ok();
    let data = r#"{"car": "B-EV 1", "driver": "Ada", "kwh": 40, "minutes": 90}"#;
    ring.rings(["emit", instance.trim(), "charged", data]).ok();
    for member in 0..4 {
        until("the process has run", LONG, || {
            let listed = ring.client(member);
            let listed = block_on(listed.list_processes(&ListProcessesParams::default()));
            let charging = listed.ok()?.processes.into_iter().next()?;
            (charging.runs == 1 && charging.open == 0).then_some(())
        });
    }
}

/// The newest node of a member's log as a client gets it.
fn newest(client: &Client, ring: &Ring, of: Address) -> Option<LogEntry> {
    let page = block_on(client.log(ring.json().address("/ring"), of, None, 1)).unwrap();
    page.nodes.into_iter().next()
}

/// A client of a member that does not know its token.
fn outsider(ring: &Ring, index: usize) -> Client {
    let url = ring
        .json()
        .text(&format!("/members/{index}/rpcUrl"))
        .to_owned();
    Client::new(&url, None).unwrap()
}

/// Works on one gate, and gives the names of the keys under which the members' newest nodes are sealed.
fn work(ring: &Ring, input: &[u8]) -> Vec<Digest> {
    let (output, receipt) = ring.result("wc", input);
    assert_eq!(output, wc(input));
    let (json, gate) = (ring.json(), receipt.gate());
    let domain = json.domain();
    let of = |member: &Address| {
        until("the member has written its vote", LONG, || {
            let entry = newest(&ring.client(0), ring, *member)?;
            let node = entry.open(&domain).ok()?;
            let mut body = node.content().body.iter();
            let says = body.any(|message| message.payload.windows(20).any(|part| part == gate.0));
            says.then_some(())?;
            // Outside stands the name of the key, and nothing of what is said.
            let sealed = &entry.bytes.0;
            assert!(LogNode::open(sealed, &domain).is_err());
            for part in [&gate.0[..], &member.0, b"Vote"] {
                assert!(!sealed.windows(part.len()).any(|bytes| bytes == part));
            }
            Some(node_key(sealed).unwrap())
        })
    };
    json.members()[..4].iter().map(of).collect()
}

/// Who may read makes a proof, and somebody who has neither a key nor a token checks it.
fn proven_without_a_key(ring: &Ring, member: Address) {
    let (account, path) = (member.to_string(), ring.file("sealed.proof"));
    let head = newest(&ring.client(0), ring, member).unwrap();
    // The log begins with nodes that are open.
    for seq in [head.seq, 0] {
        let made = ring.rings(["log", "prove", &account, &seq.to_string()]);
        let made = made.call().ok();
        assert!(made.stderr.contains("not what they say"), "{}", made.stderr);
        let proof = SkipProof::from_bytes(&made.stdout).unwrap();
        assert!(proof.nodes[0].opening.is_some(), "the head is sealed");
        fs::write(&path, made.stdout).unwrap();
        let verify = ["log", "verify", path.to_str().unwrap(), "--json"];
        let checked = Call::new(Program::Honest).args(verify);
        let report: Value = serde_json::from_slice(&checked.env("RINGS_DIR", "").ok()).unwrap();
        assert_eq!(report["author"], account);
        assert_eq!(report["node"]["seq"], seq);
        assert_eq!(report["head"]["seq"], head_of(&proof, ring));
        let happened = report["happened"][0].as_str().unwrap().to_owned();
        assert_eq!(happened.contains("Sealed"), seq > 0, "{happened}");
    }
    let none = outsider(ring, 0);
    assert_eq!(newest(&none, ring, member).unwrap().opening(), None);
}

/// The position of the head of a proof.
fn head_of(proof: &SkipProof, ring: &Ring) -> u64 {
    let head = Unsealed::open_proven(&proof.nodes[0], &ring.json().domain());
    head.unwrap().seq()
}

#[test]
fn a_private_ring_works_and_only_those_that_were_approved_read_it() {
    let ring = private();
    let (json, domain) = (ring.json(), ring.json().domain());
    let first = work(&ring, b"sealed\n");

    // A person with the ring's directory reads it. An outsider reads nothing, and does not get the block either.
    let member = json.member(0);
    let text = ring.rings(["log", "show", &member.to_string()]).text();
    assert!(text.matches("voted on gate 0x").count() >= 2, "{text}");
    let place = [
        "--rpc",
        json.text("/rpcUrl"),
        "--ring",
        json.text("/ring"),
        "--member",
    ];
    let asks =
        Call::new(Program::Honest).args(["log", "show", &member.to_string(), "--limit", "1"]);
    let asks = asks.args(place).arg(json.text("/members/0/rpcUrl"));
    let shown = asks.env("RINGS_DIR", "").text();
    assert!(
        shown.contains("sealed with key") && !shown.contains("voted"),
        "{shown}"
    );
    let entry = newest(&outsider(&ring, 0), &ring, member).unwrap();
    assert!(entry.unsealed.is_none() && entry.open(&domain).is_err());
    assert_eq!(
        status_of(&ring, &format!("/ipfs/{}?format=raw", entry.cid)),
        401
    );

    proven_without_a_key(&ring, member);

    // The keeper enters somebody. Being on the chain's list is not enough: nobody gives it a key.
    // Its own configuration, as that of the first member, lets the four read.
    let newcomer = Newcomer::start(&ring, &[]);
    let second = work(&ring, b"with a stranger among the members\n");
    assert!(
        second.iter().all(|name| !first.contains(name)),
        "each epoch has a key of its own"
    );
    until("the stranger says that it is locked out", LONG, || {
        let status = block_on(newcomer.client.status()).unwrap();
        status
            .warnings
            .iter()
            .any(|warning| warning.contains("sealed with key"))
            .then_some(())
    });
    let seen = newest(&newcomer.client, &ring, member);
    assert!(
        seen.is_none_or(|entry| node_key(&entry.bytes.0).is_err()),
        "open nodes only"
    );

    // The members approve it: now it reads all of it, and votes.
    ring.stop();
    let account = newcomer.address.to_string();
    ring.rings(["ring", "approve", &account]).ok();
    ring.start(&[]);
    newcomer.wait_connected(4);
    until("the newcomer reads", LONG, || {
        let entry = newest(&newcomer.client, &ring, member)?;
        (entry.unsealed.is_some() && entry.open(&domain).is_ok()).then_some(())
    });
    // Without one of the others, its vote is needed.
    ring.terminate(&[3]);
    let (output, receipt) = ring.result("wc", b"with a reader more\n");
    assert_eq!(output, wc(b"with a reader more\n"));
    until("the newcomer's vote is read", LONG, || {
        let votes = ring.gate(0, receipt.gate()).votes;
        votes
            .iter()
            .any(|vote| vote.member == newcomer.address)
            .then_some(())
    });

    ring.start_member(3, Program::Honest);

    // It is put out. What is written from then on is sealed with a key that it does not get.
    ring.rings(["ring", "exit", &account]).ok();
    let third = work(&ring, b"without it\n");
    assert!(third
        .iter()
        .all(|name| !second.contains(name) && !first.contains(name)));
    let last = newest(&newcomer.client, &ring, member).unwrap();
    let last = node_key(&last.bytes.0).unwrap();
    assert!(!third.contains(&last), "it is not told of them either");
    newcomer.stop();
}

#[test]
fn only_a_private_ring_has_readers() {
    let ring = Ring::up(1);
    let account = ring.json().member(0).to_string();
    for command in ["approve", "disapprove"] {
        let refused = ring.rings(["ring", command, &account]).call();
        refused.ends_with(2);
        assert!(refused.stderr.contains("not private"), "{}", refused.stderr);
    }
    ring.rings(["ring", "private"]).ok();
    let kept = ring.rings(["ring", "disapprove", &account]).call();
    kept.ends_with(2);
    assert!(kept.stderr.contains("the only account"), "{}", kept.stderr);
}

/// The status of a plain GET.
fn status_of(ring: &Ring, path: &str) -> u16 {
    let url = format!("{}{path}", ring.json().text("/members/0/rpcUrl"));
    block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(url).send().await.unwrap().status().as_u16()
    })
}
