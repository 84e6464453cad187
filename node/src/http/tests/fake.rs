//! A member that answers with fixed values, and a store that can be broken on purpose.

use super::super::{api::*, HexBytes, Pin};
use async_trait::async_trait;
use bytes::Bytes;
use cid::Cid;
use rings_protocol::{cids, gate::FAILURE_PIN, Address, Digest};
use rings_store::{Block, BlockSource, BlockStore, StoreConfig, StoreError, StoreSize};
use std::{
    fmt::{self, Write},
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering},
        Arc,
    },
};
use tempfile::TempDir;
use tokio::sync::Semaphore;

pub(super) const RING: Address = Address([0x11; 20]);
pub(super) const MEMBER: Address = Address([0x22; 20]);
/// A gate for which the node fails.
pub(super) const BROKEN_GATE: Address = Address([0xbb; 20]);
/// A gate for which the node waits for [`FakeNode::gates`].
pub(super) const SLOW_GATE: Address = Address([0xcc; 20]);
/// What an internal cause says, which no caller may see.
pub(super) const SECRET: &str = "canary in /var/lib/somewhere";

pub(super) struct FakeNode {
    pub(super) following: AtomicBool,
    /// Answers for [`SLOW_GATE`] that may be given.
    pub(super) gates: Semaphore,
    /// Calls that have come for it.
    pub(super) waiting: AtomicUsize,
    pub(super) store: Arc<dyn BlockStore>,
    source: Arc<dyn BlockSource>,
    _dir: TempDir,
}

impl FakeNode {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("blocks");
        let store = rings_store::open(&StoreConfig::Embedded { path })
            .await
            .unwrap();
        Self {
            following: true.into(),
            gates: Semaphore::new(0),
            waiting: 0.into(),
            source: rings_store::source(&store),
            store,
            _dir: dir,
        }
    }

    /// The same with another store under it.
    pub(super) async fn with_store(store: impl BlockStore) -> Self {
        let store: Arc<dyn BlockStore> = Arc::new(store);
        Self {
            source: rings_store::source(&store),
            store,
            ..Self::new().await
        }
    }
}

pub(super) fn cid(text: &str) -> Cid {
    cids::data_cid(cids::sha256(text.as_bytes()))
}

pub(super) fn status() -> Status {
    Status {
        version: "0.1.0".into(),
        engine: "wasmtime-48".into(),
        chain_id: 31337,
        block: 12,
        following: true,
        member: MEMBER,
        peer_id: "16Uiu2HAm".into(),
        peers: 4,
        ring: RING,
        epoch: 1,
        head: Some(Head {
            seq: 3,
            cid: cids::node_cid(cids::sha256(b"head")),
        }),
        store: StoreStatus {
            kind: "embedded".into(),
            blocks: 5,
            bytes: 4096,
        },
    }
}

pub(super) fn ring() -> RingView {
    let unknown = MemberView {
        address: Address([0x33; 20]),
        peer_id: None,
        multiaddress: None,
        connected: false,
        last_seen: None,
        head: None,
        diverged: vec![],
    };
    let known = MemberView {
        address: MEMBER,
        peer_id: Some("16Uiu2HAm".into()),
        multiaddress: Some("/ip4/127.0.0.1/tcp/4001".into()),
        connected: true,
        last_seen: Some(1_700_000_000_000),
        head: status().head,
        diverged: vec![BROKEN_GATE],
    };
    RingView {
        ring: RING,
        engine: Address([0x44; 20]),
        keeper: Address([0x55; 20]),
        epoch: 1,
        quorum: 2,
        ring_node_head: Digest::ZERO,
        members: vec![known, unknown],
    }
}

pub(super) fn gate(gate: Address) -> GateView {
    let vote = VoteView {
        member: MEMBER,
        epoch: 1,
        result: Digest([6; 32]),
        outputs: vec![OutputView {
            pin: Pin(0),
            cid: cid("output"),
        }],
        agrees: Some(true),
        engine: "wasmtime-48".into(),
        fuel: 1234,
    };
    let failure = OutputView {
        pin: Pin(FAILURE_PIN),
        cid: cid("failure"),
    };
    let other = VoteView {
        outputs: vec![failure],
        agrees: None,
        ..vote.clone()
    };
    GateView {
        gate,
        state: GateState::Resolved,
        reason: Some("exit".into()),
        scope: Some(Address([0x66; 20])),
        rings: vec![RING],
        inputs: vec![
            InputView::Data {
                cid: cid("operation"),
            },
            InputView::Output {
                gate: BROKEN_GATE,
                pin: Pin(1 << 60),
            },
        ],
        outputs: 1.into(),
        epoch: 1,
        quorum: 2,
        result: Some(vec![ResultView {
            pin: Pin(0),
            token_id: Digest([8; 32]),
            cid: cid("output"),
        }]),
        votes: vec![vote, other],
        silent: vec![Address([0x33; 20])],
        transaction: Some(Digest([9; 32])),
        block: Some(12),
        milliseconds: GateTimes {
            compute: Some(3),
            quorum: Some(5),
            register: None,
        },
    }
}

