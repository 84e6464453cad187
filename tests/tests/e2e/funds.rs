//! Members without ether: the turn to submit passes to those who have some, and what is wrong is said.

use super::quick::wc;
use rings_protocol::{quorum::submitters, Address};
use rings_tests::{block_on, until, Ring, LONG};
use serde_json::{json, Value};

/// A member's turn on a chain that makes blocks on demand, in milliseconds.
const TURN: u64 = 1000;
/// Most gates that are tried until enough of them had the poor member first in their order.
const GATES: u32 = 40;
/// Gates of that kind that are looked at.
const LOOKED_AT: usize = 3;
/// Half an ether, which is enough for many registrations.
const ENOUGH: &str = "0x6f05b59d3b20000";

fn fill(ring: &Ring, member: Address, wei: &str) {
    ring.eth("anvil_setBalance", &json!([member, wei]));
}

fn status(ring: &Ring) -> Value {
    serde_json::from_slice(&ring.rings(["status", "--json"]).ok()).unwrap()
}

#[test]
fn the_turn_passes_to_a_member_who_can_pay() {
    let ring = Ring::up(3);
    let members = ring.json().members();
    let poor = members[1];
    fill(&ring, poor, "0x0");
    let mut waits = Vec::new();
    for number in 0..GATES {
        let input = format!("gate {number}\n").into_bytes();
        let (output, receipt) = ring.result("wc", &input);
        assert_eq!(output, wc(&input));
        if submitters(receipt.gate(), &members)[0] == poor {
            // From two thirds to the registration, as another member measured it.
            let view = ring.wait_resolved(0, receipt.gate());
            waits.extend(view.milliseconds.register);
        }
        if waits.len() == LOOKED_AT {
            break;
        }
    }
    assert_eq!(waits.len(), LOOKED_AT, "some gates have this member first");
    // On a busy machine one may take long for other reasons.
    let quickest = waits.iter().min().unwrap();
    assert!(*quickest < TURN, "nobody waited for it: {waits:?}");
    let sent = ring.eth("eth_getTransactionCount", &json!([poor, "latest"]));
    assert_eq!(sent, "0x1", "its announcement, when it still had ether");

    until("the member says it", LONG, || {
        let text = ring.rings(["status"]).text();
        let line = "0 ether, enough for about 0 registrations: SHORT OF ETHER";
        text.contains(line).then_some(())
    });
    let metrics = ring.metrics(0).unwrap();
    let line = format!("rings_member_balance_ether{{member=\"{poor}\"}} 0.0");
    assert!(metrics.contains(&line), "{metrics}");
    assert!(metrics.contains("rings_members_poor 1"), "{metrics}");
    assert!(!metrics.contains("rings_registrations_affordable 0"));
    let own = ring.metrics(1).unwrap();
    assert!(own.contains("rings_registrations_affordable 0"), "{own}");
    assert!(ring.written().contains("cannot pay for registrations"));
}

#[test]
fn where_nobody_can_pay_it_is_said_and_ether_mends_it() {
    let ring = Ring::up(3);
    let members = ring.json().members();
    ring.result("wc", b"while there is ether\n");
    members
        .iter()
        .for_each(|member| fill(&ring, *member, "0x0"));
    let path = ring.file("receipt.json");
    let options = ["--timeout", "4", "--receipt", path.to_str().unwrap()];
    let call = ring.run(&options, "wc", &[]).stdin(*b"and then none\n");
    let done = call.call();
    done.ends_with(4);
    assert!(
        done.stderr
            .contains("which is a quorum, and none of them has registered it"),
        "{}",
        done.stderr
    );
    let receipt: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let gate = receipt["gate"].as_str().unwrap().to_owned();
    until("the status says it", LONG, || {
        let shown = status(&ring);
        let unsubmitted = shown["unsubmitted"].as_array()?;
        unsubmitted.contains(&gate.as_str().into()).then_some(())
    });
    let text = ring.rings(["status"]).text();
    assert!(text.contains("QUORUM REACHED"), "{text}");
    assert!(text.contains("short of ether"), "{text}");
    until("the gate says it", LONG, || {
        let text = ring.rings(["gate", "show", &gate]).text();
        text.contains("no member can pay").then_some(())
    });
    fill(&ring, members[2], ENOUGH);
    let address: Address = gate.parse().unwrap();
    let view = ring.wait_resolved(0, address);
    assert!(view.result.is_some());
    until("the warning is over", LONG, || {
        let own = block_on(ring.client(2).status()).ok()?;
        (own.registrations? > 20).then_some(())
    });
}
