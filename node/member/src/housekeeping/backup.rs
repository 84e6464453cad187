//! A copy of what a member must not lose, made while it runs.
//!
//! The copy is a tar archive: `member.json` (whose it is), `clients.redb` (a consistent copy of what is kept of client rings,
//! where there is such a database), `state.redb` (the same of the state database, marked as a copy), `blocks/N.car` (log
//! nodes and what else must be kept, in archives of a few megabytes), and `end.json`, without which a copy is not whole.
//!
//! What a database names is written before it is named: blocks, then the members' logs, then client rings. So they are read
//! the other way round, client rings first, and nothing that is named is missing. What comes to client rings between the two
//! copies stands in the members' logs, where a member that was put back reads it again.

use super::{
    keeper::Housekeeper,
    node_pages::NodePages,
    roots::{mark_all, state_failed},
    tar::TarWriter,
};
use crate::state::{ClientState, MemberState};
use bytes::Bytes;
use futures::{
    stream::{self, BoxStream},
    StreamExt,
};
use rings_api::StoreWorkError;
use rings_protocol::{
    cids::{node_cid, DAG_CBOR},
    Address,
};
use rings_store::{
    archive_of, Block, BlockKey, Inventory, Lease, Needed, Stored, PAGE_BLOCKS, PAGE_BYTES,
};
use serde::{Deserialize, Serialize};
use std::{path::Path, sync::Arc};
use tempfile::NamedTempFile;
use tokio::{io::AsyncReadExt, sync::mpsc, task};

/// How the names of all entries of a member begin; its number in the ring's directory follows.
pub(crate) const MEMBERS_PREFIX: &str = "members/";
/// The version of the form of a backup. 2: with `clients.redb`.
pub(crate) const VERSION: u32 = 2;
/// The first version that can be put back.
pub(crate) const FIRST_VERSION: u32 = 1;
/// The first entry of a member's part.
pub(crate) const MEMBER_ENTRY: &str = "member.json";
/// The copy of what is kept of client rings.
pub(crate) const CLIENTS_ENTRY: &str = "clients.redb";
/// The copy of the state database.
pub(crate) const STATE_ENTRY: &str = "state.redb";
/// How the names of archives of blocks begin.
pub(crate) const BLOCKS_PREFIX: &str = "blocks/";
/// The last entry of a member's part.
pub(crate) const END_ENTRY: &str = "end.json";

/// Pieces that wait for a slow reader.
const WAITING_PIECES: usize = 4;
/// Bytes of a database that are read at once.
const READ_BYTES: usize = 256 * 1024;

type Piece = Result<Bytes, StoreWorkError>;

/// Whose backup it is, and how far its log went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupOf {
    /// The version of this form.
    pub version: u32,
    /// Chain id.
    pub chain_id: u64,
    /// The ring.
    pub ring: Address,
    /// The member.
    pub member: Address,
    /// Position of the newest node of its log; `null` for an empty log.
    pub head: Option<u64>,
}

/// The end of a member's part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupEnd {
    /// Blocks in its archives.
    pub blocks: u64,
    /// Bytes in them.
    pub bytes: u64,
}

