//! Starting the network: from a [`Config`] to a running task.
//!
//! [`start`] checks the secret and the addresses, builds the transport (`transport.rs`) and the protocols on each
//! connection (`behaviour.rs`), binds the addresses, and spawns the task that owns all of it (`driver.rs`). It returns
//! a [`Started`]: the handle by which the caller gives commands, the queue of events, the queue of peers' requests, and
//! the task to wait for. Nobody can connect until the caller has said who may ([`Network::set_peers`]).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use libp2p::core::transport::ListenerId;
use libp2p::gossipsub::IdentTopic;
use libp2p::swarm::{self, SwarmEvent};
use libp2p::{Multiaddr, Swarm, TransportError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::behaviour::Behaviour;
use crate::counters::Counters;
use crate::driver::{Driver, DriverParts};
use crate::handle::NetworkParts;
use crate::reach::Reach;
use crate::{address, identity, transport};
use crate::{Event, Limits, Network, NetworkError, OwnAddresses, PeerId, PeerRequest, Version};

/// How long an interface may take to tell us its address.
const BIND_PATIENCE: Duration = Duration::from_secs(5);

/// Connections are never closed for being idle: members stay connected, and dead connections are found by asking.
const IDLE_FOR_EVER: Duration = Duration::MAX;

/// What the network needs to start.
#[derive(Clone)]
pub struct Config {
    /// A secp256k1 secret; the peer's name follows from it.
    pub secret: Zeroizing<[u8; 32]>,
    /// Multiaddrs to listen on, such as `/ip4/0.0.0.0/tcp/4001` and `/ip4/0.0.0.0/udp/4001/quic-v1`; port 0 takes any.
    /// Without any, the node dials others and cannot be dialed.
    pub listen: Vec<String>,
    /// The bounds.
    pub limits: Limits,
    /// What gossip is about; only peers with the same topic hear each other. It should name chain and ring.
    pub topic: String,
    /// What is spoken. A peer of another version is not connected, and the reason is known
    /// ([`Network::unreachable`]).
    pub version: Version,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("secret", &"…")
            .field("listen", &self.listen)
            .field("limits", &self.limits)
            .field("topic", &self.topic)
            .field("version", &self.version)
            .finish()
    }
}

/// A running network.
#[derive(Debug)]
pub struct Started {
    /// The handle.
    pub network: Network,
    /// What happens: gossip and connections.
    pub events: mpsc::Receiver<Event>,
    /// Requests of peers. The consumer of this queue may be slow without delaying gossip.
    pub requests: mpsc::Receiver<PeerRequest>,
    /// The task that drives the network.
    pub task: JoinHandle<()>,
}

/// Starts the network: binds the addresses and runs the task. Nobody can connect before
/// [`Network::set_peers`].
///
/// The task ends with [`Network::shutdown`], or when the last handle is dropped.
///
/// # Errors
/// If the secret is not a key, an address cannot be used or is in use, or a part cannot be set up.
pub async fn start(config: Config) -> Result<Started, NetworkError> {
    let Config {
        secret,
        listen,
        limits,
        topic,
        version,
    } = config;
    let topic = IdentTopic::new(version.topic(&topic));
    let mut swarm = swarm(&secret, &version, &topic, &limits)?;
    let listeners = bind(&mut swarm, &listen).await?;

    let counters = Arc::new(Counters::default());
    let reach = Arc::new(Reach::default());
    let (own, own_addresses) = watch::channel(OwnAddresses::default());
    let (commands, command_queue) = mpsc::channel(limits.command_queue);
    let (event_queue, events) = mpsc::channel(limits.event_queue);
    let (request_queue, requests) = mpsc::channel(limits.request_queue);
    let local = PeerId(*swarm.local_peer_id());
    let network = Network::new(NetworkParts {
        local,
        limits: limits.clone(),
        counters: Arc::clone(&counters),
        reach: Arc::clone(&reach),
        own_addresses,
        commands,
    });
    let driver = Driver::new(DriverParts {
        swarm,
        listeners,
        topic: topic.hash(),
        version,
        limits,
        counters,
        reach,
        own,
        commands: command_queue,
        events: event_queue,
        requests: request_queue,
    });
    Ok(Started {
        network,
        events,
        requests,
        task: tokio::spawn(driver.run()),
    })
}

/// Key, transport and behaviour become one swarm. It never closes a connection for being idle, because the list of peers
/// decides who stays connected.
fn swarm(
    secret: &Zeroizing<[u8; 32]>,
    version: &Version,
    topic: &IdentTopic,
    limits: &Limits,
) -> Result<Swarm<Behaviour>, NetworkError> {
    let keypair = identity::keypair(secret).map_err(|error| NetworkError::Secret(error.into()))?;
    let config = swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(IDLE_FOR_EVER)
        .with_max_negotiating_inbound_streams(limits.negotiating_streams);
    Ok(Swarm::new(
        transport::build(&keypair, limits)?,
        Behaviour::new(keypair.public(), version, topic, limits)?,
        keypair.public().to_peer_id(),
        config,
    ))
}

/// Opens all listeners. Each address is tried with a plain socket first: libp2p shares its ports, so one that another
/// process uses would be no error.
async fn bind(
    swarm: &mut Swarm<Behaviour>,
    listen: &[String],
) -> Result<Vec<ListenerId>, NetworkError> {
    let addresses = listen
        .iter()
        .map(|text| address::listen(text))
        .collect::<Result<Vec<_>, _>>()?;
    addresses.iter().try_for_each(address::probe)?;
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in &addresses {
        listeners.push(listen_on(swarm, address).await?);
    }
    Ok(listeners)
}

async fn listen_on(
    swarm: &mut Swarm<Behaviour>,
    address: &Multiaddr,
) -> Result<ListenerId, NetworkError> {
    let refuse = |source| address::listen_error(address, source);
    let id = swarm
        .listen_on(address.clone())
        .map_err(|error| match error {
            TransportError::Other(source) => refuse(source),
            TransportError::MultiaddrNotSupported(_) => {
                refuse(std::io::ErrorKind::Unsupported.into())
            }
        })?;
    let bound = tokio::time::timeout(BIND_PATIENCE, bound(swarm, id)).await;
    bound
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        .map_err(refuse)?;
    Ok(id)
}

/// Waits until the listener has an address.
async fn bound(swarm: &mut Swarm<Behaviour>, id: ListenerId) -> std::io::Result<()> {
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { listener_id, .. } if listener_id == id => return Ok(()),
            SwarmEvent::ListenerError { listener_id, error } if listener_id == id => {
                return Err(error)
            }
            SwarmEvent::ListenerClosed {
                listener_id,
                reason,
                ..
            } if listener_id == id => {
                return reason.and(Err(std::io::ErrorKind::NotConnected.into()))
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_does_not_print() {
        let config = Config {
            secret: Zeroizing::new([0xab; 32]),
            listen: Vec::new(),
            limits: Limits::default(),
            topic: "topic".to_owned(),
            version: Version {
                protocol: 1,
                program: "rings".to_owned(),
            },
        };
        let text = format!("{config:?}");
        assert!(
            !text.contains("171") && !text.to_lowercase().contains("abab"),
            "{text}"
        );
    }
}
