//! The submitter on a real chain.

use crate::support::{purpose, rich_key, Anvil, World, PATIENCE};
use futures::future::join_all;
use rings_chain::{calls, Call, Chain, ChainError, Submitted, Submitter, SubmitterConfig};
use rings_protocol::{cids::sha256, crypto::SecretKey, Address};
use serde_json::json;
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tokio::time::timeout;

const SINK: Address = Address([0xee; 20]);

async fn open(url: &str, directory: &Path) -> Submitter {
    let chain = Chain::connect(url).await.unwrap();
    let config = SubmitterConfig {
        rebroadcast: Duration::from_millis(100),
        ..SubmitterConfig::default()
    };
    Submitter::open_with(directory.join("journal"), chain, rich_key(), config)
        .await
        .unwrap()
}

#[tokio::test]
async fn sixty_four_at_once_over_both_transports() {
    let anvil = Anvil::start(&[]);
    let chain = Chain::connect(&anvil.http()).await.unwrap();
    for (round, url) in [anvil.ws(), anvil.http()].into_iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        let submitter = open(&url, directory.path()).await;
        let since = Instant::now();
        let submissions = (0..64).map(|i| {
            let gas = Some(21_000);
            let call = Call {
                gas,
                ..Call::transfer(SINK, 1)
            };
            submitter.submit(purpose(&format!("{round} {i}")), call)
        });
        for submitted in timeout(PATIENCE, join_all(submissions)).await.unwrap() {
            assert!(
                matches!(submitted, Ok(Submitted::Mined { .. })),
                "{submitted:?}"
            );
        }
        println!("{url}: 64 transactions in {:?}", since.elapsed());
        let balance = chain.balance(SINK).await.unwrap();
        assert_eq!(balance, 64 * (round as u128 + 1));
        submitter.shutdown().await;
    }
}

#[tokio::test]
async fn one_after_the_other_takes_milliseconds() {
    let anvil = Anvil::start(&[]);
    for url in [anvil.ws(), anvil.http()] {
        let directory = tempfile::tempdir().unwrap();
        let submitter = open(&url, directory.path()).await;
        let mut times = Vec::new();
        for i in 0..20 {
            let since = Instant::now();
            let gas = Some(21_000);
            let call = Call {
                gas,
                ..Call::transfer(SINK, 1)
            };
            let submitted = submitter.submit(purpose(&i.to_string()), call).await;
            assert!(matches!(submitted, Ok(Submitted::Mined { .. })));
            times.push(since.elapsed());
        }
        times.sort();
        println!("{url}: one transaction {:?}", times[10]);
        assert!(times[10] < Duration::from_millis(250));
        submitter.shutdown().await;
    }
}

