//! Small functions, and what the compiler computes again in them.

use super::{
    weights::{DIVISION_AGAIN, INTEGER_AGAIN},
    *,
};
use crate::features::features;
use wasmparser::{Parser, ValidPayload, Validator};

/// Follows the function of that body: a parameter, an i64 and an f64 as locals. Gives how many integers are computed again, and the
/// blocks between values and their uses.
fn follow(body: &str) -> (u64, u64) {
    let text = format!(
        "(module (memory 1) (global $g (mut i64) (i64.const 0))
           (func (param i32) (result i64) (local i64 i64) {body}))"
    );
    follow_module(&wat::parse_str(text).unwrap())
}

fn follow_module(module: &[u8]) -> (u64, u64) {
    let mut elaboration = Elaboration::default();
    follow_with(&mut elaboration, module);
    let cost = elaboration.paths.values.cost;
    (cost.again / u64::from(INTEGER_AGAIN), cost.spans)
}

fn follow_with(elaboration: &mut Elaboration, module: &[u8]) {
    let mut validator = Validator::new_with_features(features());
    for payload in Parser::new(0).parse_all(module) {
        if let ValidPayload::Func(function, body) = validator.payload(&payload.unwrap()).unwrap() {
            let mut validator = function.into_validator(Default::default());
            let mut locals = body.get_binary_reader();
            validator.read_locals(&mut locals).unwrap();
            let arity = Arity {
                params: 1,
                results: 1,
            };
            elaboration.begin(validator.len_locals(), arity, &body);
            let mut reader = body.get_operators_reader().unwrap();
            while !reader.eof() {
                let (operator, at) = reader.read_with_offset().unwrap();
                let code = &body.as_bytes()[at - body.range().start..];
                elaboration.operator(&operator, code, &validator);
                validator.op(at, &operator).unwrap();
            }
            elaboration.finish().unwrap();
        }
    }
    assert_eq!(elaboration.paths.frames.len(), 0);
}

/// Makes a chain of `count` pure operations in local 1, each with a load of its own.
fn chain(count: usize) -> String {
    let link =
        "(local.set 1 (i64.xor (i64.mul (local.get 1) (local.get 1)) (i64.load (local.get 0))))";
    link.repeat(count)
}

/// Uses local 1 on a path of its own.
const USE: &str = "(if (local.get 0) (then (global.set $g (local.get 1))))";

#[test]
fn straight_code_computes_nothing_again() {
    let straight = format!("{} (global.set $g (local.get 1)) (local.get 1)", chain(100));
    assert_eq!(follow(&straight), (0, 0));
}

#[test]
fn each_path_that_does_not_follow_another_computes_the_chain_again() {
    // A link has two operations.
    let uses = |count: usize| {
        follow(&format!(
            "{} {} (i64.const 0)",
            chain(10),
            USE.repeat(count)
        ))
    };
    assert_eq!(uses(1).0, 0);
    assert_eq!(uses(2).0, 20);
    assert_eq!(uses(11).0, 200);
    // The loads are alive for longer and longer.
    assert!(uses(40).1 > 3 * uses(20).1, "{:?} {:?}", uses(20), uses(40));
    // What is computed before the paths part is there on all of them.
    let before = format!(
        "{} (global.set $g (local.get 1)) {} (i64.const 0)",
        chain(10),
        USE.repeat(9)
    );
    assert_eq!(follow(&before), (0, 0));
}

#[test]
fn an_else_sees_the_locals_of_before_its_if_and_computes_them_again() {
    let nested = |depth: usize| {
        let then = format!("(if (local.get 0) (then {}", chain(1));
        let other = ") (else (local.set 1 (i64.mul (local.get 1) (local.get 1)))))";
        follow(&format!(
            "{}{}(local.get 1)",
            then.repeat(depth),
            other.repeat(depth)
        ))
        .0
    };
    let (ten, twenty) = (nested(10), nested(20));
    assert!(ten > 50 && twenty > 3 * ten, "{ten} {twenty}");
}

