//! Runs a member: opens what it needs, starts its parts, waits for the end, and stops the parts in order.
//!
//! [`run`] locks the data directory and starts the HTTP side, so that the member can say from the first moment what it
//! waits for. It opens the rest as soon as the chain answers (`opened.rs`), and starts the workers, the network, the core,
//! the watcher of the chain and the announcement as parts that run side by side (`running.rs`). When it is told to stop, or
//! one part fails, all parts are told to stop; then network, workers and submitter are shut down, and every part is waited
//! for. The error of the part that failed first is the error of the member.

use super::{
    announce::Policy,
    api::Api,
    blocks::MemberBlocks,
    clients::{follow as follow_clients, hear, prove, relay, seek, Clients, KeeperParts},
    config::{KeyConfig, NodeConfig, TlsFiles},
    connectors::{launcher, Connectors, Instances},
    core::{Core, CoreParts, Input, RingTerms, INBOX},
    entrance::{Entrance, Starting},
    error::MemberError,
    execute::{Bounds, Files},
    faults::Faults,
    housekeeping::{self, Holder, Housekeeper},
    keystore,
    late_store::LateStore,
    layout,
    lock::DataLock,
    opened::{store_config, store_place, Opened, CLIENTS, PROCESSES},
    peers::{answer_all, listen},
    processes::{drive, find, find_in_logs, ProcessParts, Processes},
    running::Running,
    serve::{LogShelf, Shelf},
    signer::{network_secret, MemberKey},
    sizes::measure,
    state::{ClientState, Cost, Identity, ProcessState},
    waiting::Waiting,
    watched_store::WatchedStore,
    workers::{pool_config, tell_sandbox},
};
use futures::FutureExt;
use rings_api::{GatewaySource, HttpLimits, News, Tls, Token};
use rings_compute::Pools;
use rings_network::{Network, PeerId, Started};
use rings_protocol::{
    assembly::Settings,
    crypto::{SecretKey, Signer},
    member::{Member, Setup},
    request::Limits,
    Digest,
};
use rings_store::{BlockSource, BlockStore};
use std::{fs, sync::Arc};
use tokio::sync::{broadcast, mpsc, Notify};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// Requests on which two thirds have agreed that wait for the processes. If more come, all executions are looked at.
const AGREED: usize = 1_024;

/// Runs one member until `shutdown`.
///
/// # Errors
/// [`MemberError`]: what it could not open, or what failed under it.
pub async fn run(
    config: NodeConfig,
    faults: Faults,
    shutdown: CancellationToken,
) -> Result<(), MemberError> {
    let path = config.store.path.clone();
    fs::create_dir_all(&path).map_err(|source| MemberError::Directory {
        path: path.clone(),
        source,
    })?;
    // The order of these steps: first the lock, because everything below may write into the directory; then its version,
    // so that a directory of a later program is not touched; then what a person may have got wrong (key, token,
    // addresses, port), so that it is reported before anything waits for the chain.
    let _lock = DataLock::take(&path)?;
    layout::check(&path)?;
    let (me, key) = match &config.key {
        KeyConfig::Here(files) => {
            let key = keystore::load(&files.keystore, files.password_file.as_deref())?;
            (key.address(), Some(key))
        }
        KeyConfig::Signer(signer) => (signer.address, None),
    };
    let name = Name::new(&config, key.as_ref())?;
    let token = Token::read(&config.rpc.token_file)?;
    let policy = Policy::new(&config, name.announced)?;
    let tls = config.rpc.tls.as_ref().map(tls).transpose()?;
    let listener = rings_api::bind(config.rpc.listen, tls).await?;
    let watched = Arc::new(WatchedStore::new(
        rings_store::open(&store_config(&config)).await?,
        store_place(&config),
    ));
    let late = Arc::new(LateStore::new(Arc::clone(&watched) as Arc<dyn BlockStore>));
    let waiting = Arc::new(Waiting::default());
    let news = News::default();
    let entrance = Arc::new(Entrance::new(Starting {
        me,
        peer_id: name.peer.to_string(),
        ring: config.ring.address,
        is_private: !config.ring.readers.is_empty(),
        store: Arc::clone(&late) as Arc<dyn BlockStore>,
        watched: Arc::clone(&watched),
        waiting: Arc::clone(&waiting),
        news: news.clone(),
    }));
    // The parts stop when this token is cancelled: by the shutdown of the process, or when one of them has failed.
    let stop = shutdown.child_token();
    let mut parts = Running::new(stop.clone());
    let api = Arc::clone(&entrance);
    let limits = HttpLimits {
        hosts: config.rpc.hosts.clone(),
        origins: config.rpc.origins.clone(),
        ..HttpLimits::default()
    };
    let serve = rings_api::serve(api, listener, token, limits, stop.clone());
    // From here on `GET /health` and `rings status` say what the member waits for.
    parts.run("HTTP side", serve);
    let looks = Arc::clone(&watched).run(stop.clone());
    parts.run("look at the block store", looks);
    // Opening may wait for the chain for any time, so the shutdown must be able to end it.
    let opened = tokio::select! {
        () = shutdown.cancelled() => Ok(None),
        opened = open(&config, key, (late, watched), &waiting) => opened.map(Some),
    };
    match opened {
        Ok(Some(opened)) => {
            opened
                .run(
                    config,
                    (policy, faults, name),
                    (&entrance, news),
                    (parts, stop),
                )
                .await
        }
        ended => {
            stop.cancel();
            parts.end().await;
            ended.map(drop)
        }
    }
}

