//! The main job: a program runs on a ring, and its agreed output comes back.

use rings_protocol::{cids, eip712::Domain, gate::Computation};
use rings_tests::{block_on, program, Receipt, Ring};
use serde_json::{json, Value};
use std::{collections::BTreeSet, fs, path::PathBuf};

const TEXT: &str = "the quick brown fox\njumps over\n\nthe lazy dog\n";

/// What `wc` says, counted another way.
pub fn wc(text: &[u8]) -> Vec<u8> {
    let lines = text.iter().filter(|byte| **byte == b'\n').count();
    let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | 11 | 12 | b'\r');
    let words = text.split(space).filter(|word| !word.is_empty()).count();
    format!("{lines:7} {words:7} {:7}\n", text.len()).into_bytes()
}

/// What `sort` says.
pub fn sorted(text: &[u8]) -> Vec<u8> {
    let mut lines: Vec<_> = text
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| line.trim_ascii_end().to_vec())
        .collect();
    lines.sort();
    lines
        .into_iter()
        .flat_map(|line| [line, b"\n".to_vec()].concat())
        .collect()
}

#[test]
fn five_members_agree_and_the_receipt_says_how() {
    let ring = Ring::up(5);
    let input = ring.write("input.txt", TEXT);
    let receipt = ring.file("receipt.json");
    let run = |options: &[&str]| {
        let options = [
            &[
                "--receipt",
                receipt.to_str().unwrap(),
                "--input",
                input.to_str().unwrap(),
            ],
            options,
        ]
        .concat();
        (ring.run(&options, "wc", &[]).ok(), Receipt::read(&receipt))
    };
    let (output, first) = run(&[]);
    assert_eq!(output, wc(TEXT.as_bytes()));
    check_receipt(&ring, &first, &output);
    check_chain(&ring, &first);

    let sent = ring.sent_by_client();
    let (output, again) = run(&[]);
    assert_eq!(output, wc(TEXT.as_bytes()));
    assert_eq!(
        ring.sent_by_client(),
        sent,
        "no transaction for what is known"
    );
    for same in [
        "/gate",
        "/transaction",
        "/signers",
        "/outputs",
        "/block",
        "/gasUsed",
        "/operation",
        "/inputs",
    ] {
        assert_eq!(again.get(same), first.get(same), "{same}");
    }

    let (output, anew) = run(&["--again"]);
    assert_eq!(output, wc(TEXT.as_bytes()));
    assert_ne!(anew.gate(), first.gate());
    assert_ne!(anew.transaction(), first.transaction());
    assert_eq!(
        anew.get("/outputs/0/cid"),
        first.get("/outputs/0/cid"),
        "the same answer"
    );
    for log in ring.logs() {
        assert!(
            log.votes.len() <= 2,
            "{} votes of {}",
            log.votes.len(),
            log.member
        );
    }
}

fn check_receipt(ring: &Ring, receipt: &Receipt, output: &[u8]) {
    let json = ring.json();
    for same in ["/chainId", "/engine", "/scope", "/ring"] {
        assert_eq!(receipt.get(same), json.0.pointer(same).unwrap(), "{same}");
    }
    assert_eq!(
        (receipt.number("/members"), receipt.number("/quorum")),
        (5, 4)
    );
    let signers = receipt.signers();
    assert!(signers.len() >= 4, "{signers:?}");
    assert!(
        signers.windows(2).all(|pair| pair[0].0 < pair[1].0),
        "ascending, so distinct: {signers:?}"
    );
    let members = json.members();
    assert!(
        signers.iter().all(|signer| members.contains(signer)),
        "{signers:?} of {members:?}"
    );
    assert_eq!(receipt.get("/failure"), &Value::Null);

    let (module, input) = (fs::read(program("wc")).unwrap(), TEXT.as_bytes());
    assert_eq!(receipt.text("/operation/program"), file_cid(&module));
    assert_eq!(receipt.get("/inputs"), &json!([file_cid(input)]));
    assert_eq!(receipt.number("/outputs/0/pin"), 0);
    assert_eq!(receipt.text("/outputs/0/cid"), file_cid(output));
    assert_eq!(receipt.number("/outputs/0/bytes"), output.len() as u64);
    let cid = receipt.parsed("/outputs/0/cid");
    // The id of a constant is its digest.
    let token = cids::digest_of(&cid).unwrap();
    assert_eq!(receipt.text("/outputs/0/tokenId"), token.to_string());
    let times = ["store", "create", "compute", "quorum", "register", "total"];
    let times = times.map(|name| receipt.number(&format!("/milliseconds/{name}")));
    assert!(
        times[..5].iter().all(|time| *time <= times[5]),
        "none is longer than all: {times:?}"
    );
}

/// The CID of `ipfs add`.
fn file_cid(bytes: &[u8]) -> String {
    block_on(rings_store::hash(bytes)).unwrap().cid.to_string()
}

