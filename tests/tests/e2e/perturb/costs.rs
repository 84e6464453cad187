//! What a result costs: one transaction, whatever the confirmations, and however blocks come.

use super::super::quick::wc;
use rings_tests::perturb::Stage;
use std::time::Duration;

/// Results in each ring.
const RESULTS: usize = 3;
/// Far less than the time that so many confirmations take.
const SOON: Duration = Duration::from_secs(20);

fn one_transaction_each(anvil: &[&str], confirmations: &str) {
    let stage = Stage::with(5, false, anvil, &["--confirmations", confirmations]);
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
    // Whoever would pay a second time does it within some turns.
    let turns = stage.eth().block_number() + 6;
    rings_tests::until("blocks have passed", rings_tests::LONG, || {
        if anvil.is_empty() {
            stage.eth().mine(1);
            std::thread::sleep(Duration::from_millis(500));
        }
        (stage.eth().block_number() >= turns).then_some(())
    });
    let (good, reverted) = stage.registrations(began);
    println!("{confirmations} confirmations, {anvil:?}: {good} registered, {reverted} reverted");
    assert_eq!((good, reverted), (RESULTS, 0));
    stage.check_nobody_named();
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
