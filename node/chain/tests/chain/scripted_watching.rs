//! Endpoints that misbehave, and the watcher.

use crate::{
    fake::{Fake, State},
    support::{next, PATIENCE},
};
use ethers_core::types::U64;
use rings_chain::{watch, Chain, ChainError, Cursor, Located, Trouble, Update, WatchConfig};
use rings_protocol::{cids::keccak256, Address};
use serde_json::{json, Value};
use std::time::{Duration, Instant};
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
        following: Vec::new(),
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

/// Takes an update as a consumer does: events after a rewind's cursor are taken back.
fn take(update: Update, kept: &mut Vec<Located>) {
    match update {
        Update::Page { events, .. } => kept.extend(events),
        Update::Rewind { to } => {
            kept.retain(|event| to.is_some_and(|to| event.block.number <= to.number));
        }
    }
}

/// `MemberEntered` of the ring, in the newest block.
fn entered(fake: &Fake, member: u8) {
    enter(&mut fake.state(), member);
}

fn enter(state: &mut State, member: u8) {
    let (ring, topics, data) = entering(member);
    state.log(ring, topics, data);
}

/// Address, topics and data of `MemberEntered` of the ring.
fn entering(member: u8) -> (Value, Value, Value) {
    let topic = keccak256(b"MemberEntered(address,uint256)");
    (
        json!(RING.to_string().to_lowercase()),
        json!([topic, format!("0x{member:064x}")]),
        json!(format!("0x{:064x}", 7)),
    )
}

#[tokio::test]
async fn refused_pages_are_halved_until_they_pass() {
    let fake = Fake::start(1000).await;
    fake.state().page_limit = 10;
    let (mut updates, _) = follow(&fake.ws(), config()).await;
    reach(&mut updates, 1000).await;
    let state = fake.state();
    assert!(state.pages.iter().all(|page| *page <= 10));
    // Each page is two requests: to the engine, and to the ring.
    assert_eq!(state.pages.iter().sum::<u64>(), 2 * 1001);
    assert!(state.pages.len() < 400, "{:?}", state.pages);
}

#[tokio::test]
async fn a_block_that_is_too_much_for_one_answer_comes_in_parts() {
    let fake = Fake::start(30).await;
    for _ in 0..20 {
        entered(&fake, 1);
    }
    // Not even one kind of event of one contract fits into an answer: the receipts are read.
    fake.state().most_events = 5;
    for url in [fake.ws(), fake.http()] {
        let (mut updates, _) = follow(&url, config()).await;
        let seen = reach(&mut updates, 30).await;
        assert_eq!(events(&seen), 20);
    }
    // The same in a block that is read by its range.
    for _ in 0..40 {
        fake.state().push(0);
    }
    let (mut updates, _) = follow(&fake.ws(), config()).await;
    let seen = reach(&mut updates, 70).await;
    assert_eq!(events(&seen), 20);
    assert!(fake.state().calls["eth_getTransactionReceipt"] >= 3);
}

#[tokio::test]
async fn what_a_stranger_emits_is_not_even_asked_for() {
    let fake = Fake::start(30).await;
    fake.state().most_events = 10;
    for _ in 0..100 {
        let topic = keccak256(b"MemberEntered(address,uint256)");
        let data = json!(format!("0x{:064x}", 7));
        let stranger = json!(Address([9; 20]).to_string().to_lowercase());
        let member = json!([topic, format!("0x{:064x}", 1)]);
        fake.state().log(stranger, member, data);
    }
    entered(&fake, 1);
    let (mut updates, _) = follow(&fake.ws(), config()).await;
    assert_eq!(events(&reach(&mut updates, 30).await), 1);
    assert!(!fake.state().calls.contains_key("eth_getTransactionReceipt"));
}

#[tokio::test]
async fn blooms_spare_requests_and_lose_nothing() {
    let fake = Fake::start(3).await;
    fake.state().is_modern = true;
    let (mut updates, _) = follow(&fake.ws(), config()).await;
    reach(&mut updates, 3).await;
    let asked = fake.state().calls["eth_getLogs"];
    for block in 4..20 {
        fake.state().push(0);
        reach(&mut updates, block).await;
    }
    // The first blocks have no filter, and are looked at again, twice.
    let looks = 2 * 2;
    assert!(fake.state().calls["eth_getLogs"] <= asked + looks);
    fake.state().push_with_all([entering(1)]);
    assert_eq!(events(&reach(&mut updates, 20).await), 1);
    assert!(fake.state().calls["eth_getLogs"] <= asked + looks + 1);
    // The time of the block came with the event, and its header with the subscription.
    assert!(!fake.state().calls.contains_key("eth_getBlockByHash"));
}

