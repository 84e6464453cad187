//! Requests: ours to peers, and theirs to the consumer.
//!
//! A request to a peer that is not connected fails at once and does not dial. A peer's request is given to the consumer
//! if the peer has not used up its share and the queue has a place; otherwise the answer is "busy", at once. If the
//! consumer drops a request, the peer is told that no answer will come, so it need not wait for the timeout.

use bytes::Bytes;
use futures::FutureExt;
use libp2p::request_response::{self, InboundRequestId, Message, OutboundFailure, ResponseChannel};
use libp2p::PeerId as Id;
use tokio::sync::oneshot;

use super::waiting::{Answered, Asked};
use super::Driver;
use crate::behaviour::REQUESTS;
use crate::codec::Response;
use crate::{NetworkError, PeerId, PeerRequest, Reply};

impl Driver {
    /// Sends a request to a peer that is connected. It does not dial: whoever is on the list and not connected is being
    /// dialed already.
    pub(super) fn ask(&mut self, peer: PeerId, data: Bytes, asked: Asked) {
        if !self.links.is_open(&peer.0) {
            return asked.tell(Err(NetworkError::NotConnected { peer }));
        }
        let id = self
            .swarm
            .behaviour_mut()
            .requests
            .send_request(&peer.0, data);
        self.asked.insert(id, asked);
    }

    /// Handles what libp2p says about requests. Each of ours ends exactly once, with an answer or a failure, and each of
    /// theirs leaves the inbox exactly once, however it ends.
    pub(super) fn on_request(&mut self, event: request_response::Event<Bytes, Response>) {
        match event {
            request_response::Event::Message { peer, message, .. } => match message {
                Message::Request {
                    request_id,
                    request,
                    channel,
                } => self.on_asked(peer, request_id, request, channel),
                Message::Response {
                    request_id,
                    response,
                } => {
                    if let Some(asked) = self.asked.remove(&request_id) {
                        asked.tell(read(PeerId(peer), response));
                    }
                }
            },
            request_response::Event::OutboundFailure {
                peer,
                request_id,
                error,
                ..
            } => {
                if let Some(asked) = self.asked.remove(&request_id) {
                    asked.tell(Err(self.failure(PeerId(peer), error)));
                }
            }
            request_response::Event::InboundFailure {
                peer,
                request_id,
                error,
                ..
            } => {
                tracing::debug!(%peer, %error, "could not answer a request");
                self.inbox.closed(&request_id);
            }
            request_response::Event::ResponseSent { request_id, .. } => {
                self.inbox.closed(&request_id)
            }
        }
    }

    fn on_asked(
        &mut self,
        from: Id,
        id: InboundRequestId,
        data: Bytes,
        channel: ResponseChannel<Response>,
    ) {
        let room = self.inbox.has_room(&from);
        let Some(place) = room.then(|| self.requests.try_reserve().ok()).flatten() else {
            self.counters.requests_refused.add_one();
            return self.on_answered((channel, Response::Busy));
        };
        let (answer, answered) = oneshot::channel();
        place.send(PeerRequest {
            from: PeerId(from),
            data,
            reply: Reply {
                answer,
                limit: self.limits.response_bytes,
            },
        });
        self.inbox.opened(from, id);
        let answering = async move {
            // A dropped reply declines.
            (channel, answered.await.unwrap_or(Response::Declined))
        };
        self.answers.push(answering.boxed());
    }

    pub(super) fn on_answered(&mut self, (channel, response): Answered) {
        let requests = &mut self.swarm.behaviour_mut().requests;
        if requests.send_response(channel, response).is_err() {
            tracing::debug!("an answer came too late");
        }
    }

    fn failure(&self, peer: PeerId, error: OutboundFailure) -> NetworkError {
        match error {
            OutboundFailure::DialFailure => NetworkError::NotConnected { peer },
            OutboundFailure::ConnectionClosed => NetworkError::ConnectionLost { peer },
            OutboundFailure::Timeout => NetworkError::Timeout {
                peer,
                after: self.limits.request_timeout,
            },
            OutboundFailure::UnsupportedProtocols => NetworkError::Unsupported {
                peer,
                protocol: REQUESTS,
            },
            OutboundFailure::Io(source) => NetworkError::Failed { peer, source },
        }
    }
}

fn read(peer: PeerId, response: Response) -> Result<Bytes, NetworkError> {
    match response {
        Response::Answer(data) => Ok(data),
        Response::Busy => Err(NetworkError::Busy { peer }),
        Response::Declined => Err(NetworkError::Declined { peer }),
    }
}
