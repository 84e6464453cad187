//! Why a member does not start, or stops. Each variant carries what failed underneath as its source, and its message
//! says what to do.

use super::{
    core::CoreError, keystore::KeystoreError, layout::LayoutError, lock::LockError,
    ring_keys::KeyError, signer::SignerError, state::StateError,
};
use rings_api::{ClientError, HttpError, TlsError, TokenError};
use rings_chain::ChainError;
use rings_compute::ComputeError;
use rings_network::{NetworkError, PeerIdError};
use rings_protocol::Address;
use rings_store::StoreError;
use std::{io, path::PathBuf};

/// Why a member does not start, or stops.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// Its data directory.
    #[error("the data directory {path} cannot be made or used; check [store] path")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process uses the data directory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Its data directory is of another version.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Its key.
    #[error(transparent)]
    Key(#[from] KeystoreError),
    /// The service that has its key.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// Its state database.
    #[error(transparent)]
    State(#[from] StateError),
    /// Its block store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Its key, which gives it its name among peers.
    #[error(transparent)]
    PeerId(#[from] PeerIdError),
    /// The other members.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The addresses to announce, with its name among its peers, do not fit into the ring's contract.
    #[error("[network] announce names too much: with a signer, the addresses and the name of this member among its peers must fit into 256 bytes; leave some out")]
    TooManyAddresses,
    /// The keys of a private ring.
    #[error(transparent)]
    RingKeys(#[from] KeyError),
    /// Its HTTP side.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The file of its certificate.
    #[error("[rpc] certificate {} cannot be read", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its certificate, or the key to it.
    #[error("[rpc] certificate {} and private_key {} cannot be used", certificate.display(), private_key.display())]
    Tls {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        private_key: PathBuf,
        /// Why.
        #[source]
        source: TlsError,
    },
    /// The gateways of others.
    #[error("[store] gateways cannot be used")]
    Gateways(#[from] ClientError),
    /// The token of its HTTP side.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It is not in the ring.
    #[error("{account} is not a member of ring {ring}; let the ring's keeper enter it")]
    NotAMember {
        /// The account.
        account: Address,
        /// The ring.
        ring: Address,
    },
    /// It ran before, and its state database, which knows what it signed, is gone.
    #[error(
        "{path} has no state.redb, or an empty one, though {account} was in its ring before: what it signed is not known, so it could contradict it; restore the data directory, or let the keeper replace this member by one with a new key"
    )]
    LostMemory {
        /// The data directory.
        path: PathBuf,
        /// The account.
        account: Address,
    },
    /// A worker program of `[compute] profiles`.
    #[error("a worker program cannot be used; check [compute] profiles")]
    Workers(#[from] ComputeError),
    /// The core. In a box, because it is much larger than the others.
    #[error(transparent)]
    Core(Box<CoreError>),
    /// A part of the member ended before the member was told to stop.
    #[error(
        "the {part} of the member ended unexpectedly; start it again and report what its log says"
    )]
    Ended {
        /// Which part.
        part: &'static str,
        /// Why, if it panicked.
        #[source]
        source: Option<tokio::task::JoinError>,
    },
}

impl From<CoreError> for MemberError {
    fn from(error: CoreError) -> Self {
        Self::Core(Box::new(error))
    }
}
