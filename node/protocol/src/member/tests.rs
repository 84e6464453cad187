use super::*;
use crate::{crypto::SecretKey, quorum::quorum, Digest};
use proptest::prelude::*;
use std::time::Instant;

const TURN: u64 = 100;

fn key(n: u8) -> SecretKey {
    SecretKey::from_bytes(&crate::cids::sha256(&[n]).0).unwrap()
}

fn domain() -> Domain {
    Domain::new(1, Address([1; 20]))
}

fn outputs(result: u8) -> Outputs {
    Outputs::new([(0, Digest([result; 32]))]).unwrap()
}

fn computed(result: u8) -> Computed {
    Computed {
        outputs: outputs(result),
        fuel: 1,
        profile: "p".into(),
    }
}

fn computation(gate: u64, inputs: u8) -> Computation {
    let mut address = Address([7; 20]);
    address.0[..8].copy_from_slice(&gate.to_be_bytes());
    Computation {
        gate: address,
        inputs: Digest([inputs; 32]),
    }
}

fn vote(n: u8, computation: Computation, epoch: u64, result: u8) -> (Address, Vote) {
    let outputs = outputs(result);
    let digest = domain()
        .outputs(computation, epoch, &outputs.pins(), &outputs.cids())
        .digest();
    let vote = Vote {
        epoch,
        fuel: 1,
        gate: computation.gate,
        inputs: computation.inputs,
        outputs,
        profile: "p".into(),
        signature: key(n).sign(&digest).unwrap(),
    };
    (key(n).address(), vote)
}

/// Member 0 of a ring of `count`, in epoch 5.
fn member(count: u8) -> Member {
    let mut member = Member::new(Setup {
        me: key(0).address(),
        domain: domain(),
        turn: TURN,
    });
    let members = (0..count).map(|n| key(n).address()).collect();
    member.membership(5, members, quorum(count.into()), 0);
    member
}

fn drafts(effects: &[Effect]) -> Vec<(Computation, u64)> {
    let drafts = effects.iter().filter_map(|effect| match effect {
        Effect::Vote(draft) => Some((draft.computation, draft.epoch)),
        _ => None,
    });
    drafts.collect()
}

fn submits(effects: &[Effect]) -> usize {
    let submits = effects.iter();
    submits
        .filter(|effect| matches!(effect, Effect::Submit(_)))
        .count()
}

#[test]
fn votes_from_disk_count_as_soon_as_a_gate_is_ready() {
    let mut member = member(4);
    let this = computation(1, 1);
    let votes: Vec<_> = (1..=3).map(|n| vote(n, this, 5, 8)).collect();
    let mut effects = member.ready(this, votes, 10);
    assert_eq!(effects[0], Effect::Compute(this));
    effects.extend(member.tick(10 + 4 * TURN));
    assert_eq!(submits(&effects), 1);
}

#[test]
fn votes_on_what_is_not_open_take_no_room() {
    let mut member = member(4);
    let this = computation(1, 1);
    member.restore(this, computed(8), 5, vec![], 0);
    for gate in 2..10_000 {
        let (author, vote) = vote(1, computation(gate, 1), 5, 8);
        assert!(member.vote(author, vote, 1).is_empty());
    }
    assert_eq!(member.open().collect::<Vec<_>>(), [this.gate]);
    // The gate that was restored is open like any other: it resolves by the votes that come now.
    let mut effects = Vec::new();
    for n in 0..=2 {
        let (author, vote) = vote(n, this, 5, 8);
        effects.extend(member.vote(author, vote, 2));
    }
    effects.extend(member.tick(2 + 4 * TURN));
    assert_eq!(submits(&effects), 1);
}

#[test]
fn votes_for_other_inputs_never_count_together() {
    let mut member = member(4);
    let (this, other) = (computation(1, 1), computation(1, 2));
    member.ready(this, (1..=2).map(|n| vote(n, this, 5, 8)).collect(), 0);
    let (author, stray) = vote(3, other, 5, 8);
    assert!(member.vote(author, stray.clone(), 0).is_empty());
    assert_eq!(submits(&member.tick(10 * TURN)), 0);
    // A reorganisation: the futures brought something else. The own result from before is still voted for, if it comes.
    let effects = member.ready(other, vec![(author, stray)], 0);
    assert_eq!(effects, [Effect::Compute(other)]);
    assert_eq!(member.computation(other.gate), Some(other));
    let late = member.computed(this, computed(8), 0);
    assert_eq!(drafts(&late), [(this, 5)]);
    assert_eq!(member.phase(other.gate).unwrap().0, &Phase::Computing);
}

