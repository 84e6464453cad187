//! The gas of a flush beside other ways in which somebody else pays for a person's call.

use rings_tests::{repository, script, Anvil};
use serde_json::Value;

#[test]
#[ignore = "fetches 96 MB of other projects' contracts; anvil-scripts/test --long runs it"]
fn a_flush_costs_less_than_an_entry_point_with_its_account() {
    let anvil = Anvil::start(&[]);
    let compared = script("tests/gas", "compare.mjs");
    let compared = compared.arg(repository()).arg(anvil.http()).text();
    println!("{compared}");
    let ways: Value = serde_json::from_str(&compared).unwrap();
    let later = |way: usize| ways[way]["later"][0].as_u64().unwrap();
    let [flush, safe, entry_point, bare] = [0, 1, 2, 3].map(later);
    assert!(
        bare < safe && safe < flush && flush < entry_point,
        "{compared}"
    );
}