#[tokio::test]
async fn a_machine_that_is_behind_loses_no_events() {
    let fake = Fake::start(20).await;
    let (mut updates, _) = follow(&fake.http(), config()).await;
    reach(&mut updates, 20).await;
    fake.state().lag = 3;
    for member in 0..24 {
        fake.state().push(0);
        entered(&fake, member);
    }
    let mut kept = Vec::new();
    for update in reach(&mut updates, 41).await {
        take(update, &mut kept);
    }
    fake.state().lag = 0;
    while kept.len() < 24 {
        take(next(&mut updates).await, &mut kept);
    }
    assert_eq!(kept.len(), 24);
}

#[tokio::test]
async fn a_head_that_could_not_be_read_is_read_later_though_the_next_answer_is_an_older_head() {
    let fake = Fake::start(20).await;
    for url in [fake.http(), fake.ws()] {
        let (mut updates, _) = follow(&url, config()).await;
        let height = fake.state().height();
        reach(&mut updates, height).await;
        {
            // The head comes from one machine, and a machine that lacks it is asked for its events and for the head.
            let mut state = fake.state();
            (state.lag, state.is_asked_for_head) = (1, true);
            state.refused = 0;
            state.push(0);
            enter(&mut state, 1);
        }
        // No other block comes.
        let seen = reach(&mut updates, height + 1).await;
        assert_eq!(events(&seen), 1, "{url}");
        let state = fake.state();
        assert!(state.refused > 0 && !state.is_asked_for_head, "{url}");
    }
}

#[tokio::test]
async fn a_head_of_another_branch_than_the_endpoints_stops_nobody() {
    let fake = Fake::start(20).await;
    let (mut updates, _) = follow(&fake.ws(), config()).await;
    reach(&mut updates, 20).await;
    for round in 0..4 {
        {
            let state = fake.state();
            // Of the same height as the next block, far ahead, or one that everybody has.
            let height = state.height() + [1, 2, 1_000, 0][round];
            state.announce_stranger(height);
        }
        // A rate needs a span of time, so this waits for no condition.
        let before = asked(&fake);
        tokio::time::sleep(Duration::from_millis(350)).await;
        // It is tried again with growing pauses, and not without end.
        let requests = asked(&fake) - before;
        assert!(requests < 60, "{requests} requests, round {round}");
        let height = {
            let mut state = fake.state();
            state.push(0);
            enter(&mut state, 1);
            state.height()
        };
        assert_eq!(
            events(&reach(&mut updates, height).await),
            1,
            "round {round}"
        );
    }
}

#[tokio::test]
async fn what_a_block_kept_back_is_found_by_a_second_look() {
    let fake = Fake::start(20).await;
    for url in [fake.http(), fake.ws()] {
        let (mut updates, _) = follow(&url, config()).await;
        let height = fake.state().height();
        reach(&mut updates, height).await;
        {
            let mut state = fake.state();
            state.is_modern = true;
            state.hides_every_second = true;
            state.push_with_all([entering(1), entering(2)]);
        }
        assert_eq!(events(&reach(&mut updates, height + 1).await), 1, "{url}");
        fake.state().hides_every_second = false;
        // No other block comes.
        let mut kept = Vec::new();
        while kept.len() < 2 {
            take(next(&mut updates).await, &mut kept);
        }
    }
}

#[tokio::test]
async fn a_chain_that_is_shorter_for_long_has_replaced_what_was_read() {
    let fake = Fake::start(20).await;
    let (mut updates, _) = follow(&fake.http(), config()).await;
    reach(&mut updates, 20).await;
    {
        let mut state = fake.state();
        (0..40).for_each(|_| state.push(7));
    }
    reach(&mut updates, 60).await;
    // The blocks that were read last were never on the chain. Its newest block is of now, and it goes on slowly.
    {
        let mut state = fake.state();
        state.is_of_now = true;
        state.reorganise(30, 5, 9);
        enter(&mut state, 1);
    }
    let mut kept = Vec::new();
    let mut rewound = false;
    while kept.is_empty() {
        let update = next(&mut updates).await;
        rewound |= matches!(update, Update::Rewind { .. });
        take(update, &mut kept);
    }
    assert!(rewound);
}

