use super::*;
use rings_compute::{OutputSink, PoolConfig, Task, BLOCK_FUEL};
use rings_protocol::{
    cids::data_cid,
    gate::Computation,
    operation::{Mode, Operation, Reason},
    Address, Digest,
};
use rings_store::{Block, ErrorClass, Importer, StoreConfig};
use std::time::Duration;

/// A gate's blocks, and workers that cannot be started: nothing here takes one.
struct Fixture {
    store: Arc<dyn BlockStore>,
    pools: Pools,
    _directory: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("blocks.redb");
        let config = PoolConfig {
            command: ("/does/not/exist".into(), vec![]),
            workers: 1,
            cache: None,
            wall_limit: Duration::from_secs(1800),
            input_limit: Duration::from_secs(1),
            compile_limit: Duration::from_secs(1),
        };
        Self {
            store: rings_store::open(&StoreConfig::Embedded { path })
                .await
                .unwrap(),
            pools: Pools::start(config, &[]).await.unwrap(),
            _directory: directory,
        }
    }

    async fn add(&self, bytes: &[u8]) -> Cid {
        let mut importer = Importer::new(Arc::clone(&self.store));
        importer.write(bytes).await.unwrap();
        importer.finish().await.unwrap().cid
    }

    /// Bytes of a block.
    async fn weight(&self, cid: &Cid) -> u64 {
        self.store.get(cid).await.unwrap().unwrap().len() as u64
    }

    /// A node with a hundred links to a file of so many bytes, of so much weight, and of so many blocks.
    async fn repeated(
        &self,
        file: Cid,
        (bytes, weight, blocks): (u64, u64, u64),
    ) -> (Cid, (u64, u64, u64)) {
        const LINKS: u64 = 100;
        let number = |field: u8, value| [vec![field << 3], varint(value)].concat();
        let bytes_of = |field: u8, content: &[u8]| {
            [
                &[field << 3 | 2][..],
                &varint(content.len() as u64),
                content,
            ]
            .concat()
        };
        let link = [
            bytes_of(1, &file.to_bytes()),
            bytes_of(2, b""),
            number(3, weight),
        ]
        .concat();
        let links = bytes_of(2, &link).repeat(LINKS as usize);
        let sizes = number(4, bytes).repeat(LINKS as usize);
        let message = [number(1, 2), number(3, LINKS * bytes), sizes].concat();
        let block = Block::dag_pb([links, bytes_of(1, &message)].concat().into()).unwrap();
        let (cid, own) = (*block.cid(), block.data().len() as u64);
        self.store.put(vec![block]).await.unwrap();
        (
            cid,
            (LINKS * bytes, own + LINKS * weight, 1 + LINKS * blocks),
        )
    }

    async fn operation(&self) -> Operation {
        Operation {
            args: vec![],
            fuel: 10 * BLOCK_FUEL,
            memory: 65536,
            mode: Mode::Cat,
            output: Some(1000),
            profile: self.pools.own().profile().to_owned(),
            program: self.add(b"a program").await,
            stack: None,
            state: false,
            time: 0,
        }
    }

    async fn prepare(
        &self,
        operation: &Operation,
        inputs: &[Cid],
        bounds: Bounds,
    ) -> Result<Prepared, ExecuteError> {
        let operation = self.add(&operation.to_dag_json().unwrap()).await;
        let files = Arc::new(Files::new(rings_store::source(&self.store)));
        prepare(&self.pools, files, operation, inputs, context(bounds)).await
    }

    async fn refused(&self, operation: &Operation, bounds: Bounds) -> ExecuteError {
        let prepared = self.prepare(operation, &[], bounds).await;
        prepared.err().expect("it is refused")
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

const BOUNDS: Bounds = Bounds {
    memory: 1 << 20,
    fuel: 1 << 20,
    output: 1 << 20,
    second_opinion: 0,
};

fn context(bounds: Bounds) -> TaskContext {
    TaskContext {
        computation: Computation {
            gate: Address([1; 20]),
            inputs: Digest([2; 32]),
        },
        outputs: Some(1),
        is_sampled: false,
        bounds,
    }
}

fn task_of(prepared: &Prepared) -> Task {
    prepared.work.as_ref().unwrap().task.clone()
}

#[tokio::test]
async fn what_is_run_follows_from_gate_inputs_and_operation_alone() {
    let fixture = Fixture::new().await;
    let operation = Operation {
        time: 1_700_000_000,
        ..fixture.operation().await
    };
    let input = fixture.add(b"an input").await;
    let prepared = fixture.prepare(&operation, &[input], BOUNDS).await.unwrap();
    let task = task_of(&prepared);
    assert_eq!(task.time, 1_700_000_000);
    let Computation { gate, inputs } = context(BOUNDS).computation;
    assert_eq!(task.seed, rings_compute::gate_seed(gate, inputs));
    assert_eq!(prepared.profile, operation.profile);
}

#[tokio::test]
async fn inputs_that_no_fuel_pays_for_are_out_of_fuel_and_not_fetched() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.add(b"one").await, fixture.add(b"two").await);
    let absent = data_cid(Digest([9; 32]));
    let of = async |fuel, mode, inputs: &[Cid]| {
        let operation = Operation {
            fuel,
            mode,
            ..fixture.operation().await
        };
        let outputs = match mode {
            Mode::Cat => 1,
            Mode::Each => inputs.len() as u128,
        };
        let operation = fixture.add(&operation.to_dag_json().unwrap()).await;
        let files = Arc::new(Files::new(rings_store::source(&fixture.store)));
        let context = TaskContext {
            outputs: Some(outputs),
            ..context(BOUNDS)
        };
        let prepared = prepare(&fixture.pools, files, operation, inputs, context).await;
        let record = prepared.unwrap().work.err();
        record.map(|record| (record.reason, record.input))
    };
    // The program is a block too.
    let three_blocks = 3 * BLOCK_FUEL;
    assert_eq!(of(three_blocks, Mode::Cat, &[one, two]).await, None);
    assert_eq!(of(2 * BLOCK_FUEL, Mode::Each, &[one, two]).await, None);
    let unpaid = |input| Some((Reason::Fuel, input));
    let all = [one, two, absent];
    let cat = of(three_blocks - 1, Mode::Cat, &all).await;
    assert_eq!(cat, unpaid(None));
    for fuel in [0, 2 * BLOCK_FUEL - 1] {
        assert_eq!(of(fuel, Mode::Each, &all).await, unpaid(Some(0)), "{fuel}");
    }
    assert_eq!(of(BLOCK_FUEL - 1, Mode::Cat, &[]).await, unpaid(None));
}

