//! A member that answers with fixed values, and a store that can be broken on purpose.

use super::super::{
    registry::{RegisteredKind, RegistryEntryView, RegistryView, SearchRegistryParams},
    views::*,
    ApiError, ClientRings, HexBytes, News, NodeApi, Pin, ProcessKeeper, RequestParams,
};
use super::{fake_client_rings::FakeClientRings, fake_processes::FakeProcesses};
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
    /// What the node tells.
    pub(super) news: News,
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
            news: News::default(),
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

/// An entry of the registry.
pub(super) fn registered(number: u64, name: &str) -> RegistryEntryView {
    RegistryEntryView {
        number,
        kind: RegisteredKind::Service,
        cid: cid(name),
        owner: MEMBER,
        name: name.into(),
        version: "1".into(),
        description: (number == 1).then(|| cid("about")),
        withdrawn: number == 1,
    }
}

pub(super) fn cid(text: &str) -> Cid {
    cids::data_cid(cids::sha256(text.as_bytes()))
}

pub(super) fn status() -> Status {
    Status {
        version: "0.1.0".into(),
        profile: "wasmtime-48".into(),
        chain_id: 31337,
        block: 12,
        following: true,
        trouble: None,
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
        announced: vec!["/ip4/127.0.0.1/tcp/4001".into()],
        balance: Some("50000000000000000".into()),
        registrations: Some(70),
        providers: vec![],
        unreachable: vec![],
        warnings: vec![],
    }
}

pub(super) fn ring() -> RingView {
    let unknown = MemberView {
        address: Address([0x33; 20]),
        peer_id: None,
        multiaddress: None,
        multiaddresses: vec![],
        program: None,
        connected: false,
        last_seen: None,
        head: None,
        diverged: vec![],
        forked: false,
        stalled: 0,
        held_back: None,
    };
    let known = MemberView {
        address: MEMBER,
        peer_id: Some("16Uiu2HAm".into()),
        multiaddress: Some("/ip4/127.0.0.1/tcp/4001".into()),
        multiaddresses: vec!["/ip4/127.0.0.1/tcp/4001".into()],
        program: Some("rings 0.1.0".into()),
        connected: true,
        last_seen: Some(1_700_000_000_000),
        head: status().head,
        diverged: vec![BROKEN_GATE],
        forked: true,
        stalled: 2,
        held_back: Some(7),
    };
    RingView {
        ring: RING,
        engine: Address([0x44; 20]),
        keeper: Some(Address([0x55; 20])),
        epoch: 1,
        quorum: 2,
        ring_node_head: Digest::ZERO,
        forks: vec![ForkView {
            member: MEMBER,
            seq: 3,
            proven: false,
        }],
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
        profile: "wasmtime-48".into(),
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
        is_final: true,
        milliseconds: GateTimes {
            compute: Some(3),
            quorum: Some(5),
            register: None,
        },
        notes: vec!["the program read a clock".into()],
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
        is_final: false,
        milliseconds: GateTimes::default(),
        notes: vec![],
    }
}

/// A request of which the node knows everything.
pub(super) const REQUEST: Digest = Digest([0xab; 32]);

fn ring_node(number: u64) -> RingNodeView {
    RingNodeView {
        number,
        cid: cids::node_cid(Digest([3; 32])),
        transaction: Digest([9; 32]),
        block: 12,
    }
}

pub(super) fn request(request: Digest) -> RequestView {
    RequestView {
        request,
        state: RequestState::Listed,
        reason: Some("exit".into()),
        author: Some(MEMBER),
        ring: RING,
        chain_id: 31337,
        profile: Some("wasmtime-48".into()),
        operation: Some(cid("operation")),
        inputs: vec![
            RequestInputView::Data { cid: cid("input") },
            RequestInputView::Output { request, pin: 7 },
        ],
        nonce: Some(1),
        until: Some(1000),
        epoch: 1,
        quorum: 2,
        result: Some(vec![ResultView::new(0, Digest([8; 32]))]),
        votes: vec![RequestVoteView {
            member: MEMBER,
            inputs: Digest([6; 32]),
            outputs: vec![OutputView {
                pin: Pin(FAILURE_PIN),
                cid: cid("failure"),
            }],
            agrees: Some(false),
            profile: "wasmtime-48".into(),
            fuel: 1234,
        }],
        silent: vec![Address([0x33; 20])],
        ring_node: Some(ring_node(5)),
        is_final: true,
        milliseconds: RequestTimesView {
            compute: Some(3),
            quorum: None,
            list: Some(5),
        },
    }
}

