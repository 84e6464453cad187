//! A whole ring in one thread: members that crash at every moment, messages that are lost, delayed and repeated,
//! liars, a membership that changes and a chain that reorganises, all from one seed.

mod chain;
mod peer;
mod world;

use chain::{gate, FOREIGN_GATE, GATES};
use peer::{Character, Peer};
use proptest::prelude::*;
use rings_protocol::{gate::inputs_hash, gate::Computation, quorum::quorum, Digest};
use std::collections::BTreeSet;
use world::{lie, truth, World, STORM};

fn characters(members: usize, faulty: usize, kind: Character) -> Vec<Character> {
    (0..members)
        .map(|n| if n < faulty { kind } else { Character::Honest })
        .collect()
}

fn kind_of(n: usize) -> Character {
    [Character::Liar, Character::Conspirator, Character::Forger][n]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Up to f members are faulty in any way, everything crashes and messages are lost: each gate gets its one
    /// right result, and nothing is signed twice.
    #[test]
    fn a_ring_survives_the_storm(seed: u64, members in 1usize..8, kind in 0usize..3) {
        let mut world = World::new(seed, &characters(members, (members - 1) / 3, kind_of(kind)));
        world.run();
        world.assert_nothing_signed_twice();
        world.assert_nobody_honest_is_named();
        world.assert_truth();
    }

    /// The chain reorganises meanwhile, results and memberships are taken back, and an upstream gate of another ring
    /// gets another result. In the end each gate has the result that is right for its final inputs, no member signed
    /// two results for one computation, and no honest member is named.
    #[test]
    fn a_ring_survives_reorganisations(seed: u64, members in 1usize..8, kind in 0usize..3, reorganisations in 1u64..8) {
        let mut world = World::new(seed, &characters(members, (members - 1) / 3, kind_of(kind)));
        world.plan_reorganisations(reorganisations);
        world.run();
        world.assert_nothing_signed_twice();
        world.assert_nobody_honest_is_named();
        world.assert_truth();
    }

    /// The membership changes while votes are under way, and may change back: old signatures do not count any more, the
    /// same results are signed again, and all gates resolve.
    #[test]
    fn the_membership_may_change_in_mid_vote(seed: u64, at in 1u64..STORM, reorganisations in 0u64..4) {
        let mut world = World::with_members(seed, &characters(5, 0, Character::Liar), 4);
        world.plan_reorganisations(reorganisations);
        while world.now < at && !world.is_done() {
            let end = world.now + 50;
            world.run_until(end);
        }
        let members = world.addresses();
        world.chain.enter(members);
        world.run();
        world.assert_nothing_signed_twice();
        world.assert_nobody_honest_is_named();
        world.assert_truth();
    }

    /// Beyond f nothing is promised about the result, but two results are never registered, and honest members
    /// still sign nothing twice.
    #[test]
    fn beyond_f_there_is_still_one_result(seed: u64) {
        let mut world = World::new(seed, &characters(4, 3, Character::Conspirator));
        world.run();
        world.assert_nothing_signed_twice();
        for n in 0..GATES {
            let agreed = world.chain.computation(gate(n)).map(|computation| lie(computation, 99));
            let result = world.chain.result(gate(n));
            prop_assert!(result.is_none() || result == agreed);
        }
    }
}

/// The fault that put a wrong result on chain: an upstream gate resolves to something else on the new branch.
#[test]
fn another_result_upstream_gives_another_journal_key_and_a_new_vote() {
    let mut world = World::new(11, &characters(4, 0, Character::Liar));
    world.run();
    let asked = u64::from(GATES) + 1;
    world.reorganise_to(asked, 2);
    world.run();
    world.assert_truth();
    world.assert_nothing_signed_twice();
    world.assert_nobody_honest_is_named();
    let of = |result: u8| Computation {
        gate: gate(2),
        inputs: inputs_hash(&[Digest([result; 32])]),
    };
    assert_eq!(world.chain.computation(gate(2)), Some(of(2)));
    assert_eq!(world.chain.result(gate(2)), Some(truth(of(2))));
    let signed_both = world.honest().filter(|peer| {
        let signed = |result: u8| peer.disk.results.get(&of(result)).copied();
        signed(1) == Some(truth(of(1)).result()) && signed(2) == Some(truth(of(2)).result())
    });
    assert!(signed_both.count() >= quorum(4));
    assert_ne!(FOREIGN_GATE, gate(2));
}

#[test]
fn liars_are_named() {
    let mut world = World::new(3, &characters(7, 2, Character::Liar));
    world.run();
    world.now += 1;
    world.follow();
    let liars: BTreeSet<_> = world.addresses()[..2].iter().copied().collect();
    let named: BTreeSet<_> = world
        .honest()
        .flat_map(|peer: &Peer| &peer.named)
        .map(|(_, member)| *member)
        .collect();
    assert!(!named.is_empty() && named.is_subset(&liars), "{named:?}");
}

#[test]
fn too_few_members_wait_until_one_returns() {
    let mut world = World::new(5, &characters(7, 0, Character::Liar));
    // Three of seven are down for good: five are needed.
    world.take_down(0..3);
    world.now = STORM;
    world.run_until(STORM + 20_000);
    assert!(
        world.chain.resolved() == 0,
        "four of seven must not be enough: quorum is {}",
        quorum(7)
    );
    world.revive(0);
    world.run();
    world.assert_truth();
}
