//! Equal requests at the same time share one exchange: the later callers get the answer of the first.
//!
//! The exchange goes on when its first caller goes away, and is dropped when nobody waits for it any more. Nothing is
//! cached: once there is an answer, the next caller asks again.

use super::failure::RpcFailure;
use futures::future::{BoxFuture, FutureExt, Shared, WeakShared};
use serde_json::value::RawValue;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

pub(super) type Answer = Result<Arc<RawValue>, RpcFailure>;
type Asking = BoxFuture<'static, Answer>;

/// The requests in flight, by method and parameters.
#[derive(Default)]
pub(super) struct SingleFlight(Mutex<HashMap<String, WeakShared<Asking>>>);

impl SingleFlight {
    /// The answer to a request: that of the one in flight, or of a new one. The exchange is dropped when nobody waits
    /// for it any more.
    pub(super) async fn share(&self, key: String, ask: impl FnOnce() -> Asking) -> Answer {
        self.join(key, ask).await
    }

    /// The answer of a question that is under way already, or of a new one. Finished ones are forgotten here, so the list
    /// is no longer than what is under way.
    fn join(&self, key: String, ask: impl FnOnce() -> Asking) -> Shared<Asking> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&key).and_then(running) {
            return flight;
        }
        flights.retain(|_, flight| running(flight).is_some());
        let flight = ask().shared();
        flights.extend(flight.downgrade().map(|weak| (key, weak)));
        flight
    }
}

/// The request in flight, unless it has ended.
fn running(flight: &WeakShared<Asking>) -> Option<Shared<Asking>> {
    flight.upgrade().filter(|flight| flight.peek().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn those_who_ask_together_share_an_answer() {
        let asked = Arc::new(AtomicU32::new(0));
        let flights = SingleFlight::default();
        let ask = |key: &str| {
            let asked = asked.clone();
            flights.share(key.into(), || {
                async move {
                    let number = asked.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    let text = serde_json::value::to_raw_value(&number).unwrap();
                    Ok(Arc::from(text))
                }
                .boxed()
            })
        };
        let (a, b, c) = tokio::join!(ask("a"), ask("a"), ask("b"));
        assert_eq!(a.unwrap().get(), b.unwrap().get());
        assert_eq!(c.unwrap().get(), "1");
        // It has ended: who asks now asks anew.
        assert_eq!(ask("a").await.unwrap().get(), "2");
        assert_eq!(flights.0.lock().unwrap().len(), 1);
    }
}
