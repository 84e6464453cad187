//! Answers of endpoints over HTTP, and how often they are asked.

use crate::raw::{Raw, Reply};
use rings_chain::{Chain, ChainError, Trouble};
use rings_protocol::Address;
use serde_json::{json, Value};
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// The chain id, and a balance of 7 wei.
fn well(request: &Value) -> Reply {
    match request["method"].as_str() {
        Some("eth_chainId") => Reply::result(request, json!("0x7a69")),
        _ => Reply::result(request, json!("0x7")),
    }
}

async fn chain(raw: &Raw) -> Chain {
    let url = format!("http://{}", raw.address);
    Chain::connect(&url).await.unwrap()
}

/// Misbehaves at the first `times` requests for a balance.
async fn at_first(times: u32, reply: impl Fn(&Value) -> Reply + Send + Sync + 'static) -> Raw {
    let asked = AtomicU32::new(0);
    Raw::start(move |request| {
        let is_balance = request["method"] == "eth_getBalance";
        match is_balance && asked.fetch_add(1, Ordering::Relaxed) < times {
            true => reply(request),
            false => well(request),
        }
    })
    .await
}

#[tokio::test]
async fn a_json_rpc_error_is_read_whatever_the_status_is() {
    for status in [400, 403, 404, 500] {
        let raw = at_first(u32::MAX, move |request| {
            Reply::error(request, status, -32000, "pruned history")
        })
        .await;
        let refused = chain(&raw).await.balance(Address::ZERO).await;
        assert!(
            matches!(&refused, Err(ChainError::Refused { message, code: -32000, .. }) if message == "pruned history"),
            "{status}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn an_error_that_is_null_is_no_error() {
    let raw = Raw::start(|request| {
        let result = match request["method"].as_str() {
            Some("eth_chainId") => "0x7a69",
            _ => "0x7",
        };
        Reply::body(&json!({ "id": request["id"], "result": result, "error": null }))
    })
    .await;
    let chain = chain(&raw).await;
    assert_eq!(chain.id(), 31337);
    assert_eq!(chain.balance(Address::ZERO).await.unwrap(), 7);
    assert_eq!(raw.calls("eth_getBalance"), 1);
}

#[tokio::test]
async fn one_refusal_that_passes_does_not_end_anything() {
    let replies: [fn(&Value) -> Reply; 4] = [
        |_| Reply::plain(503, ""),
        |_| Reply::plain(429, "retry-after: 0\r\n"),
        |request| Reply::error(request, 200, -32000, "header not found"),
        |request| Reply::error(request, 429, 429, "Too Many Requests"),
    ];
    for reply in replies {
        let raw = at_first(1, reply).await;
        assert_eq!(chain(&raw).await.balance(Address::ZERO).await.unwrap(), 7);
        assert_eq!(raw.calls("eth_getBalance"), 2);
    }
}

#[tokio::test]
async fn retry_after_is_honoured_and_the_chain_id_not_asked_again() {
    let raw = at_first(2, |_| Reply::plain(429, "retry-after: 1\r\n")).await;
    let chain = chain(&raw).await;
    let since = Instant::now();
    let (one, other) = tokio::join!(chain.balance(Address::ZERO), chain.balance(Address::ZERO));
    assert_eq!((one.unwrap(), other.unwrap()), (7, 7));
    assert!(since.elapsed() >= Duration::from_secs(2));
    // Those who ask together are one request, and the id was asked on connecting only.
    assert_eq!(raw.calls("eth_getBalance"), 3);
    assert_eq!(raw.calls("eth_chainId"), 1);
    assert_eq!(chain.trouble(), None);
}

#[tokio::test]
async fn too_many_requests_at_the_start_are_waited_for() {
    let asked = AtomicU32::new(0);
    let raw = Raw::start(move |request| match asked.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Reply::plain(429, "retry-after: 1\r\n"),
        _ => well(request),
    })
    .await;
    assert_eq!(chain(&raw).await.id(), 31337);
}

#[tokio::test]
async fn an_endpoint_that_stays_busy_is_named() {
    let raw = at_first(u32::MAX, |_| Reply::plain(429, "retry-after: 3600\r\n")).await;
    let chain = chain(&raw).await;
    let refused = chain.balance(Address::ZERO).await.unwrap_err();
    assert!(
        matches!(refused, ChainError::RateLimited { .. }),
        "{refused}"
    );
    assert!(refused.is_transient());
    assert_eq!(chain.trouble(), Some(Trouble::RateLimited));
}

#[tokio::test]
async fn credentials_are_decoded_and_never_shown() {
    let raw = Raw::start(|request| match request["method"].as_str() {
        Some("eth_getBalance") => Reply::plain(401, ""),
        _ => well(request),
    })
    .await;
    let url = format!("http://user:p%40ss@{}/v3/KEY?x=1", raw.address);
    let chain = Chain::connect(&url).await.unwrap();
    let head = raw.requests.lock().unwrap()[0].0.to_lowercase();
    assert!(head.starts_with("post /v3/key?x=1 "), "{head}");
    // base64 of user:p@ss
    assert!(head.contains("authorization: basic dxnlcjpwqhnz"), "{head}");
    let refused = chain.balance(Address::ZERO).await.unwrap_err();
    let said = format!("{refused} {refused:?} {chain:?} {}", chain.endpoint());
    for secret in ["p%40ss", "p@ss", "KEY", "x=1"] {
        assert!(!said.contains(secret), "{said}");
    }
    assert!(said.contains("401"), "{said}");
}
