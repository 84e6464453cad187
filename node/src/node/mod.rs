//! A running member: opens what it rests on, joins the rooms, and stops in order.

mod api;
mod blocks;
mod core;
mod faults;
mod lock;
mod metrics;
mod running;
mod serve;
mod shared;
mod state;
mod wire;

pub use self::core::CoreError;
pub use faults::Faults;
pub use lock::LockError;
pub use state::StateError;

use self::core::{Core, Input, Parts, INBOX};
use crate::{
    config::{NodeConfig, StoreKind},
    execute::Bounds,
    http::{self, HttpError, HttpLimits, Token, TokenError},
    keystore::{self, KeystoreError},
};
use api::Api;
use blocks::MemberBlocks;
use lock::DataLock;
use rings_chain::{calls, watch, Chain, ChainError, RingState, Submitter, Update, WatchConfig};
use rings_compute::{Pool, PoolConfig};
use rings_network::{Event, Network, NetworkError};
use rings_protocol::{
    cids::keccak256,
    crypto::SecretKey,
    eip712::Domain,
    member::{Member, Setup},
    Address,
};
use rings_store::{BlockStore, StoreError};
use running::Running;
use serve::Shelf;
use shared::Shared;
use state::{Identity, State};
use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{mpsc, Semaphore};
use tokio_util::sync::CancellationToken;

/// Updates of the chain that wait for the core.
const CHAIN_QUEUE: usize = 16;
/// Requests of other members that are answered at one time.
const SERVED_AT_ONCE: usize = 16;
/// How often an http provider is asked for a new head.
const POLL: Duration = Duration::from_millis(250);
/// Most blocks asked for in one page of events.
const PAGE: u64 = 2_000;
/// Wall-clock time that a worker gets for one run. Fuel is the limit that members agree on; this one only frees a
/// worker of this machine, and the member abstains.
const WALL_LIMIT: Duration = Duration::from_secs(600);
/// Wall-clock time that compiling a program may take.
const COMPILE_LIMIT: Duration = Duration::from_secs(120);
/// The file of a member's memory, below `[store] path`.
const STATE: &str = "state.redb";
/// Bounds of a turn: how long the next in line waits for a submitter.
const TURN_MIN: Duration = Duration::from_secs(1);
const TURN_MAX: Duration = Duration::from_secs(30);
/// Blocks whose times tell how fast the chain is.
const TURN_BLOCKS: u64 = 4;

/// Why a member does not start, or stops.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Its data directory.
    #[error("the data directory {path} cannot be made or used; check [store] path")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process runs on it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Its key.
    #[error(transparent)]
    Key(#[from] KeystoreError),
    /// Its memory.
    #[error(transparent)]
    State(#[from] StateError),
    /// Its blocks.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The chain.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The other members.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Its HTTP side.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The token of its HTTP side.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It is not in the ring.
    #[error("{account} is not a member of ring {ring}; let the ring's keeper enter it")]
    NotAMember {
        /// The account.
        account: Address,
        /// The ring.
        ring: Address,
    },
    /// It ran before, and what it signed is not known any more.
    #[error(
        "{path} has no state.redb, or an empty one, though {account} was in its ring before: what it signed is not known, so it could contradict it; restore the data directory, or let the keeper exchange this member for one with a new key"
    )]
    LostMemory {
        /// The data directory.
        path: PathBuf,
        /// The account.
        account: Address,
    },
    /// The core.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// A part ended that should not have.
    #[error(
        "the {part} of the member ended unexpectedly; start it again and report what its log says"
    )]
    Ended {
        /// Which part.
        part: &'static str,
        /// Why, if it panicked.
        #[source]
        source: Option<tokio::task::JoinError>,
    },
}

