//! `rings process dev`, `rings service` and `rings trace` on one machine.

use rings_tests::{repository, Call, Done, Program};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// Longest time to build a program: with an interpreter, on a machine that does other things too.
const BUILD: Duration = Duration::from_secs(1_200);

pub fn example(name: &str) -> PathBuf {
    repository().join("examples/processes").join(name)
}

fn rings(args: &[&str]) -> Call {
    Call::new(Program::Honest).args(args).env("RINGS_DIR", "")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A run of events by hand.
fn dev(process: &Path, records: &Path, events: &str) -> Done {
    let call = rings(&["process", "dev", text(process), "--records", text(records)]);
    call.stdin(events).call().ok()
}

/// The id at the end of the line of a node that succeeded. Events run side by side, so their lines come in any order.
pub fn id_of<'l>(lines: &'l str, node: &str) -> &'l str {
    let start = format!("  {node}  ");
    let mut lines_of = lines.lines().filter(|line| line.starts_with(&start));
    let line = lines_of.find(|line| line.contains("succeeded"));
    let line = line.unwrap_or_else(|| panic!("no {node} in {lines}"));
    line.split_whitespace().last().unwrap()
}

#[test]
fn a_car_has_charged_the_provider_is_paid_and_the_driver_is_told() {
    let home = TempDir::new().unwrap();
    let records = home.path().join("records");
    let car = example("electric-car");
    let events = car.join("events.txt");
    let call = rings(&[
        "process",
        "dev",
        text(&car),
        "--event",
        text(&events),
        "--records",
        text(&records),
    ]);
    let lines = call.text();
    for told in [
        "price  succeeded(priced)  {\"cents\":1800}",
        "Dear Ada, 40 kWh for B-EV 1 cost 1800 cents.",
        "Dear Bob, your short stop was free.",
        "pay  succeeded(refused)",
        "Dear Eve, nothing was paid: more than 50000 cents.",
        "tell_refused  skipped: pay is paid, not refused",
    ] {
        assert!(lines.contains(told), "{told}\n{lines}");
    }
    assert_eq!(lines.matches("  done\n").count(), 3, "{lines}");

    // The same events again, on another day and in another order of results, are the same executions.
    let again = home.path().join("again");
    let call = rings(&[
        "process",
        "dev",
        text(&car),
        "--event",
        text(&events),
        "--records",
        text(&again),
    ]);
    let sorted = |lines: &str| {
        let mut lines: Vec<_> = lines.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&call.text()), sorted(&lines));
    is_traced(&lines, &records);
}

/// From the letter back to the event, through every node between them.
fn is_traced(lines: &str, records: &Path) {
    let letter = id_of(lines, "tell_paid");
    let trace = rings(&["trace", letter, "--records", text(records)])
        .call()
        .ok();
    let shown = trace.text();
    let nodes: Vec<_> = shown
        .lines()
        .map(|line| line.split_whitespace().next().unwrap())
        .collect();
    assert_eq!(nodes, ["tell_paid", "pay", "price", "event"], "{shown}");
    assert!(trace.stderr.contains("every hash fits"), "{}", trace.stderr);
    let json: Value = serde_json::from_str(
        &rings(&["trace", letter, "--json", "--records", text(records)]).text(),
    )
    .unwrap();
    assert_eq!(json[2]["state"], "succeeded(priced)");
    assert!(lines.contains(json[3]["event"].as_str().unwrap()));

    // A result that was changed does not have its hash any more.
    let result = json[2]["result"].as_str().unwrap();
    let path = records.join("documents").join(result);
    let cheaper = fs::read_to_string(&path).unwrap().replace("1800", "18");
    fs::write(&path, cheaper).unwrap();
    let line = rings(&["trace", letter, "--records", text(records)]).refused(1);
    assert!(line.contains("was changed"), "{line}");
}

