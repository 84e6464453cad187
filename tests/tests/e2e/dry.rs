//! `rings run --dry` gives the same output as a ring, without a ring.

use super::{
    programs::{hungry, trapping},
    quick::wc,
};
use rings_tests::{program, Ring};
use serde_json::Value;
use std::{fs, path::Path};

const TEXT: &[u8] = b"three lines\nof text\nfor nobody\n";

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_ring_agrees_with_a_dry_run_on_bytes_cid_and_fuel() {
    let ring = Ring::prepare();
    let path = ring.file("dry.json");
    let options = ["--dry", "--receipt", path.to_str().unwrap()];
    let done = ring.run(&options, "wc", &[]).stdin(TEXT).call().ok();
    assert_eq!(done.stdout, wc(TEXT));
    assert!(!ring.dir().exists(), "no ring was made");
    let dry = read(&path);
    for known in ["/fuel", "/memory", "/outputs/0/cid", "/operation/program"] {
        let text = dry.pointer(known).unwrap().to_string();
        let shown = done.stderr.contains(text.trim_matches('"'));
        assert!(
            shown || !matches!(known, "/fuel" | "/outputs/0/cid"),
            "{}",
            done.stderr
        );
    }
    assert!(dry["memory"].as_u64().unwrap() >= 65_536);

    ring.start(&["--members", "3"]);
    let (output, receipt) = ring.result("wc", TEXT);
    assert_eq!(output, done.stdout);
    assert_eq!(
        receipt.get("/outputs/0/cid"),
        dry.pointer("/outputs/0/cid").unwrap()
    );
    assert_eq!(receipt.get("/operation"), &dry["operation"]);
    assert_eq!(receipt.get("/inputs"), &dry["inputs"]);
    assert_eq!(receipt.get("/fuel"), &dry["fuel"]);

    // The ring's store has the program now.
    let cid = receipt.text("/operation/program").to_owned();
    let call = ring.rings(["run", "--dry", &cid]).stdin(TEXT);
    assert_eq!(call.ok(), wc(TEXT));
    let seen = ring.gate(0, receipt.gate());
    let fuel = seen.votes.iter().map(|vote| vote.fuel);
    assert!(fuel.into_iter().all(|fuel| dry["fuel"] == fuel));
    let shown = ring
        .rings(["gate", "show", &receipt.gate().to_string()])
        .text();
    let engine = dry["profile"].as_str().unwrap();
    assert!(shown.contains(engine), "{shown}");
    let status = ring.rings(["status"]).text();
    assert!(
        status.contains(engine) && !status.contains("DIFFER"),
        "{status}"
    );
}

#[test]
fn a_program_that_fails_shows_what_it_said() {
    let ring = Ring::prepare();
    let path = ring.file("dry.json");
    let call = |wasm: &Path| {
        ring.rings(["run", "--dry", "--memory", "1048576", "--receipt"])
            .arg(&path)
            .arg(wasm)
            .stdin("")
            .call()
    };
    let done = call(&trapping(&ring));
    done.ends_with(3);
    assert!(done.stderr.contains("here it ends"), "{}", done.stderr);
    assert!(
        done.stderr.contains("trap (unreachable)"),
        "{}",
        done.stderr
    );
    assert_eq!(read(&path)["failure"]["trap"], "unreachable");

    let done = call(&hungry(&ring));
    done.ends_with(3);
    assert!(done.stderr.contains("--memory"), "{}", done.stderr);
    let dry = read(&path);
    assert_eq!(dry["failure"]["reason"], "memory");
    assert_eq!(dry["memory"], 1_048_576);

    let done = ring.run(&["--dry", "--fuel", "1000"], "spin", &[]);
    let done = done.stdin("").call();
    done.ends_with(3);
    assert!(done.stderr.contains("--fuel"), "{}", done.stderr);
    assert!(
        done.stderr.contains("1000 of 1000 units"),
        "{}",
        done.stderr
    );
}

#[test]
fn one_run_per_input_in_their_order() {
    let ring = Ring::prepare();
    let texts: Vec<String> = (1..=9).map(|n| "word ".repeat(n * 1000) + "\n").collect();
    let files: Vec<_> = (1..)
        .zip(&texts)
        .map(|(n, text)| ring.write(&format!("{n}.txt"), text))
        .collect();
    let output = ring
        .rings(["run", "--dry", "--each"])
        .inputs(&files)
        .arg(program("wc"))
        .ok();
    let expected: Vec<u8> = texts.iter().flat_map(|text| wc(text.as_bytes())).collect();
    assert_eq!(output, expected);

    // The first that fails is named, and those before it are shown.
    let path = ring.file("dry.json");
    let before = 5;
    let last = ring.rings(["run", "--dry", "--receipt"]).arg(&path);
    last.inputs(&files[before - 1..before])
        .arg(program("wc"))
        .ok();
    let fuel = read(&path)["fuel"].to_string();
    let done = ring
        .rings(["run", "--dry", "--each", "--fuel", &fuel, "--receipt"])
        .arg(&path)
        .inputs(&files)
        .arg(program("wc"))
        .call();
    done.ends_with(3);
    assert_eq!(read(&path)["failure"]["input"], before);
    assert!(done.stderr.contains(&format!("on input {before}")));
    let expected = texts[..before].iter().flat_map(|text| wc(text.as_bytes()));
    assert_eq!(done.stdout, expected.collect::<Vec<u8>>());
}

#[test]
fn a_dash_is_standard_input_or_output() {
    let ring = Ring::prepare();
    let done = ring
        .run(&["--dry", "--input", "-", "--receipt", "-"], "wc", &[])
        .stdin(TEXT)
        .ok();
    let receipt = done.strip_prefix(wc(TEXT).as_slice()).unwrap();
    let receipt: Value = serde_json::from_slice(receipt).unwrap();
    assert_eq!(receipt["dry"], true);
    // The program itself, which then has no input.
    let input = ring.write("input", TEXT);
    let output = ring
        .rings(["run", "--dry", "--input"])
        .arg(&input)
        .arg("-")
        .stdin(fs::read(program("wc")).unwrap())
        .ok();
    assert_eq!(output, wc(TEXT));
}

#[test]
fn time_is_what_is_asked_for() {
    let ring = Ring::prepare();
    let clock = |time: &str| {
        let options = ["--dry", "--time", time];
        String::from_utf8(ring.run(&options, "clock", &[]).stdin("").ok()).unwrap()
    };
    assert!(clock("1234567890").contains("1234567890"));
    assert_eq!(clock("1234567890"), clock("1234567890"), "chance too");
    assert_ne!(clock("1234567890"), clock("1234567891"));
    let cid = "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o";
    let refused: [&[&str]; 2] = [&["--dry", "--again"], &["--dry", "--timeout", "5"]];
    for options in refused {
        ring.run(options, "wc", &[]).stdin("").call().ends_with(2);
    }
    let line = ring.rings(["run", "--dry", cid]).stdin("").refused(2);
    assert!(line.contains(cid) && line.contains("no ring"), "{line}");
}
