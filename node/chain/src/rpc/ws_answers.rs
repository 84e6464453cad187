//! Answers over a websocket as jsonrpsee takes them: `"error": null` beside a result, as JSON-RPC 1.0 has it, is left out
//! (see `answers`).

use super::answers::plain;
use jsonrpsee::core::client::{ReceivedMessage, TransportReceiverT};

/// The receiving side of a websocket, which leaves out errors that are null.
pub(super) struct PlainAnswers<R>(pub(super) R);

impl<R: TransportReceiverT + Send> TransportReceiverT for PlainAnswers<R> {
    type Error = R::Error;

    async fn receive(&mut self) -> Result<ReceivedMessage, R::Error> {
        Ok(match self.0.receive().await? {
            ReceivedMessage::Text(text) => match plain(text.as_bytes()) {
                Some(bytes) => ReceivedMessage::Bytes(bytes),
                None => ReceivedMessage::Text(text),
            },
            ReceivedMessage::Bytes(bytes) => {
                let plain = plain(&bytes);
                ReceivedMessage::Bytes(plain.unwrap_or(bytes))
            }
            ReceivedMessage::Pong => ReceivedMessage::Pong,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonrpsee::{
        core::client::{ClientT, TransportSenderT},
        rpc_params,
        ws_client::WsClientBuilder,
    };
    use serde_json::{json, Value};
    use tokio::sync::mpsc;

    /// A socket to an endpoint that gives the same result to each request.
    struct Asked(mpsc::Sender<Value>);
    struct Answered(mpsc::Receiver<Value>, bool);

    #[derive(Debug)]
    struct Closed;
    impl std::fmt::Display for Closed {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("closed")
        }
    }
    impl std::error::Error for Closed {}

    impl TransportSenderT for Asked {
        type Error = Closed;
        async fn send(&mut self, message: String) -> Result<(), Closed> {
            let request: Value = serde_json::from_str(&message).unwrap();
            let answer = json!({ "id": request["id"], "result": "0x7", "error": null });
            self.0.send(answer).await.map_err(|_| Closed)
        }
    }

    impl TransportReceiverT for Answered {
        type Error = Closed;
        async fn receive(&mut self) -> Result<ReceivedMessage, Closed> {
            let text = self.0.recv().await.ok_or(Closed)?.to_string();
            Ok(match self.1 {
                true => ReceivedMessage::Text(text),
                false => ReceivedMessage::Bytes(text.into()),
            })
        }
    }

    #[tokio::test]
    async fn an_error_that_is_null_is_no_error() {
        for as_text in [true, false] {
            let (sender, receiver) = mpsc::channel(1);
            let answers = PlainAnswers(Answered(receiver, as_text));
            let client = WsClientBuilder::default().build_with_transport(Asked(sender), answers);
            let answer: String = client.request("eth_balance", rpc_params![]).await.unwrap();
            assert_eq!(answer, "0x7");
        }
    }
}
