//! What the core is made of: the parts that are opened or started before it, and that it shares with others.

use super::{input::Input, terms::RingTerms};
use crate::{
    execute::{Bounds, Files},
    faults::Faults,
    late_store::LateStore,
    ring_keys::RingKeys,
    ring_status::RingStatus,
    signer::MemberKey,
    state::{Cost, MemberState},
};
use rings_api::News;
use rings_chain::{Chain, RingState, Submitter};
use rings_compute::Pools;
use rings_network::Network;
use rings_protocol::{eip712::Domain, member::Member, Digest};
use rings_store::{BlockSource, BlockStore};
use std::{sync::Arc, time::Duration};
use tokio::sync::{broadcast, mpsc, Notify};

/// What the core works with.
pub struct CoreParts {
    /// The member's account key, or who has it.
    pub key: MemberKey,
    /// Chain and ring.
    pub domain: Domain,
    /// The protocol's state machine.
    pub member: Member,
    /// The state database.
    pub state: Arc<MemberState>,
    /// How the ring's log nodes are written and read.
    pub keys: Arc<RingKeys>,
    /// The block store.
    pub store: Arc<dyn BlockStore>,
    /// The same, which takes the blocks of log nodes late.
    pub late: Arc<LateStore>,
    /// Files in its blocks and in those of others.
    pub files: Arc<Files>,
    /// Its blocks, and those of others.
    pub blocks: Arc<dyn BlockSource>,
    /// When ring nodes are due, and how much one author may ask.
    pub terms: RingTerms,
    /// The ring as it was read before the core was made.
    pub ring: RingState,
    /// The chain.
    pub chain: Chain,
    /// Sends transactions.
    pub submitter: Arc<Submitter>,
    /// How long the next in line waits for a submitter.
    pub turn: Duration,
    /// The other members.
    pub network: Network,
    /// The workers.
    pub pools: Arc<Pools>,
    /// How many programs run at once.
    pub workers: usize,
    /// What this machine is willing to spend on a gate.
    pub bounds: Bounds,
    /// Whether logs of which nothing is held are begun at their heads on chain.
    pub begins_at_heads: bool,
    /// How much of each other member's log is held in a day.
    pub quota: Cost,
    /// The ring as the other parts of the member see it.
    pub shared: Arc<RingStatus>,
    /// Notified when the announcement on chain has to be checked again.
    pub announce: Arc<Notify>,
    /// Notified when nodes of other members' logs are on disk.
    pub heard: Arc<Notify>,
    /// Notified when a log has a new word about processes, or a ring node has decided something, on disk.
    pub words: Arc<Notify>,
    /// Told of each request on which two thirds have agreed.
    pub agreed: broadcast::Sender<Digest>,
    /// For those who subscribe at the HTTP side.
    pub news: News,
    /// Faults to make, in tests.
    pub faults: Faults,
    /// The inbox, for tasks that report back.
    pub outbox: mpsc::Sender<Input>,
}