#[test]
fn own_results_are_voted_for_in_every_epoch_that_comes_or_comes_back() {
    let mut member = member(4);
    let this = computation(1, 1);
    member.ready(this, vec![], 0);
    assert_eq!(drafts(&member.computed(this, computed(8), 0)), [(this, 5)]);
    let members = member.members().to_vec();
    for (epoch, members) in [
        (6, members.clone()),
        (5, members.clone()),
        (5, members[..3].to_vec()),
    ] {
        let is_member = members.contains(&key(0).address());
        let effects = member.membership(epoch, members.clone(), 3, 0);
        assert_eq!(drafts(&effects).len(), usize::from(is_member));
        assert!(member.membership(epoch, members, 3, 0).is_empty());
    }
}

/// Exited members are counted until the entry delay has passed: the chain says how many signatures are needed.
#[test]
fn the_chain_says_how_many_votes_are_needed() {
    let mut member = member(1);
    let members = member.members().to_vec();
    assert!(member.membership(5, members.clone(), 2, 0).is_empty());
    let this = computation(1, 1);
    let effects = member.restore(this, computed(8), 5, vec![vote(0, this, 5, 8)], 0);
    assert_eq!(submits(&effects), 0);
    let effects = member.membership(5, members, 1, 7);
    assert_eq!((submits(&effects), drafts(&effects).len()), (1, 0));
}

#[test]
fn a_vote_restored_from_another_epoch_is_cast_in_this_one() {
    for (epoch, again) in [(4, 1), (5, 0), (6, 1)] {
        let effects = member(4).restore(computation(1, 1), computed(8), epoch, vec![], 0);
        assert_eq!(drafts(&effects).len(), again, "last voted in {epoch}");
    }
}

#[test]
fn divergence_is_found_in_what_is_given_and_not_in_what_was_counted() {
    let mut member = member(4);
    let (this, other) = (computation(1, 1), computation(1, 2));
    let votes = [
        vote(1, this, 5, 8),
        vote(2, this, 4, 9),
        vote(3, other, 5, 9),
    ];
    // The member counted none of them: it has just started, and the gate was never open here.
    let effects = member.resolved(this, &outputs(8), &votes);
    let wrong = Effect::Diverged {
        computation: this,
        member: key(2).address(),
    };
    assert_eq!(effects, [wrong]);
}

#[test]
fn a_second_result_of_a_member_is_told() {
    let mut member = member(4);
    let this = computation(1, 1);
    member.ready(this, vec![vote(1, this, 5, 8)], 0);
    let (author, second) = vote(1, this, 5, 9);
    let told = Effect::Equivocated {
        computation: this,
        member: author,
    };
    assert_eq!(member.vote(author, second, 0), [told]);
}

#[test]
fn a_failed_computation_is_tried_again_after_doubling_pauses() {
    let mut member = member(4);
    let this = computation(1, 1);
    member.ready(this, vec![], 0);
    let mut now = 0;
    for pause in [500, 1000, 2000] {
        member.abstained(this, "no memory".into(), now);
        assert_eq!(member.deadline(), Some(now + pause));
        assert!(member.tick(now + pause - 1).is_empty());
        now += pause;
        assert_eq!(member.tick(now), [Effect::Compute(this)]);
        assert_eq!(member.deadline(), None);
    }
}

#[test]
fn turns_follow_the_order_and_who_can_be_reached() {
    let mut member = member(7);
    let place_in = |order: &[Address]| order.iter().position(|at| *at == key(0).address());
    let gates = (0..).map(|gate| computation(gate, 1));
    let mut orders = gates.map(|this| (this, submitters(this.gate, member.members())));
    let (this, order) = orders.find(|(_, order)| place_in(order) > Some(1)).unwrap();
    drop(orders);
    let place = place_in(&order).unwrap() as u64;
    let votes = (0..5).map(|n| vote(n, this, 5, 8)).collect();
    member.connected(order.iter().copied().collect());
    member.ready(this, votes, 0);
    assert_eq!(member.deadline(), Some(place * TURN));
    member.connected(order[1..].iter().copied().collect());
    assert_eq!(member.deadline(), Some((place - 1) * TURN));
    let effects = member.tick((place - 1) * TURN);
    assert_eq!(submits(&effects), 1);
    assert_eq!(member.deadline(), None, "it is under way");
    member.submission_failed(this, 1000);
    assert_eq!(member.deadline(), Some(1000 + place * TURN));
}

