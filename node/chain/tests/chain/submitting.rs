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
                Err(error) if error.is_transient() => {
                    assert!(since.elapsed() < PATIENCE);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                other => break other.unwrap_err(),
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
            .read_data(world.at.scope, digests[1].token_id())
            .await
            .unwrap(),
        digests[1]
    );
    // The same purpose is the same answer, and nothing is sent again.
    let sent = world.chain.block_number().await.unwrap();
    let again = world.submitter.submit_bounded(price, call).await.unwrap();
    assert!(matches!(again, Submitted::Mined { .. }));
    assert_eq!(world.chain.block_number().await.unwrap(), sent);

    // What the contract refuses in earnest is not sent twice.
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
