//! The subscriptions of one WebSocket session: a short list, and the text of the notification for each that wants a notice.
//!
//! The methods `rings_subscribe` and `rings_unsubscribe` (`rpc.rs`) find the list of the session that calls them among the
//! extensions of their request. A request by POST has none, and is refused. A subscription is told nothing before its own
//! number is sent, so that a client never hears of a number that it does not know.

use super::{
    node_api::ApiError,
    notices::{Notice, SubscribeParams},
    openrpc,
};
use serde_json::json;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The subscriptions of a session.
#[derive(Debug)]
pub(super) struct Subscriptions {
    /// Most of them at one time.
    limit: usize,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    /// The number that was given last. None is given twice in a session.
    last: u64,
    open: Vec<Subscription>,
}

#[derive(Debug)]
struct Subscription {
    number: u64,
    params: SubscribeParams,
    /// The client has its number.
    is_answered: bool,
}

impl Subscriptions {
    /// None yet, `limit` at most.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            list: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        // No code that holds this lock can panic half-way.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one, and gives its number.
    ///
    /// # Errors
    /// [`ApiError::InvalidParams`] and [`ApiError::Refused`].
    pub(super) fn begin(&self, params: SubscribeParams) -> Result<u64, ApiError> {
        params
            .check()
            .map_err(|reason| ApiError::InvalidParams { reason })?;
        let mut list = self.lock();
        if list.open.len() >= self.limit {
            return Err(ApiError::Refused {
                reason: format!(
                    "a session has at most {} subscriptions; end one of them first",
                    self.limit
                ),
            });
        }
        list.last += 1;
        let number = list.last;
        list.open.push(Subscription {
            number,
            params,
            is_answered: false,
        });
        Ok(number)
    }

    /// The answers to all calls so far are sent.
    pub(super) fn answered(&self) {
        let mut list = self.lock();
        list.open
            .iter_mut()
            .for_each(|open| open.is_answered = true);
    }

    /// Ends one. Says whether it was there.
    pub(super) fn end(&self, number: u64) -> bool {
        let mut list = self.lock();
        let before = list.open.len();
        list.open.retain(|open| open.number != number);
        list.open.len() < before
    }

    /// The notifications of a notice, one for each subscription that wants it.
    pub(super) fn notifications(&self, notice: &Notice) -> Vec<String> {
        let list = self.lock();
        let open = list.open.iter();
        let wanted = open.filter(|open| open.is_answered && open.params.wants(notice));
        let text = |open: &Subscription| {
            let params = json!({ "subscription": open.number, "result": notice });
            json!({ "jsonrpc": "2.0", "method": openrpc::NOTIFICATION, "params": params })
                .to_string()
        };
        wanted.map(text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::notices::Topic, *};

    #[test]
    fn they_are_few_and_no_number_comes_twice() {
        let subscriptions = Subscriptions::new(2);
        let begin = || subscriptions.begin(SubscribeParams::all(Topic::Gates));
        assert_eq!((begin().unwrap(), begin().unwrap()), (1, 2));
        assert!(matches!(begin(), Err(ApiError::Refused { .. })));
        assert!(subscriptions.end(1) && !subscriptions.end(1));
        assert_eq!(begin().unwrap(), 3);
        let missed = Notice::Missed { count: 4 };
        assert!(subscriptions.notifications(&missed).is_empty());
        subscriptions.answered();
        let told = subscriptions.notifications(&missed);
        let expected = [2, 3].map(|number| {
            json!({
                "jsonrpc": "2.0", "method": "rings_subscription",
                "params": { "subscription": number, "result": { "kind": "missed", "count": 4 } },
            })
        });
        let told = told.iter().map(|text| serde_json::from_str(text).unwrap());
        assert_eq!(told.collect::<Vec<serde_json::Value>>(), expected);
    }
}
