//! Endpoints that misbehave, and the submitter.

use crate::{
    fake::{Fake, Pool},
    support::{purpose, rich_key, PATIENCE},
};
use rings_chain::{Call, Chain, ChainError, Class, Submitted, Submitter, SubmitterConfig};
use rings_protocol::Address;
use serde_json::json;
use std::{path::Path, time::Duration};
use tokio::{task::JoinHandle, time::timeout};

/// Times that let a test see what otherwise takes minutes.
fn hasty() -> SubmitterConfig {
    SubmitterConfig {
        rebroadcast: Duration::from_millis(50),
        stuck: Duration::from_millis(100),
        lost: Duration::from_millis(100),
        ..SubmitterConfig::default()
    }
}

async fn submitter(fake: &Fake, path: &Path) -> Submitter {
    let chain = Chain::connect(&fake.ws()).await.unwrap();
    Submitter::open_with(path, chain, rich_key(), hasty())
        .await
        .unwrap()
}

fn call() -> Call {
    Call {
        gas: Some(21_000),
        ..Call::transfer(Address([5; 20]), 1)
    }
}

fn spawn(submitter: &Submitter, name: &str) -> JoinHandle<Result<Submitted, ChainError>> {
    let (submitter, purpose) = (submitter.clone(), purpose(name));
    tokio::spawn(async move { submitter.submit(purpose, call()).await })
}

async fn mined(submitted: JoinHandle<Result<Submitted, ChainError>>) {
    let submitted = timeout(PATIENCE, submitted).await.unwrap().unwrap();
    assert!(
        matches!(submitted, Ok(Submitted::Mined { .. })),
        "{submitted:?}"
    );
}

/// Waits until the chain's state is so.
async fn until(fake: &Fake, done: impl Fn(&mut crate::fake::State) -> bool) {
    let waiting = async {
        while !done(&mut fake.state()) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, waiting).await.unwrap();
}

/// A chain that has mined `a`, and the submitter that sent it, with the directory of its journal.
async fn one_mined() -> (tempfile::TempDir, Fake, Submitter) {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start(3).await;
    let submitter = submitter(&fake, &directory.path().join("journal")).await;
    mined(spawn(&submitter, "a")).await;
    (directory, fake, submitter)
}

#[tokio::test]
async fn what_was_written_but_not_sent_is_sent_at_the_next_opening() {
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join("journal");
    let fake = Fake::start(3).await;
    fake.state().pool = Pool::Refuses("not now".into());
    let first = submitter(&fake, &journal).await;
    let unsent = spawn(&first, "a");
    until(&fake, |state| !state.sent.is_empty()).await;
    first.shutdown().await;
    assert!(matches!(unsent.await.unwrap(), Err(ChainError::Closed)));
    assert!(matches!(
        first.submit(purpose("b"), call()).await,
        Err(ChainError::Closed)
    ));

    fake.state().pool = Pool::Mines;
    let second = submitter(&fake, &journal).await;
    mined(spawn(&second, "a")).await;
    mined(spawn(&second, "b")).await;
    assert_eq!(fake.state().nonce, 2);
    assert_eq!(fake.state().mined.len(), 2);
    second.shutdown().await;

    // And the outcome is known for good.
    let third = submitter(&fake, &journal).await;
    mined(spawn(&third, "a")).await;
    assert_eq!(fake.state().nonce, 2);
}

#[tokio::test]
async fn a_transaction_that_a_pool_lost_is_sent_again() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start(3).await;
    fake.state().pool = Pool::Loses;
    let submitter = submitter(&fake, &directory.path().join("journal")).await;
    let lost = spawn(&submitter, "a");
    until(&fake, |state| state.sent.len() >= 2).await;
    fake.state().pool = Pool::Mines;
    mined(lost).await;
    assert_eq!(fake.state().nonce, 1);
}

#[tokio::test]
async fn a_transaction_that_a_pool_misplaced_is_replaced_without_waiting_for_blocks() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start(3).await;
    fake.state().pool = Pool::Misplaces;
    let submitter = submitter(&fake, &directory.path().join("journal")).await;
    mined(spawn(&submitter, "a")).await;
    let sent = fake.state().sent.clone();
    let (_, first) = sent[0];
    let (_, last) = sent[sent.len() - 1];
    assert!(8 * last >= 9 * first && last < 2 * first, "{sent:?}");
}

