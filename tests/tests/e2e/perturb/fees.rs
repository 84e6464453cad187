//! Fees that rise and fall, blocks that hold little, chains that make no blocks.

use super::super::quick::wc;
use rings_tests::{
    perturb::{Stage, RECOVERY},
    until, Eth, RaiseOnDrop, LONG,
};
use serde_json::json;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

const GWEI: u128 = 1_000_000_000;

/// The base fee of the next block.
fn next_fee(chain: &Eth, gwei: u128) {
    let fee = format!("{:#x}", gwei * GWEI);
    chain.call("anvil_setNextBlockBaseFeePerGas", &json!([fee]));
}

/// Keeps the base fee where it is while something is done: anvil would lower it with each empty block.
fn at_fee<T>(chain: &Eth, gwei: u128, doing: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    // Before anything is done, so that nothing is offered at the price before.
    next_fee(chain, gwei);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                next_fee(chain, gwei);
                thread::sleep(Duration::from_millis(50));
            }
        });
        let _over = RaiseOnDrop(&over);
        doing()
    })
}

#[test]
fn a_chain_at_five_thousand_gwei_is_used_or_refused_at_once() {
    const GAS_PRICE: u128 = 5_000;
    let anvil = ["--chain-id", "25", "--base-fee", "5000000000000"];
    let stage = Stage::prepare(false, &anvil);
    let eth = stage.eth();
    let rich = format!("{:#x}", 10_u128.pow(24));
    eth.call("anvil_setBalance", &json!([stage_payer(&stage), rich]));
    let done = at_fee(&eth, GAS_PRICE, || {
        stage.up(&["--members", "4"]).limit(LONG).call()
    });
    match done.status.code() {
        Some(0) => {
            let output = at_fee(&eth, GAS_PRICE, || stage.result("wc", b"dear\n").0);
            assert_eq!(output, wc(b"dear\n"));
        }
        status => {
            assert_eq!(status, Some(5), "{}", done.stderr);
            let line = done.stderr.lines().last().unwrap();
            for word in ["gwei", "5000", "--"] {
                assert!(line.contains(word), "{word}: {line}");
            }
            assert!(
                done.took < Duration::from_secs(15),
                "at once: {:?}",
                done.took
            );
        }
    }
}

/// The account that pays on a chain that is not ours.
fn stage_payer(stage: &Stage) -> rings_protocol::Address {
    rings_tests::Anvil::write_key(stage.ring.dir().parent().unwrap());
    stage.deployer().address()
}

#[test]
fn a_price_that_was_high_is_forgotten() {
    let stage = Stage::with(4, false, &["--chain-id", "4242"], &[]);
    let eth = stage.eth();
    assert_eq!(stage.result("wc", b"before\n").0, wc(b"before\n"));
    // More than anybody here can pay.
    let poor = format!("{:#x}", 10_u128.pow(17));
    eth.call(
        "anvil_setBalance",
        &json!([stage.requester().address(), poor]),
    );
    let run = || {
        stage
            .ring
            .run(&["--timeout", "4"], "wc", &[])
            .stdin("spike\n")
            .limit(LONG)
            .call()
    };
    let dear = at_fee(&eth, 1_000, || {
        eth.mine(1);
        run()
    });
    assert!(
        matches!(dear.status.code(), Some(4 | 5)),
        "{:?}: {}",
        dear.status,
        dear.stderr
    );
    assert!(
        dear.took < Duration::from_secs(15),
        "--timeout holds: {:?}",
        dear.took
    );
    let said = dear.stderr.to_lowercase();
    assert!(
        said.contains("gwei") || said.contains("funds") || said.contains("balance"),
        "{said}"
    );
    next_fee(&eth, 1);
    eth.mine(1);
    for _ in 0..2 {
        let began = Instant::now();
        let again = run();
        assert_eq!(again.ok().stdout, wc(b"spike\n"));
        assert!(began.elapsed() < RECOVERY, "{:?}", began.elapsed());
    }
}

#[test]
fn members_forget_a_high_price_too() {
    let stage = Stage::with(4, false, &["--chain-id", "4242"], &[]);
    let (eth, job) = (stage.eth(), stage.job("wc", None, b"members\n"));
    stage.wait_ended(&[stage.gate(&job)], LONG);
    // Enough to ask at the high price too.
    stage.requester().fund(&eth);
    let gate = stage.gate(&job);
    // The gate is there; its registration falls into the time of the high price.
    at_fee(&eth, 400, || {
        eth.mine(1);
        stage.unresolved(&stage.gates(&job, 3), Duration::from_secs(3));
    });
    next_fee(&eth, 1);
    eth.mine(2);
    let more = stage.gates(&job, 3);
    println!(
        "after the price: {:?}",
        stage.wait_ended(&[&more[..], &[gate]].concat(), RECOVERY)
    );
}

#[test]
fn no_transaction_asks_for_more_gas_than_a_block_holds() {
    // The limit of `geth --dev`, and one that holds the largest transaction with little to spare.
    for limit in ["11500000", "10000000"] {
        let stage = Stage::with(4, false, &["--chain-id", "4242", "--gas-limit", limit], &[]);
        assert_eq!(stage.result("wc", limit.as_bytes()).0, wc(limit.as_bytes()));
        let limit: u64 = limit.parse().unwrap();
        for (transaction, _) in stage.eth().transactions_since(0) {
            let gas = rings_tests::quantity(&transaction["gas"]);
            assert!(gas <= limit, "{gas} of {limit}");
        }
    }
}

#[test]
fn a_timeout_covers_transactions_that_nobody_mines() {
    let stage = Stage::with(4, false, &["--chain-id", "4242"], &[]);
    let eth = stage.eth();
    eth.call("evm_setAutomine", &json!([false]));
    let run = |timeout| {
        stage
            .ring
            .run(&["--timeout", timeout], "wc", &[])
            .stdin("no blocks\n")
            .limit(LONG)
            .call()
    };
    let waited = run("5");
    assert!(
        matches!(waited.status.code(), Some(4 | 5)),
        "{:?}: {}",
        waited.status,
        waited.stderr
    );
    let took = waited.took;
    assert!(
        (4..10).contains(&took.as_secs()),
        "5 s were asked for: {took:?}"
    );
    assert!(waited.stderr.contains("transaction"), "{}", waited.stderr);
    eth.call("evm_setAutomine", &json!([true]));
    eth.mine(1);
    assert_eq!(run("20").ok().stdout, wc(b"no blocks\n"));
    until("all that was sent is in blocks", LONG, || {
        let waiting = eth.call("txpool_status", &json!([]));
        (waiting["pending"] == "0x0").then_some(())
    });
}
