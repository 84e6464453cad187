//! A member that enters late and begins the others' logs at their heads on chain.

use super::quick::wc;
use rings_api::views::LogPage;
use rings_protocol::{log::SkipProof, Address};
use rings_tests::{
    block_on, check_log, program, quantity, until, Call, Newcomer, Program, Ring, LONG,
};
use serde_json::json;
use std::fs;

/// Requests before the newcomer enters.
const REQUESTS: usize = 6;

/// A ring of four in which the chain names later nodes than the first of each log.
fn worked() -> Ring {
    let ring = Ring::up(4);
    for round in 0..REQUESTS {
        let text = format!("round {round}\n").into_bytes();
        let call = ring.rings(["run", "--no-gate"]).arg(program("wc"));
        assert_eq!(call.stdin(text.clone()).ok(), wc(&text));
    }
    ring
}

fn page(newcomer: &Newcomer, ring: &Ring, of: Address) -> Option<LogPage> {
    block_on(
        newcomer
            .client
            .log(ring.json().address("/ring"), of, None, 3),
    )
    .ok()
}

/// From which position on the newcomer holds a log.
fn held_from(newcomer: &Newcomer, ring: &Ring, of: Address) -> u64 {
    until("the newcomer holds a part of the log", LONG, || {
        let page = page(newcomer, ring, of)?;
        (!page.nodes.is_empty()).then_some(page.held_from)?
    })
}

#[test]
fn a_newcomer_begins_at_the_heads_on_chain_and_fetches_what_is_asked_for() {
    let ring = worked();
    let (json, domain) = (ring.json(), ring.json().domain());
    let members = json.members();
    let mut newcomer = Newcomer::start(&ring, &[("store", "logs_from_heads = true")]);
    let from: Vec<_> = members
        .iter()
        .map(|member| held_from(&newcomer, &ring, *member))
        .collect();
    assert!(from.iter().all(|from| *from > 0), "{from:?}");

    // A part is shown as a part.
    let place = ["--rpc", json.text("/rpcUrl"), "--ring", json.text("/ring")];
    let asks = |command: &[&str]| {
        let call = Call::new(Program::Honest).args(command).args(place);
        call.args(["--member", &newcomer.url]).env("RINGS_DIR", "")
    };
    let member = members[0].to_string();
    let shown = asks(&["log", "show", &member, "--limit", "2"]).call();
    let says = format!("holds this log from node {} on", from[0]);
    assert!(
        shown.status.success() && shown.stderr.contains(&says),
        "{}",
        shown.stderr
    );

    // Older nodes come when they are asked for, down to the first; and each fits the rest.
    let whole = block_on(check_log(&newcomer.client, &domain, members[0]));
    assert_eq!(whole.nodes[..3], ring.log(0, 0).nodes[..3]);
    let proof = ring.file("proof");
    fs::write(&proof, asks(&["log", "prove", &member, "0"]).ok()).unwrap();
    let checked = SkipProof::from_bytes(&fs::read(&proof).unwrap()).unwrap();
    assert_eq!((checked.author, checked.ring), (members[0], domain.ring));
    let verified = Call::new(Program::Honest)
        .args(["log", "verify"])
        .arg(&proof);
    verified.args(place).env("RINGS_DIR", "").ok();

    // It votes as the others do, and goes on from the part that it holds. Without one of the others, its vote is needed.
    ring.terminate(&[3]);
    votes(&ring, &newcomer, b"with a newcomer\n");
    newcomer.restart();
    newcomer.wait_connected(members.len() - 1);
    for (member, from) in members.iter().zip(&from) {
        assert_eq!(held_from(&newcomer, &ring, *member), *from);
    }
    votes(&ring, &newcomer, b"after its restart\n");
    let balance = ring.eth("eth_getBalance", &json!([newcomer.address, "latest"]));
    assert!(quantity(&balance) > 0);
    newcomer.stop();
}

fn votes(ring: &Ring, newcomer: &Newcomer, input: &[u8]) {
    let (output, receipt) = ring.result("wc", input);
    assert_eq!(output, wc(input));
    let gate = receipt.gate();
    until("the newcomer's vote has come", LONG, || {
        let votes = ring.gate(0, gate).votes;
        let own = votes.iter().find(|vote| vote.member == newcomer.address)?;
        assert_ne!(own.agrees, Some(false));
        Some(())
    });
}