#[test]
fn a_turn_that_was_too_short_becomes_longer_and_shorter_again_with_results_in_time() {
    let mut member = member(4);
    let place_in = |order: &[Address]| order.iter().position(|at| *at == key(0).address());
    let gates: Vec<_> = (0..)
        .map(|gate| computation(gate, 1))
        .filter(|this| place_in(&submitters(this.gate, member.members())) == Some(1))
        .take(3)
        .collect();
    member.connected(member.members().iter().copied().collect());
    let votes = |this| (0..3).map(|n| vote(n, this, 5, 8)).collect::<Vec<_>>();
    member.ready(gates[0], votes(gates[0]), 0);
    assert_eq!(member.deadline(), Some(TURN));
    assert_eq!(submits(&member.tick(TURN)), 1);
    member.came_too_early();
    member.submission_failed(gates[0], TURN);
    assert_eq!(member.deadline(), Some(TURN + 2 * TURN + 2 * TURN));
    member.resolved(gates[0], &outputs(8), &[]);
    member.ready(gates[1], votes(gates[1]), 1_000);
    let longer = member.deadline().unwrap() - 1_000;
    assert!(TURN < longer && longer < 2 * TURN, "{longer}");
    member.resolved(gates[1], &outputs(8), &[]);
    member.ready(gates[2], votes(gates[2]), 2_000);
    let shorter = member.deadline().unwrap() - 2_000;
    assert!(TURN < shorter && shorter < longer, "{shorter}");
}

#[test]
fn the_turn_passes_to_those_who_can_pay() {
    let mut member = member(7);
    let place_in = |order: &[Address]| order.iter().position(|at| *at == key(0).address());
    let gates = (0..).map(|gate| computation(gate, 1));
    let mut orders = gates.map(|this| (this, submitters(this.gate, member.members())));
    let (this, order) = orders
        .find(|(_, order)| place_in(order) == Some(3))
        .unwrap();
    drop(orders);
    let votes = (0..5).map(|n| vote(n, this, 5, 8)).collect();
    member.connected(order.iter().copied().collect());
    member.ready(this, votes, 0);
    assert_eq!(member.deadline(), Some(3 * TURN));
    // Two of the three before it have nothing left.
    member.cannot_pay(order[..2].iter().copied().collect());
    assert_eq!(member.deadline(), Some(TURN));
    // It has nothing left itself: it waits for the four others who have.
    let poor: BTreeSet<_> = order[..2]
        .iter()
        .chain([&key(0).address()])
        .copied()
        .collect();
    member.cannot_pay(poor);
    assert_eq!(member.deadline(), Some(4 * TURN));
    // Nobody has anything: whoever is asked tries at once.
    member.cannot_pay(order.iter().copied().collect());
    assert_eq!(submits(&member.tick(0)), 1);
    member.submission_failed(this, 10);
    assert_eq!(member.deadline(), Some(10 + TURN));
}

/// Found when the schedule replaced the walk: two thirds of a new epoch may agree while a registration of the old one is
/// still under way.
#[test]
fn a_registration_that_an_epoch_overtook_is_followed_by_another() {
    let mut member = member(4);
    let this = computation(1, 1);
    let votes = (0..3).map(|n| vote(n, this, 5, 8)).collect();
    // Nobody else can be reached, so that the own turn comes at once.
    assert_eq!(submits(&member.ready(this, votes, 0)), 1);
    let members = member.members().to_vec();
    member.membership(6, members, 3, 10 * TURN);
    for n in 0..3 {
        let (author, vote) = vote(n, this, 6, 8);
        assert_eq!(submits(&member.vote(author, vote, 11 * TURN)), 0);
    }
    member.submission_failed(this, 12 * TURN);
    let deadline = member.deadline().unwrap();
    let effects = member.tick(deadline);
    assert!(
        matches!(&effects[..], [Effect::Submit(registration)] if registration.epoch == 6),
        "{effects:?}"
    );
}

#[test]
fn asking_again_for_what_is_open_changes_nothing() {
    let mut member = member(1);
    let this = computation(1, 1);
    let votes = vec![vote(0, this, 5, 8)];
    let effects = member.restore(this, computed(8), 5, votes.clone(), 0);
    assert_eq!(submits(&effects), 1);
    assert!(member
        .restore(this, computed(8), 5, votes.clone(), 0)
        .is_empty());
    assert!(member.ready(this, votes, 0).is_empty());
    assert_eq!(member.deadline(), None, "it is still under way");
}

#[test]
fn what_this_member_found_to_be_wrong_others_may_submit() {
    let mut member = member(4);
    let this = computation(1, 1);
    member.restore(this, computed(1), 5, vec![], 0);
    for n in 1..=3 {
        let (author, vote) = vote(n, this, 5, 2);
        assert_eq!(submits(&member.vote(author, vote, 0)), 0);
    }
    assert_eq!(submits(&member.tick(100 * TURN)), 0);
}

