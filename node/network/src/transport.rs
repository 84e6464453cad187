//! TCP (with Noise and Yamux) and QUIC; DNS names are resolved.
//!
//! Both transports authenticate the peer by its key before anything else is said. Windows and numbers of streams are
//! set from [`Limits`], because libp2p's own defaults are too large for hundreds of peers or too small for one whole
//! response. Without a resolver the node still starts, and dials IP addresses only.

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{dns, noise, quic, tcp, yamux, PeerId, Transport};

use crate::{Limits, NetworkError};

/// Yamux promises every stream a window of 256 KiB and all of them together 1 GiB; it panics when asked
/// for more streams than fit.
const MAX_YAMUX_STREAMS: usize = 4096;

/// Bytes that a peer may send ahead of what we have read, on one QUIC stream: one whole response. (Yamux starts at 256
/// KiB and adapts to the rate at which we read.)
const QUIC_STREAM_WINDOW: u32 = 8 * 1024 * 1024;

/// Bytes that a peer may send ahead on all streams of a QUIC connection together.
const QUIC_CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;

type Muxed = Boxed<(PeerId, StreamMuxerBox)>;

/// The transport; names are resolved with the system's resolver.
pub(crate) fn build(keypair: &Keypair, limits: &Limits) -> Result<Muxed, NetworkError> {
    match dns::tokio::Transport::system(without_names(keypair, limits)?) {
        Ok(transport) => Ok(transport.boxed()),
        Err(error) => {
            // Without a resolver, IP addresses can still be dialed.
            tracing::warn!(%error, "no DNS: only peers with an IP address can be dialed");
            without_names(keypair, limits)
        }
    }
}

fn without_names(keypair: &Keypair, limits: &Limits) -> Result<Muxed, NetworkError> {
    let noise = noise::Config::new(keypair).map_err(|error| NetworkError::Setup {
        what: "the Noise handshake",
        source: error.into(),
    })?;
    // `V1Lazy` saves a round trip where only one protocol is offered.
    let tcp = tcp::tokio::Transport::new(tcp::Config::new().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(yamux_config(limits))
        .timeout(limits.dial_timeout)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    let quic = quic::tokio::Transport::new(quic_config(keypair, limits))
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
    Ok(tcp
        .or_transport(quic)
        .map(|either, _| either.into_inner())
        .boxed())
}

fn yamux_config(limits: &Limits) -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(limits.streams_per_connection.min(MAX_YAMUX_STREAMS));
    config
}

/// Idle timeout (10 s) and keep-alive (5 s) stay at libp2p's defaults.
fn quic_config(keypair: &Keypair, limits: &Limits) -> quic::Config {
    let mut config = quic::Config::new(keypair);
    config.handshake_timeout = limits.dial_timeout;
    config.max_concurrent_stream_limit =
        u32::try_from(limits.streams_per_connection).unwrap_or(u32::MAX);
    config.max_stream_data = QUIC_STREAM_WINDOW;
    config.max_connection_data = QUIC_CONNECTION_WINDOW;
    config
}
