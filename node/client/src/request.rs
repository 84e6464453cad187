//! Requests to replicas, and their answers, in JSON-RPC 2.0.
//!
//! A [`Call`] is a method and its parameters, made from what was signed; [`Call::to_json`] gives the text that the
//! caller sends over any transport. An [`Answer`] is read from the text that comes back, and an [`AnswerError`] has the
//! replica's code and data, from which a client sees what to do (send missing nodes, read the head again). Bytes are
//! hexadecimal with `0x`. The shapes are those of `rings-api`, written again here because this crate has no server in
//! it and compiles for browsers.

use rings_protocol::{crypto::Signature, flush::CompoundAction, log::LogNode, Address, Digest};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};

/// A call of a method of a replica.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The method.
    pub method: &'static str,
    /// Its parameters, by name.
    pub params: Value,
}

/// Parameters of `FlushToRing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flush {
    /// Who acts.
    pub avatar: Address,
    /// The avatar's ring.
    pub ring: Address,
    /// `abi.encode(CompoundAction)`, 0x-hex.
    pub mtx: String,
    /// r ‖ s ‖ v, 0x-hex.
    pub mtx_sig: String,
    /// Serialised nodes, newest first, 0x-hex.
    #[serde(rename = "logNodes")]
    pub log_nodes: Vec<String>,
}

/// Parameters of `AppendToRing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Append {
    /// Whose log grows.
    pub avatar: Address,
    /// The avatar's ring.
    pub ring: Address,
    /// Serialised nodes, newest first, 0x-hex.
    #[serde(rename = "logNodes")]
    pub log_nodes: Vec<String>,
    /// How many replicas are to hold them when the answer comes.
    pub replicas: u32,
    /// Most milliseconds to wait for them.
    pub wait: u64,
}

/// Parameters of `ReplicateRing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replicate {
    /// The client ring.
    pub ring: Address,
    /// The ring that is to keep its logs.
    pub replica_ring: Address,
    /// The replica key, wrapped to the member that is asked, 0x-hex; empty where nodes are not sealed.
    pub replica_key: String,
    /// `abi.encode(CompoundAction)`, 0x-hex.
    pub mtx: String,
    /// r ‖ s ‖ v, 0x-hex.
    pub mtx_sig: String,
    /// Serialised nodes, newest first, 0x-hex.
    #[serde(rename = "logNodes")]
    pub log_nodes: Vec<String>,
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Message {
    /// How far it is.
    pub status: Status,
    /// Its name.
    pub msg_hash: Digest,
    /// Its transaction.
    #[serde(default)]
    pub tx: Option<Digest>,
    /// Why it failed.
    #[serde(default)]
    pub reason: Option<String>,
}

/// How far an action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is durable at the replica, and on its way to the chain.
    Received,
    /// It is on chain.
    Relayed,
    /// It will never be on chain.
    Failed,
}