/// Runs one member until `shutdown`.
///
/// # Errors
/// [`NodeError`]: what it could not open, or what failed under it.
pub async fn run(
    config: NodeConfig,
    faults: Faults,
    shutdown: CancellationToken,
) -> Result<(), NodeError> {
    let path = config.store.path.clone();
    std::fs::create_dir_all(&path).map_err(|source| NodeError::Directory {
        path: path.clone(),
        source,
    })?;
    let _lock = DataLock::take(&path)?;
    let key = keystore::load(&config.key.keystore, config.key.password_file.as_deref())?;
    let token = Token::read(&config.rpc.token_file)?;
    let listener = http::bind(config.rpc.listen).await?;
    let chain = Chain::connect(&config.chain.rpc).await?;
    let parts = Opened::new(&config, key, chain).await?;
    parts.run(config, faults, listener, token, shutdown).await
}

/// Whether a member ran in this directory before. An empty file remembers nothing.
fn has_memory(path: &Path) -> bool {
    std::fs::metadata(path.join(STATE)).is_ok_and(|file| file.len() > 0)
}

/// Everything that a member rests on, open.
struct Opened {
    key: SecretKey,
    domain: Domain,
    chain: Chain,
    engine: Address,
    requesters: BTreeSet<Address>,
    state: Arc<State>,
    store: Arc<dyn BlockStore>,
    submitter: Arc<Submitter>,
    shared: Arc<Shared>,
    ring: RingState,
}

impl Opened {
    async fn new(config: &NodeConfig, key: SecretKey, chain: Chain) -> Result<Self, NodeError> {
        let (address, me, path) = (config.ring.address, key.address(), &config.store.path);
        let ring = chain.ring_state(address).await?;
        if !ring.members.contains(&me) {
            return Err(NodeError::NotAMember {
                account: me,
                ring: address,
            });
        }
        // A member announces itself when it first runs, after its memory was made.
        if !has_memory(path) && chain.contact(address, me).await?.is_some() {
            return Err(NodeError::LostMemory {
                path: path.clone(),
                account: me,
            });
        }
        let identity = Identity {
            chain_id: chain.id(),
            ring: address,
            member: me,
        };
        let state = tokio::task::block_in_place(|| State::open(&path.join(STATE), &identity))?;
        let store = rings_store::open(&store_config(config)).await?;
        let submitter =
            Submitter::open(path.join("submitter.redb"), chain.clone(), key.clone()).await?;
        let mut requesters: BTreeSet<_> = config.ring.requesters.iter().copied().collect();
        requesters.insert(chain.keeper(ring.engine, address).await?);
        let shared = Arc::new(Shared::new(me));
        shared.membership(ring.epoch, ring.members.clone());
        for member in &ring.members {
            if let Some(contact) = chain.contact(address, *member).await? {
                shared.announced(*member, &contact.public_key, contact.multiaddress);
            }
        }
        Ok(Self {
            domain: Domain::new(chain.id(), address),
            engine: ring.engine,
            submitter: Arc::new(submitter),
            state: Arc::new(state),
            key,
            chain,
            requesters,
            store,
            shared,
            ring,
        })
    }

    async fn run(
        self,
        config: NodeConfig,
        faults: Faults,
        listener: tokio::net::TcpListener,
        token: Token,
        shutdown: CancellationToken,
    ) -> Result<(), NodeError> {
        let (network, events, swarm) = rings_network::start(self.network_config(&config)).await?;
        network.set_peers(self.shared.peers()).await;
        let pool = Arc::new(Pool::new(pool_config(&config)));
        let (outbox, inbox) = mpsc::channel(INBOX);
        let blocks = Arc::new(MemberBlocks::new(Arc::clone(&self.store), network.clone()));
        let core = self
            .core(
                &config,
                faults,
                network.clone(),
                Arc::clone(&pool),
                Arc::clone(&blocks),
                outbox.clone(),
            )
            .await?;
        let api = Arc::new(Api::new(&self, network.clone(), blocks, outbox.clone()));

        let stop = shutdown.child_token();
        let mut parts = Running::new(stop.clone());
        parts.run("core", core.run(inbox, stop.clone()));
        let follow = self.follow(&config, outbox.clone(), stop.clone());
        parts.run("chain watcher", follow);
        parts.run("peers", listen(events, self.shelf(), outbox));
        let limits = HttpLimits::default();
        let serve = http::serve(api, listener, token, limits, stop.clone());
        parts.run("HTTP side", serve);
        parts.run_once("announcement", self.announce(network.clone()));
        tokio::spawn(tell_sandbox(Arc::clone(&pool)));
        tracing::info!(member = %self.key.address(), ring = %self.domain.ring, rpc = %config.rpc.listen, "the member runs");

        let outcome = parts.first_failure().await;
        network.shutdown().await;
        pool.shutdown().await;
        self.submitter.shutdown().await;
        parts.end().await;
        if let Err(error) = swarm.await {
            tracing::warn!(%error, "the network did not end well");
        }
        outcome
    }

