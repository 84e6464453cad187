//! What a command for an avatar works with: an [`Avatar`] is the key, its ring, its log in a file, its state on chain,
//! and the ring that keeps the log.

use super::{
    line::{self, read_line},
    log_file::{self, LogFile},
};
use crate::{args::AvatarArgs, exit::ExitError, place::Place, ringdir::RingDir, votes::answering};
use rings_api::Client;
use rings_chain::Chain;
use rings_client::{AvatarState, Domain, RecoveryLine, Secrecy, SecretKey};
use rings_member::keystore;
use rings_protocol::Address;
use std::path::PathBuf;

/// An avatar, its ring, its log, and the ring that keeps the log.
pub(super) struct Avatar {
    pub key: SecretKey,
    /// Its ring.
    pub ring: Address,
    pub log: LogFile,
    /// Head and nonce on chain.
    pub on_chain: AvatarState,
    pub is_member: bool,
    pub home: Home,
}

/// A client ring, and who keeps its logs.
pub(super) struct Home {
    /// The ring that keeps the logs.
    pub keeper: Address,
    /// One for each of its members.
    pub clients: Vec<Client>,
    pub chain: Chain,
    /// Who can read the logs.
    pub secrecy: Secrecy,
    /// The ring's recovery line, if it is known here.
    pub line: Option<RecoveryLine>,
    /// Where the files of avatars are.
    pub files: PathBuf,
    /// What the avatars of the ring sign for.
    pub domain: Domain,
}

impl Home {
    /// The ring that the options name.
    ///
    /// # Errors
    /// Status 2 when a file cannot be used, 5 when the chain cannot be asked.
    pub(super) async fn open(args: &AvatarArgs, own: &SecretKey) -> Result<Self, ExitError> {
        let dir = args.dir.dir();
        match (&args.line, args.ring) {
            (Some(path), _) => Self::of_line(read_line(path)?, &dir, own).await,
            (None, Some(ring)) => Self::of_dir(ring, dir, own).await,
            (None, None) => Err(ExitError::usage(
                "no ring is named; give --ring ADDRESS or --line FILE",
            )),
        }
    }

    /// From the recovery line alone. It is kept with the avatars, so that it need not be named again. The keys of one that is kept
    /// already are added, for the key may have been changed since the line was given.
    async fn of_line(
        mut line: RecoveryLine,
        dir: &RingDir,
        own: &SecretKey,
    ) -> Result<Self, ExitError> {
        let files = log_file::directory(dir.root())?;
        line::keep(&files, &line)?;
        if let Some(kept) = line::kept(&files, line.domain.ring)? {
            let known: Vec<_> = line.keys.iter().map(|known| known.key.name()).collect();
            let further = kept.keys.into_iter();
            line.keys
                .extend(further.filter(|key| !known.contains(&key.key.name())));
        }
        let chain = Chain::connect(&line.rpc).await?;
        if chain.id() != line.domain.chain_id {
            return Err(ExitError::usage(format!(
                "the recovery line is for chain {}, and {} is chain {}; take the line of this ring",
                line.domain.chain_id,
                chain.endpoint(),
                chain.id()
            )));
        }
        let clients = line.replicas.iter().map(|url| Client::new(url, None));
        Ok(Self {
            keeper: line.keeper,
            clients: clients.collect::<Result<_, _>>()?,
            chain,
            secrecy: Secrecy::of(&line.domain, &line.keys, Some(own)),
            domain: line.domain,
            line: Some(line),
            files,
        })
    }

    async fn of_dir(ring: Address, dir: RingDir, own: &SecretKey) -> Result<Self, ExitError> {
        let root = dir.root().to_owned();
        let place = Place::of_dir(dir)?;
        let chain = place.chain().await?;
        let files = log_file::directory(&root)?;
        let line = line::kept(&files, ring)?;
        let domain = Domain::new(chain.id(), ring);
        let keys = line.as_ref().map_or(&[][..], |line| line.keys.as_slice());
        Ok(Self {
            keeper: place.file.ring,
            clients: place.clients.clone(),
            chain,
            secrecy: Secrecy::of(&domain, keys, Some(own)),
            line,
            files,
            domain,
        })
    }

    /// Keeps the keys that were learnt with the recovery line.
    ///
    /// # Errors
    /// Status 5 when it cannot be written.
    pub(super) fn remember_keys(&mut self) -> Result<(), ExitError> {
        let (Some(keys), Some(line)) = (self.secrecy.keys(), &mut self.line) else {
            return Ok(());
        };
        let before = line.to_line();
        line.keys = keys.line_keys();
        match line.to_line() == before {
            true => Ok(()),
            false => line::renew(&self.files, line),
        }
    }

    /// What the members sign for that keep the logs.
    pub(super) fn keeper_domain(&self) -> Domain {
        Domain::new(self.domain.chain_id, self.keeper)
    }

    /// The members that answer, the fastest first.
    ///
    /// # Errors
    /// Status 5 when none answers.
    pub(super) async fn replicas(&self) -> Result<Vec<&Client>, ExitError> {
        let clients = answering(&self.clients).await;
        clients.ok_or_else(|| {
            ExitError::unavailable(format!(
                "no member of ring {}, which keeps the logs, answers; try again later, or take a newer recovery line",
                self.keeper
            ))
        })
    }
}

impl Avatar {
    /// Opens the log and asks the chain.
    ///
    /// # Errors
    /// Status 2 when a file or a password cannot be used, 5 when the chain cannot be asked.
    pub(super) async fn open(args: &AvatarArgs) -> Result<Self, ExitError> {
        let key = keystore::load(&args.key, args.password_file.as_deref())?;
        let home = Home::open(args, &key).await?;
        let ring = home.domain.ring;
        let state = home.chain.avatar(ring, key.address()).await?;
        let path = log_file::path(&home.files, ring, key.address());
        Ok(Self {
            log: LogFile::open(path, home.domain, home.secrecy.clone(), &key)?,
            on_chain: AvatarState {
                head: state.head,
                nonce: state.nonce,
            },
            is_member: state.is_member,
            ring,
            key,
            home,
        })
    }

    /// Its account.
    pub(super) fn address(&self) -> Address {
        self.key.address()
    }

    /// Asks the chain again.
    ///
    /// # Errors
    /// Status 5 when it cannot be asked.
    pub(super) async fn refresh(&mut self) -> Result<(), ExitError> {
        let state = self.home.chain.avatar(self.ring, self.address()).await?;
        self.on_chain = AvatarState {
            head: state.head,
            nonce: state.nonce,
        };
        self.is_member = state.is_member;
        Ok(())
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