/// Opens the member, with its key or with the signer that has it.
async fn open(
    config: &NodeConfig,
    key: Option<SecretKey>,
    stores: (Arc<LateStore>, Arc<WatchedStore>),
    waiting: &Waiting,
) -> Result<Opened, MemberError> {
    let key = match (&config.key, key) {
        (KeyConfig::Signer(signer), _) => {
            MemberKey::Remote(Arc::new(waiting.signer(signer).await?))
        }
        (KeyConfig::Here(_), Some(key)) => MemberKey::Here(key),
        (KeyConfig::Here(files), None) => {
            let password = files.password_file.as_deref();
            MemberKey::Here(keystore::load(&files.keystore, password)?)
        }
    };
    Opened::new(config, key, stores, waiting).await
}

/// Who this member is among its peers.
struct Name {
    secret: Zeroizing<[u8; 32]>,
    peer: PeerId,
    /// What the chain has to be told, because it does not follow from the member's key.
    announced: Option<PeerId>,
}

impl Name {
    fn new(config: &NodeConfig, key: Option<&SecretKey>) -> Result<Self, MemberError> {
        let (secret, is_its_own) = network_secret(config, key)?;
        let peer = PeerId::of_secret(&secret)?;
        Ok(Self {
            secret,
            peer,
            announced: is_its_own.then_some(peer),
        })
    }
}

/// The certificate and the key of the HTTP side.
fn tls(files: &TlsFiles) -> Result<Tls, MemberError> {
    let certificate = &files.certificate;
    let text = std::fs::read(certificate).map_err(|source| MemberError::Certificate {
        path: certificate.clone(),
        source,
    })?;
    let key = keystore::read_secret(&files.private_key)?;
    Tls::new(&text, key.as_bytes()).map_err(|source| MemberError::Tls {
        certificate: certificate.clone(),
        private_key: files.private_key.clone(),
        source,
    })
}

