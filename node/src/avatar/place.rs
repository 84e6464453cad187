//! What a command for an avatar works with: an [`Avatar`] is the key, its ring, its log in a file, its state on chain,
//! and the ring that keeps the log.

use super::log_file::{self, LogFile};
use crate::{
    args::AvatarArgs,
    exit::{Context, ExitError, ExitStatus},
    place::Place,
};
use rings_api::Client;
use rings_chain::Chain;
use rings_client::{AvatarState, Domain, SecretKey};
use rings_member::keystore;
use rings_protocol::Address;
use std::fs;

/// An avatar, its ring, its log, and the ring that keeps the log.
pub(super) struct Avatar {
    pub key: SecretKey,
    /// Its ring.
    pub ring: Address,
    pub log: LogFile,
    /// Head and nonce on chain.
    pub on_chain: AvatarState,
    pub is_member: bool,
    pub chain: Chain,
    /// The ring that keeps the logs.
    pub place: Place,
}

impl Avatar {
    /// Opens the log and asks the chain.
    ///
    /// # Errors
    /// Status 2 when a file or a password cannot be used, 5 when the chain cannot be asked.
    pub(super) async fn open(args: &AvatarArgs) -> Result<Self, ExitError> {
        let key = keystore::load(&args.key, args.password_file.as_deref())?;
        let dir = args.dir.dir();
        let path = log_file::path(dir.root(), args.ring, &key);
        let place = Place::of_dir(dir)?;
        let chain = place.chain().await?;
        let state = chain.avatar(args.ring, key.address()).await?;
        if let Some(parent) = path.parent() {
            let what = format!("cannot make {}; check its parent", parent.display());
            fs::create_dir_all(parent).context(ExitStatus::Usage, what)?;
        }
        let domain = Domain::new(chain.id(), args.ring);
        Ok(Self {
            log: LogFile::open(path, domain, &key)?,
            on_chain: AvatarState {
                head: state.head,
                nonce: state.nonce,
            },
            is_member: state.is_member,
            ring: args.ring,
            key,
            chain,
            place,
        })
    }

    /// The member that answers first.
    ///
    /// # Errors
    /// Status 5 when none answers.
    pub(super) async fn replica(&self) -> Result<Client, ExitError> {
        Ok(self.place.members().await?[0].clone())
    }

    /// Whether this avatar can act at all.
    ///
    /// # Errors
    /// Status 2 when it is not a member.
    pub(super) fn acts(&self) -> Result<(), ExitError> {
        match self.is_member {
            true => Ok(()),
            false => Err(ExitError::usage(format!(
                "{} is not a member of ring {}; let its members enter it",
                self.key.address(),
                self.ring
            ))),
        }
    }
}
