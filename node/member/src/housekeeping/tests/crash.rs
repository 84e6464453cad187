//! The crash matrix: whatever fails at the k-th write or sync of either database or of the redo log, nothing that was acknowledged is lost.
//!
//! A scenario does what a member does: it signs and appends, takes in files, archives and pages of the chain, collects, takes
//! over another member's log from its head on chain on, and makes the key of a new epoch of a private ring.
//! In it the k-th operation on the disks fails, in one of four ways. If the machine dies there, the disks come back
//! with what was synced and any part of the rest; otherwise the member goes on, or is started again. Then everything is
//! looked at.

use super::{
    disk::{Fault, Plan, SimulatedDisk, FAULTS},
    others::{beginning, log_of, received},
    *,
};
use crate::{
    core::CoreError,
    late_store::{settle, LateStore, SettleError},
    ring_keys::{KeyError, RingKeys},
    state::ReceivedNode,
};
use rings_api::StoreWorkError;
use rings_protocol::{
    journal::{prepare_round, Prepared, Round, Sealing},
    log::LogNode,
    private::LogForm,
};
use rings_store::{archive_of, import_car, open_on, read_small_file, Block, BlockKey, Pin};
use std::collections::BTreeMap;

/// Faults of the test command; `RINGS_SEARCH_CRASHES` asks for more.
const FAULT_COUNT: u64 = 320;
/// Rounds of a scenario.
const ROUNDS: u8 = 3;
/// Steps of a round.
const STEPS: u8 = 8;
/// Where the copy of the other's log begins, and how many of its nodes come in a round.
const HEAD: usize = 6;
const RANGE: usize = 4;

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Core(Box<CoreError>),
    #[error(transparent)]
    Store(#[from] rings_store::StoreError),
    #[error(transparent)]
    State(#[from] crate::state::StateError),
    #[error(transparent)]
    Work(#[from] StoreWorkError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Settle(#[from] SettleError),
}

impl From<CoreError> for Failure {
    fn from(error: CoreError) -> Self {
        Self::Core(Box::new(error))
    }
}

/// What somebody was told.
#[derive(Debug, Default)]
struct Told {
    /// Nodes that were sent, by position.
    sent: BTreeMap<u64, Digest>,
    /// What was signed: computation and result.
    signed: Vec<(u8, Digest)>,
    /// Files that were added, and their bytes.
    files: Vec<(Cid, Vec<u8>)>,
    /// Blocks of archives.
    blocks: Vec<Cid>,
    /// The last page of the chain.
    block: u64,
    /// Nodes of the other's log that others were told are held here.
    held: u64,
}

/// The two databases, open.
struct Machine {
    store: Arc<dyn BlockStore>,
    /// The same, which takes the blocks of log nodes late.
    late: Arc<LateStore>,
    state: Arc<MemberState>,
}

#[derive(Clone)]
struct Disks {
    blocks: SimulatedDisk,
    state: SimulatedDisk,
    /// The redo log of the state.
    redo: SimulatedDisk,
}

impl Disks {
    /// With databases that were made before: a real one is made under another name, and gets its own when it is whole.
    async fn new(plan: &Arc<Plan>) -> Self {
        let healthy = Plan::harmless();
        let disks = Self {
            blocks: SimulatedDisk::new(&healthy),
            state: SimulatedDisk::new(&healthy),
            redo: SimulatedDisk::new(&healthy),
        };
        drop(disks.open().await.unwrap());
        disks.after_a_restart(plan)
    }

    fn after_a_crash(&self, plan: &Arc<Plan>, seed: u64) -> Self {
        Self {
            blocks: self.blocks.after_a_crash(plan, seed),
            state: self.state.after_a_crash(plan, seed.rotate_left(17)),
            redo: self.redo.after_a_crash(plan, seed.rotate_left(31)),
        }
    }

    fn after_a_restart(&self, plan: &Arc<Plan>) -> Self {
        Self {
            blocks: self.blocks.after_a_restart(plan),
            state: self.state.after_a_restart(plan),
            redo: self.redo.after_a_restart(plan),
        }
    }

    async fn open(&self) -> Result<Machine, Failure> {
        let store = open_on(Arc::new(self.blocks.clone())).await?;
        let late = Arc::new(LateStore::new(store));
        let machine = Machine {
            store: Arc::clone(&late) as Arc<dyn BlockStore>,
            late,
            state: Arc::new(self.open_state()?),
        };
        settle(&machine.state, &*machine.store).await?;
        Ok(machine)
    }
}

impl Disks {
    fn open_state(&self) -> Result<MemberState, Failure> {
        let redo = Arc::new(self.redo.clone());
        Ok(MemberState::open_on(self.state.clone(), redo, &identity())?)
    }
}

impl Machine {
    /// One step; what it tells is noted when it is done.
    async fn step(&self, round: u8, step: u8, told: &mut Told) -> Result<(), Failure> {
        let n = round + 1;
        match step {
            0 => self.append(n, told).await,
            1 => self.add(n, told).await,
            2 => self.unpack(n, told).await,
            3 => self.page(n, told).await,
            4 => self.collect(n).await,
            5 => self.take_over(n, told).await,
            6 => self.rotate(n, told).await,
            _ => Ok(self.late.put_waiting().await?),
        }
    }

    /// As the core ends a round: one transaction, and the store gets the blocks later.
    fn write(
        &self,
        round: (Option<&Prepared>, &[ReceivedNode]),
        node: Option<&LogNode>,
    ) -> Result<(), Failure> {
        let block = node.map(|node| Block::new(node.cid(), node.bytes().to_vec().into()));
        let blocks: Vec<_> = block.into_iter().collect::<Result<_, _>>()?;
        let taken = self.late.take(&blocks).expect("they are few");
        self.state.append_with((round.0, round.1, &[]), &taken)?;
        self.late.written(taken);
        Ok(())
    }

    async fn append(&self, n: u8, told: &mut Told) -> Result<(), Failure> {
        let _lease = self.store.lease();
        let result = Digest([n; 32]);
        let prepared = sign(&self.state, draft(n, result))?;
        let node = prepared.to_store().map(|(node, _)| node);
        self.write((Some(&prepared), &[]), node)?;
        // Only now it is sent.
        let (node, _) = prepared
            .committed()
            .expect("the same result is signed again");
        let before = told.sent.insert(node.seq(), node.digest());
        assert!(
            before.is_none_or(|before| before == node.digest()),
            "two nodes at position {}",
            node.seq()
        );
        told.signed.push((n, result));
        Ok(())
    }

    async fn add(&self, n: u8, told: &mut Told) -> Result<(), Failure> {
        let _lease = self.store.lease();
        let length = 70_000 * usize::from(n);
        let cid = file(&self.store, length, u64::from(n)).await?;
        let pin = Pin {
            key: BlockKey::of(&cid)?,
            below: true,
            until: Pin::ALWAYS,
        };
        let inventory = self.store.inventory().expect("it is embedded");
        inventory.pin(vec![pin]).await?;
        told.files.push((cid, bytes(length, u64::from(n))));
        Ok(())
    }

    async fn unpack(&self, n: u8, told: &mut Told) -> Result<(), Failure> {
        let blocks: Vec<_> = (0..3u8)
            .map(|index| Block::dag_pb(vec![n, index].into()).unwrap())
            .collect();
        let archive = archive_of(&blocks).concat();
        import_car(Arc::clone(&self.store), &archive[..], true).await?;
        told.blocks.extend(blocks.iter().map(|block| *block.cid()));
        Ok(())
    }

    async fn page(&self, n: u8, told: &mut Told) -> Result<(), Failure> {
        let inputs = [*Block::dag_pb(vec![n].into()).unwrap().cid()];
        let block = u64::from(n);
        self.state.page(
            &[requested(n, block, &inputs, 1)],
            &[],
            cursor(block),
            &everybody,
        )?;
        told.block = block;
        Ok(())
    }

    /// Nodes of another member's log, from its head on chain on.
    async fn take_over(&self, n: u8, told: &mut Told) -> Result<(), Failure> {
        let nodes = log_of(&other(), HEAD + RANGE * usize::from(ROUNDS));
        let author = other().address();
        let begun = self.state.tip(author)?;
        if begun.is_none() {
            self.state.begin_log(&beginning(&nodes, HEAD))?;
        }
        let next = begun.map_or(HEAD, |tip| tip.seq as usize + 1);
        let end = HEAD + RANGE * usize::from(n);
        for node in nodes.get(next..end).unwrap_or_default() {
            self.write((None, &[received(node)]), Some(node))?;
            told.held = told.held.max(node.seq());
        }
        Ok(())
    }

    /// The key of a new epoch, and the first node under it.
    async fn rotate(&self, n: u8, told: &mut Told) -> Result<(), Failure> {
        let (_lease, epoch) = (self.store.lease(), u64::from(n));
        let keys = self.keys()?;
        let (rotation, wraps) = keys.rotate(epoch, &[])?;
        let LogForm::Private(keys) = &*keys.form() else {
            panic!("it is a private ring");
        };
        let round = Round {
            messages: vec![rotation.to_message()],
            ..Round::default()
        };
        let prepared = {
            let (journal, sealing) = (self.state.journal()?, Sealing::Private { keys, epoch });
            prepare_round(&journal, &round, vec![], None, sealing, &key())
        };
        let prepared = prepared.map_err(CoreError::from)?;
        let (node, _) = prepared.to_store().expect("there is a message");
        let block = Block::new(node.cid(), node.bytes().to_vec().into())?;
        self.store.put(vec![wraps, block]).await?;
        self.state.append(Some(&prepared), &[], &[])?;
        let (node, _) = prepared.committed().expect("there is a message");
        told.sent.insert(node.seq(), node.digest());
        Ok(())
    }

    /// The keys of the ring that are on disk.
    fn keys(&self) -> Result<RingKeys, KeyError> {
        let (state, readers) = (Arc::clone(&self.state), [key().address()]);
        RingKeys::open(domain(), key(), &readers, state)
    }

    async fn collect(&self, n: u8) -> Result<(), Failure> {
        // Something that nobody needs.
        file(&self.store, 1_000, 1_000 + u64::from(n)).await?;
        let keeper = keeper(&self.store, &self.state, NOTHING_OLD);
        keeper.collect_now(None).await?;
        Ok(())
    }

    /// Everything that was told is there, and nothing contradicts it.
    async fn check(&self, told: &Told, what: &str) {
        let me = identity().member;
        let tip = self.state.tip(me).unwrap();
        let length = tip.map_or(0, |tip| tip.seq + 1);
        for (seq, digest) in &told.sent {
            let held = self.state.node_at(me, *seq).unwrap();
            assert_eq!(held, Some(*digest), "{what}: node {seq}");
        }
        let (mut before, form) = (None, self.keys().unwrap().form());
        for seq in 0..length {
            let digest = self.state.node_at(me, seq).unwrap();
            let cid = rings_protocol::cids::node_cid(digest.expect("there is no gap"));
            let found = self.store.get(&cid).await.unwrap();
            // Whatever was sealed can be opened with a key that is on disk.
            let node = form.open(&found.expect("its block is there")).unwrap();
            assert_eq!((node.seq(), node.content().prev), (seq, before), "{what}");
            before = Some(cid);
        }
        self.check_other(told, what).await;
        for (cid, content) in &told.files {
            let read = read_small_file(source(&self.store), *cid, 1 << 20).await;
            assert!(read.unwrap() == *content, "{what}: {cid}");
        }
        for cid in &told.blocks {
            assert!(self.store.has(cid).await.unwrap(), "{what}: {cid}");
        }
        let newest = self
            .state
            .trail()
            .unwrap()
            .last()
            .map(|cursor| cursor.number);
        assert!(newest.unwrap_or(0) >= told.block, "{what}");
        let checked = keeper(&self.store, &self.state, NOTHING_OLD)
            .check_now()
            .await;
        assert_eq!(checked.unwrap().faults, [], "{what}");
        for (n, _) in &told.signed {
            let other = sign(&self.state, draft(*n, Digest([99; 32]))).unwrap();
            assert!(other.committed().is_none(), "{what}: {n} is contradicted");
        }
    }
}

impl Machine {
    /// The part of the other's log that is held has no gap, and goes as far as others were told.
    async fn check_other(&self, told: &Told, what: &str) {
        let author = other().address();
        let Some(tip) = self.state.tip(author).unwrap() else {
            assert_eq!(told.held, 0, "{what}");
            return;
        };
        assert!(tip.seq >= told.held, "{what}");
        assert_eq!(self.state.held_from(author).unwrap(), HEAD as u64, "{what}");
        let nodes = log_of(&other(), HEAD + RANGE * usize::from(ROUNDS));
        for node in &nodes[HEAD..=tip.seq as usize] {
            let held = self.state.node_at(author, node.seq()).unwrap();
            assert_eq!(held, Some(node.digest()), "{what}: node {}", node.seq());
            assert!(self.store.has(&node.cid()).await.unwrap(), "{what}");
        }
    }
}

/// The other member.
fn other() -> SecretKey {
    SecretKey::from_bytes(&[4; 32]).unwrap()
}

/// Does all steps; each that fails is tried again, after the databases were opened again if need be. Gives the disks and
/// what was told.
async fn run(plan: &Arc<Plan>) -> (Disks, Told) {
    let (mut disks, mut told) = (Disks::new(plan).await, Told::default());
    let mut machine = disks.open().await.ok();
    for round in 0..ROUNDS {
        for step in 0..STEPS {
            let mut tries = 0;
            loop {
                if machine.is_none() {
                    disks = disks.after_a_restart(plan);
                    machine = disks.open().await.ok();
                }
                if let Some(open) = &machine {
                    if open.step(round, step, &mut told).await.is_ok() {
                        break;
                    }
                    // A member waits and tries again while waiting may help, and is started again otherwise.
                    if tries % 2 == 1 {
                        machine = None;
                    }
                }
                if plan.has_struck() && is_dead(plan) {
                    return (disks, told);
                }
                tries += 1;
                assert!(
                    tries < 6,
                    "{plan:?}: step {step} of round {round} does not succeed any more"
                );
            }
        }
    }
    (disks, told)
}

fn is_dead(plan: &Plan) -> bool {
    plan.kills() && plan.has_struck()
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_whatever_fails() {
    let harmless = Plan::harmless();
    let (disks, told) = run(&harmless).await;
    let count = harmless.done();
    let machine = disks.after_a_restart(&harmless).open().await.unwrap();
    machine.check(&told, "without a fault").await;
    assert_eq!(told.sent.len(), 2 * usize::from(ROUNDS));
    assert_eq!(told.held as usize, HEAD + RANGE * usize::from(ROUNDS) - 1);
    let wanted = std::env::var("RINGS_SEARCH_CRASHES").ok();
    let wanted = wanted.map_or(FAULT_COUNT, |text| text.parse().unwrap());
    let stride = (count * FAULTS.len() as u64 / wanted).max(1);
    let seeds = (wanted / (count * FAULTS.len() as u64)).max(1);
    let mut faults = 0;
    for at in 0..count {
        for (index, fault) in FAULTS.into_iter().enumerate() {
            if !(at * FAULTS.len() as u64 + index as u64).is_multiple_of(stride) {
                continue;
            }
            for seed in 0..seeds {
                crash(fault, at, seed).await;
                faults += 1;
            }
        }
    }
    println!("{faults} faults at {count} operations");
    assert!(faults >= 300.min(wanted), "{faults} faults");
}

async fn crash(fault: Fault, at: u64, seed: u64) {
    let what = format!("{fault:?} at operation {at}, seed {seed}");
    let plan = Plan::new(fault, at);
    let (disks, mut told) = run(&plan).await;
    let healthy = Plan::harmless();
    let disks = match fault {
        Fault::Kill => disks.after_a_crash(&healthy, seed.wrapping_add(at)),
        _ => disks.after_a_restart(&healthy),
    };
    let machine = disks
        .open()
        .await
        .unwrap_or_else(|error| panic!("{what}: it does not open: {error:?}"));
    machine.check(&told, &what).await;
    // And it goes on.
    machine
        .append(50, &mut told)
        .await
        .unwrap_or_else(|error| panic!("{what}: {error:?}"));
    machine.check(&told, &what).await;
}