/// A few blocks that make a file of half a million: they are not read.
#[tokio::test]
async fn a_file_of_too_many_blocks_is_not_read() {
    let fixture = Fixture::new().await;
    let mut file = fixture.add(b"x").await;
    let mut links = (1u64, fixture.weight(&file).await, 1);
    for _ in 0..2 {
        (file, links) = fixture.repeated(file, links).await;
    }
    // Some thousand blocks, and few bytes.
    let small = file;
    (file, links) = fixture.repeated(file, links).await;
    assert!(links.2 > 500_000, "{links:?}");
    let operation = Operation {
        program: file,
        ..fixture.operation().await
    };
    let prepared = fixture.prepare(&operation, &[], BOUNDS).await.unwrap();
    assert_eq!(prepared.work.err().unwrap().reason, Reason::Fuel);
    // No fuel pays for the operation itself.
    let files = Arc::new(Files::new(rings_store::source(&fixture.store)));
    let prepared = prepare(&fixture.pools, files, small, &[], context(BOUNDS)).await;
    let record = prepared.unwrap().work.err().unwrap();
    assert_eq!(record.reason, Reason::Input);
    let said = String::from_utf8(record.stderr).unwrap();
    assert!(said.contains("more than 1024 blocks"), "{said}");
}

#[tokio::test]
async fn a_profile_that_no_worker_has_is_declined_in_sight() {
    let fixture = Fixture::new().await;
    let operation = Operation {
        profile: "another engine".into(),
        ..fixture.operation().await
    };
    let refused = fixture.refused(&operation, BOUNDS).await;
    assert!(refused.is_declined(), "{refused}");
    let reason = rings_api::with_causes(&refused);
    assert!(reason.contains("another engine") && reason.contains("[compute] profiles"));
}