#[tokio::test]
async fn what_a_range_kept_back_is_found_by_a_second_look() {
    let fake = Fake::start(20).await;
    for member in 0..40 {
        fake.state().push(0);
        entered(&fake, member);
    }
    // The machine that answers has half of what the head's machine has, and does not say so of ranges.
    fake.state().lag = 40;
    let (mut updates, _) = follow(&fake.http(), config()).await;
    let missed = reach(&mut updates, 48).await;
    assert!(events(&missed) < 28);
    fake.state().lag = 0;
    let mut kept = Vec::new();
    let mut rewound = false;
    while kept.len() < 40 {
        let update = next(&mut updates).await;
        rewound |= matches!(update, Update::Rewind { .. });
        take(update, &mut kept);
    }
    assert!(rewound);
}

/// How many requests came so far.
fn asked(fake: &Fake) -> u64 {
    fake.state().calls.values().sum()
}

/// The pause between quick polls here, and the time for one request of an idle watcher.
const QUICK: Duration = Duration::from_millis(10);
const IDLE: Duration = Duration::from_millis(140);
/// A block a second, when a quick poll takes 250 ms as it does by default.
const BLOCK: Duration = Duration::from_millis(40);

#[tokio::test]
async fn an_idle_watcher_spares_requests_whatever_the_chain_does() {
    let fake = Fake::start(20).await;
    fake.state().is_modern = true;
    let config = WatchConfig {
        poll: QUICK,
        ..config()
    };
    let (mut updates, _) = follow(&fake.http(), config).await;
    reach(&mut updates, 20).await;
    tokio::time::sleep(2 * IDLE).await;
    // Nothing happens; then there are many blocks, none of which concerns this ring.
    for blocks in [0, 1] {
        let (before, since) = (asked(&fake), Instant::now());
        while since.elapsed() < 20 * IDLE {
            for _ in 0..blocks {
                fake.state().push(0);
            }
            tokio::time::sleep(BLOCK).await;
            while updates.try_recv().is_ok() {}
        }
        // A head that has moved is read at once, and the next poll waits for as long as all of it may cost.
        let requests = asked(&fake) - before;
        let allowed = since.elapsed().as_millis() / IDLE.as_millis();
        assert!(
            u128::from(requests) <= allowed + 8,
            "{requests} requests, {allowed} allowed, {blocks} blocks: {:?}",
            fake.state().calls
        );
    }
    // An event is found nevertheless, and what follows it soon is found soon.
    let height = {
        let mut state = fake.state();
        state.push_with_all([entering(1)]);
        state.height()
    };
    assert_eq!(events(&reach(&mut updates, height).await), 1);
}

#[tokio::test]
async fn what_a_range_near_the_head_kept_back_is_found_by_the_next_one() {
    let fake = Fake::start(20).await;
    let config = WatchConfig {
        poll: QUICK,
        ..config()
    };
    let (mut updates, _) = follow(&fake.http(), config).await;
    reach(&mut updates, 20).await;
    tokio::time::sleep(2 * IDLE).await;
    // One machine has the head, and another one, which answers for ranges, lacks the newest blocks.
    {
        let mut state = fake.state();
        state.lag = 10;
        state.is_modern = true;
        state.push(0);
        enter(&mut state, 1);
        (0..6).for_each(|_| state.push(0));
    }
    let read = reach(&mut updates, 27).await;
    let mut found = events(&read);
    assert_eq!(found, 0, "the endpoint keeps it back");
    {
        let mut state = fake.state();
        state.lag = 0;
        (0..6).for_each(|_| state.push(0));
    }
    while found == 0 {
        found += events(&[next(&mut updates).await]);
    }
    assert_eq!(found, 1);
}