#[test]
fn those_who_were_met_for_long_enough_are_told_to_take_a_test() {
    let home = TempDir::new().unwrap();
    let tracing = example("contact-tracing");
    let events = fs::read_to_string(tracing.join("events.txt")).unwrap();
    let check = rings(&["service", "check", text(&tracing)]).call().ok();
    assert!(check.stderr.contains("1 case"), "{}", check.stderr);
    let lines = dev(&tracing, home.path(), &events).text();
    for told in [
        "letter[0]  succeeded(written)  {\"text\":\"p1: please take a test; your risk is 30 points.\"}",
        "letter[1]  succeeded(written)  {\"text\":\"p4: please take a test; your risk is 15 points.\"}",
        "risk  skipped: positive is no, not yes",
    ] {
        assert!(lines.contains(told), "{told}\n{lines}");
    }
    assert!(!lines.contains("letter[2]"), "{lines}");
    let letter = lines
        .lines()
        .find(|line| line.contains("letter[1]"))
        .unwrap();
    let letter = letter.split_whitespace().last().unwrap();
    let trace = rings(&["trace", letter, "--records", text(home.path())]).text();
    // It rests on all meetings, and not on one alone.
    assert_eq!(trace.matches("risk[").count(), 4, "{trace}");
}

#[test]
fn a_hundred_files_are_counted_and_the_counts_added_up() {
    let home = TempDir::new().unwrap();
    let mut names = Vec::new();
    for number in 0..100 {
        let path = home.path().join(format!("{number}.txt"));
        fs::write(
            &path,
            format!("one file of many, number {number}\n").repeat(number + 1),
        )
        .unwrap();
        names.push(format!("\"@{}\"", text(&path)));
    }
    let records = home.path().join("records");
    let event = format!("{{\"files\": [{}]}}\n", names.join(","));
    let lines = dev(&example("map-reduce"), &records, &event).text();
    let rounds: u64 = (1..=100).sum();
    let told = format!("{{\"all\":{},\"different\":105,", rounds * 6);
    assert!(
        lines.contains(&told),
        "{told}\n{}",
        lines.lines().last().unwrap()
    );
    assert_eq!(
        lines
            .lines()
            .filter(|line| line.starts_with("  count["))
            .count(),
        100
    );
    let sum = id_of(&lines, "sum").to_owned();
    let trace: Value = serde_json::from_str(
        &rings(&["trace", &sum, "--json", "--records", text(&records)]).text(),
    )
    .unwrap();
    assert_eq!(trace.as_array().unwrap().len(), 1 + 2 * 100);
}

#[test]
fn the_same_event_starts_one_process_unless_it_is_another_one() {
    let home = TempDir::new().unwrap();
    let event = r#"{"car": "x", "driver": "Ada", "kwh": 1, "minutes": 1}"#;
    let events = format!("{event}\n{event}\nagain {event}\n{{\"car\": 1}}\nnonsense\n");
    let done = dev(&example("electric-car"), home.path(), &events);
    assert_eq!(
        done.text().matches("event charged").count(),
        2,
        "{}",
        done.text()
    );
    for told in [
        "was here before",
        "the event starts nothing",
        "not the data of an event",
    ] {
        assert!(done.stderr.contains(told), "{told}: {}", done.stderr);
    }
}

#[test]
fn mistakes_are_told_with_file_and_line() {
    let home = TempDir::new().unwrap();
    let service = text(&example("electric-car")).to_owned();
    let write = |from: &str, to: &str| {
        let process = fs::read_to_string(example("electric-car").join("process.yml")).unwrap();
        let process = process.replace("service.yml", &service);
        let changed = process.replace(from, to);
        assert_ne!(changed, process);
        fs::write(home.path().join("process.yml"), changed).unwrap();
    };
    for (from, to, told) in [
        (
            "pay.order.cents",
            "pay.order.cent",
            "process.yml:27:7: pay.order.cent: with status paid, there is no field cent",
        ),
        (
            "car.price",
            "car.prize",
            "process.yml:7:5: the service car has no task prize",
        ),
        (
            "price.priced",
            "price.prised",
            "process.yml:13:5: price has no status prised; it has free, priced",
        ),
    ] {
        write(from, to);
        let done = rings(&["process", "check", text(home.path())]).call();
        done.ends_with(2);
        assert!(done.stderr.contains(told), "{}", done.stderr);
    }
    let cases = rings(&["service", "check", &service]).call().ok();
    assert!(cases.stderr.contains("3 cases"), "{}", cases.stderr);
    let hash = cases.text();
    let canonical = rings(&["service", "show", "--json", &service]).ok();
    assert_eq!(block_cid(&canonical), hash.trim());
}