impl Opened {
    /// Starts all other parts beside the HTTP side, and waits for the end.
    async fn run(
        self,
        config: NodeConfig,
        (policy, faults, name): (Policy, Faults, Name),
        (entrance, news): (&Entrance, News),
        (mut parts, stop): (Running, CancellationToken),
    ) -> Result<(), MemberError> {
        let pools = Pools::start(pool_config(&config.compute), &config.compute.profiles).await?;
        let pools = Arc::new(pools);
        let Started {
            network,
            events,
            requests,
            task: swarm,
        } = rings_network::start(self.network_config(&config, name.secret)).await?;
        // The members that are known already may connect from the start; the core keeps the list up to date afterwards.
        network.set_peers(self.shared.peers()).await;
        let (outbox, inbox) = mpsc::channel(INBOX);
        let announce = Arc::new(Notify::new());
        let heard = Arc::new(Notify::new());
        let words = Arc::new(Notify::new());
        let (agreed, new_agreed) = broadcast::channel(AGREED);
        let blocks = Arc::new(MemberBlocks::new(Arc::clone(&self.store), network.clone()));
        // What is computed, or given by another ring, may lie with that ring alone. What this member serves comes from its own.
        let wide = MemberBlocks::new(Arc::clone(&self.store), network.clone());
        let wide = Arc::new(wide.with_gateways(gateways(&config)?));
        let core = self.core(
            &config,
            faults,
            Joined {
                network: network.clone(),
                pools: Arc::clone(&pools),
                blocks: Arc::clone(&wide),
                announce: Arc::clone(&announce),
                heard: Arc::clone(&heard),
                words: Arc::clone(&words),
                agreed,
                news: news.clone(),
                outbox: outbox.clone(),
            },
        )?;
        let joined = (Arc::clone(&blocks), network.clone());
        let (clients, begun) =
            self.clients(&config, joined, heard, (outbox.clone(), news.clone()))?;
        let clients = Arc::new(clients);
        let held = (wide, clients.state());
        let processes = self.processes(&config, held, (words, faults), (&outbox, news.clone()))?;
        let processes = Arc::new(processes);
        let keeper = Housekeeper::new(
            Arc::clone(&self.store),
            Arc::clone(&self.state),
            Arc::clone(&blocks) as Arc<dyn BlockSource>,
            housekeeping::policy(&config),
            config.store.path.clone(),
        );
        let ring = Arc::clone(&self.shared);
        let keeper = keeper.with_members(Arc::new(move || ring.snapshot().members));
        let keeper = Arc::new(keeper.with_clients(Some(clients.state())));
        if let Some(holder) = Holder::new(&keeper) {
            tokio::spawn(holder.run(stop.clone()));
        }
        // Everything that can be asked is ready: from here on calls go to the running member.
        entrance.open(Api::new(
            &self,
            network.clone(),
            (blocks, Arc::clone(&clients), Arc::clone(&processes)),
            keeper,
            (outbox.clone(), news),
        ));

        // The core comes first, because all other parts send their inputs to it.
        parts.run("core", core.run(inbox, stop.clone()));
        let late = Arc::clone(&self.late).run(stop.clone());
        parts.run("block store", late.map(Ok::<_, MemberError>));
        let follow = self.follow(&config, outbox.clone(), stop.clone());
        parts.run("chain watcher", follow);
        parts.run("peers", listen(events, outbox));
        let relayed = relay(Arc::clone(&clients), begun, stop.clone());
        parts.run("relay", relayed);
        let heard = hear(Arc::clone(&clients), stop.clone());
        parts.run("other members' words", heard);
        let followed = follow_clients(Arc::clone(&clients), stop.clone());
        parts.run("logs of client rings", followed);
        let sought = seek(Arc::clone(&clients), stop.clone());
        parts.run("logs that no other member has", sought);
        let driven = drive(Arc::clone(&processes), new_agreed, stop.clone());
        parts.run("processes", driven);
        let found = find(Arc::clone(&processes), stop.clone());
        parts.run("events of processes", found);
        parts.run("logs with events", find_in_logs(processes, stop.clone()));
        let proved = prove(Arc::clone(&clients), stop.clone());
        parts.run("forks of avatars", proved);
        let shelf = self.shelf(clients);
        parts.run("answers to peers", answer_all(requests, shelf));
        let sizes = measure(
            Arc::clone(&self.store),
            Arc::clone(&self.shared),
            stop.clone(),
        );
        parts.run("store's size", sizes);
        let announcer = self.announcer(network.clone(), policy, announce);
        parts.run("announcement", announcer.run::<MemberError>(stop.clone()));
        tokio::spawn(tell_sandbox(Arc::clone(&pools)));
        tracing::info!(member = %self.key.address(), ring = %self.domain.ring, rpc = %config.rpc.listen, "the member runs");

        let outcome = parts.first_failure().await;
        // First the network, so that nothing new comes in and no signature leaves; then the workers, which may be
        // computing; then the submitter, whose journal keeps what is on its way. At last every part is waited for.
        network.shutdown().await;
        pools.shutdown().await;
        self.submitter.shutdown().await;
        parts.end().await;
        if let Err(error) = swarm.await {
            tracing::warn!(%error, "the network ended with an error");
        }
        outcome
    }

