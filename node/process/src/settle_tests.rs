//! A process whose tasks gates settle: what is wrong with one, and what follows when a gate has a result, or none in time.

use crate::{
    document::{cid_of, Document},
    event::{Event, Source, VERSION},
    execution::State,
    mistake::Mistakes,
    plan::Plan,
    process::Process,
    process_file::ProcessDraft,
    run::Run,
    service::Service,
    service_file::ServiceDraft,
    wait,
};
use std::sync::Arc;

const SERVICE: &str = "\
service: bank
events: {asked: {data: {cents: integer}}, told: {data: {}}}
tasks:
  quote: {program: p, inputs: {cents: integer}, statuses: {quoted: {fee: integer}}}
  mail: {external: mail, inputs: {}, statuses: {sent: {}}}
";

const PROCESS: &str = "\
process: p
services: {bank: s}
on: bank.asked
nodes:
  own: {task: bank.quote, settle: chain, inputs: {cents: \"${event.cents}\"}}
  other:
    task: bank.quote
    ring: \"0x5FbDB2315678afecb367f032d93F642f64180aa3\"
    within: 60
    inputs: {cents: \"${event.cents}\"}
  cheap: {after: other, map: other.fee, gives: integer}
  dear: {after: other.expired, map: event.cents, gives: integer}
";

fn service() -> Service {
    let draft = ServiceDraft::read("s", SERVICE).unwrap();
    draft.finish(|_| Ok(cid_of(b"program"))).unwrap()
}

fn plan(text: &str) -> Result<Plan, Mistakes> {
    ProcessDraft::read("p", text)?.finish(|_| Ok(service()))
}

#[test]
fn the_definition_survives_its_bytes_and_mistakes_have_a_line() {
    let process = plan(PROCESS).unwrap().process().clone();
    let bytes = process.to_bytes().unwrap();
    assert_eq!(Process::from_bytes(&bytes).unwrap(), process);
    for (from, to, line, told) in [
        (
            "settle: chain",
            "settle: gate",
            5,
            "settle is gate; write chain",
        ),
        ("    within: 60\n", "", 8, "another ring may be down"),
        ("within: 60", "within: 0", 9, "0 seconds; write 1 to"),
        ("0aa3", "0aa", 8, "expected 0x and 40"),
        (
            "settle: chain, ",
            "within: 5, ",
            5,
            "within is for a node that waits, and for a task",
        ),
        (
            "map: other.fee",
            "settle: chain, map: other.fee",
            11,
            "settle and ring are for tasks",
        ),
        (
            "task: bank.quote, settle: chain, inputs: {cents: \"${event.cents}\"}",
            "task: bank.mail, settle: chain",
            5,
            "the task is external, and no gate",
        ),
        (
            "after: other.expired, map: event.cents",
            "after: other.expired, map: other.fee",
            12,
            "has no values, as its gate had no result in time",
        ),
        (
            "other.expired",
            "own.expired",
            12,
            "own has no status expired",
        ),
    ] {
        let text = PROCESS.replace(from, to);
        assert_ne!(text, PROCESS, "{from}");
        let mistakes = plan(&text).unwrap_err().to_string();
        let is_told =
            |found: &str| found.starts_with(&format!("p:{line}:")) && found.contains(told);
        assert!(mistakes.lines().any(is_told), "{told}\n{mistakes}");
    }
}

fn run() -> Run {
    let service = service().cid().unwrap();
    let event = Event {
        data: [("cents".to_owned(), 7.into())].into(),
        event: "asked".into(),
        instance: None,
        process: None,
        service: Some(service),
        source: Source::Hand { nonce: 0 },
        version: VERSION,
    };
    let mut run = Run::new(Arc::new(plan(PROCESS).unwrap()), &event).unwrap();
    let ids: Vec<_> = run.created().map(|(id, _)| id).collect();
    ids.into_iter().for_each(|id| run.started(id).unwrap());
    run
}

/// What comes of the nodes when a node's execution gives this.
fn after(node: &str, bytes: &[u8]) -> (Run, State) {
    let mut run = run();
    let id = run.nodes().find(|(name, ..)| *name == node).unwrap().2[0];
    run.answered(id, bytes).unwrap();
    let state = run.job(&id).unwrap().state.clone();
    (run, state)
}

fn state(run: &Run, node: &str) -> String {
    let (_, state, _) = run.nodes().find(|(name, ..)| *name == node).unwrap();
    state.to_string()
}

#[test]
fn a_gate_gives_one_of_the_statuses_or_has_expired() {
    let answer = br#"{"outputs":{"fee":1},"status":"quoted"}"#;
    let (run, _) = after("other", answer);
    assert_eq!(state(&run, "cheap"), "done");
    assert_eq!(state(&run, "dear"), "skipped: other is quoted, not expired");
    let (run, ended) = after("other", &wait::expired());
    assert_eq!(ended, State::Expired);
    assert_eq!(state(&run, "other"), "expired");
    assert_eq!(state(&run, "dear"), "done");
    assert_eq!(state(&run, "own"), "running", "others go on");
    // A gate without an end does not expire, whatever its program writes.
    let (_, ended) = after("own", &wait::expired());
    assert!(matches!(ended, State::Failed(_)), "{ended}");
}
