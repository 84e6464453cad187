//! Who signs for this member: its key, which is on this machine, or a service that has it.
//!
//! [`MemberKey`] is what the rest of the member signs with, through the trait [`Signer`] of the protocol. The signing journal stands in
//! front of both: what it refuses is never given to a signer. [`RemoteSigner`] speaks the API of Web3Signer for Ethereum's keys. A
//! signer that is away loses nothing: what was to be signed stays in its queue (votes and endorsements in the core's, transactions in
//! the submitter's), and is tried again.
//!
//! What needs more than signatures is not there with a remote signer: the network has a key of its own ([`network_secret`]), and keys of
//! private rings, which are wrapped to the member's key, cannot be unwrapped.

mod network_key;
mod remote;

pub use network_key::network_secret;
pub use remote::{RemoteSigner, SignerError};

use rings_protocol::crypto::{CryptoError, PublicKey, SecretKey, Signature, Signer};
use std::sync::Arc;

/// The member's key, or who has it. Cheap to clone.
#[derive(Debug, Clone)]
pub enum MemberKey {
    /// It is on this machine.
    Here(SecretKey),
    /// A service has it.
    Remote(Arc<RemoteSigner>),
}

impl MemberKey {
    /// The key itself, if it is on this machine.
    pub fn secret(&self) -> Option<&SecretKey> {
        match self {
            Self::Here(key) => Some(key),
            Self::Remote(_) => None,
        }
    }

    /// Why there are no signatures now, in words.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Here(_) => None,
            Self::Remote(signer) => signer.trouble(),
        }
    }
}

impl From<SecretKey> for MemberKey {
    fn from(key: SecretKey) -> Self {
        Self::Here(key)
    }
}

impl Signer for MemberKey {
    fn public_key(&self) -> PublicKey {
        match self {
            Self::Here(key) => key.public_key(),
            Self::Remote(signer) => signer.public_key(),
        }
    }

    fn sign_hashed(&self, bytes: &[u8]) -> Result<Signature, CryptoError> {
        match self {
            Self::Here(key) => key.sign_hashed(bytes),
            Self::Remote(signer) => signer.sign_hashed(bytes),
        }
    }
}