    /// The network's settings. The topic names chain and ring, so members of other rings hear nothing.
    fn network_config(
        &self,
        config: &NodeConfig,
        secret: Zeroizing<[u8; 32]>,
    ) -> rings_network::Config {
        rings_network::Config {
            secret,
            listen: config.network.listen.clone(),
            limits: rings_network::Limits::default(),
            topic: format!("/rings/{}/{}", self.domain.chain_id, self.domain.ring),
            version: rings_network::Version {
                protocol: rings_protocol::PROTOCOL_VERSION,
                program: concat!("rings ", env!("CARGO_PKG_VERSION")).into(),
            },
        }
    }

    /// The work for client rings, and the actions that its relay is to begin.
    fn clients(
        &self,
        config: &NodeConfig,
        (blocks, network): (Arc<MemberBlocks>, Network),
        heard: Arc<Notify>,
        (outbox, news): (mpsc::Sender<Input>, News),
    ) -> Result<(Clients, mpsc::Receiver<Digest>), MemberError> {
        let identity = self.identity();
        let path = config.store.path.join(CLIENTS);
        let state = tokio::task::block_in_place(|| ClientState::open(&path, &identity))?;
        let shared = KeeperParts {
            key: self.key.clone(),
            domain: self.domain,
            engine: self.engine,
            chain: self.chain.clone(),
            submitter: Arc::clone(&self.submitter),
            store: Arc::clone(&self.store),
            blocks,
            network,
            logs: Arc::clone(&self.state),
            keys: Arc::clone(&self.keys),
            ring: Arc::clone(&self.shared),
            outbox,
            heard,
            news,
            turn: self.turn,
            confirmations: self.confirmations,
        };
        Ok(Clients::new(shared, Arc::new(state), &config.clients)?)
    }

    /// The processes of this member.
    fn processes(
        &self,
        config: &NodeConfig,
        (blocks, clients): (Arc<MemberBlocks>, Arc<ClientState>),
        (words, faults): (Arc<Notify>, Faults),
        (outbox, news): (&mpsc::Sender<Input>, News),
    ) -> Result<Processes, MemberError> {
        let path = config.store.path.join(PROCESSES);
        let identity = self.identity();
        let state = tokio::task::block_in_place(|| ProcessState::open(&path, &identity))?;
        let parts = ProcessParts {
            me: self.key.address(),
            domain: self.domain,
            chain: self.chain.clone(),
            engine: self.engine,
            submitter: Arc::clone(&self.submitter),
            store: Arc::clone(&self.store),
            blocks,
            logs: Arc::clone(&self.state),
            keys: Arc::clone(&self.keys),
            clients,
            ring: Arc::clone(&self.shared),
            outbox: outbox.clone(),
            words,
            turn: self.turn,
            confirmations: self.confirmations,
            connectors: Connectors::new(&config.connectors, launcher()),
            instances: Instances::new(config.connectors.instances.clone()),
            news,
            faults,
        };
        Ok(Processes::new(parts, Arc::new(state)))
    }