    fn network_config(&self, config: &NodeConfig) -> rings_network::Config {
        rings_network::Config {
            secret: self.key.to_bytes(),
            listen: config.network.listen.clone(),
            limits: rings_network::Limits::default(),
            topic: format!("/rings/{}/{}", self.domain.chain_id, self.domain.ring),
        }
    }

    fn shelf(&self) -> Shelf {
        Shelf {
            store: Arc::clone(&self.store),
            state: Arc::clone(&self.state),
        }
    }

    async fn core(
        &self,
        config: &NodeConfig,
        faults: Faults,
        network: Network,
        pool: Arc<Pool>,
        blocks: Arc<MemberBlocks>,
        outbox: mpsc::Sender<Input>,
    ) -> Result<Core, NodeError> {
        let turn = turn(&self.chain).await?.as_millis() as u64;
        let mut member = Member::new(Setup {
            me: self.key.address(),
            domain: self.domain,
            turn,
        });
        member.membership(self.ring.epoch, self.ring.members.clone());
        Ok(Core::new(Parts {
            key: self.key.clone(),
            domain: self.domain,
            member,
            state: Arc::clone(&self.state),
            store: Arc::clone(&self.store),
            blocks,
            chain: self.chain.clone(),
            submitter: Arc::clone(&self.submitter),
            network,
            pool,
            workers: config.compute.workers,
            bounds: Bounds {
                memory: config.compute.memory,
                fuel: config.compute.fuel,
                output: config.compute.output,
                second_opinion: config.compute.second_opinion,
            },
            requesters: self.requesters.clone(),
            shared: Arc::clone(&self.shared),
            faults,
            outbox,
        })?)
    }

    /// Follows the chain from where the state database ends, into the core's inbox.
    fn follow(
        &self,
        config: &NodeConfig,
        outbox: mpsc::Sender<Input>,
        stop: CancellationToken,
    ) -> impl std::future::Future<Output = Result<(), NodeError>> + Send + 'static {
        let chain = self.chain.clone();
        let state = Arc::clone(&self.state);
        let config = WatchConfig {
            engine: self.engine,
            ring: self.domain.ring,
            start_block: config.chain.start_block,
            confirmations: config.chain.confirmations,
            poll: POLL,
            page: PAGE,
        };
        async move {
            let trail = state.trail()?;
            let (updates, received) = mpsc::channel(CHAIN_QUEUE);
            let (watched, ()) = tokio::join!(
                watch(chain, config, trail, updates, stop),
                pass_on(received, outbox)
            );
            Ok(watched?)
        }
    }

    /// Tells the chain how this member can be reached, if it does not say so already.
    fn announce(
        &self,
        network: Network,
    ) -> impl std::future::Future<Output = Result<(), NodeError>> + Send + 'static {
        let (chain, submitter) = (self.chain.clone(), Arc::clone(&self.submitter));
        let (ring, key) = (self.domain.ring, self.key.public_key());
        async move {
            let addresses = network.listen_addresses().await;
            let address = preferred(addresses);
            let known = chain.contact(ring, key.address()).await?;
            if known
                .is_some_and(|contact| contact.multiaddress == address && contact.public_key == key)
            {
                return Ok(());
            }
            // The block is part of the purpose: going back to an earlier address is a new announcement.
            let block = chain.block_number().await?;
            let purpose =
                keccak256(&[b"announce".as_slice(), &block.to_be_bytes(), &address].concat());
            submitter
                .submit(purpose, calls::announce(ring, &key, &address))
                .await?;
            Ok(())
        }
    }
}