#[test]
fn blocks_that_are_left_early_part_as_ifs_do() {
    let uses = |count: usize| {
        let path = "(block (br_if 0 (local.get 0)) (global.set $g (local.get 1)))";
        follow(&format!(
            "{} {} (i64.const 0)",
            chain(10),
            path.repeat(count)
        ))
        .0
    };
    assert_eq!((uses(1), uses(5)), (0, 80));
}

#[test]
fn each_label_of_a_table_computes_its_own() {
    let cases = format!(
        "{} (block (block (block (block (br_table 0 1 2 3 (local.get 0)))
           (global.set $g (local.get 1)) (br 2))
           (global.set $g (local.get 1)) (br 1))
           (global.set $g (local.get 1))) (i64.const 0)",
        chain(10)
    );
    assert_eq!(follow(&cases).0, 40);
}

#[test]
fn where_paths_meet_with_different_values_the_chain_ends() {
    let meet = |other: &str| {
        follow(&format!(
            "{} (if (local.get 0) (then (local.set 1 {other}))) {} (i64.const 0)",
            chain(10),
            USE.repeat(5)
        ))
        .0
    };
    // A value of its own: computed once, for the path that brings it.
    assert!(meet("(i64.load (local.get 0))") <= 20);
    // The same value on both paths is none of its own.
    assert_eq!(meet("(local.get 1)"), 80);
}

#[test]
fn paths_that_leave_early_with_the_old_value_compute_it_each() {
    let exit = "(if (local.get 0) (then (br 1)))";
    let leave = |count: usize| {
        follow(&format!(
            "{} (block {} (local.set 1 (i64.const 3))) (local.get 1)",
            chain(10),
            exit.repeat(count)
        ))
        .0
    };
    assert!(leave(10) >= 180, "{}", leave(10));
}

#[test]
fn loops_compute_what_they_do_not_change_before_they_begin() {
    let within = |change: &str| {
        follow(&format!(
            "{} (loop {} {change} (br_if 0 (i32.load (local.get 0)))) (i64.const 0)",
            chain(10),
            USE.repeat(5)
        ))
    };
    assert_eq!(within("").0, 0);
    // What moves before the loop is alive in all of it.
    let longer = "(br_if 0 (i32.load (local.get 0)))".repeat(100);
    assert!(
        within(&longer).1 > within("").1 + 20 * 80,
        "{:?}",
        within(&longer)
    );
    let product = "(if (local.get 0) (then (global.set $g (i64.mul (local.get 1) (local.get 1)))))";
    let (again, spans) = within(&product.repeat(20));
    assert!(again == 0 && spans > 20, "{again} {spans}");
    // What it changes is another value in it.
    assert_eq!(within("(local.set 1 (i64.load (local.get 0)))").0, 0);
    // A loop that assigns a local its own value hides no chain behind it.
    let hidden = format!(
        "{} (loop (local.set 1 (local.get 1)) (br_if 0 (i32.load (local.get 0)))) {} (i64.const 0)",
        chain(10),
        USE.repeat(5)
    );
    assert_eq!(follow(&hidden).0, 80);
}

/// What looks like a use of the value in local 1 and is none once the compiler has simplified it.
const NO_USES: [&str; 9] = [
    "(i64.store (local.get 0) (i64.xor (local.get 1) (local.get 1)))",
    "(i64.store (local.get 0) (i64.and (local.get 1) (i64.const 0)))",
    "(i64.store (local.get 0) (select (local.get 2) (local.get 2) (i64.eqz (local.get 1))))",
    "(drop (i64.div_s (local.get 1) (i64.const 7)))",
    "(block (br_if 0 (i64.eqz (i64.sub (local.get 1) (local.get 1)))))",
    "(loop (local.set 2 (local.get 1)) (br_if 0 (i32.load (local.get 0))))",
    "(i64.store8 (local.get 0) (local.get 1))",
    // Two values that a loop swaps, which are the same.
    "(local.set 2 (local.get 1)) (loop (local.get 1) (local.set 1 (local.get 2)) (local.set 2)
       (br_if 0 (i32.load (local.get 0))))",
    // A value that a block passes on as it is, on both paths.
    "(local.set 1 (if (result i64) (local.get 0) (then (local.get 1)) (else (local.get 1))))",
];

