//! Everything that a member needs, opened before it runs: key, chain, state database, block store, submitter.
//!
//! [`Opened::new`] opens it in this order. The chain comes first, because its id says whose state the database must be.
//! Then the ring is read, and a member that is not in it is refused (`approach.rs`). If the chain knows this member's contact
//! and the state database is missing, it is refused as well: it would not know what it has signed. Only then is a new
//! state database made, and the transaction journal opened, with all transactions that were on their way. While the chain
//! cannot be reached, each step waits ([`Waiting::patiently`]).
//!
//! [`Opened`] is what all parts of the running member are made from (`run.rs`, `follow.rs`, `announce.rs`, `api/`).

use super::{
    approach::{self, Found},
    config::{NodeConfig, StoreKind},
    error::MemberError,
    late_store::LateStore,
    layout,
    ring_keys::RingKeys,
    ring_status::RingStatus,
    signer::MemberKey,
    state::{Identity, MemberState},
    turn::turn,
    waiting::Waiting,
    watched_store::WatchedStore,
};
use rings_api::shown_url;
use rings_chain::{Chain, RingState, Submitter};
use rings_protocol::{crypto::Signer, eip712::Domain, Address};
use rings_store::{BlockStore, StoreConfig};
use std::{sync::Arc, time::Duration};

/// The file of the state database, below `[store] path`.
pub(super) const STATE: &str = "state.redb";
/// The file of what is kept of client rings, below `[store] path`.
pub(super) const CLIENTS: &str = "clients.redb";
/// The file of what is kept of processes, below `[store] path`.
pub(super) const PROCESSES: &str = "processes.redb";

/// Everything that a member needs, open.
pub(super) struct Opened {
    /// The member's key, or who has it: it signs votes, log nodes and transactions.
    pub(super) key: MemberKey,
    /// Chain and ring.
    pub(super) domain: Domain,
    pub(super) chain: Chain,
    /// The engine of the ring.
    pub(super) engine: Address,
    /// Blocks on top of a result before it is called final.
    pub(super) confirmations: u64,
    pub(super) state: Arc<MemberState>,
    /// How the ring's log nodes are written and read.
    pub(super) keys: Arc<RingKeys>,
    pub(super) store: Arc<dyn BlockStore>,
    /// The same, which takes the blocks of log nodes late.
    pub(super) late: Arc<LateStore>,
    /// The same, which knows whether it works.
    pub(super) watched: Arc<WatchedStore>,
    pub(super) submitter: Arc<Submitter>,
    /// What several parts know of the ring and of its members.
    pub(super) shared: Arc<RingStatus>,
    /// The ring's state as it was read at the start.
    pub(super) ring: RingState,
    /// How long the next in line waits for a submitter.
    pub(super) turn: Duration,
}

impl Opened {
    /// Opens everything, in the order that the opening comment of this file explains.
    pub(super) async fn new(
        config: &NodeConfig,
        key: MemberKey,
        (late, watched): (Arc<LateStore>, Arc<WatchedStore>),
        waiting: &Waiting,
    ) -> Result<Self, MemberError> {
        let (address, me, path) = (config.ring.address, key.address(), &config.store.path);
        let Found { chain, state, ring } =
            approach::find(config, me, &path.join(STATE), waiting).await?;
        let identity = Identity {
            chain_id: chain.id(),
            ring: address,
            member: me,
        };
        let state = match state {
            Some(state) => state,
            // A member announces itself when it first runs, which is after its state database was made.
            None => match waiting.patiently(|| chain.contact(address, me)).await? {
                Some(_) => {
                    return Err(MemberError::LostMemory {
                        path: path.clone(),
                        account: me,
                    })
                }
                None => approach::open(&path.join(STATE), &identity)?,
            },
        };
        // What the last rounds wrote before a crash, and the store has not got.
        late.resume(&state)?;
        let (domain, state) = (Domain::new(chain.id(), address), Arc::new(state));
        let keys = RingKeys::open(
            domain,
            key.clone(),
            &config.ring.readers,
            Arc::clone(&state),
        )?;
        // The databases have moved forward to this version, so the directory may say so.
        layout::settle(path)?;
        let submitter = waiting
            .patiently(|| Submitter::open(path.join("submitter.redb"), chain.clone(), key.clone()))
            .await?;
        let requesters = config.ring.requesters.iter().copied().collect();
        let shared = Arc::new(RingStatus::new(me, requesters));
        shared.membership(&ring);
        for member in &ring.members {
            if let Some(contact) = waiting
                .patiently(|| chain.contact(address, *member))
                .await?
            {
                // Announcements from before the cursor come in no event again, so they are read once here.
                shared.announced(*member, &contact.public_key, contact.multiaddress);
            }
        }
        Ok(Self {
            turn: waiting.patiently(|| turn(&chain)).await?,
            domain,
            keys: Arc::new(keys),
            engine: ring.engine,
            confirmations: config.chain.confirmations,
            submitter: Arc::new(submitter),
            state,
            key,
            chain,
            store: Arc::clone(&late) as Arc<dyn BlockStore>,
            late,
            watched,
            shared,
            ring,
        })
    }
}

pub(super) fn store_config(config: &NodeConfig) -> StoreConfig {
    match &config.store.kind {
        StoreKind::Embedded => StoreConfig::Embedded {
            path: config.store.path.join("blocks.redb"),
        },
        StoreKind::Kubo { url } => StoreConfig::Kubo { url: url.clone() },
    }
}

/// Where the block store is, as it may be shown.
pub(super) fn store_place(config: &NodeConfig) -> String {
    match store_config(config) {
        StoreConfig::Embedded { path } => path.display().to_string(),
        StoreConfig::Kubo { url } => shown_url(&url),
    }
}
