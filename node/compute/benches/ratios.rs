//! What isolation and metering cost, as ratios within one run: `cargo bench -p rings-compute --bench ratios`.
//!
//! Needs the examples (`examples/build`).

use bytes::Bytes;
use futures::stream;
use rings_compute::{profile, Limits, Local, Pool, PoolConfig, Task, MAX_STACK};
use rings_protocol::Digest;
use sha2::{Digest as _, Sha256};
use std::{
    error::Error,
    fs::{self, File},
    io::{self, Cursor, Read, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use wasm_encoder_of_tests::{
    CodeSection, ExportKind, ExportSection, Function, FunctionSection, MemorySection, MemoryType,
    Module, TypeSection, ValType,
};

/// Runs whose median is a figure.
const RUNS: usize = 301;
/// How long the throughput is measured.
const THROUGHPUT: Duration = Duration::from_secs(5);
/// Runs of each heavy program: every one has to be within its bound.
const HEAVY_RUNS: usize = 10;
/// Bytes that are hashed.
const HASHED: usize = 200_000_000;
/// Lines that are sorted.
const LINES: u32 = 1_000_000;

type Failable<T> = Result<T, Box<dyn Error>>;

fn main() -> Failable<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    say(&format!("profile {}", profile()))?;
    warm(&runtime)?;
    throughput(&runtime)?;
    heavy("sha256", &vec![b'x'; HASHED])?;
    heavy("sort", &lines())?;
    for size in [1_500_000, 20_000_000] {
        cold(&runtime, size)?;
    }
    cold_ring(&runtime, 1_500_000)?;
    Ok(())
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}

fn example(name: &str) -> Failable<Vec<u8>> {
    let path = examples().join(format!("wasm32-wasip1/release/{name}.wasm"));
    fs::read(&path)
        .map_err(|error| format!("{}: {error}; run examples/build", path.display()).into())
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/target")
}

fn task(module: &[u8]) -> Task {
    Task {
        module: Digest(Sha256::digest(module).into()),
        program: "program".into(),
        args: vec![],
        limits: Limits {
            fuel: u64::MAX / 2,
            memory: 1 << 30,
            output: u64::MAX,
            stack: MAX_STACK,
        },
        time: 0,
        seed: [0; 32],
        state: false,
        blocks: 0,
    }
}

fn pool(workers: usize) -> Pool {
    Pool::new(PoolConfig {
        command: (env!("CARGO_BIN_EXE_rings-worker").into(), vec![]),
        workers,
        cache: None,
        wall_limit: Duration::from_secs(600),
        input_limit: Duration::from_secs(600),
        compile_limit: Duration::from_secs(600),
    })
}

async fn run(pool: &Pool, task: &Task, module: &Bytes) -> Failable<Duration> {
    let input = stream::iter([Ok(Bytes::from_static(b"some input"))]);
    let began = Instant::now();
    let outcome = pool
        .run(task, module.clone(), input, &mut Vec::new())
        .await?;
    outcome
        .result
        .map_err(|failure| failure.reason.to_string())?;
    Ok(began.elapsed())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn warm(runtime: &tokio::runtime::Runtime) -> Failable<()> {
    let (module, mut local, pool) = (Bytes::from(example("wc")?), Local::new()?, pool(1));
    let task = task(&module);
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    // In turns, so that whatever else the machine does meets both.
    for _ in 0..RUNS {
        let began = Instant::now();
        local.run(&task, &module, &b"some input"[..], io::sink())?;
        inside.push(began.elapsed());
        outside.push(runtime.block_on(run(&pool, &task, &module))?);
    }
    runtime.block_on(pool.shutdown());
    let (inside, outside) = (median(inside), median(outside));
    say(&format!(
        "warm run: {inside:?} in this process, {outside:?} in a worker: {:?} more (at most 1.5 ms)",
        outside.saturating_sub(inside)
    ))?;
    Ok(())
}

fn throughput(runtime: &tokio::runtime::Runtime) -> Failable<()> {
    let (module, pool) = (Bytes::from(example("wc")?), pool(2));
    let task = task(&module);
    let one = |end: Instant| {
        let (pool, task, module) = (&pool, &task, &module);
        async move {
            let mut runs = 0u32;
            while Instant::now() < end {
                run(pool, task, module).await?;
                runs += 1;
            }
            Failable::Ok(runs)
        }
    };
    let runs = runtime.block_on(async {
        tokio::try_join!(run(&pool, &task, &module), run(&pool, &task, &module))?;
        let end = Instant::now() + THROUGHPUT;
        let (one, other) = tokio::try_join!(one(end), one(end))?;
        pool.shutdown().await;
        Failable::Ok(one + other)
    })?;
    let rate = f64::from(runs) / THROUGHPUT.as_secs_f64();
    say(&format!(
        "two workers: {rate:.0} runs a second (at least 500)"
    ))?;
    Ok(())
}

fn lines() -> Vec<u8> {
    let line = |number: u32| format!("{:010}\n", number.wrapping_mul(2_654_435_761));
    (0..LINES).map(line).collect::<String>().into_bytes()
}

fn heavy(name: &str, input: &[u8]) -> Failable<()> {
    let module = example(name)?;
    let (mut local, plain) = (Local::new()?, Plain::new(&module)?);
    let (task, native) = (task(&module), native(name)?);
    let (mut ratios, mut machine) = (Vec::new(), Vec::new());
    // Compiles.
    local.run(&task, &module, io::empty(), io::sink())?;
    for _ in 0..HEAVY_RUNS {
        let (given, began) = (input.to_vec(), Instant::now());
        let outcome = local.run(&task, &module, Cursor::new(given), io::sink())?;
        outcome
            .result
            .map_err(|failure| failure.reason.to_string())?;
        let ours = began.elapsed();
        let (given, began) = (input.to_vec(), Instant::now());
        plain.run(given)?;
        let theirs = began.elapsed();
        let native = natively(&native, input)?;
        ratios.push(ours.as_secs_f64() / theirs.as_secs_f64());
        machine.push(ours.as_secs_f64() / native.as_secs_f64());
    }
    ratios.sort_by(f64::total_cmp);
    machine.sort_by(f64::total_cmp);
    let middle = HEAVY_RUNS / 2;
    say(&format!(
        "{name} of {} MB, {HEAVY_RUNS} runs in turns: {:.2} times plain wasmtime, {:.2} at most (bound 1.5); {:.2} times native",
        input.len() / 1_000_000,
        ratios[middle],
        ratios[HEAVY_RUNS - 1],
        machine[middle],
    ))?;
    Ok(())
}

/// Builds the same program for this machine.
fn native(name: &str) -> Failable<PathBuf> {
    let directory = examples().join("..");
    let built = Command::new("cargo")
        .args(["build", "--quiet", "--release", "--locked", "--target-dir"])
        .arg(examples().join("native"))
        .args(["--bin", name])
        .current_dir(directory)
        .env_remove("CARGO_TARGET_DIR")
        .status()?;
    match built.success() {
        true => Ok(examples().join("native/release").join(name)),
        false => Err(format!("{name} cannot be built for this machine: {built}").into()),
    }
}

fn natively(program: &Path, input: &[u8]) -> Failable<Duration> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(input)?;
    let (stdin, began) = (File::open(file.path())?, Instant::now());
    let status = Command::new(program)
        .stdin(stdin)
        .stdout(Stdio::null())
        .status()?;
    match status.success() {
        true => Ok(began.elapsed()),
        false => Err(status.to_string().into()),
    }
}

/// wasmtime as it comes: no fuel, no canonical NaNs, this machine's processor; and WASI just enough for the two programs.
struct Plain {
    module: wasmtime::Module,
    linker: wasmtime::Linker<Input>,
}

type Input = Arc<Mutex<Cursor<Vec<u8>>>>;
type Caller<'a> = wasmtime::Caller<'a, Input>;

impl Plain {
    fn new(wasm: &[u8]) -> Failable<Self> {
        let engine = wasmtime::Engine::default();
        let module = wasmtime::Module::new(&engine, wasm)?;
        let mut linker = wasmtime::Linker::new(&engine);
        let wasi = rings_compute::WASI_MODULE;
        linker.func_wrap(
            wasi,
            "fd_read",
            |caller: Caller<'_>, fd: i32, at: i32, count: i32, out: i32| {
                transfer(caller, fd, at, count, out)
            },
        )?;
        linker.func_wrap(
            wasi,
            "fd_write",
            |caller: Caller<'_>, fd: i32, at: i32, count: i32, out: i32| {
                transfer(caller, fd, at, count, out)
            },
        )?;
        for name in ["environ_sizes_get", "args_sizes_get"] {
            linker.func_wrap(
                wasi,
                name,
                |mut caller: Caller<'_>, count: i32, bytes: i32| {
                    put(&mut caller, count, 0)?;
                    put(&mut caller, bytes, 0).map(|()| 0)
                },
            )?;
        }
        for name in ["environ_get", "args_get", "random_get"] {
            linker.func_wrap(wasi, name, |_: i32, _: i32| 0)?;
        }
        linker.define_unknown_imports_as_traps(&module)?;
        Ok(Self { module, linker })
    }

    fn run(&self, input: Vec<u8>) -> Failable<()> {
        let input = Arc::new(Mutex::new(Cursor::new(input)));
        let mut store = wasmtime::Store::new(self.module.engine(), input);
        let instance = self.linker.instantiate(&mut store, &self.module)?;
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
        Ok(start.call(&mut store, ())?)
    }
}

