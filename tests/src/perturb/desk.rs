//! What all connections of a provider share: how it behaves now, and what it was asked.

use super::conduct::{quantity, Conduct, Rate};
use serde_json::{json, Value};
use std::{
    collections::BTreeMap,
    sync::{
        atomic::{AtomicU16, AtomicU64, Ordering},
        Mutex,
    },
    time::Instant,
};
use tokio::sync::watch;

/// What all connections of a provider share.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) upstream: AtomicU16,
    pub(super) conduct: Mutex<Conduct>,
    pub(super) asked: Mutex<Asked>,
    pub(super) bucket: Mutex<Bucket>,
    pub(super) turn: AtomicU64,
    pub(super) http: reqwest::Client,
    /// Rises when all connections are to be closed.
    pub(super) cut: watch::Sender<u64>,
}

/// What was asked.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) served: BTreeMap<String, usize>,
    pub(super) refused: BTreeMap<String, usize>,
    pub(super) limited: usize,
}

/// Requests that may still be served, and since when.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) left: f64,
    pub(super) since: Instant,
}

impl Desk {
    pub(super) fn upstream(&self) -> u16 {
        self.upstream.load(Ordering::Relaxed)
    }

    pub(super) fn conduct(&self) -> Conduct {
        self.conduct.lock().unwrap().clone()
    }

    pub(super) fn note(&self, method: &str, refused: bool) {
        let mut asked = self.asked.lock().unwrap();
        let asked = &mut *asked;
        let count = match refused {
            true => &mut asked.refused,
            false => &mut asked.served,
        };
        *count.entry(method.to_owned()).or_default() += 1;
    }

    /// Whether every second request has come.
    pub(super) fn is_second(&self) -> bool {
        self.turn.fetch_add(1, Ordering::Relaxed) % 2 == 1
    }

    /// Takes a request's place; none is left when it gives the rate. Refusals are counted.
    pub(super) fn over_rate(&self, requests: usize) -> Option<Rate> {
        let rate = self.conduct().rate?;
        let mut bucket = self.bucket.lock().unwrap();
        let now = Instant::now();
        let gained = (now - bucket.since).as_secs_f64() * rate.per_second;
        bucket.left = (bucket.left + gained).min(rate.per_second);
        bucket.since = now;
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            return None;
        }
        self.asked.lock().unwrap().limited += requests;
        Some(rate)
    }

    /// Asks the chain.
    pub(super) async fn ask(&self, request: &Value) -> Result<Value, reqwest::Error> {
        let url = format!("http://127.0.0.1:{}", self.upstream());
        self.http.post(url).json(request).send().await?.json().await
    }

    /// The chain's own head.
    pub(super) async fn head(&self) -> u64 {
        let request =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": [] });
        let answer = self.ask(&request).await.unwrap_or_default();
        quantity(&answer["result"]).unwrap_or_default()
    }
}
