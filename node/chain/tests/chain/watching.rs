//! The watcher on a real chain.

use crate::support::{next, World, PATIENCE};
use rings_chain::{
    calls, watch, Chain, ChainError, ChainEvent, Cursor, Located, RingTerms, Submitted, Update,
    WatchConfig,
};
use rings_protocol::{
    crypto::SecretKey,
    gate::{GateInput, GateSpec},
    Address, Digest,
};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// A consumer that keeps what the watcher says, as a node would.
struct Follower {
    updates: mpsc::Receiver<Update>,
    events: Vec<Located>,
    pages: usize,
    trail: Vec<Cursor>,
    rewinds: Vec<Option<Cursor>>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), ChainError>>,
}

fn config(world: &World) -> WatchConfig {
    WatchConfig {
        engine: world.at.engine,
        ring: world.at.ring,
        start_block: world.at.block.number,
        confirmations: 0,
        poll: Duration::from_millis(5),
        page: 1000,
        following: Vec::new(),
    }
}

impl Follower {
    async fn start(url: &str, config: WatchConfig, trail: Vec<Cursor>) -> Self {
        let chain = Chain::connect(url).await.unwrap();
        let (out, updates) = mpsc::channel(4);
        let stop = CancellationToken::new();
        let watching = watch(chain, config, trail.clone(), out, stop.clone());
        Self {
            updates,
            events: Vec::new(),
            pages: 0,
            trail,
            rewinds: Vec::new(),
            stop,
            task: tokio::spawn(watching),
        }
    }

    async fn step(&mut self) {
        match next(&mut self.updates).await {
            Update::Page {
                events,
                cursor,
                head,
            } => {
                assert!(head >= cursor.number);
                let last = self.trail.last().copied();
                assert!(last.is_none_or(|last| last.number < cursor.number || last == cursor));
                self.pages += 1;
                self.events.extend(events);
                if last != Some(cursor) {
                    self.trail.push(cursor);
                }
            }
            Update::Rewind { to } => {
                let height = to.map_or(0, |cursor| cursor.number);
                self.trail
                    .retain(|cursor| to.is_some() && cursor.number <= height);
                assert_eq!(self.trail.last().copied(), to);
                self.events
                    .retain(|event| to.is_some() && event.block.number <= height);
                self.rewinds.push(to);
            }
        }
    }

    async fn until(&mut self, done: impl Fn(&Self) -> bool) {
        let since = Instant::now();
        while !done(self) {
            assert!(since.elapsed() < PATIENCE, "{:?}", self.events);
            self.step().await;
        }
    }

    async fn reach(&mut self, block: u64) {
        self.until(|f| f.trail.last().is_some_and(|c| c.number >= block))
            .await;
    }

    async fn stop(self) -> (Vec<Located>, Vec<Cursor>) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        (self.events, self.trail)
    }

    fn resolved(&self) -> usize {
        let resolved = |e: &&Located| matches!(e.event, ChainEvent::OutputsRegistered { .. });
        self.events.iter().filter(resolved).count()
    }
}

/// A result on the chain, and everything that leads to it.
async fn result(world: &mut World) {
    let (gate, _) = world.gate(1).await;
    let register = world.registration(gate, 1, 1).await;
    world.send(register).await;
}

#[tokio::test]
async fn who_has_missed_nothing_is_told_so() {
    let world = World::new(3, &[]).await;
    let head = world.chain.block_number().await.unwrap();
    let mut follower = Follower::start(&world.anvil.ws(), config(&world), Vec::new()).await;
    follower.reach(head).await;
    let (_, trail) = follower.stop().await;
    for url in [world.anvil.ws(), world.anvil.http()] {
        let mut again = Follower::start(&url, config(&world), trail.clone()).await;
        again.until(|f| f.pages == 1).await;
        assert_eq!(again.stop().await, (Vec::new(), trail.clone()));
    }
}

