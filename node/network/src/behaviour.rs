//! The protocols that run on each connection, and their limits.
//!
//! [`Behaviour`] joins six parts of libp2p: the list of peers that may connect, limits of connections, gossip
//! (gossipsub), requests, a small protocol that asks whether a peer is still there, and one by which two peers say which
//! program they are and at which address they see each other (identify). Each part is configured in a
//! function of its own here, from [`Limits`]; the comments say which default of libp2p is changed and why. There is no
//! I/O in this file: `driver.rs` polls the parts and handles their events.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::gossipsub::{
    self, IdentTopic, MessageId, PeerScoreParams, PeerScoreThresholds, TopicScoreParams,
};
use libp2p::identity::PublicKey;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::{allow_block_list, identify, StreamProtocol};
use sha2::{Digest, Sha256};

use crate::codec::OpaqueCodec;
use crate::door::Door;
use crate::{Limits, NetworkError, Version};

/// The protocol of requests, in its first version.
pub(crate) const REQUESTS: &str = "/rings/1";

/// The protocol by which a peer asks whether the other one is still there.
const ALIVE: &str = "/rings/alive/1";

/// Such questions at once on one connection.
const ALIVE_STREAMS: usize = 4;

/// Time between two rounds of mesh upkeep.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Heartbeats for which a message can still be forwarded: a verdict must come within 10 s.
const HISTORY: usize = 10;

/// Heartbeats for which a message is offered to peers outside the mesh.
const OFFERED: usize = 3;

/// Room in a gossip frame beside the message. The envelope is some hundred bytes; but gossipsub 0.50
/// compares this limit with its whole read buffer, which may already hold the beginning of the next
/// frame (up to 8 KiB), and then drops the stream.
const FRAME_ROOM: usize = 64 * 1024;

/// Message ids offered in one frame, and the bytes that control messages may take: 34 bytes each, so
/// they fit. (With libp2p's defaults, 5000 ids in 16 KiB, a busy node's offers break the stream.)
const OFFERED_IDS: usize = 512;
const CONTROL_BYTES: usize = 32 * 1024;

/// Messages in one frame; we send one each.
const MESSAGES_PER_FRAME: usize = 64;

/// Messages in a queue are dropped when they are older.
const PUBLISH_PATIENCE: Duration = Duration::from_secs(5);
const FORWARD_PATIENCE: Duration = Duration::from_secs(2);

/// How long until rejected messages no longer count against a member.
const FORGIVENESS: Duration = Duration::from_secs(600);
const SCORE_INTERVAL: Duration = Duration::from_secs(5);

/// All that runs on a connection.
///
/// The order of the fields matters: each new connection is shown to them in turn, and behaviours that may refuse it
/// must come before those that keep a record (gossipsub would never forget a connection that was refused after it had
/// seen it).
///
/// `identify` comes last. It neither keeps nor dials the addresses that it hears of: those of peers come from the chain.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    /// Bounds handshakes before it is known who comes.
    pub(crate) door: Door,
    /// Refuses everybody who is not on the list, once the handshake has shown who it is.
    pub(crate) allowed: allow_block_list::Behaviour<allow_block_list::AllowedPeers>,
    /// Bounds the connections: with each peer, in each direction, and in all.
    pub(crate) limits: connection_limits::Behaviour,
    /// Log nodes, to all.
    pub(crate) gossip: Gossip,
    /// Requests from one peer to another.
    pub(crate) requests: Requests,
    /// Whether a peer is still there.
    pub(crate) alive: Requests,
    /// Which program a peer runs, and where it sees this machine.
    pub(crate) identify: identify::Behaviour,
}

pub(crate) type Gossip =
    gossipsub::Behaviour<gossipsub::IdentityTransform, gossipsub::WhitelistSubscriptionFilter>;

pub(crate) type Requests = request_response::Behaviour<OpaqueCodec>;