    fn identity(&self) -> Identity {
        Identity {
            chain_id: self.domain.chain_id,
            ring: self.domain.ring,
            member: self.key.address(),
        }
    }

    fn shelf(&self, clients: Arc<Clients>) -> Shelf {
        Shelf {
            logs: LogShelf {
                store: Arc::clone(&self.store),
                state: Arc::clone(&self.state),
            },
            clients,
            keys: Arc::clone(&self.keys),
            ring: Arc::clone(&self.shared),
        }
    }

    fn core(
        &self,
        config: &NodeConfig,
        faults: Faults,
        joined: Joined,
    ) -> Result<Core, MemberError> {
        Ok(Core::new(CoreParts {
            key: self.key.clone(),
            domain: self.domain,
            member: self.member(),
            turn: self.turn,
            state: Arc::clone(&self.state),
            keys: Arc::clone(&self.keys),
            store: Arc::clone(&self.store),
            late: Arc::clone(&self.late),
            files: Arc::new(Files::new(
                Arc::clone(&joined.blocks) as Arc<dyn BlockSource>
            )),
            blocks: joined.blocks,
            terms: self.terms(config),
            ring: self.ring.clone(),
            chain: self.chain.clone(),
            submitter: Arc::clone(&self.submitter),
            network: joined.network,
            pools: joined.pools,
            workers: config.compute.workers,
            bounds: Bounds {
                memory: config.compute.memory,
                fuel: config.compute.fuel,
                output: config.compute.output,
                second_opinion: config.compute.second_opinion,
            },
            begins_at_heads: config.store.logs_from_heads,
            quota: Cost {
                nodes: config.store.author_daily_nodes,
                bytes: config.store.author_daily_bytes,
            },
            shared: Arc::clone(&self.shared),
            announce: joined.announce,
            heard: joined.heard,
            words: joined.words,
            agreed: joined.agreed,
            news: joined.news,
            faults,
            outbox: joined.outbox,
        })?)
    }

    /// When ring nodes are due, and how much one author may ask.
    fn terms(&self, config: &NodeConfig) -> RingTerms {
        RingTerms {
            settings: Settings {
                entries: config.ring_log.entries,
                wait: config.ring_log.wait.saturating_mul(1000),
                turn: self.turn.as_millis() as u64,
            },
            limits: Limits {
                open_per_author: config.requests.open,
                lifetime: config.requests.lifetime,
            },
            gates: config.ring_log.gates,
            patience: config.requests.until,
            confirmations: self.confirmations,
        }
    }

    /// The state machine, with the membership that was read at the start.
    fn member(&self) -> Member {
        let mut member = Member::new(Setup {
            me: self.key.address(),
            domain: self.domain,
            turn: self.turn.as_millis() as u64,
        });
        let needed = usize::try_from(self.ring.quorum).unwrap_or(usize::MAX);
        member.membership(self.ring.epoch, self.ring.members.clone(), needed, 0);
        member
    }
}

/// Where blocks are looked for that no member has.
fn gateways(config: &NodeConfig) -> Result<Option<GatewaySource>, MemberError> {
    let urls = &config.store.gateways;
    let source = (!urls.is_empty()).then(|| GatewaySource::new(urls));
    Ok(source.transpose()?)
}

/// What the core works with besides what was opened.
struct Joined {
    network: Network,
    pools: Arc<Pools>,
    blocks: Arc<MemberBlocks>,
    /// Wakes the announcement after a reorganisation.
    announce: Arc<Notify>,
    /// Wakes the work for client rings when there are new nodes of other members.
    heard: Arc<Notify>,
    /// Wakes the processes when a log has a word about them.
    words: Arc<Notify>,
    /// Tells the processes of requests on which two thirds have agreed.
    agreed: broadcast::Sender<Digest>,
    /// For those who subscribe at the HTTP side.
    news: News,
    /// Into the core's inbox.
    outbox: mpsc::Sender<Input>,
}