fn block_cid(bytes: &[u8]) -> String {
    rings_tests::block_on(rings_store::hash(bytes))
        .unwrap()
        .cid
        .to_string()
}

#[test]
fn a_definition_that_changes_is_for_the_events_after_it() {
    let home = TempDir::new().unwrap();
    let service = text(&example("electric-car")).to_owned();
    let process = fs::read_to_string(example("electric-car").join("process.yml")).unwrap();
    let process = process.replace("service.yml", &service);
    let file = home.path().join("process.yml");
    fs::write(&file, &process).unwrap();
    let mut child = Command::new(Program::Honest.path())
        .args(["process", "dev", text(&file), "--records"])
        .arg(home.path().join("records"))
        .env("RINGS_DIR", "")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut round = |kwh: u64| {
        writeln!(
            input,
            r#"{{"car": "x", "driver": "Ada", "kwh": {kwh}, "minutes": 9}}"#
        )
        .unwrap();
        let told = lines
            .by_ref()
            .map(Result::unwrap)
            .take_while(|line| line != "  done");
        told.collect::<Vec<_>>().join("\n")
    };
    assert!(round(1).contains("cost 45 cents"));
    fs::write(
        &file,
        process.replace("cents_per_kwh: 45", "cents_per_kwh: 1000"),
    )
    .unwrap();
    assert!(round(2).contains("cost 2000 cents"));
    // One that is wrong changes nothing.
    fs::write(
        &file,
        process.replace("cents_per_kwh: 45", "cents_per_kwh: many"),
    )
    .unwrap();
    assert!(round(3).contains("cost 3000 cents"));
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_schedule_is_due_in_the_time_of_blocks() {
    let home = TempDir::new().unwrap();
    let process = format!(
        "process: clock\nservices: {{car: {}}}\non: {{every: 60}}\nnodes:\n  told: {{task: car.tell, inputs: {{driver: x, text: \"at ${{event.time}}\"}}}}\n",
        text(&example("electric-car"))
    );
    fs::write(home.path().join("process.yml"), process).unwrap();
    let lines = dev(
        home.path(),
        &home.path().join("records"),
        "time 600\ntime 650\ntime 725\n",
    )
    .text();
    for time in [600, 660, 720] {
        assert_eq!(lines.matches(&format!("at {time}\"")).count(), 1, "{lines}");
    }
    assert_eq!(lines.matches("event scheduled").count(), 3, "{lines}");
}

#[test]
fn a_service_that_init_has_made_passes_its_own_check() {
    passes_its_own_check("rust");
}

#[test]
fn a_service_in_go_passes_its_own_check() {
    passes_its_own_check("go");
}

#[test]
#[ignore = "compiles an interpreter, which takes minutes"]
fn a_service_in_javascript_passes_its_own_check() {
    passes_its_own_check("javascript");
}

fn passes_its_own_check(language: &str) {
    let home = TempDir::new().unwrap();
    let made = home.path().join("greeter");
    let init = ["service", "init", text(&made), "--language", language];
    rings(&init).call().ok();
    let line = rings(&init).refused(2);
    assert!(line.contains("not empty"), "{line}");
    let before = rings(&["service", "check", text(&made)]).call();
    before.ends_with(2);
    assert!(
        before
            .stderr
            .contains("service.yml:11:14: there is no program"),
        "{}",
        before.stderr
    );
    Call::of(made.join("build")).limit(BUILD).call().ok();
    let checked = rings(&["service", "check", text(&made)]).call().ok();
    assert!(checked.stderr.contains("1 case"), "{}", checked.stderr);
    let lines = dev(
        &made,
        &home.path().join("records"),
        "{\"name\": \"Ada Lovelace\"}\n{\"name\": \"Al\"}\n",
    )
    .text();
    assert!(lines.contains("Hello, Ada Lovelace, once more"), "{lines}");
    assert!(
        lines.contains("again  skipped: long is no, not yes"),
        "{lines}"
    );
}
