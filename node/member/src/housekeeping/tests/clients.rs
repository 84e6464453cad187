//! Client rings in backups and checks.

use super::*;
use crate::{
    housekeeping::{restore, TarReader, TarWriter},
    state::{ClientState, Flush, StateError},
};
use futures::TryStreamExt;
use rings_api::StoreKeeper;
use rings_protocol::{
    flush::HeldLogs,
    log::{seal, LogNode, OwnLog, Tip},
};
use rings_store::{Block, StoreConfig};
use std::{
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

/// The client ring and its avatar.
const CLIENT: Address = Address([8; 20]);
/// Actions that are surely in a backup.
const ACTIONS: u64 = 40;

fn avatar() -> SecretKey {
    SecretKey::from_bytes(&[6; 32]).unwrap()
}

struct Place {
    directory: tempfile::TempDir,
    store: Arc<dyn BlockStore>,
    state: Arc<MemberState>,
    clients: Arc<ClientState>,
}

async fn open(path: &Path) -> (Arc<dyn BlockStore>, Arc<MemberState>, Arc<ClientState>) {
    let config = StoreConfig::Embedded {
        path: path.join("blocks.redb"),
    };
    let store = rings_store::open(&config).await.unwrap();
    let state = MemberState::open(&path.join("state.redb"), &identity()).unwrap();
    let clients = ClientState::open(&path.join("clients.redb"), &identity()).unwrap();
    (store, Arc::new(state), Arc::new(clients))
}

impl Place {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (store, state, clients) = open(directory.path()).await;
        Self {
            directory,
            store,
            state,
            clients,
        }
    }

    fn keeper(&self) -> Housekeeper {
        let keeper = Housekeeper::new(
            Arc::clone(&self.store),
            Arc::clone(&self.state),
            source(&self.store),
            NOTHING_OLD,
            self.directory.path().into(),
        );
        keeper.with_clients(Some(Arc::clone(&self.clients)))
    }

    async fn backup(&self) -> Vec<u8> {
        let pieces = self.keeper().backup(0).await.unwrap();
        let pieces: Vec<_> = pieces.try_collect().await.unwrap();
        [&pieces.concat()[..], &TarWriter::end()].concat()
    }
}

/// The avatar's log as it stands in a member's index.
struct Log<'a>(&'a ClientState);

impl OwnLog for Log<'_> {
    type Error = StateError;

    fn tip(&self) -> Result<Option<Tip>, StateError> {
        self.0.held(CLIENT).tip(avatar().address())
    }

    fn digest_at(&self, seq: u64) -> Result<Option<Digest>, StateError> {
        self.0.held(CLIENT).digest_at(avatar().address(), seq)
    }
}

fn name(n: u64) -> Digest {
    rings_protocol::cids::sha256(&n.to_be_bytes())
}

/// Takes in action `n` with two nodes, as a running member does: blocks, then the own log, then the index.
fn act(
    n: u64,
    (store, state, clients): (&Arc<dyn BlockStore>, &MemberState, &ClientState),
    runtime: &tokio::runtime::Handle,
) -> Vec<LogNode> {
    let domain = Domain::new(31337, CLIENT);
    let block = |node: &LogNode| Block::new(node.cid(), node.bytes().to_vec().into()).unwrap();
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let node = seal(&Log(clients), vec![], vec![], Some(n), &domain, &avatar()).unwrap();
        runtime.block_on(store.put(vec![block(&node)])).unwrap();
        if nodes.is_empty() {
            clients
                .take(CLIENT, std::slice::from_ref(&node), None, n)
                .unwrap();
        }
        nodes.push(node);
    }
    let mut vote = draft(0, name(n));
    vote.computation.inputs = name(n);
    let own = sign(state, vote).unwrap();
    let (node, _) = own.to_store().unwrap();
    let node = Block::new(node.cid(), node.bytes().to_vec().into()).unwrap();
    runtime.block_on(store.put(vec![node])).unwrap();
    state.append(Some(&own), &[], &[]).unwrap();
    let signature = avatar().sign(&name(n)).unwrap();
    let place = (CLIENT, avatar().address());
    let flush = Flush::received(place, b"mtx", signature, n, true);
    clients
        .take(CLIENT, &nodes[1..], Some((name(n), &flush)), n)
        .unwrap();
    clients.read_up_to(key().address(), n + 1).unwrap();
    nodes
}

/// Puts a backup back, and checks that what it says of client rings fits its logs and its blocks. Returns the actions.
async fn put_back(archive: &[u8]) -> u64 {
    let to = tempfile::tempdir().unwrap();
    let mut tar = TarReader::new(archive);
    let first = tar.next().await.unwrap().unwrap();
    restore(&mut tar, &first, to.path(), None).await.unwrap();
    let (store, state, clients) = open(to.path()).await;
    let (held, author) = (clients.held(CLIENT), avatar().address());
    let tip = held.tip(author).unwrap();
    let count = tip.map_or(0, |tip| tip.seq + 1);
    for seq in 0..count {
        let digest = held.digest_at(author, seq).unwrap().unwrap();
        let cid = rings_protocol::cids::node_cid(digest);
        assert!(store.has(&cid).await.unwrap(), "node {seq} is there");
    }
    let actions = count / 2;
    let open = clients.open_flushes(usize::MAX).unwrap();
    assert_eq!(
        open.len() as u64,
        actions,
        "an action and its last node are one"
    );
    for n in 0..actions {
        assert_eq!(clients.flush(name(n)).unwrap().unwrap().since, n);
    }
    // The logs are at least as new, so that what is missing of client rings is read in them.
    let own = state.tip(key().address()).unwrap();
    let own = own.map_or(0, |tip| tip.seq + 1);
    assert!(
        own >= actions,
        "{own} nodes of the own log, {actions} actions"
    );
    assert!(clients.cursor(key().address()).unwrap() <= own);
    actions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_has_client_rings_as_they_were_at_one_moment() {
    let place = Place::new().await;
    assert_eq!(put_back(&place.backup().await).await, 0);
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let runtime = tokio::runtime::Handle::current();
    let (store, state, clients) = (&place.store, &*place.state, &*place.clients);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0.. {
                act(n, (store, state, clients), &runtime);
                done.store(n + 1, Ordering::Release);
                if stop.load(Ordering::Acquire) && n >= ACTIONS {
                    return;
                }
            }
        });
        tokio::task::block_in_place(|| {
            runtime.block_on(async {
                for _ in 0..4 {
                    let before = done.load(Ordering::Acquire);
                    let actions = put_back(&place.backup().await).await;
                    assert!(actions >= before, "{actions} of {before} actions");
                }
            });
        });
        stop.store(true, Ordering::Release);
        writer.join().unwrap();
    });
    let all = done.load(Ordering::Acquire);
    assert!(all > ACTIONS);
    assert_eq!(put_back(&place.backup().await).await, all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_a_client_ring_that_is_gone_is_named() {
    let place = Place::new().await;
    let runtime = tokio::runtime::Handle::current();
    let nodes = tokio::task::block_in_place(|| {
        act(0, (&place.store, &place.state, &place.clients), &runtime)
    });
    assert_eq!(place.keeper().check().await.unwrap().fault_count, 0);
    let inventory = place.store.inventory().unwrap();
    let gone = rings_store::BlockKey::of(&nodes[1].cid()).unwrap();
    inventory.remove(vec![gone]).await.unwrap();
    let checked = place.keeper().check().await.unwrap();
    assert_eq!(checked.fault_count, 1);
    assert_eq!(checked.faults[0].cid, nodes[1].cid());
}