impl Housekeeper {
    pub(super) async fn backup_now(
        &self,
        number: u32,
    ) -> Result<BoxStream<'static, Piece>, StoreWorkError> {
        // Before the state: see above.
        let clients_file = self.copy_of_clients().await?;
        let (of, state_file) = self.copy_of_state().await?;
        let job = Job {
            prefix: format!("{MEMBERS_PREFIX}{number}/"),
            of,
            state: self.state.clone(),
            clients: self.clients.clone(),
            store: Arc::clone(&self.store),
            lease: self.store.lease(),
            needed: self.needed_files().await?,
            clients_file,
            state_file,
        };
        let (send, pieces) = mpsc::channel(WAITING_PIECES);
        tokio::spawn(async move {
            if let Err(error) = job.write(&send).await {
                // Whoever reads may have gone.
                drop(send.send(Err(error)).await);
            }
        });
        let pieces = stream::unfold(pieces, |mut pieces| async move {
            let piece = pieces.recv().await?;
            Some((piece, pieces))
        });
        Ok(pieces.boxed())
    }

    /// A consistent copy of what is kept of client rings, if anything is.
    async fn copy_of_clients(&self) -> Result<Option<NamedTempFile>, StoreWorkError> {
        let Some(clients) = self.clients.clone() else {
            return Ok(None);
        };
        let place = self.place.clone();
        let made = task::spawn_blocking(move || {
            let file = room(&place)?;
            clients.snapshot(file.path()).map_err(state_failed)?;
            Ok(Some(file))
        });
        made.await
            .map_err(|error| StoreWorkError::internal("client rings were not copied", error))?
    }

    /// A consistent copy: whose it is, and its file.
    async fn copy_of_state(&self) -> Result<(BackupOf, NamedTempFile), StoreWorkError> {
        let (state, place) = (Arc::clone(&self.state), self.place.clone());
        let made = task::spawn_blocking(move || {
            let file = room(&place)?;
            state.snapshot(file.path()).map_err(state_failed)?;
            // Read from the copy, so that it fits it whatever was signed meanwhile.
            let copy = MemberState::open_any(file.path()).map_err(state_failed)?;
            Ok((describe(&copy)?, file))
        });
        made.await
            .map_err(|error| StoreWorkError::internal("the state was not copied", error))?
    }

    /// The files that must be kept; nothing with Kubo.
    async fn needed_files(&self) -> Result<Option<Needed>, StoreWorkError> {
        let Some(inventory) = self.store.inventory() else {
            return Ok(None);
        };
        let plan = self.plan(&*inventory).await?;
        let mut needed = Needed::default();
        mark_all(&*inventory, &plan.must, &mut needed).await?;
        Ok(Some(needed))
    }
}

fn room(place: &Path) -> Result<NamedTempFile, StoreWorkError> {
    let made = NamedTempFile::new_in(place);
    made.map_err(|error| StoreWorkError::internal("no room for a copy of a database", error))
}

fn describe(state: &MemberState) -> Result<BackupOf, StoreWorkError> {
    let identity = state.identity();
    let head = state.tip(identity.member).map_err(state_failed)?;
    Ok(BackupOf {
        version: VERSION,
        chain_id: identity.chain_id,
        ring: identity.ring,
        member: identity.member,
        head: head.map(|tip| tip.seq),
    })
}

/// Writes a backup piece by piece.
struct Job {
    /// How the names of its entries begin.
    prefix: String,
    of: BackupOf,
    state: Arc<MemberState>,
    clients: Option<Arc<ClientState>>,
    store: Arc<dyn rings_store::BlockStore>,
    /// What is put meanwhile stays.
    lease: Lease,
    /// `None` with Kubo: then the log nodes alone are copied.
    needed: Option<Needed>,
    clients_file: Option<NamedTempFile>,
    state_file: NamedTempFile,
}

impl Job {
    async fn write(self, out: &mpsc::Sender<Piece>) -> Result<(), StoreWorkError> {
        let name = format!("{}{MEMBER_ENTRY}", self.prefix);
        send(out, TarWriter::entry(&name, &json(&self.of)?)).await?;
        if let Some(file) = &self.clients_file {
            self.send_database(CLIENTS_ENTRY, file, out).await?;
        }
        self.send_database(STATE_ENTRY, &self.state_file, out)
            .await?;
        let end = match (&self.needed, self.store.inventory()) {
            (Some(needed), Some(inventory)) => {
                send_listed(&*inventory, needed, &mut Numbered::new(&self.prefix), out).await?
            }
            _ => self.send_nodes(out).await?,
        };
        let name = format!("{}{END_ENTRY}", self.prefix);
        send(out, TarWriter::entry(&name, &json(&end)?)).await?;
        drop(self.lease);
        Ok(())
    }

    async fn send_database(
        &self,
        entry: &str,
        file: &NamedTempFile,
        out: &mpsc::Sender<Piece>,
    ) -> Result<(), StoreWorkError> {
        let failed =
            |error| StoreWorkError::internal("the copy of a database cannot be read", error);
        let file = file.reopen().map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let name = format!("{}{entry}", self.prefix);
        send(out, TarWriter::header(&name, size)).await?;
        // Not more than announced, whatever happens to the file.
        let mut file = tokio::fs::File::from_std(file).take(size);
        loop {
            let mut bytes = vec![0; READ_BYTES];
            match file.read(&mut bytes).await.map_err(failed)? {
                0 => break,
                read => {
                    bytes.truncate(read);
                    send(out, bytes.into()).await?;
                }
            }
        }
        send(out, TarWriter::padding(size)).await
    }

