//! How long a gate over a large input takes, against reading the input and running the program on it, each for itself.
//!
//! `cargo run --release --locked -p rings-member --example read_much [MEGABYTES [PAIRS [DIRECTORY]]]`
//!
//! Each pair is measured one behind the other, so that load of other processes meets both. `plain` is the time to read all
//! blocks of the file, and the time of a run whose input is in memory. `cold` is a gate whose input was never checked
//! here; `warm` is another gate over the same input.

use bytes::Bytes;
use cid::Cid;
use futures::{stream, TryStreamExt};
use rings_compute::{OutputSink, PoolConfig, Pools, BLOCK_FUEL};
use rings_member::{
    execute::{prepare, Bounds, Files, TaskContext},
    task::task,
};
use rings_protocol::{
    cids::sha256,
    gate::Computation,
    operation::{Mode, Operation},
    Address, Digest,
};
use rings_store::{import, open, read_file, source, BlockStore, Importer, StoreConfig};
use std::{
    env,
    error::Error,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::io::AsyncReadExt;

type Failable<T> = Result<T, Box<dyn Error>>;

/// Programs of `examples/`: the one reads only, the other writes as much as it reads.
const PROGRAMS: [&str; 2] = ["wc", "echo"];
/// A time that no run here reaches.
const LIMIT: Duration = Duration::from_secs(3600);
/// Bytes of a piece of an input in memory, as blocks of a file have.
const PIECE: usize = 256 * 1024;

fn main() -> ExitCode {
    // The workers are this program too.
    if env::args().nth(1).as_deref() == Some("worker") {
        return rings_compute::worker_main();
    }
    let runtime = tokio::runtime::Runtime::new();
    let measured = runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(measure_all()));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(io::stderr(), "{error}").ok();
            ExitCode::FAILURE
        }
    }
}

async fn measure_all() -> Failable<()> {
    let mut arguments = env::args().skip(1);
    let megabytes: u64 = arguments.next().map_or(Ok(1000), |text| text.parse())?;
    let pairs: usize = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let directory = arguments.next().map_or_else(env::temp_dir, PathBuf::from);
    let directory = directory.join(format!("rings-read-much-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let measured = measure(&directory, megabytes, pairs).await;
    fs::remove_dir_all(&directory)?;
    measured
}

/// What all measurements share.
struct Stage {
    store: Arc<dyn BlockStore>,
    pools: Pools,
    input: Cid,
    bytes: u64,
}

async fn measure(directory: &Path, megabytes: u64, pairs: usize) -> Failable<()> {
    let path = directory.join("blocks.redb");
    let store = open(&StoreConfig::Embedded { path }).await?;
    let random = tokio::fs::File::open("/dev/urandom").await?;
    let imported = import(Arc::clone(&store), random.take(megabytes * 1_000_000)).await?;
    let config = PoolConfig {
        command: (env::current_exe()?, vec!["worker".into()]),
        workers: 1,
        cache: Some(directory.join("modules")),
        wall_limit: LIMIT,
        input_limit: LIMIT,
        compile_limit: LIMIT,
    };
    let stage = Stage {
        store,
        pools: Pools::start(config, &[]).await?,
        input: imported.cid,
        bytes: imported.bytes,
    };
    for name in PROGRAMS {
        stage.program(name, pairs).await?;
    }
    stage.pools.shutdown().await;
    Ok(())
}

impl Stage {
    async fn program(&self, name: &str, pairs: usize) -> Failable<()> {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/target");
        let module = fs::read(examples.join(format!("wasm32-wasip1/release/{name}.wasm")))?;
        let operation = self.operation(&module).await?;
        // So that nothing is compiled later.
        let digest = sha256(&module);
        let module = Bytes::from(module);
        let work = task(context().computation, &operation, digest);
        self.pools.own().prepare(&work, module.clone()).await?;
        for _ in 0..pairs {
            let read = self.read().await?;
            let run = self.run(&operation, digest, &module).await?;
            let plain = read + run;
            let files = Arc::new(Files::new(source(&self.store)));
            let cold = self.gate(&files, &operation).await?;
            let warm = self.gate(&files, &operation).await?;
            let ratio = |time: Duration| time.as_secs_f64() / plain.as_secs_f64();
            writeln!(
                io::stdout(),
                "{name}, {} MB: read {read:.2?} + run {run:.2?} = {plain:.2?}; cold {cold:.2?} ({:.2}), warm {warm:.2?} ({:.2})",
                self.bytes / 1_000_000,
                ratio(cold),
                ratio(warm)
            )?;
        }
        Ok(())
    }

    async fn operation(&self, module: &[u8]) -> Failable<Operation> {
        let program = import(Arc::clone(&self.store), module).await?.cid;
        Ok(Operation {
            args: vec![],
            fuel: 100 * self.bytes + 2 * BLOCK_FUEL * (self.bytes / PIECE as u64 + 10),
            memory: 64 << 20,
            mode: Mode::Cat,
            output: Some(2 * self.bytes),
            profile: self.pools.own().profile().to_owned(),
            program,
            stack: None,
            state: false,
            time: 0,
        })
    }

    /// All blocks of the input, one after the other.
    async fn read(&self) -> Failable<Duration> {
        let began = Instant::now();
        let mut file = read_file(source(&self.store), self.input);
        let mut read = 0;
        while let Some(piece) = file.try_next().await? {
            read += piece.len() as u64;
        }
        check(read == self.bytes, "the input is not whole")?;
        Ok(began.elapsed())
    }

    /// The program on as many bytes in memory. Its output is cut into blocks and hashed, as that of a gate.
    async fn run(&self, operation: &Operation, module: Digest, wasm: &Bytes) -> Failable<Duration> {
        let piece = Bytes::from(vec![b'x'; PIECE]);
        let count = self.bytes / PIECE as u64;
        let input = stream::iter((0..count).map(move |_| Ok(piece.clone())));
        let mut output = Hashed(Importer::hasher());
        let task = task(context().computation, operation, module);
        let began = Instant::now();
        let pool = self.pools.own();
        let outcome = pool.run(&task, wasm.clone(), input, &mut output).await?;
        output.0.finish().await?;
        check(outcome.result.is_ok(), "the program failed")?;
        Ok(began.elapsed())
    }

    /// The same as a gate.
    async fn gate(&self, files: &Arc<Files>, operation: &Operation) -> Failable<Duration> {
        let bytes = operation.to_dag_json()?;
        let stored = import(Arc::clone(&self.store), bytes.as_slice()).await?;
        let began = Instant::now();
        let files: Arc<Files> = Arc::clone(files);
        let prepared = prepare(&self.pools, files, stored.cid, &[self.input], context()).await?;
        let execution = prepared.run(None).await?;
        check(execution.failure.is_none(), "the gate failed")?;
        Ok(began.elapsed())
    }
}

/// Cuts an output into blocks, and hashes them.
struct Hashed(Importer);

#[async_trait::async_trait]
impl OutputSink for Hashed {
    async fn write(&mut self, bytes: Bytes) -> Result<(), io::Error> {
        self.0.write(&bytes).await.map_err(io::Error::other)
    }
}

fn context() -> TaskContext {
    TaskContext {
        computation: Computation {
            gate: Address::ZERO,
            inputs: Digest::ZERO,
        },
        outputs: Some(1),
        is_sampled: false,
        bounds: Bounds::NONE,
    }
}

fn check(holds: bool, otherwise: &str) -> Failable<()> {
    match holds {
        true => Ok(()),
        false => Err(otherwise.into()),
    }
}