impl Behaviour {
    pub(crate) fn new(
        key: PublicKey,
        version: &Version,
        topic: &IdentTopic,
        limits: &Limits,
    ) -> Result<Self, NetworkError> {
        Ok(Self {
            door: Door::new(limits),
            allowed: allow_block_list::Behaviour::default(),
            limits: connection_limits::Behaviour::new(connection_limits(limits)),
            gossip: gossip(topic, limits)?,
            requests: requests(version, limits)?,
            alive: alive(limits),
            identify: identify(key, version),
        })
    }
}

/// Without the addresses that we listen on: peers have those from the chain. Without a memory of addresses, because peers
/// could fill it, and it would be used for dials.
fn identify(key: PublicKey, version: &Version) -> identify::Behaviour {
    let config = identify::Config::new(version.text(), key)
        .with_agent_version(version.program.clone())
        .with_hide_listen_addrs(true)
        .with_cache_size(0);
    identify::Behaviour::new(config)
}

/// Inbound connections whose handshake is under way are counted by the [`Door`].
fn connection_limits(limits: &Limits) -> ConnectionLimits {
    ConnectionLimits::default()
        .with_max_pending_outgoing(Some(limits.pending_outgoing))
        .with_max_established_incoming(Some(limits.established_incoming))
        .with_max_established_outgoing(Some(limits.established_outgoing))
        .with_max_established_per_peer(Some(limits.established_per_peer))
        .with_max_established(Some(limits.established))
}

fn requests(version: &Version, limits: &Limits) -> Result<Requests, NetworkError> {
    let codec = OpaqueCodec {
        request_bytes: limits.request_bytes,
        response_bytes: limits.response_bytes,
    };
    // Twice the inbound limit, so that requests beyond it are still read and answered "busy".
    let streams = limits.outbound_requests_per_peer + 2 * limits.inbound_requests_per_peer;
    let config = request_response::Config::default()
        .with_request_timeout(limits.request_timeout)
        .with_max_concurrent_streams(streams);
    let name = match version.protocol {
        0 | 1 => StreamProtocol::new(REQUESTS),
        protocol => {
            StreamProtocol::try_from_owned(format!("/rings/{protocol}")).map_err(|error| {
                NetworkError::Setup {
                    what: "requests",
                    source: error.into(),
                }
            })?
        }
    };
    let protocol = (name, ProtocolSupport::Full);
    Ok(request_response::Behaviour::with_codec(
        codec,
        [protocol],
        config,
    ))
}

/// The protocol by which peers are asked whether they are there: no bytes in either direction.
fn alive(limits: &Limits) -> Requests {
    let codec = OpaqueCodec {
        request_bytes: 0,
        response_bytes: 0,
    };
    let config = request_response::Config::default()
        .with_request_timeout(limits.liveness_timeout)
        .with_max_concurrent_streams(ALIVE_STREAMS);
    let protocol = (StreamProtocol::new(ALIVE), ProtocolSupport::Full);
    request_response::Behaviour::with_codec(codec, [protocol], config)
}

/// Gossip on one topic. Messages are anonymous, because what they carry is signed already; subscriptions to other topics
/// are not kept, since their number would be the peer's choice.
fn gossip(topic: &IdentTopic, limits: &Limits) -> Result<Gossip, NetworkError> {
    let config = gossip_config(limits)?;
    let filter = gossipsub::WhitelistSubscriptionFilter(HashSet::from([topic.hash()]));
    let anonymous = gossipsub::MessageAuthenticity::Anonymous;
    let mut gossip = Gossip::new_with_subscription_filter(anonymous, config, filter)
        .map_err(|error| setup(error.to_owned()))?;
    gossip
        .with_peer_score(scores(topic), thresholds())
        .map_err(setup)?;
    gossip
        .subscribe(topic)
        .map_err(|error| setup(error.to_string()))?;
    Ok(gossip)
}

