//! Endpoints that misbehave.

use crate::{
    fake::{Fake, Pool},
    support::{next, purpose, rich_key, PATIENCE},
};
use rings_chain::{
    watch, Call, Chain, ChainError, Class, Cursor, Submitted, Submitter, SubmitterConfig, Update,
    WatchConfig,
};
use rings_protocol::{cids::keccak256, Address};
use serde_json::json;
use std::{path::Path, time::Duration};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

const RING: Address = Address([2; 20]);

fn config() -> WatchConfig {
    WatchConfig {
        engine: Address([1; 20]),
        ring: RING,
        start_block: 0,
        confirmations: 0,
        poll: Duration::from_millis(5),
        page: 64,
    }
}

type Watching = (mpsc::Receiver<Update>, JoinHandle<Result<(), ChainError>>);

async fn follow(url: &str, config: WatchConfig) -> Watching {
    let chain = Chain::connect(url).await.unwrap();
    let (out, updates) = mpsc::channel(4);
    let watching = watch(chain, config, Vec::new(), out, CancellationToken::new());
    (updates, tokio::spawn(watching))
}

async fn reach(updates: &mut mpsc::Receiver<Update>, block: u64) -> Vec<Update> {
    let mut seen = Vec::new();
    loop {
        let update = next(updates).await;
        let done = matches!(&update, Update::Page { cursor, .. } if cursor.number >= block);
        seen.push(update);
        if done {
            return seen;
        }
    }
}

fn events(updates: &[Update]) -> usize {
    let events = updates.iter().map(|update| match update {
        Update::Page { events, .. } => events.len(),
        Update::Rewind { .. } => 0,
    });
    events.sum()
}

/// `MemberEntered` of the ring, in the newest block.
fn entered(fake: &Fake, member: u8) {
    let topic = keccak256(b"MemberEntered(address,uint256)");
    let member = format!("0x{:064x}", member);
    let epoch = format!("0x{:064x}", 7);
    let mut state = fake.state();
    state.log(
        json!(RING.to_string().to_lowercase()),
        json!([topic, member]),
        json!(epoch),
    );
}

#[tokio::test]
async fn refused_pages_are_halved_until_they_pass() {
    let fake = Fake::start(1000).await;
    fake.state().page_limit = 10;
    let (mut updates, _) = follow(&fake.ws(), config()).await;
    reach(&mut updates, 1000).await;
    let state = fake.state();
    assert!(state.pages.iter().all(|page| *page <= 10));
    assert_eq!(state.pages.iter().sum::<u64>(), 1001);
    assert!(state.pages.len() < 200, "{:?}", state.pages);
}

#[tokio::test]
async fn a_block_that_is_too_much_for_one_answer_comes_in_parts() {
    let fake = Fake::start(3).await;
    entered(&fake, 1);
    fake.state().narrow = true;
    let (mut updates, _) = follow(&fake.ws(), config()).await;
    let seen = reach(&mut updates, 3).await;
    assert_eq!(events(&seen), 1);
}

#[tokio::test]
async fn a_lost_websocket_comes_back_and_nothing_is_missed() {
    let fake = Fake::start(10).await;
    let (mut updates, _) = follow(&fake.ws(), config()).await;
    reach(&mut updates, 10).await;
    let fake = fake
        .restart(|state| {
            for _ in 0..50 {
                state.push(0);
            }
        })
        .await;
    entered(&fake, 9);
    let seen = reach(&mut updates, 60).await;
    assert_eq!(events(&seen), 1);
    fake.state().push(0);
    reach(&mut updates, 61).await;
}

#[tokio::test]
async fn another_chain_behind_the_same_url_ends_the_watch() {
    for ws in [true, false] {
        let fake = Fake::start(3).await;
        let url = if ws { fake.ws() } else { fake.http() };
        let (mut updates, watching) = follow(&url, config()).await;
        reach(&mut updates, 3).await;
        let _fake = fake.restart(|state| state.chain_id = 1).await;
        let ended = timeout(PATIENCE, watching).await.unwrap().unwrap();
        let error = ended.unwrap_err();
        assert!(
            matches!(
                error,
                ChainError::WrongChain {
                    expected: 31337,
                    found: 1,
                    ..
                }
            ),
            "{error}"
        );
        assert_eq!(error.class(), Class::Fatal);
    }
}

#[tokio::test]
async fn a_reorganisation_goes_back_to_the_newest_cursor_that_holds() {
    let fake = Fake::start(20).await;
    let (mut updates, _) = follow(&fake.ws(), config()).await;
    reach(&mut updates, 20).await;
    let mut cursors: Vec<Cursor> = Vec::new();
    for block in 21..30 {
        fake.state().push(0);
        entered(&fake, block);
        // A block with an event is told of at once.
        for update in reach(&mut updates, block.into()).await {
            if let Update::Page { cursor, .. } = update {
                cursors.push(cursor);
            }
        }
    }
    // Shorter than before, and then longer.
    fake.state().reorganise(4, 1, 1);
    let Update::Rewind { to } = next(&mut updates).await else {
        unreachable!("a rewind comes first");
    };
    assert_eq!(
        to,
        cursors.iter().copied().find(|cursor| cursor.number == 25)
    );
    reach(&mut updates, 26).await;
    fake.state().reorganise(27, 40, 2);
    let Update::Rewind { to } = next(&mut updates).await else {
        unreachable!("a rewind comes first");
    };
    assert_eq!(to, None);
    reach(&mut updates, 39).await;
}

#[tokio::test]
async fn a_watch_ends_when_nobody_listens_or_when_told() {
    let fake = Fake::start(3).await;
    let (updates, watching) = follow(&fake.ws(), config()).await;
    drop(updates);
    timeout(PATIENCE, watching).await.unwrap().unwrap().unwrap();

    let chain = Chain::connect(&fake.http()).await.unwrap();
    let (out, _updates) = mpsc::channel(1);
    let stop = CancellationToken::new();
    let watching = tokio::spawn(watch(chain, config(), Vec::new(), out, stop.clone()));
    stop.cancel();
    timeout(PATIENCE, watching).await.unwrap().unwrap().unwrap();
}

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
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start(3).await;
    let submitter = submitter(&fake, &directory.path().join("journal")).await;
    mined(spawn(&submitter, "a")).await;
    let waiting = spawn(&submitter, "b");
    let fake = fake.restart(|_| {}).await;
    mined(waiting).await;
    mined(spawn(&submitter, "c")).await;
    assert_eq!(fake.state().nonce, 3);
}

#[tokio::test]
async fn a_transaction_that_was_reorganised_away_is_sent_again() {
    let directory = tempfile::tempdir().unwrap();
    let fake = Fake::start(3).await;
    let submitter = submitter(&fake, &directory.path().join("journal")).await;
    mined(spawn(&submitter, "a")).await;
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
