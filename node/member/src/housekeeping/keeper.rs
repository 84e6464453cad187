//! The one who works on a store, one piece of work at a time.
//!
//! A [`Housekeeper`] joins the block store with the state that says what its blocks are for. A second piece of work
//! that comes meanwhile is refused as busy. The files beside this one add what it can do; the HTTP side reaches it as a
//! [`StoreKeeper`].

use crate::state::{ClientState, MemberState};
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use futures::stream::BoxStream;
use rings_api::{
    Archive, Checked, Collected, ImportedArchive, Repaired, StoreKeeper, StoreWorkError,
};
use rings_protocol::Address;
use rings_store::{BlockSource, BlockStore, Inventory, StoreError};
use std::{
    path::PathBuf,
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc,
    },
};
use tokio::sync::{Mutex, MutexGuard};

/// How much a store may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The newest gates that are over whose inputs and outputs are kept.
    pub results: u64,
    /// Most bytes of blocks; what must be kept may have more.
    pub max_bytes: Option<u64>,
    /// Blocks on top of a result before it is final: until then its data must be kept.
    pub confirmations: u64,
    /// Whether nodes of other members' logs behind the checkpoint are collected.
    pub logs: bool,
}

/// Gives the members that the ring has now.
pub type ListMembers = Arc<dyn Fn() -> Vec<Address> + Send + Sync>;

/// Works on one member's store. Only one piece of work is done at a time.
pub struct Housekeeper {
    pub(super) store: Arc<dyn BlockStore>,
    pub(super) state: Arc<MemberState>,
    /// What is kept of client rings; nothing where there is no such database.
    pub(super) clients: Option<Arc<ClientState>>,
    /// Gives the members of the ring; nothing where the member does not run.
    pub(super) members: Option<ListMembers>,
    /// Where blocks come from that are damaged here or missing.
    pub(super) others: Arc<dyn BlockSource>,
    pub(super) policy: Policy,
    /// A directory for copies of the state.
    pub(super) place: PathBuf,
    pub(super) turn: Mutex<()>,
    /// By how many bytes what must be kept exceeds the bound, as the last collection found it.
    pub(super) over: AtomicU64,
}

impl Housekeeper {
    /// Of this store and this state; `others` is asked for what is damaged here; copies of the state are made in `place`.
    pub fn new(
        store: Arc<dyn BlockStore>,
        state: Arc<MemberState>,
        others: Arc<dyn BlockSource>,
        policy: Policy,
        place: PathBuf,
    ) -> Self {
        Self {
            store,
            state,
            clients: None,
            members: None,
            others,
            policy,
            place,
            turn: Mutex::new(()),
            over: AtomicU64::new(0),
        }
    }

    /// Also with what is kept of client rings.
    #[must_use]
    pub fn with_clients(self, clients: Option<Arc<ClientState>>) -> Self {
        Self { clients, ..self }
    }

    /// Also knowing who is in the ring.
    #[must_use]
    pub fn with_members(self, members: ListMembers) -> Self {
        Self {
            members: Some(members),
            ..self
        }
    }

    /// By how many bytes what must be kept exceeds `[store] max_bytes`; 0 when all is well.
    pub fn over(&self) -> u64 {
        self.over.load(Ordering::Relaxed)
    }

    pub(super) fn inventory(&self) -> Result<Arc<dyn Inventory>, StoreWorkError> {
        self.store.inventory().ok_or(StoreWorkError::NotHere {
            what: "the blocks of this member are in Kubo, which keeps what is pinned there and collects the rest with `ipfs repo gc`; check it with `ipfs repo verify`",
        })
    }

    fn work(&self) -> Result<MutexGuard<'_, ()>, StoreWorkError> {
        self.turn.try_lock().map_err(|_| StoreWorkError::Busy)
    }
}

#[async_trait]
impl StoreKeeper for Housekeeper {
    async fn collect(&self) -> Result<Collected, StoreWorkError> {
        let _turn = self.work()?;
        self.store.settle().await?;
        let collected = self.collect_now(self.policy.max_bytes).await?;
        // What was removed gives its room back to the disk.
        self.inventory()?.shrink().await?;
        Ok(Collected {
            file_bytes: self.inventory()?.file_bytes().await?,
            ..collected
        })
    }

    async fn check(&self) -> Result<Checked, StoreWorkError> {
        let _turn = self.work()?;
        self.store.settle().await?;
        self.check_now().await
    }

    async fn repair(&self) -> Result<Repaired, StoreWorkError> {
        let _turn = self.work()?;
        self.store.settle().await?;
        self.repair_now().await
    }

    async fn export(
        &self,
        roots: Vec<Cid>,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreWorkError> {
        self.store.settle().await?;
        self.export_now(roots).await
    }

    async fn import(&self, archive: Archive) -> Result<ImportedArchive, StoreWorkError> {
        self.import_now(archive).await
    }

    async fn backup(
        &self,
        number: u32,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreWorkError>>, StoreWorkError> {
        self.store.settle().await?;
        self.backup_now(number).await
    }
}
