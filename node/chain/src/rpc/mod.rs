//! JSON-RPC to the chain's endpoint, over http(s) or ws(s).
//!
//! [`Providers`] are the endpoints, one or several: `providers` says which of them is asked, `standing` which is put
//! aside for a while, `checked` which answers are compared, and `agreement` which answer counts. [`Rpc`](client::Rpc) is
//! one of them. A request to it passes, in this order:
//! 1. `single`: if the same request is under way already, the caller waits for its answer;
//! 2. `throttle`: after a refusal for too many requests, it waits as long as the endpoint wants;
//! 3. `http` or `ws`, which reads the chain id whenever it connects and compares it with the first one;
//! 4. `failure`, which says what went wrong. After a temporary failure the request is tried again a few times.
//!
//! `feed` keeps the subscription to new heads, and `questions` says when it asks for the head all the same. Requests have a timeout, and answers a largest size (`limits`).

mod agreement;
mod answers;
mod checked;
mod client;
mod failure;
mod feed;
mod heights;
mod http;
mod identity;
mod limits;
mod params;
mod prompt;
mod providers;
mod questions;
mod single;
mod standing;
mod throttle;
mod url;
mod ws;
mod ws_answers;

pub(crate) use failure::{is_passing_refusal, RpcFailure};
pub(crate) use feed::{follow, HeadReceiver};
pub use limits::{
    CONNECT_TIMEOUT, MAX_CONCURRENT_REQUESTS, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES,
    REQUEST_TIMEOUT,
};
pub(crate) use providers::Providers;
pub use providers::MAX_PROVIDERS;
pub use standing::ProviderState;
pub use url::is_on_this_machine;