/// The figure that a ring of 100 members with 10,000 open gates has to keep: 1 ms a round.
#[test]
fn a_round_costs_what_is_due_and_not_what_is_open() {
    let mut member = member(100);
    member.connected(member.members().iter().copied().collect());
    let votes: Vec<_> = (0..67).map(|n| vote(n, computation(0, 1), 5, 8)).collect();
    for gate in 0..10_000 {
        let this = computation(gate, 1);
        // One signature for all: signatures are not looked at before the own turn comes.
        let votes = votes.iter().map(|(author, vote)| {
            let gate = this.gate;
            (
                *author,
                Vote {
                    gate,
                    ..vote.clone()
                },
            )
        });
        member.ready(this, votes.collect(), 1_000_000 + gate);
        if gate % 2 == 0 {
            member.abstained(this, "no memory".into(), 1_000_000);
        }
    }
    const ROUNDS: u32 = 200;
    let started = Instant::now();
    for round in 0..ROUNDS {
        // No turn has come and no pause has ended, so a walk over all gates would find nothing to do.
        assert!(member.tick(u64::from(round)).is_empty());
        assert!(member.deadline().is_some());
    }
    let each = started.elapsed() / ROUNDS;
    assert!(each.as_micros() <= 1000, "{each:?} for one round");
}

#[derive(Debug, Clone)]
enum Step {
    Ready(u64),
    Computed(u64),
    Abstained(u64),
    Vote(u64, u8),
    Failed(u64),
    Forget(u64),
    Connected(u8),
    Poor(u8, u8),
    Membership(u8),
    Tick(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let gate = 0u64..4;
    prop_oneof![
        gate.clone().prop_map(Step::Ready),
        gate.clone().prop_map(Step::Computed),
        gate.clone().prop_map(Step::Abstained),
        (gate.clone(), 0u8..5).prop_map(|(gate, n)| Step::Vote(gate, n)),
        gate.clone().prop_map(Step::Failed),
        gate.prop_map(Step::Forget),
        (0u8..6).prop_map(Step::Connected),
        (0u8..3, 0u8..6).prop_map(|(from, to)| Step::Poor(from, to)),
        (3u8..6).prop_map(Step::Membership),
        (1u64..700).prop_map(Step::Tick),
    ]
}

fn take(member: &mut Member, step: Step, now: &mut u64) {
    let of = |gate| computation(gate, 1);
    let addresses = |count: u8| (0..count).map(|n| key(n).address());
    match step {
        Step::Ready(gate) => drop(member.ready(of(gate), vec![], *now)),
        Step::Computed(gate) => drop(member.computed(of(gate), computed(8), *now)),
        Step::Abstained(gate) => member.abstained(of(gate), String::new(), *now),
        Step::Vote(gate, n) => {
            let (author, vote) = vote(n, of(gate), member.epoch(), 8);
            member.vote(author, vote, *now);
        }
        Step::Failed(gate) => member.submission_failed(of(gate), *now),
        Step::Forget(gate) => member.forget(of(gate).gate),
        Step::Connected(count) => member.connected(addresses(count).collect()),
        Step::Poor(from, to) => member.cannot_pay(addresses(to).skip(from.into()).collect()),
        Step::Membership(count) => {
            let members = addresses(count).collect();
            member.membership(count.into(), members, quorum(count.into()), *now);
        }
        Step::Tick(by) => {
            *now += by;
            member.tick(*now);
        }
    }
}

proptest! {
    /// The schedule says what a walk over all gates would say, whatever has happened.
    #[test]
    fn the_schedule_misses_nothing(steps in proptest::collection::vec(step(), 1..60)) {
        let (mut member, mut now) = (member(5), 0);
        for step in steps {
            take(&mut member, step, &mut now);
            let walked: BTreeSet<_> = member.works.iter().filter_map(|(gate, work)| {
                let retry = match work.phase {
                    Phase::Abstaining { until, .. } => Some(until),
                    _ => None,
                };
                let at = retry.into_iter().chain(member.turn_at(*gate)).min()?;
                Some((at, *gate))
            }).collect();
            prop_assert_eq!(&walked, &member.schedule);
            prop_assert!(member.deadline() == walked.first().map(|(at, _)| *at));
        }
        // Everything that was due has been done, so nothing is scheduled for the past.
        member.tick(now);
        prop_assert!(member.deadline().is_none_or(|at| at > now));
    }
}
