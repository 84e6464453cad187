//! How a ring agrees on ring nodes, as a whole ring in one thread: requests, votes, choices, proposals and endorsements,
//! with members that lie, equivocate, withhold and crash, a ring that is divided, a membership that changes, and a chain
//! that reorganises, all from one seed.
//!
//! `RINGS_SEEDS=100000` runs so many seeds, from `RINGS_SEEDS_FROM` on; a usual run takes 2,000. A failing test names its
//! seed.

mod asserts;
mod chain;
mod peer;
mod world;

use peer::Character;
use world::World;

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.map_or(default, |text| text.parse().expect("a number of seeds"))
}

/// Runs every fourth seed from `part` on, so that the tests of this file share the cores.
fn seeds(part: u64, run: impl Fn(u64)) {
    let from = number("RINGS_SEEDS_FROM", 0);
    let seeds = (from..from + number("RINGS_SEEDS", 2_000)).filter(|seed| seed % 4 == part);
    for seed in seeds {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed)));
        if let Err(cause) = outcome {
            eprintln_seed(seed);
            std::panic::resume_unwind(cause);
        }
    }
}

/// Only the seed is needed to see the failure again.
fn eprintln_seed(seed: u64) {
    let text = format!("seed {seed} failed: RINGS_SEEDS_FROM={seed} RINGS_SEEDS=1\n");
    std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes())
        .expect("standard error is open");
}

const KINDS: [Character; 4] = [
    Character::Liar,
    Character::Conspirator,
    Character::Equivocator,
    Character::Withholder,
];

/// Mostly 4 to 7 members, at times up to 31, of whom as many are faulty as may be.
fn world(seed: u64) -> World {
    let members = match seed % 97 {
        0 => 8 + (seed / 97 % 24) as usize,
        other => 4 + (other % 4) as usize,
    };
    let faulty = (members - 1) / 3;
    let characters = (0..members).map(|n| match n < faulty {
        true => KINDS[(seed as usize / 4 + n) % KINDS.len()],
        false => Character::Honest,
    });
    let characters: Vec<_> = characters.collect();
    let mut world = World::new(seed, &characters);
    world.plan_work(2 + seed % 4, seed % 3);
    world
}

fn check(world: &mut World, seed: u64) {
    world.run();
    world.assert_everything_listed_was_voted_for();
    world.assert_listed_once_and_right(true);
    world.assert_one_history();
    world.assert_heads_are_of_their_logs();
    assert!(world.is_done(), "something is not listed at {}", world.now);
    if seed.is_multiple_of(10) {
        world.assert_idle_is_free();
    }
}

#[test]
fn a_ring_agrees_through_the_storm() {
    seeds(0, |seed| check(&mut world(seed), seed));
}

#[test]
fn a_ring_agrees_while_heads_move_on_chain() {
    seeds(1, |seed| {
        let mut world = world(seed);
        world.plan_trouble(0, 4);
        check(&mut world, seed);
    });
}

#[test]
fn a_ring_agrees_while_the_chain_reorganises() {
    seeds(2, |seed| {
        let mut world = world(seed);
        world.plan_trouble(1 + seed % 3, 2);
        check(&mut world, seed);
    });
}

#[test]
fn a_ring_agrees_while_the_membership_changes() {
    seeds(3, |seed| {
        let mut world = world(seed);
        let all = world.addresses();
        // The last member leaves, and may come back.
        world.plan_membership(all[..all.len() - 1].to_vec());
        if seed % 8 == 3 {
            world.plan_membership(all);
        }
        world.plan_trouble(seed % 2, 1);
        check(&mut world, seed);
    });
}

/// Beyond f nothing is promised about results. But nothing is listed twice, nothing without votes, honest members keep one
/// history, and the logs name the guilty.
#[test]
fn beyond_f_the_logs_name_the_guilty() {
    let mut guilty = 0;
    for seed in 0..40 {
        let honest = Character::Honest;
        let bad = Character::Conspirator;
        let mut world = World::new(seed, &[bad, bad, bad, honest]);
        world.plan_work(3, 0);
        world.run();
        world.assert_everything_listed_was_voted_for();
        world.assert_listed_once_and_right(false);
        world.assert_one_history();
        let named = &world.peers[3].named;
        assert!(named
            .iter()
            .all(|named| world.addresses()[..3].contains(named)));
        guilty += named.len();
    }
    assert!(
        guilty > 0,
        "a member that found other results names who voted for the registered ones"
    );
}

#[test]
fn too_few_members_wait_until_one_returns() {
    for seed in 0..20 {
        let mut world = World::new(seed, &[Character::Honest; 4]);
        world.plan_work(2, 1);
        world.take_down(&[0, 1]);
        world.run_until(10_000);
        assert!(
            world.chain.state().nodes.is_empty(),
            "two of four are not enough"
        );
        world.revive(0);
        world.revive(1);
        check(&mut world, seed);
    }
}
