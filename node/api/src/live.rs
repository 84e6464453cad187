//! The client's side of subscriptions: [`Client::subscribe`] opens a WebSocket session with a member and reads its notices.
//!
//! Each [`Notices`] is a session of its own, and ends it when it is dropped. A member behind TLS is not subscribed to here:
//! whoever gets [`ClientError::NotLive`] asks now and then.

use super::{
    client::{Client, ClientError},
    notices::{Notice, SubscribeParams},
    openrpc,
};
use jsonrpsee::{
    core::{
        client::{Error, Subscription, SubscriptionClientT},
        params::ObjectParams,
    },
    ws_client::{WsClient, WsClientBuilder},
};
use std::time::Duration;

/// Time to connect to a member, and for its answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Notices that wait to be read. Whoever falls further behind has to subscribe again.
const WAITING: usize = 256;
/// Most bytes of a message of the member.
const MESSAGE_BYTES: u32 = 1 << 20;

/// The notices of one subscription.
#[derive(Debug)]
pub struct Notices {
    url: String,
    stream: Subscription<Notice>,
    /// The subscription ends with its session.
    _session: WsClient,
}

impl Client {
    /// Subscribes. What happens after this has returned is told; look once now for what happened before.
    ///
    /// # Errors
    /// [`ClientError::NotLive`].
    pub async fn subscribe(&self, what: &SubscribeParams) -> Result<Notices, ClientError> {
        let failed = |source| self.not_live(source);
        let session = WsClientBuilder::default()
            .connection_timeout(CONNECT_TIMEOUT)
            .request_timeout(CONNECT_TIMEOUT)
            .max_buffer_capacity_per_subscription(WAITING)
            .max_response_size(MESSAGE_BYTES)
            .build(self.session_url())
            .await
            .map_err(failed)?;
        let params = by_name(what).map_err(|error| failed(Error::ParseError(error)))?;
        let stream = session.subscribe(openrpc::SUBSCRIBE, params, openrpc::UNSUBSCRIBE);
        Ok(Notices {
            url: self.url(),
            stream: stream.await.map_err(failed)?,
            _session: session,
        })
    }
}

fn by_name(what: &SubscribeParams) -> serde_json::Result<ObjectParams> {
    let mut params = ObjectParams::new();
    if let serde_json::Value::Object(fields) = serde_json::to_value(what)? {
        for (name, value) in fields {
            params.insert(&name, value)?;
        }
    }
    Ok(params)
}

impl Notices {
    /// The next one. After [`Notice::Missed`], and after a new subscription, look once at what is there.
    ///
    /// # Errors
    /// [`ClientError::NotLive`] when the session has ended: subscribe again.
    pub async fn next(&mut self) -> Result<Notice, ClientError> {
        let ended = |source| ClientError::NotLive {
            url: self.url.clone(),
            source: Box::new(source),
        };
        match self.stream.next().await {
            Some(Ok(notice)) => Ok(notice),
            Some(Err(error)) => Err(ended(Error::ParseError(error))),
            None => Err(ended(Error::Custom("the session has ended".into()))),
        }
    }
}
