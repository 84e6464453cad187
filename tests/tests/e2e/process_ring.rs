//! Processes on a ring: `rings service deploy`, `rings process create`, `rings emit`, and back by `rings trace`.

use super::processes::{example, id_of};
use rings_tests::Ring;
use serde_json::{json, Value};

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn an_event_runs_a_process_on_a_ring_and_each_step_can_be_verified() {
    let ring = Ring::up(4);
    let car = example("electric-car");
    let car = car.to_str().unwrap();
    let missing = ring.rings(["process", "create", car]).refused(2);
    assert!(missing.contains("there is no instance of car"), "{missing}");
    let instance = ring.rings(["service", "deploy", car]).text();
    let instance = instance.trim();
    let process = ring.rings(["process", "create", car]).text();
    let sent = ring.sent_by_client();

    let data = r#"{"car": "B-EV 1", "driver": "Ada", "kwh": 40, "minutes": 90}"#;
    let lines = ring.rings(["emit", instance, "charged", data]).text();
    assert!(
        lines.contains("Dear Ada, 40 kWh for B-EV 1 cost 1800 cents."),
        "{lines}"
    );
    assert_eq!(ring.sent_by_client(), sent, "no transaction of the client");

    // The same event again finds the same executions, with one member down.
    ring.kill(&[3]);
    let again = ring.rings(["emit", instance, "charged", data]).text();
    assert_eq!(again, lines);
    let wrong = ring
        .rings(["emit", instance, "charged", r#"{"kwh": -1}"#])
        .refused(2);
    assert!(wrong.contains("the event starts nothing"), "{wrong}");
    let other = ring.rings(["emit", instance, "parked", "{}"]).refused(2);
    assert!(
        other.contains("no process starts with event parked"),
        "{other}"
    );

    let letter = id_of(&lines, "tell_paid");
    let listed = json(&ring.rings(["execution", "list", "--json"]).ok());
    let nodes: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["node"].as_str().unwrap())
        .collect();
    for node in ["price", "pay", "tell_paid"] {
        assert_eq!(
            nodes.iter().filter(|name| **name == node).count(),
            1,
            "{listed}"
        );
    }
    assert!(listed
        .as_array()
        .unwrap()
        .iter()
        .all(|line| line["state"] == "succeeded" && line["process"] == process.trim()));
    let shown = json(&ring.rings(["execution", "show", "--json", letter]).ok());
    assert_eq!(shown["document"]["inputs"]["driver"], "Ada");
    assert_eq!(shown["answer"]["status"], "told");
    is_traced(&ring, letter, &shown);
}

/// By somebody who was not there: from the request alone, back to the event; and each step computed again.
fn is_traced(ring: &Ring, letter: &str, shown: &Value) {
    let request = shown["request"].as_str().unwrap();
    let steps = json(&ring.rings(["trace", "--json", request]).ok());
    assert_eq!(steps[0]["execution"], letter);
    let nodes: Vec<_> = steps
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|step| step["node"].as_str())
        .collect();
    assert_eq!(nodes, ["tell_paid", "pay", "price"]);
    assert!(steps[3]["event"].is_string());
    for step in &steps.as_array().unwrap()[..3] {
        let request = step["request"].as_str().unwrap();
        let (agreed, text) = verified(ring, request);
        assert!(agreed, "{text}");
        let result = step["result"].as_str().unwrap();
        let answer = json(&ring.rings(["cat", result]).ok());
        let status = answer["status"].as_str().unwrap();
        assert_eq!(step["state"], json!(format!("succeeded({status})")));
    }
}

/// `rings verify`, once a ring node lists the request.
fn verified(ring: &Ring, request: &str) -> (bool, String) {
    rings_tests::until("a ring node lists the request", rings_tests::LONG, || {
        let view = json(&ring.rings(["request", "show", "--json", request]).ok());
        (view["state"] == "listed").then_some(())
    });
    let report = ring.rings(["verify", "--json", request]).ok();
    let report = json(&report);
    (report["right"] == true, report.to_string())
}
