//! What a result costs: one transaction, whatever the confirmations, and however blocks come.

use super::super::quick::wc;
use rings_tests::{perturb::Stage, until, LONG};
use std::time::Duration;

/// Results in each ring.
const RESULTS: usize = 3;
/// Blocks in which another member would have paid too.
const TURNS: u64 = 6;
/// Far less than the time that so many confirmations take.
const SOON: Duration = Duration::from_secs(20);

fn one_transaction_each(anvil: &[&str], confirmations: &str) {
    let stage = Stage::with(5, false, anvil, &["--confirmations", confirmations]);
    let began = registered(&stage, confirmations);
    // Whoever would pay a second time does it within some turns.
    let turns = stage.eth().block_number() + TURNS;
    until("blocks have passed", LONG, || {
        if anvil.is_empty() {
            stage.eth().mine(1);
            std::thread::sleep(Duration::from_millis(500));
        }
        (stage.eth().block_number() >= turns).then_some(())
    });
    check_transactions(&stage, began, confirmations);
}

/// Computes results, and gives the block before them.
fn registered(stage: &Stage, confirmations: &str) -> u64 {
    let began = stage.eth().block_number();
    for number in 0..RESULTS {
        let input = format!("{confirmations} confirmations, {number}\n").into_bytes();
        let done = stage
            .ring
            .run(&[], "wc", &[])
            .stdin(input.clone())
            .call()
            .ok();
        assert_eq!(done.stdout, wc(&input));
        assert!(done.took < SOON, "members act on the head: {:?}", done.took);
    }
    began
}

fn check_transactions(stage: &Stage, began: u64, confirmations: &str) {
    let (good, reverted) = stage.registrations(began);
    println!("{confirmations} confirmations: {good} registered, {reverted} reverted");
    assert_eq!((good, reverted), (RESULTS, 0));
    stage.check_nobody_named();
}

/// On geth that makes a block each second.
fn one_transaction_each_on_geth(web_socket: bool, confirmations: &str) {
    let up = ["--confirmations", confirmations];
    let stage = Stage::on_geth(5, web_socket, &["--dev.period", "1"], &up);
    let began = registered(&stage, confirmations);
    let turns = stage.eth().block_number() + TURNS;
    until("blocks have passed", LONG, || {
        (stage.eth().block_number() >= turns).then_some(())
    });
    check_transactions(&stage, began, confirmations);
}

#[test]
fn one_transaction_for_each_result_without_confirmations() {
    one_transaction_each(&[], "0");
}

#[test]
fn one_transaction_for_each_result_with_twelve() {
    one_transaction_each(&["--block-time", "0.5"], "12");
}

#[test]
fn one_transaction_for_each_result_with_sixty_four() {
    one_transaction_each(&[], "64");
}

#[test]
#[ignore = "geth takes minutes to build: ./anvil-scripts/test --long builds it"]
fn one_transaction_for_each_result_on_geth() {
    for (web_socket, confirmations) in [(false, "0"), (true, "12"), (false, "64")] {
        one_transaction_each_on_geth(web_socket, confirmations);
    }
}

#[test]
#[ignore = "geth takes minutes to build: ./anvil-scripts/test --long builds it"]
fn a_default_development_geth_is_enough() {
    // Blocks of 11.5 M gas, one for each transaction.
    let stage = Stage::on_geth(5, true, &[], &[]);
    let began = registered(&stage, "default");
    check_transactions(&stage, began, "default");
    let (output, receipt) = stage.result("wc", b"geth\n");
    assert_eq!(output, wc(b"geth\n"));
    stage.verify(receipt.gate());
}
