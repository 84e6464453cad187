//! The calls of an avatar to a member: the client's side of `client_rings.rs`.

use super::{
    client::{Client, ClientError},
    client_rings::{
        AppendParams, ClientRingsParams, ClientRingsView, FlushParams, HeldView, MessageView,
        ReplicateParams,
    },
    openrpc,
};
use rings_protocol::Digest;
use serde_json::json;

impl Client {
    /// `FlushToRing`.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn flush(&self, request: &FlushParams) -> Result<MessageView, ClientError> {
        self.call(openrpc::FLUSH, json!(request)).await
    }

    /// `AppendToRing`.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn append(&self, request: &AppendParams) -> Result<HeldView, ClientError> {
        self.call(openrpc::APPEND, json!(request)).await
    }

    /// `ReplicateRing`.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn replicate(&self, request: &ReplicateParams) -> Result<MessageView, ClientError> {
        self.call(openrpc::REPLICATE, json!(request)).await
    }

    /// `rings_getMessage`.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn message(&self, msg_hash: Digest) -> Result<Option<MessageView>, ClientError> {
        self.call(openrpc::GET_MESSAGE, json!({ "msg_hash": msg_hash }))
            .await
    }

    /// `rings_getClientRings`.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn client_rings(
        &self,
        which: &ClientRingsParams,
    ) -> Result<ClientRingsView, ClientError> {
        self.call(openrpc::GET_CLIENT_RINGS, json!(which)).await
    }
}