#[tokio::test]
async fn more_than_this_machine_gives_is_declined_in_sight() {
    let fixture = Fixture::new().await;
    let operation = fixture.operation().await;
    let greedy = [
        Operation {
            memory: BOUNDS.memory + 1,
            ..operation.clone()
        },
        Operation {
            fuel: BOUNDS.fuel + 1,
            ..operation.clone()
        },
        Operation {
            output: Some(BOUNDS.output + 1),
            ..operation.clone()
        },
    ];
    for (operation, key) in greedy.iter().zip(["memory", "fuel", "output"]) {
        let refused = fixture.refused(operation, BOUNDS).await;
        assert!(refused.is_declined());
        let reason = refused.to_string();
        assert!(reason.contains(&format!("[compute] {key}")), "{reason}");
    }
    let bounds = Bounds {
        fuel: u64::MAX - 1,
        ..BOUNDS
    };
    let slow = Operation {
        fuel: fixture.pools.own().most_fuel() + 1,
        ..operation
    };
    let refused = fixture.refused(&slow, bounds).await;
    assert!(refused.is_declined(), "{refused}");
    // It is the limit of time that decides, which no key of the configuration moves.
    let (reason, limit) = (refused.to_string(), slow.fuel - 1);
    assert!(reason.contains(&format!("{} units of fuel", slow.fuel)));
    assert!(
        reason.contains(&format!("fits {limit}")) && reason.contains("--fuel"),
        "{reason}"
    );
    assert!(!reason.contains("[compute]"), "{reason}");
    let unbounded = fixture.prepare(&slow, &[], Bounds::NONE).await;
    assert!(unbounded.is_ok(), "one who verifies may take any time");
}

/// What a run has written, into a store.
async fn written(store: &Arc<dyn BlockStore>, bytes: usize) -> run::Sink {
    let mut sink = run::Sink::new(&Some(Arc::clone(store)));
    for piece in 0..bytes / 65536 {
        let bytes = (0..65536 / 8).flat_map(|n| (piece * 65536 + n).to_le_bytes());
        sink.write(bytes.collect()).await.unwrap();
    }
    sink
}

#[tokio::test]
async fn output_that_is_discarded_or_dropped_is_removed() {
    let fixture = Fixture::new().await;
    fixture.add(b"before").await;
    let blocks = async || fixture.store.size().await.unwrap().blocks;
    let before = blocks().await;
    let mut sink = written(&fixture.store, 6 << 20).await;
    assert!(blocks().await > before + 10);
    sink.discard().await;
    assert_eq!(blocks().await, before);
    // As when the engines differ: nobody tells the sink.
    drop(written(&fixture.store, 6 << 20).await);
    fixture.add(b"the next write").await;
    assert_eq!(blocks().await, before + 1);
}

#[tokio::test]
async fn a_block_that_nobody_has_is_found_missing_before_a_worker_is_taken() {
    let fixture = Fixture::new().await;
    let absent = data_cid(Digest([9; 32]));
    let operation = fixture.operation().await;
    let no_program = Operation {
        program: absent,
        ..operation.clone()
    };
    let missing_program = fixture.prepare(&no_program, &[], BOUNDS).await;
    let missing_input = fixture.prepare(&operation, &[absent], BOUNDS).await;
    for missing in [missing_program, missing_input] {
        let error = missing.err().expect("it is missing");
        assert!(!error.is_declined(), "it may come");
        assert!(
            matches!(&error, ExecuteError::Store(cause) if cause.class() == ErrorClass::Absent),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn what_is_malformed_is_a_failure_and_needs_no_worker() {
    let fixture = Fixture::new().await;
    let operation = fixture.add(b"not an operation").await;
    let files = Arc::new(Files::new(rings_store::source(&fixture.store)));
    let prepared = prepare(&fixture.pools, files, operation, &[], context(BOUNDS)).await;
    let store = Some(Arc::clone(&fixture.store));
    let execution = prepared.unwrap().run(store).await.unwrap();
    assert_eq!(execution.failure.unwrap().reason, Reason::Input);
    assert_eq!(execution.outputs.len(), 1);
    assert_eq!(execution.fuel, 0);
}