#[tokio::test]
async fn dropped_from_the_pool_and_resumed_after_a_restart() {
    let anvil = Anvil::start(&["--no-mining"]);
    let directory = tempfile::tempdir().unwrap();
    let first = open(&anvil.ws(), directory.path()).await;
    let pending = |expected: u64| {
        let anvil = &anvil;
        async move {
            let since = Instant::now();
            while anvil.ask("txpool_status", vec![]).await["pending"]
                != json!(format!("{expected:#x}"))
            {
                assert!(since.elapsed() < PATIENCE);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    let submit = |submitter: Submitter| {
        tokio::spawn(async move {
            submitter
                .submit(purpose("a"), Call::transfer(SINK, 7))
                .await
        })
    };
    let waiting = submit(first.clone());
    pending(1).await;

    // The pool forgets it; it is sent again.
    anvil.ask("anvil_dropAllTransactions", vec![]).await;
    pending(1).await;

    // The process ends, the pool forgets it, and the next process sends it.
    first.shutdown().await;
    assert!(matches!(waiting.await.unwrap(), Err(ChainError::Closed)));
    anvil.ask("anvil_dropAllTransactions", vec![]).await;
    let second = open(&anvil.ws(), directory.path()).await;
    pending(1).await;
    let waiting = submit(second.clone());
    anvil.mine(1).await;
    let submitted = timeout(PATIENCE, waiting).await.unwrap().unwrap();
    assert!(
        matches!(submitted, Ok(Submitted::Mined { .. })),
        "{submitted:?}"
    );
    let chain = Chain::connect(&anvil.http()).await.unwrap();
    assert_eq!(chain.balance(SINK).await.unwrap(), 7);
}

#[tokio::test]
async fn a_reorganised_transaction_comes_back() {
    let anvil = Anvil::start(&[]);
    let directory = tempfile::tempdir().unwrap();
    let submitter = open(&anvil.ws(), directory.path()).await;
    let chain = Chain::connect(&anvil.http()).await.unwrap();
    anvil.mine(5).await;
    let call = Call::transfer(SINK, 7);
    submitter.submit(purpose("a"), call.clone()).await.unwrap();
    anvil.ask("anvil_reorg", vec![json!(2), json!([])]).await;
    anvil.mine(1).await;
    let since = Instant::now();
    while chain.balance(SINK).await.unwrap() != 7 {
        assert!(since.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let again = submitter.submit(purpose("a"), call).await.unwrap();
    assert!(matches!(again, Submitted::Mined { .. }));
    assert_eq!(chain.balance(SINK).await.unwrap(), 7);
}

#[tokio::test]
async fn a_stranger_without_ether_is_told() {
    let world = World::new(1, &[]).await;
    let stranger = SecretKey::from_bytes(&[3; 32]).unwrap();
    let journal = world.directory.path().join("stranger");
    let submitter = Submitter::open(&journal, world.chain.clone(), stranger.clone())
        .await
        .unwrap();
    for gas in [None, Some(21_000)] {
        let call = Call {
            gas,
            ..Call::transfer(SINK, 1)
        };
        let refused = submitter.submit(purpose("x"), call).await;
        assert!(
            matches!(&refused, Err(ChainError::InsufficientFunds { account, .. }) if *account == stranger.address()),
            "{refused:?}"
        );
    }
    // The journal knows its owner.
    submitter.shutdown().await;
    let foreign = Submitter::open(&journal, world.chain.clone(), rich_key()).await;
    assert!(matches!(foreign, Err(ChainError::JournalForeign { .. })));
}

#[tokio::test]
async fn another_chain_on_the_same_port_is_noticed() {
    for ws in [true, false] {
        let anvil = Anvil::start(&[]);
        let port = anvil.port;
        let url = if ws { anvil.ws() } else { anvil.http() };
        let chain = Chain::connect(&url).await.unwrap();
        chain.head().await.unwrap();
        drop(anvil);
        let _other = Anvil::start_on(port, &["--chain-id", "77"]);
        let since = Instant::now();
        let error = loop {
            match chain.head().await {
                Err(error @ ChainError::WrongChain { .. }) => break error,
                _ => {
                    assert!(since.elapsed() < PATIENCE);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        };
        assert!(
            matches!(
                error,
                ChainError::WrongChain {
                    expected: 31337,
                    found: 77,
                    ..
                }
            ),
            "{error}"
        );
    }
}

/// anvil looks at a queued transaction again only when the one before it arrives. Under load it can be queued
/// though that one is mined already; here the account's nonce is set to make it so.
#[tokio::test]
async fn queued_for_ever_is_not_for_ever() {
    let anvil = Anvil::start(&[]);
    let account = json!(rich_key().address());
    let set_nonce = |nonce: &'static str| {
        let (anvil, account) = (&anvil, account.clone());
        async move {
            anvil
                .ask("anvil_setNonce", vec![account, json!(nonce)])
                .await
        }
    };
    set_nonce("0x1").await;
    let directory = tempfile::tempdir().unwrap();
    let submitter = open(&anvil.ws(), directory.path()).await;
    set_nonce("0x0").await;
    let call = Call {
        gas: Some(21_000),
        ..Call::transfer(SINK, 7)
    };
    let waiting = tokio::spawn(async move { submitter.submit(purpose("a"), call).await });
    let since = Instant::now();
    while anvil.ask("txpool_status", vec![]).await["queued"] != json!("0x1") {
        assert!(since.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    set_nonce("0x1").await;
    let submitted = timeout(PATIENCE, waiting).await.unwrap().unwrap();
    assert!(
        matches!(submitted, Ok(Submitted::Mined { .. })),
        "{submitted:?}"
    );
    println!("mended after {:?}", since.elapsed());
}

#[tokio::test]
async fn a_chain_that_charges_more_than_the_bound_is_asked_for_its_price() {
    let mut world = World::new(1, &[]).await;
    let digests = [sha256(b"one"), sha256(b"two")];
    let declare = |gas| Call {
        gas: Some(gas),
        ..calls::declare_data(world.at.scope, &digests)
    };
    let (call, price) = (declare(60_000), purpose("too little"));
    let submitted = world.submitter.submit_bounded(price, call.clone()).await;
    let Submitted::Mined { gas_used, .. } = submitted.unwrap() else {
        panic!("the estimate was not used");
    };
    assert!(gas_used > 60_000);
    assert_eq!(
        world
            .chain
            .read_data(world.at.scope, digests[1])
            .await
            .unwrap(),
        digests[1]
    );
    // The same purpose is the same answer, and nothing is sent again.
    let sent = world.chain.block_number().await.unwrap();
    let again = world.submitter.submit_bounded(price, call).await.unwrap();
    assert!(matches!(again, Submitted::Mined { .. }));
    assert_eq!(world.chain.block_number().await.unwrap(), sent);

    // A call that reverts even with enough gas is not sent twice.
    let exit = Call {
        gas: Some(200_000),
        ..calls::exit(world.at.engine, world.at.ring, Address([9; 20]))
    };
    let refused = world.submitter.submit_bounded(purpose("no member"), exit);
    let Submitted::Reverted { reason, .. } = refused.await.unwrap() else {
        panic!("nobody is no member");
    };
    assert!(reason.contains("NotMember"), "{reason}");
    assert_eq!(world.chain.block_number().await.unwrap(), sent + 1);
    world.gate(1).await;
}

/// A transaction that was signed while gas cost 400 gwei, which the account could not pay, is not sent again at that
/// price when gas costs 1 gwei: neither in the same run nor in the next.
#[tokio::test]
async fn after_a_rise_of_the_fee_the_price_of_the_moment_is_paid() {
    let anvil = Anvil::start(&["--base-fee", "1000000000"]);
    let key = crate::support::member_key(9);
    let account = json!(key.address());
    // Enough for a transfer at a few gwei, and not at 400.
    let ether = json!("0x38d7ea4c68000"); // 10^15 wei
    anvil.ask("anvil_setBalance", vec![account, ether]).await;
    let set_fee = |wei: u64| {
        let anvil = &anvil;
        async move {
            let fee = vec![json!(format!("{wei:#x}"))];
            anvil
                .ask("anvil_setNextBlockBaseFeePerGas", fee.clone())
                .await;
            anvil.mine(1).await;
            anvil.ask("anvil_setNextBlockBaseFeePerGas", fee).await;
        }
    };
    let transfer = Call {
        gas: Some(21_000),
        ..Call::transfer(SINK, 1)
    };
    let directory = tempfile::tempdir().unwrap();
    set_fee(400_000_000_000).await;
    let chain = Chain::connect(&anvil.http()).await.unwrap();
    let path = directory.path().join("journal");
    let submitter = Submitter::open(&path, chain.clone(), key.clone())
        .await
        .unwrap();
    let refused = timeout(PATIENCE, submitter.submit(purpose("a"), transfer.clone())).await;
    let refused = refused.unwrap().unwrap_err();
    assert!(
        matches!(refused, ChainError::InsufficientFunds { .. }),
        "{refused}"
    );
    set_fee(1_000_000_000).await;
    tokio::time::sleep(Duration::from_secs(4)).await; // the quote of an http endpoint lives for three seconds
    let paid = timeout(PATIENCE, submitter.submit(purpose("a"), transfer.clone())).await;
    assert!(matches!(paid.unwrap(), Ok(Submitted::Mined { .. })));
    submitter.shutdown().await;
}

/// The same for a transaction that an earlier process signed and may have sent.
#[tokio::test]
async fn what_an_earlier_run_signed_too_dear_is_signed_anew() {
    let anvil = Anvil::start(&["--base-fee", "1000000000"]);
    let key = crate::support::member_key(9);
    let account = json!(key.address());
    let chain = Chain::connect(&anvil.ws()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let balance = |wei: &'static str| {
        let (anvil, account) = (&anvil, account.clone());
        async move {
            anvil
                .ask("anvil_setBalance", vec![account, json!(wei)])
                .await
        }
    };
    balance("0xde0b6b3a7640000").await; // one ether
    anvil.ask("evm_setAutomine", vec![json!(false)]).await;
    anvil
        .ask(
            "anvil_setNextBlockBaseFeePerGas",
            vec![json!("0x5d21dba000")],
        )
        .await;
    anvil.mine(1).await;
    let first = Submitter::open(&path, chain.clone(), key.clone())
        .await
        .unwrap();
    let transfer = Call {
        gas: Some(21_000),
        ..Call::transfer(SINK, 1)
    };
    let waiting = {
        let (first, transfer) = (first.clone(), transfer.clone());
        tokio::spawn(async move { first.submit(purpose("a"), transfer).await })
    };
    let since = Instant::now();
    while anvil.ask("txpool_status", vec![]).await["pending"] != json!("0x1") {
        assert!(since.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The process ends, the pool forgets it, and the account has little left.
    first.shutdown().await;
    assert!(matches!(waiting.await.unwrap(), Err(ChainError::Closed)));
    anvil.ask("anvil_dropAllTransactions", vec![]).await;
    balance("0x38d7ea4c68000").await;
    anvil
        .ask("anvil_setNextBlockBaseFeePerGas", vec![json!("0x3b9aca00")])
        .await;
    anvil.mine(1).await;
    anvil.ask("evm_setAutomine", vec![json!(true)]).await;
    let second = Submitter::open(&path, chain, key).await.unwrap();
    let since = Instant::now();
    loop {
        let submitted = timeout(PATIENCE, second.submit(purpose("a"), transfer.clone())).await;
        match submitted.unwrap() {
            Ok(Submitted::Mined { .. }) => break,
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert!(since.elapsed() < PATIENCE, "{error}"),
        }
    }
    second.shutdown().await;
}