    /// All log nodes, where the store cannot be listed.
    async fn send_nodes(&self, out: &mpsc::Sender<Piece>) -> Result<BackupEnd, StoreWorkError> {
        let mut archives = Numbered::new(&self.prefix);
        let mut pages = NodePages::new(&self.state, self.clients.as_deref(), PAGE_BLOCKS);
        while let Some(nodes) = pages.next()? {
            let cids: Vec<_> = nodes
                .iter()
                .map(|(_, _, digest)| node_cid(*digest))
                .collect();
            let blocks = self.store.get_many(&cids).await?;
            let blocks: Vec<_> = blocks.into_iter().flatten().collect();
            archives.send(&blocks, out).await?;
        }
        Ok(archives.end)
    }
}

/// Archives of blocks, which are numbered and counted.
struct Numbered<'a> {
    prefix: &'a str,
    number: u64,
    end: BackupEnd,
}

impl<'a> Numbered<'a> {
    fn new(prefix: &'a str) -> Self {
        Self {
            prefix,
            number: 0,
            end: BackupEnd::default(),
        }
    }

    async fn send(
        &mut self,
        blocks: &[Block],
        out: &mpsc::Sender<Piece>,
    ) -> Result<(), StoreWorkError> {
        if blocks.is_empty() {
            return Ok(());
        }
        self.end.blocks += blocks.len() as u64;
        let bytes = blocks.iter().map(|block| block.data().len() as u64);
        self.end.bytes += bytes.sum::<u64>();
        let pieces = archive_of(blocks);
        let size = pieces.iter().map(|piece| piece.len() as u64).sum();
        let name = format!("{}{BLOCKS_PREFIX}{:08}.car", self.prefix, self.number);
        self.number += 1;
        send(out, TarWriter::header(&name, size)).await?;
        for piece in pieces {
            send(out, piece).await?;
        }
        send(out, TarWriter::padding(size)).await
    }
}

/// All DAG-CBOR, and the files that are needed.
async fn send_listed(
    inventory: &dyn Inventory,
    needed: &Needed,
    archives: &mut Numbered<'_>,
    out: &mpsc::Sender<Piece>,
) -> Result<BackupEnd, StoreWorkError> {
    let (mut last, mut waiting) = (None, Vec::new());
    loop {
        let page = inventory.page(last).await?;
        let Some(newest) = page.last() else {
            archives.send(&waiting, out).await?;
            return Ok(archives.end);
        };
        last = Some(newest.key);
        for stored in page
            .into_iter()
            .filter(|stored| is_copied(&stored.key, needed))
        {
            waiting.extend(whole(stored));
        }
        let bytes: usize = waiting.iter().map(|block| block.data().len()).sum();
        if bytes >= PAGE_BYTES || waiting.len() >= PAGE_BLOCKS {
            archives.send(&waiting, out).await?;
            waiting.clear();
        }
    }
}

fn is_copied(key: &BlockKey, needed: &Needed) -> bool {
    key.cid().codec() == DAG_CBOR || needed.contains(key)
}

/// A damaged block is left out; `check` names it.
fn whole(stored: Stored) -> Option<Block> {
    let cid = stored.key.cid();
    let block = stored.checked();
    if block.is_err() {
        tracing::warn!(%cid, "a damaged block is left out of the backup; run `rings store repair`");
    }
    block.ok()
}

async fn send(out: &mpsc::Sender<Piece>, piece: Bytes) -> Result<(), StoreWorkError> {
    out.send(Ok(piece)).await.map_err(|error| {
        StoreWorkError::internal("the receiver of the backup is gone", error.to_string())
    })
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, StoreWorkError> {
    serde_json::to_vec(value)
        .map_err(|error| StoreWorkError::internal("a backup cannot be written", error))
}