/// The chain says the same as the receipt, asked past all our code.
fn check_chain(ring: &Ring, receipt: &Receipt) {
    let mined = ring.eth("eth_getTransactionReceipt", &json!([receipt.transaction()]));
    assert_eq!(mined["status"], "0x1");
    assert_eq!(
        mined["gasUsed"],
        format!("{:#x}", receipt.number("/gasUsed"))
    );
    assert_eq!(
        mined["blockNumber"],
        format!("{:#x}", receipt.number("/block"))
    );
    let to = mined["to"].as_str().unwrap().to_lowercase();
    assert_eq!(to, receipt.text("/ring").to_lowercase());
    let (json, chain) = (ring.json(), ring.chain());
    let (own, gate) = (json.address("/ring"), receipt.gate());
    let registration = block_on(chain.registration(&[own], gate)).unwrap().unwrap();
    let inputs = block_on(chain.inputs_hash(gate)).unwrap().unwrap();
    let signed = Domain::new(chain.id(), own).outputs(
        Computation { gate, inputs },
        registration.epoch,
        &registration.pins,
        &registration.cids,
    );
    assert_eq!(
        registration.signers(&signed.digest()).unwrap(),
        receipt.signers()
    );
    assert_eq!(registration.epoch, receipt.number("/epoch"));
    let state = block_on(chain.gate_state(receipt.gate())).unwrap();
    assert!(state.ready && state.resolved && !state.failed);
    let token = block_on(chain.output_of(receipt.gate(), 0))
        .unwrap()
        .unwrap();
    assert_eq!(token.to_string(), receipt.text("/outputs/0/tokenId"));
}

#[test]
fn a_pipe_of_two_runs() {
    let ring = Ring::up(3);
    let (rings, dir) = (ring.rings::<&str>([]).path(), ring.dir());
    let (sort, wc_program) = (program("sort"), program("wc"));
    let pipe = rings_tests::Call::of("sh")
        .args(["-c"])
        .arg(r#"cat "$1" | "$0" run "$2" -r | "$0" run "$3""#)
        .arg(&rings)
        .arg(ring.write("lines", TEXT))
        .args([&sort, &wc_program])
        .env("RINGS_DIR", &dir);
    let sorted_length = TEXT.len();
    let output = pipe.ok();
    assert_eq!(
        output,
        wc(TEXT.as_bytes()),
        "as many lines, words and bytes ({sorted_length}) as before"
    );
    let output = ring
        .run(&[], "sort", &["-r", "-u"])
        .stdin("b\na\nc\nb\n")
        .ok();
    assert_eq!(output, b"c\nb\na\n");
}

#[test]
fn several_inputs_as_one_and_each_by_itself() {
    let ring = Ring::up(3);
    let texts = ["b\nd\n", "", "a\nc\ne\n"];
    let files: Vec<PathBuf> = (0..)
        .zip(texts)
        .map(|(index, text)| ring.write(&format!("input-{index}"), text))
        .collect();
    let all = texts.concat();
    let receipt = ring.file("receipt.json");
    let run = |options: &[&str], name: &str| {
        let call = ring
            .rings(["run", "--receipt"])
            .arg(&receipt)
            .args(options)
            .inputs(&files);
        (call.arg(program(name)).ok(), Receipt::read(&receipt))
    };

    let (output, merged) = run(&[], "sort");
    assert_eq!(output, sorted(all.as_bytes()));
    assert_eq!(merged.get("/outputs").as_array().unwrap().len(), 1);
    assert_eq!(merged.get("/inputs").as_array().unwrap().len(), 3);

    let (output, each) = run(&["--each"], "wc");
    assert_eq!(
        output,
        texts.map(|text| wc(text.as_bytes())).concat(),
        "in the order of the inputs"
    );
    let outputs = each.get("/outputs").as_array().unwrap();
    let pins: Vec<_> = outputs
        .iter()
        .map(|output| output["pin"].as_u64().unwrap())
        .collect();
    assert_eq!(pins, [0, 1, 2]);
    let cids: BTreeSet<_> = outputs
        .iter()
        .map(|output| output["cid"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(cids.len(), 3);
}

#[test]
fn time_is_what_was_asked_and_chance_is_the_gates() {
    const TIME: &str = "1000000007";
    let ring = Ring::up(4);
    let clock = |options: &[&str]| {
        let text = ring.run(options, "clock", &[]).text();
        let (seconds, random) = text.trim().split_once(' ').unwrap();
        (seconds.to_owned(), random.to_owned())
    };
    let (seconds, random) = clock(&["--time", TIME]);
    assert_eq!((seconds.as_str(), random.len()), (TIME, 16));
    let (same, other) = clock(&["--time", TIME, "--again"]);
    assert_eq!(same, TIME);
    assert_ne!(other, random, "another gate, other random bytes");
}

#[test]
fn numbers_agree_to_the_last_bit() {
    let ring = Ring::up(4);
    let numbers: String = (0..5000)
        .map(|n| format!("{}\n", f64::from(n).sqrt() * 1e-3))
        .collect();
    let (output, _) = ring.result("mean", numbers.as_bytes());
    let text = String::from_utf8(output).unwrap();
    assert!(text.starts_with("count     5000\n"), "{text}");
    let results: BTreeSet<_> = ring
        .logs()
        .iter()
        .flat_map(|log| {
            log.votes
                .values()
                .flatten()
                .map(|vote| vote.outputs.result())
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(results.len(), 1);
}
