//! Why the core stops.

use crate::state::StateError;
use rings_chain::ChainError;
use rings_protocol::{
    crypto::CryptoError, journal::PrepareError, log::SealError, private::PrivateSealError,
    wire::WireError,
};
use rings_store::{ErrorClass, StoreError};

/// Why a member stops: something that it needs has failed, and going on could lose data or sign a contradiction.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// The state database.
    #[error("the state database cannot be used")]
    State(#[from] StateError),
    /// The block store.
    #[error("the block store cannot be used")]
    Store(#[from] StoreError),
    /// Signing.
    #[error("nothing can be signed")]
    Prepare(#[from] PrepareError<StateError>),
    /// A log node of ours has no CID that the store accepts, or a message cannot be written.
    #[error("a message cannot be written")]
    Wire(#[from] WireError),
    /// The chain.
    #[error("the chain cannot be followed")]
    Chain(#[from] ChainError),
}

impl CoreError {
    /// Whether all that is missing is a signature, which a signer does not give now.
    pub fn is_unsigned(&self) -> bool {
        let Self::Prepare(error) = self else {
            return false;
        };
        error.unsigned().is_some_and(CryptoError::is_transient)
    }

    /// Whether waiting may help: a disk that is full, or a store that cannot be reached now.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::State(error)
            | Self::Prepare(
                PrepareError::Journal(error) | PrepareError::Seal(SealError::Log(error)),
            ) => error.is_transient(),
            Self::Prepare(PrepareError::Private(error)) => match &**error {
                PrivateSealError::Log(error) | PrivateSealError::Node(SealError::Log(error)) => {
                    error.is_transient()
                }
                _ => false,
            },
            Self::Store(error) => error.class() == ErrorClass::Transient,
            Self::Prepare(_) | Self::Wire(_) | Self::Chain(_) => false,
        }
    }
}