pub(super) fn unknown_request(asked: Digest) -> RequestView {
    RequestView {
        state: RequestState::Unknown,
        reason: None,
        author: None,
        profile: None,
        operation: None,
        inputs: vec![],
        nonce: None,
        until: None,
        result: None,
        votes: vec![],
        silent: vec![],
        ring_node: None,
        is_final: false,
        milliseconds: RequestTimesView::default(),
        ..request(asked)
    }
}

pub(super) fn requested(fresh: bool) -> RequestedView {
    RequestedView {
        request: REQUEST,
        until: fresh.then_some(1000),
        fresh,
        node: status().head.filter(|_| fresh),
    }
}

pub(super) fn proof(request: Digest) -> ProofView {
    ProofView {
        request,
        proof: HexBytes(vec![1, 2, 3]),
        ring_node: ring_node(5),
        anchor: ring_node(99),
        lasting: true,
        is_final: true,
        contract: ContractProofView {
            header: HexBytes(vec![4]),
            number: 5,
            entry: HexBytes(vec![6]),
            path: vec![Digest([7; 32])],
        },
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
        unsealed: None,
    };
    LogPage {
        nodes: newest_first.map(entry).collect(),
        next: (head + 1)
            .checked_sub(limit.into())
            .and_then(|left| left.checked_sub(1)),
        held_from: None,
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
        _: bool,
    ) -> Result<LogPage, ApiError> {
        match (ring, member) {
            (RING, MEMBER) => Ok(log(from, limit)),
            (RING, _) => Err(ApiError::NotAMember { ring, member }),
            _ => Err(ApiError::NotFollowed { ring }),
        }
    }

    async fn processes(&self) -> Result<Arc<dyn ProcessKeeper>, ApiError> {
        Ok(Arc::new(FakeProcesses))
    }

    async fn client_rings(&self) -> Result<Arc<dyn ClientRings>, ApiError> {
        Ok(Arc::new(FakeClientRings))
    }

    async fn request(&self, asked: RequestParams) -> Result<RequestedView, ApiError> {
        match asked.nonce {
            13 => Err(ApiError::Refused {
                reason: "as many as one may have".into(),
            }),
            nonce => Ok(requested(nonce == 0)),
        }
    }

    async fn get_request(&self, asked: Digest) -> Result<RequestView, ApiError> {
        match asked {
            REQUEST => Ok(request(asked)),
            _ => Ok(unknown_request(asked)),
        }
    }

    async fn proof(&self, asked: Digest) -> Result<ProofView, ApiError> {
        match asked {
            REQUEST => Ok(proof(asked)),
            _ => Err(ApiError::InvalidParams {
                reason: "no ring node lists it".into(),
            }),
        }
    }

    async fn search_registry(&self, which: SearchRegistryParams) -> Result<RegistryView, ApiError> {
        let mut entries = vec![registered(1, "Car \u{1b}[2J"), registered(0, "shop")];
        let text = which.text.unwrap_or_default();
        entries.retain(|entry| {
            entry.name.contains(&text) && which.before.is_none_or(|before| entry.number < before)
        });
        Ok(RegistryView {
            registry: Some(MEMBER),
            entries,
            next: None,
        })
    }

    fn news(&self) -> News {
        self.news.clone()
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

    fn trouble(&self) -> Option<String> {
        (!self.following()).then(|| "the chain cannot be reached".into())
    }

    fn warnings(&self) -> Vec<String> {
        vec!["a member is not connected".into()]
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
