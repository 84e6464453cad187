//! One chain behind several endpoints, of which some fail, serve another chain, or lie.

use crate::raw::{Raw, Reply};
use rings_chain::{Call, Chain, ChainError};
use rings_protocol::{Address, Digest};
use serde_json::{json, Value};
use std::net::TcpListener;

/// The chain's id, a balance of 7 wei, and block 5 with a hash of this digit.
async fn serves(id: &'static str, digit: char) -> Raw {
    Raw::start(move |request| match request["method"].as_str() {
        Some("eth_chainId") => Reply::result(request, json!(id)),
        Some("eth_getBlockByNumber") => Reply::result(request, block(digit)),
        _ => Reply::result(request, json!("0x7")),
    })
    .await
}

const ID: &str = "0x7a69";

async fn good() -> Raw {
    serves(ID, 'a').await
}

/// An endpoint at which nobody is.
fn dead() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

fn block(digit: char) -> Value {
    let word = |digit: char| format!("0x{}", digit.to_string().repeat(64));
    json!({
        "number": "0x5",
        "hash": word(digit),
        "parentHash": word('0'),
        "timestamp": "0x10",
        "gasLimit": "0x1",
    })
}

fn url(raw: &Raw) -> String {
    format!("http://{}", raw.address)
}

async fn behind(urls: &[String], agree: usize) -> Chain {
    Chain::connect_to(urls, agree).await.unwrap()
}

fn trouble(chain: &Chain, index: usize) -> String {
    chain.providers()[index].trouble.clone().unwrap_or_default()
}

fn digest(digit: char) -> Digest {
    let byte = u8::from_str_radix(&digit.to_string().repeat(2), 16).unwrap();
    Digest([byte; 32])
}

#[tokio::test]
async fn one_that_is_away_stops_nothing_and_is_named() {
    let (first, second) = (dead(), good().await);
    let chain = behind(&[first, url(&second)], 1).await;
    assert_eq!(chain.balance(Address::ZERO).await.unwrap(), 7);
    assert_eq!(chain.trouble(), None, "the chain is followed");
    assert!(
        trouble(&chain, 0).contains("cannot be reached"),
        "{}",
        trouble(&chain, 0)
    );
    let used: Vec<_> = chain.providers().iter().map(|one| one.is_used).collect();
    assert_eq!(used, [false, true]);
    assert_eq!(chain.endpoint(), url(&second));
}

#[tokio::test]
async fn those_that_refuse_everybody_garble_or_limit_are_passed_over() {
    let replies: [fn(&Value) -> Reply; 4] = [
        |_| Reply::plain(401, ""),
        |_| Reply::plain(429, "retry-after: 3600\r\n"),
        |request| Reply::error(request, 200, -32601, "the method does not exist"),
        |request| Reply::result(request, json!({"not": "a number"})),
    ];
    for reply in replies {
        let bad = Raw::start(move |request| match request["method"].as_str() {
            Some("eth_chainId") => Reply::result(request, json!(ID)),
            _ => reply(request),
        })
        .await;
        let well = good().await;
        let chain = behind(&[url(&bad), url(&well)], 1).await;
        assert_eq!(chain.balance(Address::ZERO).await.unwrap(), 7);
        assert!(!trouble(&chain, 0).is_empty());
    }
}

#[tokio::test]
async fn what_a_pool_or_a_contract_says_is_final() {
    let refusing = Raw::start(|request| match request["method"].as_str() {
        Some("eth_chainId") => Reply::result(request, json!(ID)),
        _ => Reply::error(request, 200, -32000, "pruned history"),
    })
    .await;
    let second = good().await;
    let chain = behind(&[url(&refusing), url(&second)], 1).await;
    let refused = chain.balance(Address::ZERO).await;
    assert!(
        matches!(refused, Err(ChainError::Refused { .. })),
        "{refused:?}"
    );
    assert_eq!(second.calls("eth_getBalance"), 0);
    assert_eq!(trouble(&chain, 0), "");
}

#[tokio::test]
async fn that_a_call_would_fail_is_not_believed_from_one_where_two_must_agree() {
    let refuses = || {
        Raw::start(|request| match request["method"].as_str() {
            Some("eth_chainId") => Reply::result(request, json!(ID)),
            _ => Reply::error(request, 200, 3, "execution reverted"),
        })
    };
    let call = Call::contract(Address::ZERO, Vec::new());
    let honest = Raw::start(|request| match request["method"].as_str() {
        Some("eth_chainId") => Reply::result(request, json!(ID)),
        _ => Reply::result(request, json!("0x07")),
    })
    .await;
    let liar = refuses().await;
    let chain = behind(&[url(&liar), url(&honest)], 2).await;
    chain.accepts(Address::ZERO, &call, false).await.unwrap();
    let (first, second) = (refuses().await, refuses().await);
    let chain = behind(&[url(&first), url(&second), url(&honest)], 2).await;
    let refused = chain.accepts(Address::ZERO, &call, false).await;
    assert!(
        matches!(
            refused,
            Err(ChainError::Refused { .. } | ChainError::Reverted { .. })
        ),
        "{refused:?}"
    );
}

#[tokio::test]
async fn one_of_another_chain_is_not_asked_even_if_it_is_the_first() {
    let other = serves("0x1", 'b').await;
    let (one, two) = (good().await, good().await);
    let chain = behind(&[url(&other), url(&one), url(&two)], 1).await;
    assert_eq!(chain.id(), 31337);
    assert_eq!(chain.balance(Address::ZERO).await.unwrap(), 7);
    assert_eq!(other.calls("eth_getBalance"), 0);
    let said = trouble(&chain, 0);
    assert!(said.contains("chain 1, not 31337"), "{said}");
}

#[tokio::test]
async fn a_liar_is_found_and_put_aside_where_two_must_agree() {
    let liar = serves(ID, 'b').await;
    let (one, two) = (good().await, good().await);
    let chain = behind(&[url(&liar), url(&one), url(&two)], 2).await;
    assert_eq!(chain.block(5).await.unwrap().hash, digest('a'));
    let said = trouble(&chain, 0);
    assert!(said.contains("contradicts 2 others"), "{said}");
    // A balance is different from block to block, so one answer is enough; the liar is not asked.
    assert_eq!(chain.balance(Address::ZERO).await.unwrap(), 7);
    assert_eq!(liar.calls("eth_getBalance"), 0);
    // Where one is enough, the first is believed: that is what `agree` is for.
    let trusting = behind(&[url(&liar), url(&one), url(&two)], 1).await;
    assert_eq!(trusting.block(5).await.unwrap().hash, digest('b'));
}

#[tokio::test]
async fn where_no_two_agree_nothing_is_believed() {
    let (one, two) = (serves(ID, 'b').await, good().await);
    let chain = behind(&[url(&one), url(&two)], 2).await;
    let error = chain.block(5).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    let chain = behind(&[url(&two), dead()], 2).await;
    let error = chain.block(5).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[tokio::test]
async fn with_none_of_them_the_first_says_why() {
    let refused = Chain::connect_to(&[dead(), dead()], 1).await;
    assert!(
        matches!(refused, Err(ChainError::Unreachable { .. })),
        "{refused:?}"
    );
}
