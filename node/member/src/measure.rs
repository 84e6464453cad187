//! What a log costs on this machine: the calls that a running member makes for each node, on databases of their own. For
//! `rings bench logs`.

use crate::{
    config::NodeConfig,
    core::CoreError,
    keystore::{self, KeystoreError},
    late_store::LateStore,
    lock::{DataLock, LockError},
    opened::{store_config, STATE},
    state::{Identity, LateBlocks, MemberState, ReceivedNode, StateError, Usage},
};
use bytes::Bytes;
use rand::RngCore;
use rings_protocol::{
    crypto::SecretKey,
    eip712::Domain,
    journal::{prepare_round, Round, Sealing},
    log::{seal, LogNode, OwnLog, SealError, Tip},
    message::Message,
    Address, Digest,
};
use rings_store::{Block, BlockStore, StoreConfig, StoreError};
use std::{convert::Infallible, path::Path, sync::Arc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Nodes that are written at once where a log is made for a measurement.
const AT_ONCE: u64 = 4096;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// As in a running member.
    #[error(transparent)]
    Core(#[from] Box<CoreError>),
    /// The databases are another's.
    #[error(transparent)]
    State(#[from] StateError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The member's key.
    #[error(transparent)]
    Key(#[from] KeystoreError),
    /// A signer has the member's key.
    #[error("a measurement signs by itself, so it needs the member's key on this machine ([key] in place of [signer])")]
    Signer,
    /// The member runs.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A node cannot be made.
    #[error("a log node cannot be made")]
    Seal(#[from] SealError<Infallible>),
}

/// The databases of one member, without the rest of it.
pub struct LogFiles {
    key: SecretKey,
    domain: Domain,
    state: MemberState,
    store: Arc<dyn BlockStore>,
    /// The same, as the core writes rounds.
    late: Arc<LateStore>,
    /// Puts the blocks that come late.
    puts: JoinHandle<()>,
    stop: CancellationToken,
    _lock: Option<DataLock>,
}

/// A log that is being made, with what the next nodes link to.
struct Draft {
    digests: Vec<Digest>,
}

impl OwnLog for Draft {
    type Error = Infallible;

    fn tip(&self) -> Result<Option<Tip>, Infallible> {
        let tip = self.digests.last().map(|digest| Tip {
            seq: self.digests.len() as u64 - 1,
            digest: *digest,
        });
        Ok(tip)
    }

    fn digest_at(&self, seq: u64) -> Result<Option<Digest>, Infallible> {
        let place = usize::try_from(seq).ok();
        Ok(place.and_then(|place| self.digests.get(place).copied()))
    }
}

/// A message of so many bytes, of which no store saves any.
pub fn message(bytes: usize) -> Message {
    let mut payload = vec![0; bytes];
    rand::thread_rng().fill_bytes(&mut payload);
    Message {
        domain: "bench".into(),
        payload: payload.into(),
        status: "new".into(),
        kind: "Note".into(),
    }
}

impl LogFiles {
    /// Opens or makes the databases of some member in `directory`.
    ///
    /// # Errors
    /// [`MeasureError`].
    pub async fn open(
        directory: &Path,
        key: SecretKey,
        domain: Domain,
    ) -> Result<Self, MeasureError> {
        let path = directory.join("blocks.redb");
        let store = rings_store::open(&StoreConfig::Embedded { path }).await?;
        Self::with_store(directory, (key, domain), store, None)
    }

    /// Opens the databases of a member that is down.
    ///
    /// # Errors
    /// [`MeasureError`].
    pub async fn of_member(config: &NodeConfig, chain_id: u64) -> Result<Self, MeasureError> {
        let lock = DataLock::take(&config.store.path)?;
        let files = config.key.files().ok_or(MeasureError::Signer)?;
        let key = keystore::load(&files.keystore, files.password_file.as_deref())?;
        let domain = Domain::new(chain_id, config.ring.address);
        let store = rings_store::open(&store_config(config)).await?;
        Self::with_store(&config.store.path, (key, domain), store, Some(lock))
    }

    fn with_store(
        directory: &Path,
        (key, domain): (SecretKey, Domain),
        store: Arc<dyn BlockStore>,
        lock: Option<DataLock>,
    ) -> Result<Self, MeasureError> {
        let identity = Identity {
            chain_id: domain.chain_id,
            ring: domain.ring,
            member: key.address(),
        };
        let state = MemberState::open(&directory.join(STATE), &identity)?;
        let late = Arc::new(LateStore::new(Arc::clone(&store)));
        late.resume(&state)?;
        let stop = CancellationToken::new();
        let puts = tokio::spawn(Arc::clone(&late).run(stop.clone()));
        Ok(Self {
            key,
            domain,
            state,
            store,
            late,
            puts,
            stop,
            _lock: lock,
        })
    }

    /// Closes the databases, so that others can open them.
    pub async fn close(self) {
        self.stop.cancel();
        if let Err(error) = self.puts.await {
            tracing::warn!(%error, "blocks that come late were not put");
        }
    }

    /// Where the log of an author ends.
    ///
    /// # Errors
    /// [`MeasureError`].
    pub fn tip(&self, author: Address) -> Result<Option<Tip>, MeasureError> {
        Ok(self.state.tip(author)?)
    }

    /// Adds one node with these messages to the own log: signed, stored and indexed, on disk when this returns.
    ///
    /// # Errors
    /// [`MeasureError`].
    pub async fn append(&self, messages: Vec<Message>) -> Result<(), MeasureError> {
        let round = Round {
            messages,
            ..Round::default()
        };
        let prepared = {
            let journal = self.state.journal()?;
            prepare_round(
                &journal,
                &round,
                vec![],
                None,
                Sealing::Open(&self.domain),
                &self.key,
            )
        };
        let prepared = prepared.map_err(|error| Box::new(CoreError::from(error)))?;
        let node = prepared.to_store().map(|(node, _)| block(node));
        let blocks: Vec<_> = node.into_iter().collect::<Result<_, _>>()?;
        let taken = match self.late.take(&blocks) {
            Some(taken) => taken,
            None => {
                self.store.put(blocks).await?;
                LateBlocks::default()
            }
        };
        let round = (Some(&prepared), &[][..], &[][..]);
        self.state.append_with(round, &taken)?;
        self.late.written(taken);
        // The puts have their turn, as beside a running core.
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Adds nodes of one message of so many bytes to the own log, thousands in one transaction. Returns the bytes of all of
    /// them.
    ///
    /// # Errors
    /// [`MeasureError`].
    pub async fn grow(&self, nodes: u64, message_bytes: usize) -> Result<u64, MeasureError> {
        let me = self.key.address();
        let held = self.state.nodes(me, 0, usize::MAX)?;
        let mut draft = Draft { digests: held };
        let (mut left, mut bytes) = (nodes, 0);
        while left > 0 {
            let mut made = Vec::new();
            for _ in 0..left.min(AT_ONCE) {
                let body = vec![message(message_bytes)];
                let node = seal(&draft, body, vec![], None, &self.domain, &self.key)?;
                draft.digests.push(node.digest());
                bytes += node.bytes().len() as u64;
                made.push(node);
            }
            left -= made.len() as u64;
            self.take(made).await?;
        }
        Ok(bytes)
    }

    /// Gives the free space in the databases back to the disk.
    ///
    /// # Errors
    /// [`MeasureError`].
    pub async fn shrink(&self) -> Result<(), MeasureError> {
        self.late.settle().await?;
        if let Some(inventory) = self.store.inventory() {
            inventory.shrink().await?;
        }
        Ok(self.state.compact()?)
    }

    async fn take(&self, nodes: Vec<LogNode>) -> Result<(), MeasureError> {
        let blocks = nodes.iter().map(block).collect::<Result<Vec<_>, _>>()?;
        self.store.put(blocks).await?;
        let received = nodes.into_iter().map(|node| ReceivedNode {
            node,
            votes: vec![],
            usage: Usage::default(),
            duties: vec![],
        });
        let received: Vec<_> = received.collect();
        self.state.append(None, &received, &[])?;
        Ok(())
    }
}

fn block(node: &LogNode) -> Result<Block, StoreError> {
    Block::new(node.cid(), Bytes::copy_from_slice(node.bytes()))
}
