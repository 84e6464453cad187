//! Carries bytes between the members of a ring, over libp2p.
//!
//! This room knows who may connect, how to reach them and how to carry bytes. It knows nothing of votes, logs or
//! blocks: payloads are opaque, and the caller must check signatures in payloads. No libp2p type is part of its
//! interface.
//!
//! [`start`] gives a [`Network`] handle, a queue of [`Event`]s, a queue of [`PeerRequest`]s, and the task that drives them.
//!
//! # What a caller can rely on
//!
//! * **Who connects.** Only peers given to [`Network::set_peers`]; everybody else is refused once the
//!   handshake has shown who they are. A peer that is taken off the list is disconnected. Connections from addresses
//!   that peers have announced have room of their own, so that a flood from elsewhere does not shut them out.
//! * **Connected.** [`Event::Connected`] comes once per peer, when the first connection is up *and* the
//!   peer has subscribed to our topic. So a peer that refuses us never shows up, and what is published
//!   after `Connected` is sent to that peer. [`Event::Disconnected`] comes when its last connection is
//!   gone.
//! * **Gossip** is delivered at least once while it is being published: normally exactly once, again if
//!   the same bytes arrive later than [`Limits::gossip_memory`]. A peer that connects later does not
//!   get it; ask or tell it on `Connected`. A message travels on only after [`Verdict::accept`].
//! * **Requests** are answered once or fail. A request to a peer that is not connected fails; it does not dial.
//! * **A slow consumer** of the event queue slows nobody else and blocks no command. When the queue is full, gossip is
//!   dropped and counted ([`Stats::gossip_dropped`]), and connection events wait in a list with at most two entries per
//!   peer, so no connection event that the consumer needs is lost. It is therefore safe to await a [`Network::request`]
//!   while handling an event.
//! * **Serving is apart from listening.** Requests have their own queue, and each peer has a share of it
//!   ([`Limits::inbound_requests_per_peer`]). What does not fit is answered "busy" at once and counted
//!   ([`Stats::requests_refused`]); nothing waits for a place.
//!
//! * **Who is away.** [`Network::unreachable`] names the peers on the list that are not connected, since when and why; a
//!   peer that speaks another version of the protocol is one of them.
//! * **Own addresses.** [`Network::own_addresses`] follows the interfaces of the machine, and what peers say they see.
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
mod door;
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
mod own;
mod peer;
mod reach;
mod seen;
mod start;
mod text;
mod transport;
mod version;

pub use counters::Stats;
pub use error::NetworkError;
pub use event::{Event, PeerRequest, Reply, Verdict};
pub use handle::Network;
pub use identity::{PeerId, PeerIdError};
pub use limits::Limits;
pub use own::{
    announcement, is_of_this_machine, joined, OwnAddresses, MAX_ANNOUNCED, MAX_ANNOUNCED_BYTES,
};
pub use peer::Peer;
pub use reach::Unreachable;
pub use start::{start, Config, Started};
pub use text::{address_text, address_texts};
pub use version::Version;
