//! Programs of others on a ring: what five members agree on is what the same program prints natively.

use super::files::numbers;
use rings_tests::{foreign, Receipt, Ring};
use std::time::Duration;

/// Compiling for all five members is most of it, on a machine that may be busy.
const LIMIT: Duration = Duration::from_secs(300);
const TIMEOUT: &str = "280";
/// Two thirds of five.
const QUORUM: usize = 4;

const SQL: &str = include_str!("../../../examples/foreign/members.sql");

struct Case {
    program: &'static str,
    args: &'static [&'static str],
    input: Vec<u8>,
}

fn cases() -> Vec<Case> {
    let case = |program, args, input: &[u8]| Case {
        program,
        args,
        input: input.to_vec(),
    };
    let text = [
        &numbers(100_000)[..],
        "na\u{ef}ve \u{440}\u{438}\u{43d}\u{433} don't\n".as_bytes(),
    ]
    .concat();
    vec![
        case("choose", &["-f", "[3-6]+", "0:2"], &text),
        case("hexyl", &["--color=never"], &text[..10_000]),
        case("words", &[], &text),
        case("query", &[], SQL.as_bytes()),
        case("deflate", &[], &text),
    ]
}

/// Runs it on the ring, and gives its output and how long all of that took.
fn run(ring: &Ring, case: &Case, options: &[&str]) -> (Vec<u8>, Duration) {
    let path = ring.file("receipt.json");
    let call = ring.rings(["run", "--timeout", TIMEOUT, "--receipt"]);
    let call = call.arg(&path).args(options);
    let call = call.arg(foreign(case.program).wasm).args(case.args);
    let done = call.stdin(case.input.clone()).limit(LIMIT).call().ok();
    let signers = Receipt::read(&path).signers().len();
    assert!(signers >= QUORUM, "{}: {signers} signers", case.program);
    (done.stdout, done.took)
}

#[test]
fn programs_of_others_give_on_a_ring_what_they_give_natively() {
    let ring = Ring::up(5);
    for case in cases() {
        let program = foreign(case.program);
        let native = program.natively(case.args, &case.input);
        assert!(!native.is_empty(), "{}", case.program);
        let (output, cold) = run(&ring, &case, &[]);
        assert!(output == native, "{}: other bytes", case.program);
        let (output, warm) = run(&ring, &case, &["--again"]);
        assert!(output == native, "{}: other bytes, again", case.program);
        let kilobytes = program.wasm.metadata().unwrap().len() / 1000;
        println!(
            "{}: {kilobytes} KB, cold {cold:.1?}, warm {warm:.1?}, {} bytes as natively",
            case.program,
            native.len()
        );
    }
}