#[tokio::test]
async fn a_chain_that_is_behind_or_another_is_waited_for() {
    let fake = Fake::start(100).await;
    let chain = Chain::connect(&fake.http()).await.unwrap();
    let (out, mut updates) = mpsc::channel(64);
    let config = WatchConfig {
        page: 5,
        ..config()
    };
    let watching = watch(
        chain.clone(),
        config,
        Vec::new(),
        out,
        CancellationToken::new(),
    );
    tokio::spawn(watching);
    reach(&mut updates, 100).await;
    let trouble = |wanted: fn(&Trouble) -> bool| {
        let chain = chain.clone();
        async move {
            let since = Instant::now();
            while !chain.trouble().as_ref().is_some_and(wanted) {
                assert!(since.elapsed() < PATIENCE, "{:?}", chain.trouble());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    // A backup of the same chain, fifty blocks ago.
    let blocks = fake.state().blocks.clone();
    fake.state().blocks.truncate(50);
    trouble(|trouble| {
        matches!(
            trouble,
            Trouble::Behind {
                head: 49,
                position: 100
            }
        )
    })
    .await;
    // An empty chain with the same id.
    fake.state().blocks.truncate(0);
    fake.state().push(99);
    fake.state().code = "0x";
    trouble(|trouble| *trouble == Trouble::OtherChain).await;
    assert!(updates.try_recv().is_err(), "nothing is taken back");
    // Back again.
    {
        let mut state = fake.state();
        state.code = "0x01";
        state.blocks = blocks;
        state.push(0);
    }
    let seen = reach(&mut updates, 101).await;
    assert!(seen
        .iter()
        .all(|update| matches!(update, Update::Page { .. })));
}

#[tokio::test]
async fn too_many_requests_only_slow_the_watch_down() {
    let fake = Fake::start(20).await;
    let (mut updates, _) = follow(&fake.http(), config()).await;
    reach(&mut updates, 20).await;
    fake.state().limited = 3;
    for member in 0..3 {
        fake.state().push(0);
        entered(&fake, member);
    }
    assert_eq!(events(&reach(&mut updates, 23).await), 3);
    assert_eq!(fake.state().limited, 0);
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
async fn useless_pushed_heads_hold_nobody_up() {
    let useless: [fn(&[Value]) -> Value; 4] = [
        // Always the same one, an old one, and the newest one's hash with numbers that are not its own.
        |blocks| blocks[10].clone(),
        |blocks| blocks[blocks.len() - 6].clone(),
        |blocks| with_number(blocks, 0),
        |blocks| with_number(blocks, 1_000_000),
    ];
    let fake = Fake::start(10).await;
    let (mut updates, _) = follow(&fake.ws(), config()).await;
    let mut height: u8 = 10;
    reach(&mut updates, height.into()).await;
    for pushes in useless {
        fake.state().pushes = Some(pushes);
        for _ in 0..3 {
            height += 1;
            {
                let mut state = fake.state();
                state.push(0);
                enter(&mut state, height);
            }
            let height = u64::from(height);
            assert_eq!(events(&reach(&mut updates, height).await), 1);
        }
        // One that follows makes doubts cheap again.
        fake.state().pushes = None;
        fake.state().push(0);
        height += 1;
        reach(&mut updates, height.into()).await;
    }
}

fn with_number(blocks: &[Value], number: u64) -> Value {
    let mut head = blocks.last().cloned().unwrap();
    head["number"] = json!(U64::from(number));
    head
}

#[tokio::test]
async fn another_chain_behind_the_same_url_is_said_and_waited_for() {
    for ws in [true, false] {
        let fake = Fake::start(3).await;
        let url = if ws { fake.ws() } else { fake.http() };
        let chain = Chain::connect(&url).await.unwrap();
        let (out, mut updates) = mpsc::channel(4);
        let watching = watch(
            chain.clone(),
            config(),
            Vec::new(),
            out,
            CancellationToken::new(),
        );
        let watching = tokio::spawn(watching);
        reach(&mut updates, 3).await;
        let fake = fake.restart(|state| state.chain_id = 1).await;
        let expected = Some(Trouble::WrongChain {
            expected: 31337,
            found: 1,
        });
        let since = Instant::now();
        while chain.trouble() != expected {
            assert!(since.elapsed() < PATIENCE, "{:?}", chain.trouble());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(!watching.is_finished());
        let fake = fake
            .restart(|state| {
                state.chain_id = 31337;
                state.push(0);
            })
            .await;
        reach(&mut updates, 4).await;
        assert_eq!(chain.trouble(), None);
        drop(fake);
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

#[tokio::test]
async fn how_far_was_read_is_known_before_anybody_takes_a_page() {
    let fake = Fake::start(3).await;
    let chain = Chain::connect(&fake.ws()).await.unwrap();
    let mut read = chain.read_blocks();
    // Nobody takes a page before the end, and there is room for those of the start.
    let (out, mut updates) = mpsc::channel(2);
    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();
    let watching = tokio::spawn(watch(chain, config(), Vec::new(), out, stop));
    let start = fake.state().height();
    for height in [start, start + 1] {
        let known = timeout(PATIENCE, read.wait_for(|read| *read >= height)).await;
        assert_eq!(*known.unwrap().unwrap(), height);
        fake.state().push(0);
    }
    let first = next(&mut updates).await;
    assert!(
        matches!(first, Update::Page { cursor, .. } if cursor.number <= start),
        "{first:?}"
    );
    assert!(!watching.is_finished());
}