/// Every member is connected with every other one, and a publisher sends to all of them (flood publishing). The
/// mesh is needed only where a link is down, so it can be sparse, which saves copies: in a ring of five each member
/// forwards to at most three others, in one of a hundred to about four.
fn gossip_config(limits: &Limits) -> Result<gossipsub::Config, NetworkError> {
    gossipsub::ConfigBuilder::default()
        .validation_mode(gossipsub::ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(|message| message_id(&message.data))
        .flood_publish(true)
        .mesh_outbound_min(1)
        .mesh_n_low(3)
        .mesh_n(4)
        .mesh_n_high(8)
        .heartbeat_initial_delay(HEARTBEAT)
        .heartbeat_interval(HEARTBEAT)
        .history_length(HISTORY)
        .history_gossip(OFFERED)
        .duplicate_cache_time(limits.gossip_memory)
        .max_transmit_size(limits.gossip_bytes + FRAME_ROOM)
        .max_publish_messages(MESSAGES_PER_FRAME)
        .max_control_messages_sent(OFFERED_IDS)
        .max_control_message_size(CONTROL_BYTES)
        .connection_handler_queue_len(limits.gossip_queue)
        .publish_queue_duration(PUBLISH_PATIENCE)
        .forward_queue_duration(FORWARD_PATIENCE)
        .build()
        .map_err(|error| setup(error.to_string()))
}

/// The same bytes are the same message, whoever sends them.
fn message_id(data: &[u8]) -> MessageId {
    MessageId::new(Sha256::digest(data).as_slice())
}

/// A peer's score falls with rejected messages, and when it breaks the mesh's rules again and again. Slowness, few
/// deliveries and a shared IP address do not: they are normal in a small ring on one machine or behind one router.
fn scores(topic: &IdentTopic) -> PeerScoreParams {
    PeerScoreParams {
        topics: HashMap::from([(topic.hash(), topic_scores())]),
        topic_score_cap: 0.0,
        app_specific_weight: 0.0,
        ip_colocation_factor_weight: 0.0,
        behaviour_penalty_weight: -1.0,
        behaviour_penalty_threshold: 10.0,
        behaviour_penalty_decay: 0.5,
        slow_peer_weight: 0.0,
        decay_interval: SCORE_INTERVAL,
        retain_score: FORGIVENESS,
        ..PeerScoreParams::default()
    }
}

/// n rejected messages make −10 n²: the third in a short time silences the peer for some seconds, ten of
/// them for minutes.
fn topic_scores() -> TopicScoreParams {
    let decay = gossipsub::score_parameter_decay_with_base(FORGIVENESS, SCORE_INTERVAL, 0.01);
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: 0.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -10.0,
        invalid_message_deliveries_decay: decay,
        ..TopicScoreParams::default()
    }
}

fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: -20.0,
        publish_threshold: -60.0,
        graylist_threshold: -80.0,
        ..PeerScoreThresholds::default()
    }
}

fn setup(error: String) -> NetworkError {
    NetworkError::Setup {
        what: "gossip",
        source: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_accepted() {
        let key = libp2p::identity::Keypair::generate_secp256k1().public();
        for protocol in [1, 2] {
            let version = Version {
                protocol,
                program: "rings".into(),
            };
            let topic = IdentTopic::new("topic");
            assert!(Behaviour::new(key.clone(), &version, &topic, &Limits::default()).is_ok());
        }
    }

    #[test]
    fn the_offers_of_a_busy_node_fit_into_a_frame() {
        let id = message_id(b"x").0.len() + 2;
        assert!(OFFERED_IDS * id + 1024 < CONTROL_BYTES);
    }

    #[test]
    fn more_than_two_rejections_silence_a_peer() {
        let weight = topic_scores().invalid_message_deliveries_weight;
        let score = |rejected: f64| weight * rejected * rejected;
        assert!(score(2.0) > thresholds().graylist_threshold);
        assert!(score(3.0) < thresholds().graylist_threshold);
    }
}
