//! Peers and bytes: what the members of a ring say to one another, over libp2p.
//!
//! This room knows who may connect, how to reach them and how to carry bytes. It knows nothing of
//! votes, logs or blocks: payloads are opaque and must authenticate themselves. No libp2p type is
//! part of its interface.
//!
//! [`start`] gives a [`Network`] handle, a queue of [`Event`]s and the task that drives both.
//!
//! # What a caller can rely on
//!
//! * **Who connects.** Only peers given to [`Network::set_peers`]; everybody else is refused once the
//!   handshake has shown who they are. A peer that is taken off the list is disconnected.
//! * **Connected.** [`Event::Connected`] comes once per peer, when the first connection is up *and* the
//!   peer has subscribed to our topic. So a peer that refuses us never shows up, and what is published
//!   after `Connected` is sent to that peer. [`Event::Disconnected`] comes when its last connection is
//!   gone.
//! * **Gossip** is delivered at least once while it is being published: normally exactly once, again if
//!   the same bytes arrive later than [`Limits::gossip_memory`]. A peer that connects later does not
//!   get it; ask or tell it on `Connected`. A message travels on only after [`Verdict::accept`].
//! * **Requests** are answered once or fail; they never dial.
//! * **A slow consumer** of the event queue slows nobody else and blocks no command. When the queue is
//!   full, gossip is dropped and counted ([`Stats::gossip_dropped`]), requests are answered "busy", and
//!   connection events wait in a list with at most two entries per peer, so none that matters is lost.
//!   It is therefore safe to await a [`Network::request`] while handling an event.
//!
//! # Bounds
//!
//! libp2p bounds little by itself: limits are opt-in, and some defaults are generous. Every bound this
//! crate sets is a field of [`Limits`]; the comments in `behaviour.rs` and `transport.rs` say which
//! option of libp2p each of them sets, and why.

mod address;
mod behaviour;
mod codec;
mod counters;
mod dialer;
mod driver;
mod error;
mod event;
mod handle;
mod identity;
mod inbox;
mod limits;
mod links;
mod liveness;
mod outbox;
mod start;
mod text;
mod transport;

pub use counters::Stats;
pub use error::NetworkError;
pub use event::{Event, Reply, Verdict};
pub use handle::Network;
pub use identity::{PeerId, PeerIdError};
pub use limits::Limits;
pub use start::{start, Config, Peer};
pub use text::address_text;
