//! Runs on real workers: what they leave in the store, and what they wait for.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic as the tests do.

use cid::Cid;
use rings_compute::{PoolConfig, Pools};
use rings_member::execute::{
    execute, prepare, Bounds, ExecuteError, Execution, Files, Prepared, TaskContext,
};
use rings_protocol::{
    gate::{Computation, FAILURE_PIN},
    operation::{Mode, Operation, Reason},
    Address, Digest,
};
use rings_store::{BlockStore, Importer, StoreConfig};
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;

/// Reads a byte, writes some 6 MB that depend on it, and then ends: with 1 after `x`, never after `l`, else well.
const WRITER: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start") (local $i i32)
        (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 1))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 60000))
        (loop $more
            (i32.store (i32.const 104) (local.get $i))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (br_if $more (i32.lt_u
                (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100))))
        (if (i32.eq (i32.load8_u (i32.const 100)) (i32.const 0x78)) (then (call $exit (i32.const 1))))
        (if (i32.eq (i32.load8_u (i32.const 100)) (i32.const 0x6c)) (then (loop $ever (br $ever))))))"#;

/// A program that takes long to compile, and nothing to run.
fn slow() -> String {
    let sum = "(local.set 0 (i64.mul (local.get 0) (i64.add (local.get 1) (i64.const 77))))";
    let body = format!("(local i64) {} (local.get 0)", sum.repeat(32_000));
    let function = format!("(func (param i64) (result i64) {body})");
    let functions = function.repeat(8);
    format!(r#"(module (memory (export "memory") 1) {functions} (func (export "_start")))"#)
}

/// A store, and one worker.
struct Member {
    store: Arc<dyn BlockStore>,
    pools: Pools,
    _directory: TempDir,
}

impl Member {
    async fn new(wall_limit: Duration) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("blocks.redb");
        let config = PoolConfig {
            command: (env!("CARGO_BIN_EXE_rings").into(), vec!["worker".into()]),
            workers: 1,
            cache: Some(directory.path().join("cache")),
            wall_limit,
            input_limit: Duration::from_secs(60),
            compile_limit: Duration::from_secs(120),
        };
        let store = StoreConfig::Embedded { path };
        Self {
            store: rings_store::open(&store).await.unwrap(),
            pools: Pools::start(config, &[]).await.unwrap(),
            _directory: directory,
        }
    }

    async fn add(&self, bytes: &[u8]) -> Cid {
        let mut importer = Importer::new(Arc::clone(&self.store));
        importer.write(bytes).await.unwrap();
        importer.finish().await.unwrap().cid
    }

    async fn operation(&self, program: &str, mode: Mode) -> Cid {
        let operation = Operation {
            args: vec![],
            fuel: 1_000_000_000_000,
            memory: 1 << 20,
            mode,
            output: None,
            profile: self.pools.own().profile().to_owned(),
            program: self.add(&wat::parse_str(program).unwrap()).await,
            stack: None,
            state: false,
            time: 0,
        };
        self.add(&operation.to_dag_json().unwrap()).await
    }

    async fn prepare(&self, operation: Cid) -> Result<Prepared, ExecuteError> {
        let files = Arc::new(Files::new(rings_store::source(&self.store)));
        prepare(&self.pools, files, operation, &[], context(1)).await
    }

    async fn run(&self, operation: Cid, inputs: &[Cid]) -> Result<Execution, ExecuteError> {
        let source = rings_store::source(&self.store);
        let store = Some(Arc::clone(&self.store));
        let outputs = inputs.len().max(1) as u128;
        execute(
            &self.pools,
            source,
            store,
            operation,
            inputs,
            context(outputs),
        )
        .await
    }

    async fn blocks(&self) -> u64 {
        self.store.size().await.unwrap().blocks
    }
}

fn context(outputs: u128) -> TaskContext {
    TaskContext {
        computation: Computation {
            gate: Address([1; 20]),
            inputs: Digest([2; 32]),
        },
        outputs: Some(outputs),
        is_sampled: false,
        bounds: Bounds::NONE,
    }
}

#[tokio::test]
async fn a_run_that_fails_leaves_only_its_record_in_the_store() {
    let member = Member::new(Duration::from_secs(120)).await;
    let (cat, each) = (
        member.operation(WRITER, Mode::Cat).await,
        member.operation(WRITER, Mode::Each).await,
    );
    let mut inputs = Vec::new();
    for input in ["a", "b", "x"] {
        inputs.push(member.add(input.as_bytes()).await);
    }
    for (operation, inputs) in [(cat, &inputs[2..]), (each, &inputs[..])] {
        let before = member.blocks().await;
        let failed = member.run(operation, inputs).await.unwrap();
        assert_eq!(failed.failure.unwrap().reason, Reason::Exit);
        assert_eq!(failed.outputs[0].0, FAILURE_PIN);
        assert_eq!(member.blocks().await, before + 1, "the record is one block");
    }
    // The same output stays when all runs succeed.
    let before = member.blocks().await;
    let done = member.run(each, &inputs[..2]).await.unwrap();
    let after = member.blocks().await;
    assert!(
        done.failure.is_none() && after > before + 40,
        "{before}, {after}"
    );
    member.add(b"the next write").await;
    for (_, digest) in &done.outputs {
        let file = rings_protocol::cids::data_cid(*digest);
        let source = rings_store::source(&member.store);
        let shape = rings_store::check_file(&*source, file).await.unwrap();
        assert_eq!(shape.bytes, 6_000_000);
    }
    member.pools.shutdown().await;
}

#[tokio::test]
async fn a_fault_of_one_run_removes_the_outputs_of_all() {
    let member = Member::new(Duration::from_secs(3)).await;
    let each = member.operation(WRITER, Mode::Each).await;
    let inputs = [member.add(b"a").await, member.add(b"l").await];
    let before = member.blocks().await;
    let fault = member.run(each, &inputs).await.unwrap_err();
    assert!(matches!(fault, ExecuteError::Compute(_)), "{fault:?}");
    member.add(b"the next write").await;
    assert_eq!(member.blocks().await, before + 1);
    member.pools.shutdown().await;
}

#[tokio::test]
async fn a_program_that_compiles_slowly_holds_no_worker_of_others() {
    let member = Member::new(Duration::from_secs(120)).await;
    let slow = member.operation(&slow(), Mode::Cat).await;
    let small = member.operation(WRITER, Mode::Cat).await;
    let input = [member.add(b"a").await];
    // Compiled before, so that below it only needs a worker.
    let ran = member.run(small, &input).await;
    assert!(ran.unwrap().failure.is_none());
    tokio::select! {
        prepared = member.prepare(slow) => {
            panic!("ready for a worker before it is compiled: {:?}", prepared.err());
        }
        ran = member.run(small, &input) => assert!(ran.unwrap().failure.is_none()),
    }
    member.pools.shutdown().await;
}