#[tokio::test]
async fn catching_up_in_pages_gives_the_same_as_being_there() {
    let mut world = World::new(3, &[]).await;
    let mut live = Follower::start(&world.anvil.ws(), config(&world), Vec::new()).await;
    for _ in 0..3 {
        result(&mut world).await;
        world.anvil.mine(7).await;
    }
    let newcomer = crate::support::member_key(50).address();
    world
        .send(calls::enter(world.at.engine, world.at.ring, newcomer))
        .await;
    world.send(calls::settle(world.at.ring, newcomer)).await;
    let head = world.chain.block_number().await.unwrap();
    live.reach(head).await;
    let (events, trail) = live.stop().await;
    assert!(trail.len() > 1);

    for (url, page) in [
        (world.anvil.ws(), 1),
        (world.anvil.ws(), 5),
        (world.anvil.http(), 1000),
    ] {
        let config = WatchConfig {
            page,
            ..config(&world)
        };
        let mut late = Follower::start(&url, config, Vec::new()).await;
        late.reach(head).await;
        assert_eq!(late.stop().await.0, events, "page {page}");
    }

    // From each cursor the rest, and nothing twice.
    for cut in [0, trail.len() / 2, trail.len() - 1] {
        let mut late =
            Follower::start(&world.anvil.ws(), config(&world), trail[..=cut].to_vec()).await;
        world.anvil.mine(1).await;
        late.reach(head + 1).await;
        let rest = events.iter().filter(|e| e.block.number > trail[cut].number);
        assert_eq!(late.stop().await.0, rest.cloned().collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn every_kind_of_event_arrives_in_order() {
    let mut world = World::new(2, &[]).await;
    let mut follower = Follower::start(&world.anvil.ws(), config(&world), Vec::new()).await;
    let (gate, spec) = world.gate(1).await;
    let register = world.registration(gate, 1, 1).await;
    let Submitted::Mined {
        transaction, block, ..
    } = world.send(register).await
    else {
        unreachable!("sent");
    };
    let gone = world.members[0].address();
    world
        .send(calls::exit(world.at.engine, world.at.ring, gone))
        .await;
    follower
        .until(|f| {
            f.events
                .iter()
                .any(|e| matches!(e.event, ChainEvent::Exited { .. }))
        })
        .await;
    let (events, _) = follower.stop().await;
    let kinds: Vec<_> = events.iter().map(|e| &e.event).collect();
    let ring = world.at.ring;
    assert!(matches!(kinds[0], ChainEvent::Entered { epoch: 1, .. }));
    assert!(matches!(kinds[1], ChainEvent::Entered { epoch: 1, .. }));
    let requester = world.submitter.account();
    assert_eq!(
        kinds[2],
        &ChainEvent::GateRequested {
            gate,
            requester,
            spec
        }
    );
    assert!(events[3].transaction == transaction && events[3].block == block);
    assert!(
        matches!(kinds[3], ChainEvent::OutputsRegistered { ring: r, gate: g, epoch: 1, .. } if *g == gate && *r == ring)
    );
    assert_eq!(
        kinds[4],
        &ChainEvent::Exited {
            member: gone,
            epoch: 2
        }
    );
    assert_eq!(kinds.len(), 5);
}

/// Another ring of the same members on the same engine.
async fn second_ring(world: &mut World) -> Address {
    let members: Vec<_> = world.members.iter().map(SecretKey::address).collect();
    let terms = crate::support::terms();
    let other = RingTerms {
        entry_delay: 1,
        ..terms
    };
    let submitted = world
        .send(calls::create_ring(world.at.engine, &members, &other))
        .await;
    let Submitted::Mined { transaction, .. } = submitted else {
        unreachable!("sent");
    };
    let receipt = world
        .anvil
        .ask("eth_getTransactionReceipt", vec![json!(transaction)])
        .await;
    let topic = receipt["logs"][0]["topics"][1].as_str().unwrap();
    format!("0x{}", &topic[26..]).parse().unwrap()
}

/// A gate of another ring, and one of the watched ring that waits for it.
async fn two_rings(world: &mut World) -> (Address, [(Address, GateSpec); 2]) {
    let other = second_ring(world).await;
    let (_, spec) = world.gate(1).await;
    let upstream = GateSpec {
        rings: vec![other],
        salt: Digest([7; 32]),
        ..spec.clone()
    };
    let gate = world.create(&upstream).await;
    let own = GateSpec {
        inputs: vec![spec.inputs[0], GateInput::Future { gate, pin: 0 }],
        ..spec
    };
    let waiting = world.create(&own).await;
    (other, [(gate, upstream), (waiting, own)])
}

#[tokio::test]
async fn gates_of_other_rings_are_followed_when_own_gates_wait_for_them() {
    let mut world = World::new(2, &[]).await;
    let mut live = Follower::start(&world.anvil.ws(), config(&world), Vec::new()).await;
    let (other, [(upstream, upstream_spec), (waiting, spec)]) = two_rings(&mut world).await;
    let head = world.chain.block_number().await.unwrap();
    live.reach(head).await;
    assert_eq!(live.resolved(), 0);
    let register = world.registration_by(other, upstream, 1, 1).await;
    world.send(register).await;
    live.until(|f| f.resolved() == 1).await;
    // Other events of the other ring are not read: neither of its members nor of the request to it.
    let followed = ChainEvent::GateFollowed {
        gate: upstream,
        spec: upstream_spec,
    };
    let requested = ChainEvent::GateRequested {
        gate: waiting,
        requester: world.submitter.account(),
        spec,
    };
    let kinds: Vec<_> = live.events.iter().map(|e| e.event.clone()).collect();
    assert_eq!(kinds.len(), 6, "{kinds:?}");
    assert_eq!(kinds[3..5], [followed.clone(), requested.clone()]);
    assert!(
        matches!(&kinds[5], ChainEvent::OutputsRegistered { ring, gate, .. } if *ring == other && *gate == upstream)
    );
    let (events, trail) = live.stop().await;

    // A watcher that starts later gets the result before the request that needs it, with the block of the result.
    let mut late = Follower::start(&world.anvil.ws(), config(&world), Vec::new()).await;
    let head = world.chain.block_number().await.unwrap();
    late.until(|f| f.trail.last().is_some_and(|c| c.number >= head))
        .await;
    let (told, _) = late.stop().await;
    let kinds: Vec<_> = told.iter().map(|e| e.event.clone()).collect();
    assert_eq!(kinds[3], followed);
    assert_eq!(told[4], events[5]);
    assert_eq!(kinds[5], requested);

    // A watcher that stopped in between names the gates that it was waiting for.
    let request = events[4].block.number;
    let trail: Vec<_> = trail.into_iter().filter(|c| c.number <= request).collect();
    let config = WatchConfig {
        following: vec![upstream],
        ..config(&world)
    };
    let mut back = Follower::start(&world.anvil.http(), config, trail).await;
    back.until(|f| f.resolved() == 1).await;
    assert_eq!(back.stop().await.0, events[5..]);
}

#[tokio::test]
async fn what_other_rings_are_asked_is_not_read() {
    let mut world = World::new(1, &[]).await;
    let other = second_ring(&mut world).await;
    let (_, spec) = world.gate(1).await;
    for salt in 0..5 {
        let foreign = GateSpec {
            rings: vec![other],
            salt: Digest([salt; 32]),
            ..spec.clone()
        };
        let gate = world.create(&foreign).await;
        let register = world.registration_by(other, gate, 1, 1).await;
        world.send(register).await;
    }
    let head = world.chain.block_number().await.unwrap();
    for page in [1, 1000] {
        let config = WatchConfig {
            page,
            ..config(&world)
        };
        let mut follower = Follower::start(&world.anvil.http(), config, Vec::new()).await;
        follower.reach(head).await;
        let (events, _) = follower.stop().await;
        assert_eq!(events.len(), 2, "{events:?}");
    }
}

#[tokio::test]
async fn confirmations_hold_events_back() {
    let mut world = World::new(1, &[]).await;
    let config = WatchConfig {
        confirmations: 3,
        ..config(&world)
    };
    let mut follower = Follower::start(&world.anvil.ws(), config, Vec::new()).await;
    result(&mut world).await;
    let head = world.chain.block_number().await.unwrap();
    world.anvil.mine(2).await;
    follower.reach(head - 1).await;
    assert_eq!(follower.resolved(), 0);
    world.anvil.mine(1).await;
    follower.until(|f| f.resolved() == 1).await;
    follower.stop().await;
}

#[tokio::test]
async fn reorganisations_of_every_depth_end_in_what_the_chain_says() {
    let mut world = World::new(1, &[]).await;
    let start = world.chain.block_number().await.unwrap();
    let mut follower = Follower::start(&world.anvil.ws(), config(&world), Vec::new()).await;
    for depth in [1, 2, 5, 17, 64] {
        result(&mut world).await;
        world.anvil.mine(depth).await;
        let head = world.chain.block_number().await.unwrap();
        follower.reach(head).await;
        let rewinds = follower.rewinds.len();
        let depth = depth.min(head - start - 1);
        world
            .anvil
            .ask("anvil_reorg", vec![json!(depth), json!([])])
            .await;
        // anvil reorganises in place: the next block shows it.
        world.anvil.mine(1).await;
        let head = world.chain.block_number().await.unwrap();
        let tip = world.chain.head().await.unwrap();
        follower
            .until(|f| {
                f.rewinds.len() > rewinds && f.trail.last().is_some_and(|c| c.hash == tip.hash)
            })
            .await;
        let mut fresh = Follower::start(&world.anvil.http(), config(&world), Vec::new()).await;
        fresh.reach(head).await;
        assert_eq!(fresh.stop().await.0, follower.events, "depth {depth}");
    }
    follower.stop().await;
}

#[tokio::test]
async fn a_trail_of_another_history_starts_again() {
    let mut world = World::new(1, &[]).await;
    result(&mut world).await;
    let head = world.chain.head().await.unwrap();
    let strange = |number| Cursor {
        number,
        hash: rings_protocol::cids::keccak256(b"another chain"),
    };
    let trail = vec![strange(head.number - 1), strange(head.number + 500)];
    let mut follower = Follower::start(&world.anvil.ws(), config(&world), trail).await;
    follower.until(|f| f.rewinds == [None]).await;
    follower.reach(head.number).await;
    assert_eq!(follower.resolved(), 1);
    follower.stop().await;
}

#[tokio::test]
async fn from_block_to_event_takes_milliseconds() {
    let mut world = World::new(1, &[]).await;
    for url in [world.anvil.ws(), world.anvil.http()] {
        let mut follower = Follower::start(&url, config(&world), Vec::new()).await;
        let mut delays = Vec::new();
        for _ in 0..20 {
            let (gate, _) = world.gate(1).await;
            let register = world.registration(gate, 1, 1).await;
            let expected = {
                let head = world.chain.block_number().await.unwrap();
                follower.reach(head).await;
                follower.resolved() + 1
            };
            world.send(register).await;
            let mined = Instant::now();
            follower.until(|f| f.resolved() == expected).await;
            delays.push(mined.elapsed());
        }
        delays.sort();
        println!(
            "{url}: from the sender's receipt to the event {:?}",
            delays[delays.len() / 2]
        );
        assert!(delays[delays.len() / 2] < Duration::from_millis(250));
        follower.stop().await;
    }
}
