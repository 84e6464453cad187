//! What proves results without a gate when something is wrong, or has become old.

use super::{
    no_gate::{json, offline, place, run},
    quick::wc,
};
use rings_api::{views::RequestState, RequestParams};
use rings_protocol::{ringlog::EntryProof, Digest};
use rings_tests::{block_on, until, Program, Ring, LONG};
use std::fs;

const TEXT: &[u8] = b"proven to others\n";
/// The first ring node that the chain archives: what is listed before it can be anchored there.
const CHECKPOINT: u64 = 99;

#[test]
fn who_votes_otherwise_on_a_request_is_named_and_accused() {
    let ring = Ring::up(4);
    let liar = ring.json().member(2);
    ring.terminate(&[2]);
    ring.start_member(2, Program::Faulty);
    let (output, receipt) = run(&ring, &[], "wc", TEXT);
    assert_eq!(output, wc(TEXT));
    let request = receipt["request"].as_str().unwrap().to_owned();
    let digest: Digest = request.parse().unwrap();
    until("the liar's vote is known", LONG, || {
        let view = block_on(ring.client(0).get_request(digest)).unwrap();
        view.votes
            .iter()
            .any(|vote| vote.member == liar)
            .then_some(())
    });
    let path = ring.file("liar.accusation");
    let file = path.to_str().unwrap();
    let text = ring.rings(["verify", &request, "--accuse", file]).text();
    let named = text.lines().find(|line| line.contains("DIVERGED")).unwrap();
    assert!(named.contains(&liar.to_string()), "{text}");
    assert!(text.contains("right "), "{text}");
    let text = offline(&["verify", file]).text();
    for part in [&liar.to_string(), &request, "ringNodeAt("] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let report = offline(&["verify", "--json", file]).args(place(&ring)).ok();
    let report = json(&report);
    assert_eq!(
        (&report["onChain"], &report["isMember"]),
        (&true.into(), &true.into())
    );
    assert_eq!(report["accused"], liar.to_string());
}

#[test]
fn a_proof_is_anchored_anew_at_the_archived_hundredth() {
    let ring = Ring::up(3);
    // Each result has a ring node of its own.
    ring.terminate(&[0, 1, 2]);
    for index in 0..3 {
        ring.launch_member(index, Program::Honest, &[("RINGS_RING_LOG_ENTRIES", "1")]);
    }
    (0..3).for_each(|index| ring.wait_connected(index, 2));
    let path = ring.file("first.proof");
    let proof = path.to_str().unwrap();
    let (_, receipt) = run(&ring, &["--proof", proof], "wc", TEXT);
    let request = receipt["request"].as_str().unwrap().to_owned();
    let (chain, address) = (ring.chain(), ring.json().address("/ring"));
    let anchor = |bytes: &[u8]| EntryProof::from_bytes(bytes).unwrap().anchor().unwrap();
    let first = anchor(&fs::read(&path).unwrap());
    assert!(first < CHECKPOINT, "{first}");
    fill(&ring, &request, first + CHECKPOINT + 2);
    assert_eq!(block_on(chain.ring_node_at(address, first)).unwrap(), None);

    // The chain alone cannot check the old proof any more; with a member it can, and a new one stands for good.
    let alone = offline(&["verify", proof]).args(place(&ring));
    let line = alone.refused(5);
    assert!(
        line.contains("does not name ring node") && line.contains("request proof"),
        "{line}"
    );
    let report = json(&ring.rings(["verify", "--json", proof]).ok());
    assert_eq!(
        (&report["right"], &report["lasting"]),
        (&true.into(), &true.into())
    );
    assert_eq!(report["anchor"]["number"], CHECKPOINT);
    ring.rings(["request", "proof", &request, proof]).ok();
    assert_eq!(anchor(&fs::read(&path).unwrap()), CHECKPOINT);
    let alone = offline(&["verify", "--json", proof])
        .args(place(&ring))
        .ok();
    assert_eq!(json(&alone)["lasting"], true);
}

/// Asks the same again and again, until so many ring nodes are there.
fn fill(ring: &Ring, request: &str, wanted: u64) {
    let (chain, address) = (ring.chain(), ring.json().address("/ring"));
    let client = ring.client(0);
    let view = block_on(client.get_request(request.parse().unwrap())).unwrap();
    let count = || block_on(chain.ring_node_count(address)).unwrap();
    let mut nonce = 1;
    while count() < wanted {
        let params = RequestParams {
            ring: address,
            operation: view.operation.unwrap(),
            inputs: view.inputs.clone(),
            nonce,
            until: None,
        };
        let asked = block_on(client.request(&params)).unwrap();
        until("a ring node lists it", LONG, || {
            let view = block_on(client.get_request(asked.request)).ok()?;
            (view.state == RequestState::Listed).then_some(())
        });
        nonce += 1;
    }
}