fn put(caller: &mut Caller<'_>, at: i32, value: u32) -> wasmtime::Result<()> {
    let memory = memory(caller)?;
    Ok(memory.write(caller, at as usize, &value.to_le_bytes())?)
}

fn memory(caller: &mut Caller<'_>) -> wasmtime::Result<wasmtime::Memory> {
    caller
        .get_export("memory")
        .and_then(wasmtime::Extern::into_memory)
        .ok_or_else(|| wasmtime::Error::msg("no memory"))
}

/// Reads from the input on 0; takes and drops everything on others.
fn transfer(
    mut caller: Caller<'_>,
    fd: i32,
    at: i32,
    count: i32,
    out: i32,
) -> wasmtime::Result<i32> {
    let (memory, mut total) = (memory(&mut caller)?, 0);
    let input = Arc::clone(caller.data());
    for index in 0..count as usize {
        let mut vector = [0; 8];
        memory.read(&caller, at as usize + 8 * index, &mut vector)?;
        let [a, b, c, d, e, f, g, h] = vector;
        let start = u32::from_le_bytes([a, b, c, d]) as usize;
        let length = u32::from_le_bytes([e, f, g, h]) as usize;
        let target = &mut memory.data_mut(&mut caller)[start..start + length];
        total += match fd {
            0 => input
                .lock()
                .map_err(|_| wasmtime::Error::msg("poisoned"))?
                .read(target)?,
            _ => length,
        };
    }
    put(&mut caller, out, total as u32)?;
    Ok(0)
}