pub(super) fn unknown_gate(gate: Address) -> GateView {
    GateView {
        gate,
        state: GateState::Unknown,
        reason: None,
        scope: None,
        rings: vec![],
        inputs: vec![],
        outputs: 0.into(),
        epoch: 0,
        quorum: 0,
        result: None,
        votes: vec![],
        silent: vec![],
        transaction: None,
        block: None,
        milliseconds: GateTimes::default(),
    }
}

pub(super) fn log(from: Option<u64>, limit: u32) -> LogPage {
    let head = from.unwrap_or(9);
    let newest_first = (0..=head).rev().take(limit as usize);
    let entry = |seq: u64| LogEntry {
        cid: cids::node_cid(cids::sha256(&seq.to_be_bytes())),
        seq,
        bytes: HexBytes(seq.to_be_bytes().to_vec()),
        node: serde_json::json!({ "seq": seq }),
    };
    LogPage {
        nodes: newest_first.map(entry).collect(),
        next: (head + 1)
            .checked_sub(limit.into())
            .and_then(|left| left.checked_sub(1)),
    }
}

#[async_trait]
impl NodeApi for FakeNode {
    async fn status(&self) -> Result<Status, ApiError> {
        Ok(status())
    }

    async fn ring(&self, asked: Address) -> Result<RingView, ApiError> {
        match asked {
            RING => Ok(ring()),
            ring => Err(ApiError::NotFollowed { ring }),
        }
    }

    async fn gate(&self, asked: Address) -> Result<GateView, ApiError> {
        match asked {
            BROKEN_GATE => Err(ApiError::internal("the gate cannot be read", SECRET)),
            SLOW_GATE => {
                self.waiting.fetch_add(1, Ordering::Relaxed);
                self.gates.acquire().await.unwrap().forget();
                Ok(gate(asked))
            }
            Address::ZERO => Ok(unknown_gate(asked)),
            _ => Ok(gate(asked)),
        }
    }

    async fn log(
        &self,
        ring: Address,
        member: Address,
        from: Option<u64>,
        limit: u32,
    ) -> Result<LogPage, ApiError> {
        match (ring, member) {
            (RING, MEMBER) => Ok(log(from, limit)),
            (RING, _) => Err(ApiError::NotAMember { ring, member }),
            _ => Err(ApiError::NotFollowed { ring }),
        }
    }

    fn source(&self) -> Arc<dyn BlockSource> {
        self.source.clone()
    }

    fn store(&self) -> Arc<dyn BlockStore> {
        self.store.clone()
    }

    fn following(&self) -> bool {
        self.following.load(Ordering::Relaxed)
    }

    fn encode_metrics(&self, out: &mut String) -> fmt::Result {
        out.write_str("# TYPE rings_gates counter\nrings_gates_total 1\n# EOF\n")
    }
}

/// A store whose disk is full, and which has damaged copies of everything.
pub(super) struct BrokenStore;

#[async_trait]
impl BlockStore for BrokenStore {
    async fn put(&self, _: Vec<Block>) -> Result<(), StoreError> {
        Err(StoreError::DiskFull {
            place: "the test".into(),
        })
    }

    async fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        Err(StoreError::Corrupt { cid: *cid })
    }

    async fn has(&self, _: &Cid) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn size(&self) -> Result<StoreSize, StoreError> {
        Ok(StoreSize::default())
    }

    fn kind(&self) -> &'static str {
        "embedded"
    }
}

/// A store that loses one block after it was put.
pub(super) struct Forgetful {
    pub(super) inner: Arc<dyn BlockStore>,
    pub(super) lost: Cid,
}

#[async_trait]
impl BlockStore for Forgetful {
    async fn put(&self, blocks: Vec<Block>) -> Result<(), StoreError> {
        self.inner.put(blocks).await
    }

    async fn get(&self, cid: &Cid) -> Result<Option<Bytes>, StoreError> {
        match *cid == self.lost {
            true => Ok(None),
            false => self.inner.get(cid).await,
        }
    }

    async fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.inner.has(cid).await
    }

    async fn size(&self) -> Result<StoreSize, StoreError> {
        self.inner.size().await
    }

    fn kind(&self) -> &'static str {
        self.inner.kind()
    }
}