fn store_config(config: &NodeConfig) -> rings_store::StoreConfig {
    match &config.store.kind {
        StoreKind::Embedded => rings_store::StoreConfig::Embedded {
            path: config.store.path.join("blocks.redb"),
        },
        StoreKind::Kubo { url } => rings_store::StoreConfig::Kubo { url: url.clone() },
    }
}

fn pool_config(config: &NodeConfig) -> PoolConfig {
    let program = std::env::current_exe().unwrap_or_else(|_| Path::new("rings").into());
    PoolConfig {
        command: (program, vec!["worker".into()]),
        workers: config.compute.workers,
        cache: Some(config.compute.cache.clone()),
        wall_limit: WALL_LIMIT,
        compile_limit: COMPILE_LIMIT,
    }
}

/// Says what the workers have given up, as far as this machine's kernel lets them.
async fn tell_sandbox(pool: Arc<Pool>) {
    match pool.sandbox().await {
        Ok(sandbox) if sandbox.is_full() => tracing::info!("programs run behind {sandbox}"),
        Ok(sandbox) => {
            tracing::warn!("programs run behind {sandbox}: a newer kernel would give more");
        }
        Err(error) => {
            let reason = core::chain_of(&error);
            tracing::warn!(
                reason,
                "no worker could be started; gates cannot be computed"
            );
        }
    }
}

/// The address to announce: one over TCP if there is one, for it tells at once when the process behind it is gone.
/// Peers try QUIC at the same port by themselves.
fn preferred(mut addresses: Vec<Vec<u8>>) -> Vec<u8> {
    let is_tcp = |address: &Vec<u8>| {
        rings_network::address_text(address).is_some_and(|text| text.contains("/tcp/"))
    };
    let first = addresses.iter().position(is_tcp).unwrap_or(0);
    match addresses.is_empty() {
        true => Vec::new(),
        false => addresses.swap_remove(first),
    }
}

/// How long the next in line waits for a submitter: two blocks of this chain, within bounds.
async fn turn(chain: &Chain) -> Result<Duration, ChainError> {
    let head = chain.head().await?;
    let mut times = vec![head.timestamp];
    for back in 1..=TURN_BLOCKS.min(head.number) {
        times.push(chain.block(head.number - back).await?.timestamp);
    }
    // The shortest interval: a chain that makes blocks on demand has long ones in between.
    let shortest = times
        .windows(2)
        .map(|pair| pair[0].saturating_sub(pair[1]))
        .min()
        .unwrap_or(0);
    Ok(Duration::from_secs(2 * shortest).clamp(TURN_MIN, TURN_MAX))
}

async fn pass_on(mut updates: mpsc::Receiver<Update>, outbox: mpsc::Sender<Input>) {
    while let Some(update) = updates.recv().await {
        if outbox.send(Input::Chain(update)).await.is_err() {
            return;
        }
    }
}

/// Brings what peers do to the core, and answers what they ask.
async fn listen(
    mut events: mpsc::Receiver<Event>,
    shelf: Shelf,
    outbox: mpsc::Sender<Input>,
) -> Result<(), NodeError> {
    let permits = Arc::new(Semaphore::new(SERVED_AT_ONCE));
    while let Some(event) = events.recv().await {
        let input = match event {
            Event::Request { from, data, reply } => {
                let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
                    return Ok(());
                };
                let shelf = shelf.clone();
                tokio::spawn(async move {
                    match shelf.answer(&data).await {
                        Ok(answer) => reply.send(answer),
                        Err(error) => {
                            tracing::warn!(%from, error = &error as &dyn std::error::Error, "a request was not answered")
                        }
                    }
                    drop(permit);
                });
                continue;
            }
            Event::Gossip {
                from,
                data,
                verdict,
            } => Input::Gossip {
                from,
                data,
                verdict,
            },
            Event::Connected(peer) => Input::Connected(peer),
            Event::Disconnected(peer) => Input::Disconnected(peer),
        };
        if outbox.send(input).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
