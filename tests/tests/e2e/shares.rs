//! What two accounts ask for does not keep the work of a third waiting.

use super::quick::wc;
use rings_protocol::Address;
use rings_tests::{
    children,
    perturb::{Account, Job, Stage},
    until, Program, LONG,
};
use std::{
    fs,
    time::{Duration, Instant},
};

/// Slow programs of each of the two: more than a member prepares of one account at a time.
const OF_EACH: u8 = 4;
/// Most that the third waits: two turns at a compiler of five seconds each, and its own work, on a busy machine.
const SOON: Duration = Duration::from_secs(30);
/// Values that are alive all the time in a function of a slow program.
const VALUES: usize = 999;
/// Functions of a slow program: as many as the profile lets in.
const FUNCTIONS: usize = 9;

/// A program that takes a compiler half a minute and is within the profile. Each `number` is another program.
fn slow_to_compile(number: u8) -> Vec<u8> {
    let each = |text: &dyn Fn(usize) -> String| (0..VALUES).map(text).collect::<String>();
    let load = each(&|at| format!("(local.set {at} (i64.load (i32.const {})))", 8 * at));
    let product = each(&|at| {
        let next = (7 * at + 1 + usize::from(number)) % VALUES;
        format!("(local.set {at} (i64.xor (i64.mul (local.get {at}) (local.get {next})) (local.get {next})))")
    });
    let store = each(&|at| format!("(i64.store (i32.const {}) (local.get {at}))", 8 * at));
    let function = format!(
        "(func (local {}) {load} {} {store})",
        "i64 ".repeat(VALUES),
        product.repeat(8)
    );
    let text = format!(
        r#"(module (memory (export "memory") 1) (func (export "_start")) {})"#,
        function.repeat(FUNCTIONS)
    );
    wat::parse_str(text).unwrap()
}

/// A ring of one member, which also computes what these accounts ask for.
fn ring_for(accounts: &[Account]) -> Stage {
    let stage = Stage::http(1);
    accounts
        .iter()
        .for_each(|account| account.fund(&stage.eth()));
    let path = stage.ring.member_dir(0).join("config.toml");
    let text = fs::read_to_string(&path).unwrap();
    let more: String = accounts
        .iter()
        .map(|account| format!("\"{}\", ", account.address()))
        .collect();
    assert!(text.contains("\nrequesters = ["), "{text}");
    let text = text.replace("\nrequesters = [", &format!("\nrequesters = [{more}"));
    stage.ring.terminate(&[0]);
    fs::write(&path, text).unwrap();
    stage.ring.start_member(0, Program::Honest);
    stage
}

/// Gates that `account` asks for, one for each program.
fn ask(stage: &Stage, account: &Account, jobs: &[Job]) -> Vec<Address> {
    let gate = |job| stage.contracts().create_gate(account, &stage.spec(job));
    jobs.iter().map(gate).collect()
}

#[test]
fn a_quick_program_does_not_wait_for_slow_ones_of_two_other_accounts() {
    let accounts = [7, 8].map(|byte| Account::from_bytes(&[byte; 32]));
    let stage = ring_for(&accounts);
    let quick = stage.job("wc", None, b"some words\n");
    let slow_job = |number: u8| {
        let name = format!("slow-{number}.wasm");
        let program = stage.ring.write(&name, slow_to_compile(number));
        stage.job_of(&program, b"")
    };
    let slow: Vec<Job> = (0..2 * OF_EACH).map(slow_job).collect();
    let member = stage.ring.pid(0);
    let before = children(member).len();
    let (first, second) = slow.split_at(usize::from(OF_EACH));
    let slow = [
        ask(&stage, &accounts[0], first),
        ask(&stage, &accounts[1], second),
    ]
    .concat();
    until("the member compiles", LONG, || {
        (children(member).len() > before).then_some(())
    });
    let began = Instant::now();
    let gate = stage.gate(&quick);
    stage.wait_ended(&[gate], LONG);
    let took = began.elapsed();
    assert_eq!(stage.output(gate), wc(b"some words\n"));
    let contracts = stage.contracts();
    let done = slow.iter().filter(|gate| contracts.has_ended(**gate));
    println!(
        "{took:.1?}; {} of {} slow ones are done",
        done.count(),
        slow.len()
    );
    assert!(took < SOON, "{took:?}");
}