#[tokio::test]
async fn a_stuck_transaction_is_replaced_with_an_eighth_more() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start(3).await;
    fake.state().pool = Pool::Keeps;
    let submitter = submitter(&fake, &directory.path().join("journal")).await;
    let stuck = spawn(&submitter, "a");
    let raised = |state: &mut crate::fake::State| {
        // Blocks pass, none of which takes it.
        state.push(0);
        let first = state.sent.first().map_or(0, |(_, fee)| *fee);
        state.sent.iter().any(|(_, fee)| *fee > first)
    };
    until(&fake, raised).await;
    let fees: Vec<_> = fake.state().sent.iter().map(|(_, fee)| *fee).collect();
    let (first, raised) = (fees[0], fees[fees.len() - 1]);
    assert!(8 * raised >= 9 * first, "{fees:?}");
    fake.state().mine();
    mined(stuck).await;
}

#[tokio::test]
async fn fees_rise_until_the_pool_takes_them_and_never_above_the_cap() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start(3).await;
    fake.state().pool = Pool::Wants(4_500_000_000);
    let submitter = submitter(&fake, &directory.path().join("journal")).await;
    mined(spawn(&submitter, "a")).await;
    fake.state().pool = Pool::Wants(u128::MAX);
    let dear = spawn(&submitter, "b");
    let cap = hasty().fee_cap;
    until(&fake, |state| {
        state.sent.iter().any(|(_, fee)| *fee > cap / 2)
    })
    .await;
    fake.state().pool = Pool::Mines;
    mined(dear).await;
    assert!(fake.state().sent.iter().all(|(_, fee)| *fee <= cap));
}

#[tokio::test]
async fn a_chain_without_base_fee_gets_legacy_transactions() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start(3).await;
    {
        let mut state = fake.state();
        state.base_fee = None;
        state.push(0);
    }
    let submitter = submitter(&fake, &directory.path().join("journal")).await;
    mined(spawn(&submitter, "a")).await;
    assert_eq!(fake.state().sent, [(0, 1_000_000_000)]);
}

#[tokio::test]
async fn who_cannot_pay_is_told_and_the_nonce_is_free_again() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start(3).await;
    fake.state().pool = Pool::Refuses("insufficient funds for gas * price + value".into());
    let submitter = submitter(&fake, &directory.path().join("journal")).await;
    let poor = submitter.submit(purpose("a"), call()).await.unwrap_err();
    assert!(
        matches!(poor, ChainError::InsufficientFunds { .. }),
        "{poor}"
    );
    assert_eq!(poor.class(), Class::Invalid);
    fake.state().pool = Pool::Mines;
    mined(spawn(&submitter, "a")).await;
    assert_eq!(fake.state().nonce, 1);
}

#[tokio::test]
async fn a_nonce_in_the_middle_that_no_pool_takes_is_filled() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start(3).await;
    fake.state().pool = Pool::Keeps;
    let submitter = submitter(&fake, &directory.path().join("journal")).await;
    let names = ["a", "b", "c"];
    let mut waiting = Vec::new();
    for (sent, name) in names.iter().enumerate() {
        // The second one is of a kind that this pool never takes.
        fake.state().pool = match sent {
            1 => Pool::Refuses("not now".into()),
            _ => Pool::Keeps,
        };
        waiting.push(spawn(&submitter, name));
        until(&fake, |state| {
            state.sent.iter().any(|(nonce, _)| *nonce == sent as u64)
        })
        .await;
    }
    fake.state().pool = Pool::Refuses("oversized data".into());
    let refused = waiting.remove(1).await.unwrap();
    assert!(
        matches!(refused, Err(ChainError::Transaction { .. })),
        "{refused:?}"
    );
    fake.state().pool = Pool::Keeps;
    until(&fake, |state| state.waiting.contains_key(&1)).await;
    fake.state().mine();
    for waiting in waiting {
        mined(waiting).await;
    }
    assert_eq!(fake.state().nonce, 3);
}

#[tokio::test]
async fn a_nonce_that_somebody_else_used_costs_only_another_one() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start(3).await;
    let submitter = submitter(&fake, &directory.path().join("journal")).await;
    // The account's key is in use elsewhere.
    fake.state().nonce = 1;
    mined(spawn(&submitter, "a")).await;
    assert_eq!(fake.state().nonce, 2);
    mined(spawn(&submitter, "b")).await;
    assert_eq!(fake.state().nonce, 3);
}

#[tokio::test]
async fn an_outage_is_waited_for() {
    let (_directory, fake, submitter) = one_mined().await;
    let waiting = spawn(&submitter, "b");
    let fake = fake.restart(|_| {}).await;
    mined(waiting).await;
    mined(spawn(&submitter, "c")).await;
    assert_eq!(fake.state().nonce, 3);
}