/// A module of about that many bytes: functions that compute, and call each other.
fn large(bytes: usize) -> Vec<u8> {
    const STEPS: i32 = 60;
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], [ValType::I32]);
    types.ty().function([], []);
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    let mut count = 0;
    while code.byte_len() < bytes {
        let mut function = Function::new([]);
        let mut sink = function.instructions();
        sink.local_get(0);
        for step in 0..STEPS {
            sink.i32_const(step * 977 + count as i32).i32_mul();
            sink.local_get(0).i32_const(step & 15).i32_rotl().i32_xor();
        }
        sink.end();
        code.function(&function);
        functions.function(0);
        count += 1;
    }
    let mut start = Function::new([]);
    let mut sink = start.instructions();
    sink.i32_const(1).call(count / 2).drop().end();
    code.function(&start);
    functions.function(1);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    exports.export("_start", ExportKind::Func, count);
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&memories);
    module.section(&exports).section(&code);
    module.finish()
}

fn cold(runtime: &tokio::runtime::Runtime, bytes: usize) -> Failable<()> {
    let (module, pool) = (Bytes::from(large(bytes)), pool(1));
    let task = task(&module);
    let first = runtime.block_on(run(&pool, &task, &module))?;
    let again = runtime.block_on(run(&pool, &task, &module))?;
    runtime.block_on(pool.shutdown());
    say(&format!(
        "a module of {:.1} MB, seen for the first time: {first:?}; again: {again:?}",
        module.len() as f64 / 1e6
    ))?;
    Ok(())
}

/// Members of a ring on this machine, all of which see a module for the first time at once.
fn cold_ring(runtime: &tokio::runtime::Runtime, bytes: usize) -> Failable<()> {
    const MEMBERS: usize = 5;
    let module = Bytes::from(large(bytes));
    let (task, members) = (task(&module), [(); MEMBERS].map(|()| pool(1)));
    let began = Instant::now();
    runtime.block_on(async {
        let runs = members.iter().map(|member| run(member, &task, &module));
        futures::future::try_join_all(runs).await
    })?;
    let all = began.elapsed();
    for member in members {
        runtime.block_on(member.shutdown());
    }
    say(&format!(
        "{MEMBERS} members see a module of {:.1} MB for the first time: {all:?} (the ring has 4 s for it on two cores)",
        module.len() as f64 / 1e6
    ))?;
    Ok(())
}
