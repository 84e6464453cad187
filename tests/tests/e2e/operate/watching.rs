//! What the alert rules and the dashboard say of a ring, from what its members serve as metrics.

use super::super::quick::wc;
use rings_protocol::Address;
use rings_tests::{repository, script, until, Program, Ring, LONG};
use serde_json::{json, Value};
use std::{
    collections::BTreeSet,
    time::{SystemTime, UNIX_EPOCH},
};

/// Somebody who scrapes all members of a ring, as Prometheus does.
struct Watcher<'a> {
    ring: &'a Ring,
    rounds: Vec<Value>,
}

impl<'a> Watcher<'a> {
    fn of(ring: &'a Ring) -> Self {
        let rounds = Vec::new();
        Self { ring, rounds }
    }

    /// One round.
    fn scrape(&mut self) {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let targets: Vec<_> = (0..self.ring.json().count())
            .map(|index| json!({ "instance": instance(index), "text": self.ring.metrics(index) }))
            .collect();
        let round = json!({ "time": time.as_secs_f64(), "targets": targets });
        self.rounds.push(round);
    }

    /// What alerts and panels show after these rounds. Everything that the files name has to be served.
    fn looks(&self) -> Value {
        let input = json!({ "ring": "test", "rounds": self.rounds }).to_string();
        let call = script("tests/operate", "watch.mjs").arg(repository().join("docs/operate"));
        let shown: Value = serde_json::from_slice(&call.stdin(input).ok()).unwrap();
        assert_eq!(shown["wrong"], json!([]));
        shown
    }
}

fn instance(index: usize) -> String {
    format!("member-{index}")
}

/// The value of a series of a member's metrics.
fn value(ring: &Ring, index: usize, series: &str) -> f64 {
    let text = ring.metrics(index).expect("the member answers");
    let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
    let found = lines.find(|(name, _)| *name == series);
    found
        .unwrap_or_else(|| panic!("no {series} in {text}"))
        .1
        .parse()
        .unwrap()
}

fn of_member(name: &str, member: Address) -> String {
    format!("rings_member_{name}{{member=\"{member}\"}}")
}

/// What the series of an alert that fires are about.
fn firing(shown: &Value, alert: &str, label: &str) -> BTreeSet<String> {
    let series = shown["alerts"][alert].as_array();
    let series = series.unwrap_or_else(|| panic!("there is no alert {alert}"));
    let labels = series.iter().map(|one| one["labels"][label].as_str());
    labels
        .map(|text| text.expect("the label").to_owned())
        .collect()
}

/// The alerts that fire.
fn all_firing(shown: &Value) -> BTreeSet<String> {
    let alerts = shown["alerts"].as_object().unwrap().iter();
    let firing =
        alerts.filter(|(_, series)| series.as_array().is_some_and(|series| !series.is_empty()));
    firing.map(|(name, _)| name.clone()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

/// Waits until member 0 sees all members but one connected, and those that run have voted since.
fn wait_votes(ring: &Ring, since: &[f64], members: &[usize]) {
    for index in members {
        let series = of_member("log_nodes", ring.json().member(*index));
        until("the member has voted", LONG, || {
            (value(ring, 0, &series) > since[*index]).then_some(())
        });
    }
}

/// Asks for results until each member has voted for one. A member that is late does not vote for what is resolved already.
fn all_have_voted(ring: &Ring) {
    let mut count = 0;
    until("each member has voted for some result", LONG, || {
        let text = format!("{count}\n");
        count += 1;
        let (output, _) = ring.result("wc", text.as_bytes());
        assert_eq!(output, wc(text.as_bytes()));
        log_nodes(ring)
            .iter()
            .all(|nodes| *nodes > 0.0)
            .then_some(())
    });
}

fn log_nodes(ring: &Ring) -> Vec<f64> {
    let members = ring.json().members().into_iter();
    members
        .map(|member| value(ring, 0, &of_member("log_nodes", member)))
        .collect()
}

#[test]
fn the_dashboard_says_which_member_is_silent() {
    let ring = Ring::up(5);
    (0..5).for_each(|index| ring.wait_connected(index, 4));
    all_have_voted(&ring);
    let mut watcher = Watcher::of(&ring);
    watcher.scrape();
    watcher.scrape();
    let quiet = watcher.looks();
    assert_eq!(all_firing(&quiet), set(&[]), "{}", quiet["alerts"]);

    let (silent, before) = (ring.json().member(4), log_nodes(&ring));
    ring.kill(&[4]);
    let (output, _) = ring.result("wc", b"and again\n");
    assert_eq!(output, wc(b"and again\n"));
    wait_votes(&ring, &before, &[0, 1, 2, 3]);
    for index in 0..4 {
        let series = of_member("connected", silent);
        until("the others see that it is gone", LONG, || {
            (value(&ring, index, &series) == 0.0).then_some(())
        });
    }
    watcher.scrape();
    let shown = watcher.looks();
    assert_eq!(
        firing(&shown, "RingsMemberDown", "instance"),
        set(&["member-4"])
    );
    let silent = silent.to_string();
    for alert in ["RingsMemberUnreachable", "RingsMemberSilent"] {
        assert_eq!(firing(&shown, alert, "member"), set(&[&silent]), "{alert}");
    }
    assert_eq!(firing(&shown, "RingsNoQuorum", "ring"), set(&[]));
    assert_eq!(red(&shown, "Which member is connected"), set(&[&silent]));

    ring.kill(&[3]);
    until("a member sees that another is gone", LONG, || {
        ((0..3).all(|index| value(&ring, index, "rings_peers") == 2.0)).then_some(())
    });
    watcher.scrape();
    let shown = watcher.looks();
    assert_eq!(firing(&shown, "RingsNoQuorum", "ring"), set(&["test"]));
}

/// The members whose value in a panel is 0.
fn red(shown: &Value, panel: &str) -> BTreeSet<String> {
    let series = shown["panels"][panel][0]
        .as_array()
        .expect("the panel shows series");
    let red = series.iter().filter(|one| one["value"] == json!(0));
    let members = red.map(|one| one["labels"]["member"].as_str().unwrap().to_owned());
    members.collect()
}

#[test]
fn an_alert_names_the_member_that_votes_falsely() {
    let ring = Ring::up(4);
    let (liar, mut watcher) = (ring.json().member(3), Watcher::of(&ring));
    watcher.scrape();
    ring.terminate(&[3]);
    ring.start_member(3, Program::Faulty);
    let diverged = of_member("diverged_gates", liar);
    let mut asked = 0;
    // A member that is slow does not vote on a gate that has its result already, so one gate may not show it.
    until("a false vote has come", LONG, || {
        asked += 1;
        let text = format!("text {asked}\n");
        let (output, receipt) = ring.result("wc", text.as_bytes());
        assert_eq!(output, wc(text.as_bytes()));
        assert!(!receipt.signers().contains(&liar));
        (value(&ring, 0, &diverged) >= 1.0).then_some(())
    });
    watcher.scrape();
    let shown = watcher.looks();
    assert_eq!(
        firing(&shown, "RingsDiverged", "member"),
        set(&[&liar.to_string()])
    );
    assert!(value(&ring, 0, "rings_divergences_total") >= 1.0);
}
