//! Private rings: logs that members read, replicas follow and check, and nobody else understands.
//!
//! A node is signed as in any ring. Its body is sealed with the [`ReadKey`] before it is signed, and the signed node is
//! sealed with the [`ReplicaKey`], which is derived from the read key. A [`Keyring`] holds the keys of one member or
//! replica, seals and opens ([`Keyring::seal`], [`Keyring::open`], [`Keyring::read`]), and makes new keys
//! ([`Keyring::rotate`]). A [`Rotation`] in a log says which key seals from then on; the wrapped keys are in a block of
//! [`Wraps`] beside it.
//!
//! A [`LogForm`] says how the nodes of a ring are written and read, private or not, so that whoever handles logs need not
//! know.
//!
//! These are static keys: `docs/log-format.md` says what they do not give.

mod ecies;
mod form;
mod keyring;
mod keys;
mod rotation;
mod seal;
mod unsealed;
mod wrap;

pub use form::{FormError, LogForm};
pub use keyring::{Keyring, PrivateOpenError, PrivateSealError, MAX_KEYS};
pub use keys::{ReadKey, ReplicaKey};
pub use rotation::{Rotation, Wraps, MAX_WRAPS};
pub use seal::{
    body_key, node_key, open_body, open_node, open_node_by, opening_of, seal_body, seal_node,
    NodePlace, SealedError,
};
pub use unsealed::{Unsealed, UnsealedError};
pub use wrap::{unwrap, WrapError, WrappedKey, MAX_WRAP_BYTES};