#[tokio::test]
async fn a_transaction_that_was_reorganised_away_is_sent_again() {
    let (_directory, fake, submitter) = one_mined().await;
    let first = fake.state().sent.len();
    {
        let mut state = fake.state();
        state.nonce = 0;
        state.reorganise(1, 2, 9);
    }
    until(&fake, |state| state.sent.len() > first && state.nonce == 1).await;
    mined(spawn(&submitter, "a")).await;
    assert_eq!(fake.state().nonce, 1);
}

#[tokio::test]
async fn a_reorganisation_that_could_not_be_asked_for_is_asked_for_again() {
    let (_directory, fake, _submitter) = one_mined().await;
    let first = fake.state().sent.len();
    {
        let mut state = fake.state();
        state.nonce = 0;
        state.hidden = 10;
        state.reorganise(1, 2, 9);
    }
    until(&fake, |state| state.sent.len() > first && state.nonce == 1).await;
    assert_eq!(fake.state().hidden, 0);
}

#[tokio::test]
async fn a_block_that_is_replaced_before_its_head_was_seen_is_missed_by_nobody() {
    for url in [Fake::http, Fake::ws] {
        let directory = tempfile::tempdir().unwrap();
        let fake = Fake::start(3).await;
        let chain = Chain::connect(&url(&fake)).await.unwrap();
        let journal = directory.path().join("journal");
        let submitter = Submitter::open_with(journal, chain, rich_key(), hasty())
            .await
            .unwrap();
        // The receipt is there before the head of its block, and another block takes its place.
        fake.state().is_silent = true;
        mined(spawn(&submitter, "a")).await;
        let first = fake.state().sent.len();
        {
            let mut state = fake.state();
            state.nonce = 0;
            state.reorganise(1, 0, 9);
            state.is_silent = false;
            state.push(9);
        }
        until(&fake, |state| state.sent.len() > first && state.nonce == 1).await;
    }
}

#[tokio::test]
async fn a_transaction_that_nobody_saw_go_does_not_hold_up_the_next() {
    let (_directory, fake, submitter) = one_mined().await;
    {
        // It goes without any block that shows it.
        let mut state = fake.state();
        state.nonce = 0;
        state.mined.clear();
    }
    mined(spawn(&submitter, "b")).await;
    assert_eq!(fake.state().nonce, 2);
    let nonces: Vec<_> = fake.state().sent.iter().map(|(nonce, _)| *nonce).collect();
    assert!(nonces.iter().all(|nonce| *nonce < 2), "{nonces:?}");
}

#[tokio::test]
async fn the_same_purpose_after_a_reorganisation_is_the_same_transaction() {
    let (_directory, fake, submitter) = one_mined().await;
    {
        // It goes without any block that shows it, and is not mined again at once.
        let mut state = fake.state();
        state.nonce = 0;
        state.mined.clear();
        state.pool = Pool::Keeps;
    }
    let again = spawn(&submitter, "a");
    until(&fake, |state| !state.waiting.is_empty()).await;
    assert!(!again.is_finished());
    fake.state().mine();
    mined(again).await;
    let nonces: Vec<_> = fake.state().sent.iter().map(|(nonce, _)| *nonce).collect();
    assert!(nonces.iter().all(|nonce| *nonce == 0), "{nonces:?}");
    assert_eq!(fake.state().nonce, 1);
}

#[tokio::test]
async fn a_count_of_a_branch_that_is_gone_takes_no_nonce() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start(3).await;
    let chain = Chain::connect(&fake.ws()).await.unwrap();
    let config = SubmitterConfig {
        lost: Duration::from_secs(1),
        ..hasty()
    };
    let path = directory.path().join("journal");
    let submitter = Submitter::open_with(path, chain, rich_key(), config)
        .await
        .unwrap();
    let counts = |state: &crate::fake::State| state.calls["eth_getTransactionCount"];
    let opened = counts(&fake.state());
    // On the branch of the moment the nonce is used, by a transaction that the submitter does not find.
    fake.state().nonce = 1;
    let waiting = spawn(&submitter, "a");
    until(&fake, |state| counts(state) > opened).await;
    {
        let mut state = fake.state();
        state.nonce = 0;
        state.pool = Pool::Keeps;
    }
    let sent = fake.state().sent.len();
    until(&fake, |state| state.sent.len() >= sent + 8).await;
    let nonces: Vec<_> = fake.state().sent.iter().map(|(nonce, _)| *nonce).collect();
    assert!(nonces.iter().all(|nonce| *nonce == 0), "{nonces:?}");
    fake.state().mine();
    mined(waiting).await;
    assert_eq!(fake.state().nonce, 1);
}