#[test]
fn what_only_looks_like_a_use_hides_no_chain() {
    let behind = |between: &str| {
        follow(&format!(
            "{} {between} {} (i64.const 0)",
            chain(10),
            USE.repeat(21)
        ))
        .0
    };
    for no_use in NO_USES {
        assert!(behind(no_use) >= 400, "{no_use}: {}", behind(no_use));
    }
    // A store of the value itself is a use.
    let store = "(i64.store (local.get 0) (local.get 1))";
    assert_eq!(behind(store), 0);
    // But only where it dominates.
    let on_a_path = format!("(if (local.get 0) (then {store}))");
    assert!(behind(&on_a_path) >= 400);
}

#[test]
fn divisions_are_computed_again_as_products_are() {
    let divided = |operator: &str| {
        let link = format!("(local.set 1 ({operator} (i64.load (local.get 0)) (local.get 1)))");
        follow(&format!(
            "{} {} (i64.const 0)",
            link.repeat(10),
            USE.repeat(5)
        ))
        .0
    };
    let weight = u64::from(DIVISION_AGAIN) / u64::from(INTEGER_AGAIN);
    assert!(divided("i64.rem_s") >= weight * divided("i64.mul"));
    assert!(divided("i64.mul") >= 40);
}

#[test]
fn equal_values_far_from_each_other_are_kept_between() {
    let jumps = "(br_if 0 (i32.load (local.get 0)))".repeat(100);
    let sums = "(i64.store (local.get 0) (i64.mul (local.get 1) (local.get 2)))";
    let spans = |behind: &str| {
        follow(&format!(
            "(local.set 1 (i64.load (local.get 0))) (local.set 2 (i64.load (local.get 0)))
             {sums} (block {jumps} {behind}) (i64.const 0)"
        ))
        .1
    };
    assert!(
        spans(sums) >= spans("") + 90,
        "{} {}",
        spans(sums),
        spans("")
    );
}

#[test]
fn operators_on_each_others_results_meet_many_rules() {
    let rules = |link: &str| {
        let text = format!(
            "(module (memory 1) (global $g (mut i64) (i64.const 0))
               (func (param i32) (result i64) (local i64 i64) {} (local.get 1)))",
            link.repeat(10)
        );
        let mut elaboration = Elaboration::default();
        follow_with(&mut elaboration, &wat::parse_str(text).unwrap());
        elaboration.paths.values.cost.rules
    };
    let loaded = rules("(local.set 1 (i64.and (i64.load (local.get 0)) (local.get 2)))");
    let sums = rules("(local.set 1 (i64.add (local.get 1) (local.get 2)))");
    let bits = rules("(local.set 1 (i64.and (local.get 1) (local.get 2)))");
    assert!(
        loaded == 0 && sums > 0 && bits > sums,
        "{loaded} {sums} {bits}"
    );
}

#[test]
fn code_that_cannot_be_reached_is_skipped() {
    let dead = format!(
        "{} (block (br 0) (loop (block {})) (if (i32.const 1) (then) (else))) {} (i64.const 0)",
        chain(10),
        USE.repeat(50),
        USE.repeat(2)
    );
    assert_eq!(follow(&dead).0, 20);
    assert_eq!(
        follow(&format!("(return (i64.const 0)) {}", USE.repeat(9))),
        (0, 0)
    );
}

#[test]
fn operands_of_blocks_are_followed_as_locals_are() {
    let passed = |depth: usize| {
        let then = "(if (param i64) (result i64) (local.get 0)
                    (then (i64.xor (i64.load (local.get 0)))";
        let other = ") (else (i64.mul (i64.const 3))))";
        follow(&format!(
            "(i64.load (local.get 0)) {}{}",
            then.repeat(depth),
            other.repeat(depth)
        ))
        .0
    };
    let (ten, twenty) = (passed(10), passed(20));
    assert!(ten > 30 && twenty > 3 * ten, "{ten} {twenty}");
}

#[test]
fn a_further_block_never_lowers_the_cost() {
    let mut last = (0, 0);
    for count in 0..30 {
        let cost = follow(&format!("{} {} (i64.const 0)", chain(7), USE.repeat(count)));
        assert!(cost >= last, "{count}: {cost:?} after {last:?}");
        last = cost;
    }
}