/// An answer to a [`Call`].
#[derive(Debug, Clone, PartialEq)]
pub struct Answer(pub Value);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// Not JSON-RPC.
    #[error("the replica did not answer in JSON-RPC 2.0")]
    Form(#[source] serde_json::Error),
    /// The replica refused. The codes are in `docs`: −32001 for log nodes that are missing (data: their CIDs), −32005 for a
    /// stale head (data: the head on chain), and so on.
    #[error("the replica refused: {message} (code {code})")]
    Refused {
        /// The number of the error.
        code: i64,
        /// Its message.
        message: String,
        /// Its details.
        data: Value,
    },
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn nodes(nodes: &[&LogNode]) -> Vec<String> {
    nodes.iter().map(|node| hex(node.bytes())).collect()
}

impl Call {
    /// To bring an action to its ring, with the nodes behind it, newest first.
    pub fn flush(
        ring: Address,
        action: &CompoundAction,
        signature: &Signature,
        log_nodes: &[&LogNode],
    ) -> Self {
        let params = Flush {
            avatar: action.avatar,
            ring,
            mtx: hex(action.to_abi()),
            mtx_sig: hex(signature.to_bytes()),
            log_nodes: nodes(log_nodes),
        };
        Self::new("FlushToRing", json!(params))
    }

    /// To have log nodes kept, newest first, without a transaction.
    pub fn append(
        (ring, avatar): (Address, Address),
        log_nodes: &[&LogNode],
        replicas: u32,
        wait: u64,
    ) -> Self {
        let params = Append {
            avatar,
            ring,
            log_nodes: nodes(log_nodes),
            replicas,
            wait,
        };
        Self::new("AppendToRing", json!(params))
    }

    /// To hand a ring over, by the action that registers it. `replica_key` is wrapped to the member that is asked.
    pub fn replicate(
        (ring, replica_ring): (Address, Address),
        replica_key: &[u8],
        (action, signature): (&CompoundAction, &Signature),
        log_nodes: &[&LogNode],
    ) -> Self {
        let params = Replicate {
            ring,
            replica_ring,
            replica_key: hex(replica_key),
            mtx: hex(action.to_abi()),
            mtx_sig: hex(signature.to_bytes()),
            log_nodes: nodes(log_nodes),
        };
        Self::new("ReplicateRing", json!(params))
    }

    /// To learn what became of an action.
    pub fn message(msg_hash: Digest) -> Self {
        Self::new("rings_getMessage", json!({ "msg_hash": msg_hash }))
    }

    fn new(method: &'static str, params: Value) -> Self {
        Self { method, params }
    }

    /// The body of the HTTP POST, or the text of the WebSocket message.
    pub fn to_json(&self, id: u64) -> String {
        let call = json!({
            "jsonrpc": "2.0", "id": id, "method": self.method, "params": self.params,
        });
        call.to_string()
    }
}

impl Answer {
    /// Reads the body of an answer.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub fn read(body: &[u8]) -> Result<Self, AnswerError> {
        #[derive(Deserialize)]
        struct Error {
            code: i64,
            message: String,
            #[serde(default)]
            data: Value,
        }
        #[derive(Deserialize)]
        struct Body {
            #[serde(default)]
            result: Value,
            error: Option<Error>,
        }
        let body: Body = serde_json::from_slice(body).map_err(AnswerError::Form)?;
        match body.error {
            None => Ok(Self(body.result)),
            Some(Error {
                code,
                message,
                data,
            }) => Err(AnswerError::Refused {
                code,
                message,
                data,
            }),
        }
    }

    /// The answer to `FlushToRing`, `ReplicateRing` or `rings_getMessage`; nothing where the replica never saw the action.
    ///
    /// # Errors
    /// [`AnswerError::Form`] when it is something else.
    pub fn message(self) -> Result<Option<Message>, AnswerError> {
        serde_json::from_value(self.0).map_err(AnswerError::Form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{register_ring, AvatarState, Log, Secrecy, NO_DEADLINE};
    use rings_protocol::{crypto::SecretKey, eip712::Domain, flush::Signed};

    #[test]
    fn a_replica_reads_what_a_client_writes() {
        let (ring, keeper) = (Address([7; 20]), Address([8; 20]));
        let key = SecretKey::from_bytes(&[1; 32]).unwrap();
        let mut log = Log::new(Domain::new(31337, ring), Secrecy::Open);
        log.append(&key, vec![], &[], None).unwrap();
        let action = register_ring(keeper, ring, key.address());
        let (action, signature) = action
            .sign(&key, &log, AvatarState::default(), NO_DEADLINE)
            .unwrap();
        let request = Call::flush(ring, &action, &signature, &log.since(Digest::ZERO));
        let params = &request.params;
        let bytes = |name: &str| {
            let text = params[name].as_str().unwrap().strip_prefix("0x");
            hex::decode(text.unwrap()).unwrap()
        };
        let read = Signed::read(
            log.domain(),
            key.address(),
            &bytes("mtx"),
            &bytes("mtx_sig"),
        );
        assert_eq!(read.unwrap().action(), &action);
        assert_eq!(params["logNodes"], json!([hex(log.nodes()[0].bytes())]));
        let call: Value = serde_json::from_str(&request.to_json(3)).unwrap();
        assert_eq!(
            (&call["id"], &call["method"]),
            (&json!(3), &json!("FlushToRing"))
        );
    }

    #[test]
    fn answers_and_refusals_are_told_apart() {
        let name = format!("0x{}", "09".repeat(32));
        let body =
            json!({"jsonrpc": "2.0", "id": 1, "result": {"status": "received", "msg_hash": name}});
        let message = Answer::read(body.to_string().as_bytes()).unwrap().message();
        assert_eq!(message.unwrap().unwrap().status, Status::Received);
        let body = json!({"jsonrpc": "2.0", "id": 1, "result": null});
        let answer = Answer::read(body.to_string().as_bytes()).unwrap();
        assert_eq!(answer.message().unwrap(), None);
        let body = json!({"jsonrpc": "2.0", "id": 1, "error": {"code": -32005, "message": "stale head", "data": name}});
        let refused = Answer::read(body.to_string().as_bytes()).unwrap_err();
        assert!(
            matches!(refused, AnswerError::Refused { code: -32005, data, .. } if data == json!(name))
        );
        assert!(Answer::read(b"<html>").is_err());
    }
}