#[tokio::test]
async fn the_same_purpose_is_one_transaction() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start(3).await;
    fake.state().pool = Pool::Keeps;
    let submitter = submitter(&fake, &directory.path().join("journal")).await;
    let many: Vec<_> = (0..20).map(|_| spawn(&submitter, "a")).collect();
    until(&fake, |state| !state.sent.is_empty()).await;
    fake.state().pool = Pool::Mines;
    fake.state().mine();
    for one in many {
        mined(one).await;
    }
    assert_eq!(fake.state().nonce, 1);
}

#[tokio::test]
async fn a_chain_that_is_too_expensive_is_refused_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start(3).await;
    let submitter = submitter(&fake, &directory.path().join("journal")).await;
    {
        let mut state = fake.state();
        state.base_fee = Some(5_000_000_000_000);
        state.push(0);
    }
    until(&fake, |state| state.height() == 4).await;
    let mut tries = 0;
    let refused = loop {
        tries += 1;
        match submitter.submit(purpose(&format!("{tries}")), call()).await {
            Err(error) => break error,
            // The new head has not been seen yet.
            Ok(_) => assert!(tries < 1000),
        }
    };
    let expected = "the chain asks for 5000 gwei for each unit of gas, and at most 500 are offered";
    assert!(refused.to_string().starts_with(expected), "{refused}");
    assert_eq!(refused.class(), Class::Invalid);
    {
        let mut state = fake.state();
        state.base_fee = Some(1_000_000_000);
        state.push(0);
    }
    let since = std::time::Instant::now();
    while submitter.submit(purpose("b"), call()).await.is_err() {
        assert!(since.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_tip_that_an_endpoint_does_not_know_is_estimated() {
    for tip in [
        None,
        Some(json!(null)),
        Some(json!("soon")),
        Some(json!("0x77359400")),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let fake = Fake::start(3).await;
        {
            let mut state = fake.state();
            state.tip = tip.clone();
            state.base_fee = Some(400_000_000);
            state.push(0);
        }
        let submitter = submitter(&fake, &directory.path().join("journal")).await;
        mined(spawn(&submitter, "a")).await;
        // Twice the base fee and the tip: the suggested one, or what the gas price of 1 gwei adds to the base fee.
        let tip = if tip == Some(json!("0x77359400")) {
            2_000_000_000
        } else {
            600_000_000
        };
        assert_eq!(fake.state().sent, [(0, 800_000_000 + tip)]);
    }
}

#[tokio::test]
async fn no_gas_limit_exceeds_the_blocks() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start(3).await;
    {
        let mut state = fake.state();
        state.gas_limit = 20_000;
        state.push(0);
    }
    let submitter = submitter(&fake, &directory.path().join("journal")).await;
    let generous = Call {
        gas: Some(1_000_000),
        ..call()
    };
    let submitted = submitter.submit(purpose("a"), generous).await;
    assert!(
        matches!(submitted, Ok(Submitted::Mined { .. })),
        "{submitted:?}"
    );
    assert_eq!(fake.state().gas, [20_000]);
}

#[tokio::test]
async fn an_outcome_of_an_earlier_run_is_looked_up_before_it_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join("journal");
    let fake = Fake::start(3).await;
    let first = submitter(&fake, &journal).await;
    mined(spawn(&first, "a")).await;
    first.shutdown().await;
    // Meanwhile its block is reorganised away.
    {
        let mut state = fake.state();
        state.nonce = 0;
        state.reorganise(1, 2, 9);
        state.pool = Pool::Keeps;
    }
    let second = submitter(&fake, &journal).await;
    let again = spawn(&second, "a");
    until(&fake, |state| state.waiting.contains_key(&0)).await;
    assert!(!again.is_finished());
    fake.state().mine();
    mined(again).await;
    second.shutdown().await;
}

#[tokio::test]
async fn an_old_outcome_stands_though_its_receipt_is_pruned() {
    let directory = tempfile::tempdir().unwrap();
    let journal = directory.path().join("journal");
    let fake = Fake::start(3).await;
    let first = submitter(&fake, &journal).await;
    mined(spawn(&first, "a")).await;
    for _ in 0..70 {
        fake.state().push(0);
    }
    // With the heads of the next transactions the first becomes final.
    for name in ["b", "c", "d"] {
        mined(spawn(&first, name)).await;
    }
    first.shutdown().await;
    fake.state().mined.retain(|_, at| *at > 10);
    let sent = fake.state().sent.len();
    let second = submitter(&fake, &journal).await;
    mined(spawn(&second, "a")).await;
    assert_eq!(fake.state().sent.len(), sent);
}
