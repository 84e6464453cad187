//! Modules that are made to be hard to compile: each is refused by the profile, or compiled with any number of threads in half of
//! the memory that a compiler has.
//!
//! A generator varies everything that can be counted: operators of each kind, locals, calls and what they move, blocks,
//! branches, labels, functions, globals, types, segments. The seeds are 0, 1, 2, …: a few in a usual test run, or as many as
//! `RINGS_SEARCH` says (10,000 take hours), from `RINGS_SEARCH_FROM` on.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // Helpers of tests may panic as the tests do, and show figures.

mod common;

use bytes::Bytes;
use common::{input, task};
use rand_chacha::{
    rand_core::{RngCore, SeedableRng},
    ChaCha20Rng,
};
use rings_compute::{check_module, Pool, PoolConfig, ProfileError, MAX_FUNCTION_BYTES, MAX_JOINS};
use std::{collections::BTreeMap, time::Duration};
use wasm_encoder_of_tests::{
    BlockType, CodeSection, ConstExpr, ElementSection, Elements, ExportKind, ExportSection,
    Function, FunctionSection, GlobalSection, GlobalType, InstructionSink, MemArg, MemArgTarget,
    MemorySection, MemoryType, Module, RefType, TableSection, TableType, TypeSection, ValType,
};

/// Modules of a usual test run.
const SEEDS: u64 = 12;
/// Half of a compiler's memory, in KiB.
const HALF: u64 = 1 << 20;
/// Numbers of threads.
const THREADS: [u32; 3] = [1, 2, 8];
/// Time that a member gives to a compiler. Here it is processor time: on a machine that does other work too, a search
/// would find nothing but that.
const LIMIT: Duration = Duration::from_secs(120);
/// Time that nothing takes on any machine.
const NEVER: Duration = Duration::from_secs(24 * 3600);
/// Of a second, in the times of `/proc`.
const TICKS: u64 = 100;

/// A source of choices.
struct Choices(ChaCha20Rng);

impl Choices {
    fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end
    }

    /// From 1 to about `most`, every order of magnitude alike.
    fn count(&mut self, most: u64) -> usize {
        let bits = u64::from(64 - most.leading_zeros());
        let shift = self.below(bits + 1);
        1 + self.below((most >> shift).max(1)) as usize
    }

    /// As a rule at the upper end: what is just within a bound is the hardest.
    fn large(&mut self, most: u64) -> usize {
        match self.below(3) {
            0 => self.count(most),
            _ => most as usize - self.below(most / 8 + 1) as usize,
        }
    }
}

/// The types of every module: `() -> ()`, `(i64 × width) -> ()`, `() -> (i64 × width)`, `(i64 × width) -> (i64 × width)`.
const NONE: u32 = 0;
const TAKES: u32 = 1;
const GIVES: u32 = 2;
const PASSES: u32 = 3;

/// The functions that all modules begin with: `_start`, and one of each of the last three types.
const FIRST: [u32; 4] = [NONE, TAKES, GIVES, PASSES];

struct Shape {
    width: usize,
    locals: u32,
}

fn memory(offset: u64) -> MemArg {
    MemArg {
        offset,
        align: 0,
        target: MemArgTarget::Memory(0),
        ordering: None,
    }
}

/// One kind of code, in that number of copies. Leaves the stack as it was. Locals 0 to `locals` are i64; then come an f64 and a v128.
fn stage(
    kind: u64,
    count: usize,
    shape: &Shape,
    choices: &mut Choices,
    code: &mut InstructionSink<'_>,
) {
    let (width, locals) = (shape.width, shape.locals);
    let (float, vector) = (locals, locals + 1);
    let ones = |code: &mut InstructionSink<'_>| {
        for at in 0..width {
            code.local_get(at as u32 % locals);
        }
    };
    let drops = |code: &mut InstructionSink<'_>| {
        for _ in 0..width {
            code.drop();
        }
    };
    let fixed = choices.below(12);
    // What passes values on is a chain over one row of them, so that each link has few bytes and moves many values.
    let is_chain = matches!(kind, 4 | 6 | 7 | 8);
    if is_chain {
        ones(code);
    }
    for at in 0..count {
        let local = at as u32 % locals;
        match kind {
            0 => match fixed {
                0 => {
                    code.local_get(local)
                        .i64_const(at as i64 * 977)
                        .i64_mul()
                        .local_set(local);
                }
                1 => {
                    code.local_get(float)
                        .local_get(float)
                        .f64_add()
                        .local_set(float);
                }
                2 => {
                    code.local_get(vector)
                        .local_get(vector)
                        .f32x4_mul()
                        .local_set(vector);
                }
                3 => {
                    code.local_get(local)
                        .local_get(local)
                        .i64_div_s()
                        .local_set(local);
                }
                4 => {
                    code.local_get(float).i64_trunc_f64_s().local_set(local);
                }
                5 => {
                    code.local_get(vector).i8x16_popcnt().local_set(vector);
                }
                6 => {
                    code.local_get(vector)
                        .local_get(vector)
                        .i64x2_mul()
                        .local_set(vector);
                }
                7 => {
                    code.local_get(local)
                        .i32_wrap_i64()
                        .i64_load(memory(at as u64 * 8))
                        .local_set(local);
                }
                8 => {
                    code.local_get(float)
                        .f64_nearest()
                        .f64_sqrt()
                        .local_set(float);
                }
                9 => {
                    code.local_get(local).i64_eqz().drop();
                }
                10 => {
                    code.local_get(vector)
                        .i32x4_trunc_sat_f32x4_u()
                        .f32x4_convert_i32x4_u()
                        .local_set(vector);
                }
                _ => {
                    code.local_get(local)
                        .local_get(local)
                        .local_get(local)
                        .i32_wrap_i64()
                        .select()
                        .local_set(local);
                }
            },
            // One operand, one byte an operator.
            1 => {
                if at == 0 {
                    code.local_get(0);
                }
                match fixed % 4 {
                    0 => {
                        code.i64_clz();
                    }
                    1 => {
                        code.i32_wrap_i64().i64_extend_i32_s();
                    }
                    2 => {
                        code.f64_convert_i64_u().i64_trunc_f64_u();
                    }
                    _ => {
                        code.i64_extend8_s();
                    }
                }
                if at + 1 == count {
                    code.local_set(0);
                }
            }
            2 => {
                ones(code);
                code.call(1);
            }
            3 => {
                code.call(2);
                drops(code);
            }
            4 => {
                code.call(3);
            }
            5 => {
                ones(code);
                code.i32_const(1).call_indirect(0, TAKES);
            }
            6 => {
                code.block(BlockType::FunctionType(PASSES)).end();
            }
            7 => {
                code.loop_(BlockType::FunctionType(PASSES)).end();
            }
            8 => {
                code.local_get(local)
                    .i32_wrap_i64()
                    .if_(BlockType::FunctionType(PASSES))
                    .else_()
                    .end();
            }
            9 => {
                code.block(BlockType::FunctionType(GIVES));
                ones(code);
                code.local_get(local).i32_wrap_i64().br_if(0).end();
                drops(code);
            }
            10 => {
                let labels = vec![0; choices.count(60_000 / count as u64 + 1)];
                code.block(BlockType::FunctionType(GIVES));
                ones(code);
                code.local_get(local)
                    .i32_wrap_i64()
                    .br_table(labels, 0)
                    .end();
                drops(code);
            }
            11 => {
                code.local_get(local)
                    .i32_wrap_i64()
                    .if_(BlockType::Empty)
                    .local_get(0)
                    .local_set(local)
                    .end();
            }
            12 => {
                code.block(BlockType::Empty)
                    .local_get(local)
                    .i32_wrap_i64()
                    .br_if(0)
                    .local_get(0)
                    .local_set(local)
                    .end();
            }
            13 => {
                code.loop_(BlockType::Empty)
                    .local_get(local)
                    .i64_const(1)
                    .i64_sub()
                    .local_tee(local)
                    .i32_wrap_i64()
                    .br_if(0)
                    .end();
            }
            14 => {
                code.loop_(BlockType::Empty)
                    .local_get(local)
                    .local_set((local + 1) % locals);
                if at + 1 == count {
                    for _ in 0..count {
                        code.end();
                    }
                }
            }
            15 => {
                let deep = count as u32;
                code.block(BlockType::Empty);
                if at + 1 == count {
                    let labels: Vec<_> = (0..deep).collect();
                    code.local_get(0).i32_wrap_i64().br_table(labels, 0);
                    for number in 0..count {
                        code.end().local_get(number as u32 % locals).local_set(0);
                    }
                }
            }
            16 => {
                code.local_get(local)
                    .i64_const(2 * at as i64 + 1001)
                    .i64_mul()
                    .local_get(0)
                    .i64_xor()
                    .local_set(0);
                if at + 1 == count / 2 {
                    code.call(0);
                }
            }
            17 => {
                code.ref_func(1).drop();
            }
            18 => {
                code.memory_size(0).memory_grow(0).drop();
            }
            19 => {
                code.i32_const(0)
                    .i32_const(0)
                    .i32_const(at as i32)
                    .memory_copy(0, 0);
            }
            20 => {
                code.global_get(0).i64_const(1).i64_add().global_set(0);
            }
            21 => {
                code.local_get(local)
                    .i32_wrap_i64()
                    .local_get(vector)
                    .v128_store(memory(at as u64));
            }
            22 => {
                code.i32_const(at as i32)
                    .i32_const(at as i32)
                    .table_get(0)
                    .table_set(0);
            }
            _ => {
                code.local_get(local).i32_wrap_i64().if_(BlockType::Empty);
                ones(code);
                code.call(1).end();
            }
        }
    }
    if is_chain {
        drops(code);
    }
}

const KINDS: u64 = 24;

fn body(choices: &mut Choices, shape: &Shape) -> (Function, usize) {
    let locals = [
        (shape.locals, ValType::I64),
        (1, ValType::F64),
        (1, ValType::V128),
    ];
    let mut function = Function::new(locals);
    for _ in 0..1 + choices.below(3) {
        let kind = choices.below(KINDS);
        let most = match kind {
            0 | 1 | 16..=22 => 60_000,
            // A link of a chain moves a row in and out.
            2..=10 | 23 => 40_000 / shape.width as u64,
            14 => (100_000 / u64::from(shape.locals)).min(1000),
            _ => 600_000 / u64::from(shape.locals),
        };
        // Three stages stay below the bytes of one function.
        let bytes = match kind {
            2 | 3 | 5 | 9 | 10 | 23 => 4 * shape.width as u64 + 20,
            _ => 16,
        };
        let most = most.min(MAX_FUNCTION_BYTES as u64 / 4 / bytes);
        let count = choices.large(most.clamp(1, 200_000));
        stage(kind, count, shape, choices, &mut function.instructions());
        // All locals are alive at the end.
        for local in 0..shape.locals.min(4_000) {
            function
                .instructions()
                .local_get(0)
                .local_get(local)
                .i64_xor()
                .local_set(0);
        }
    }
    function.instructions().end();
    let length = function.byte_len();
    (function, length)
}

fn simple(types: u32) -> Function {
    let mut function = Function::new([]);
    if types != NONE {
        function.instructions().unreachable();
    }
    function.instructions().end();
    function
}

/// The module of a seed: the same on every machine.
fn module(seed: u64) -> Vec<u8> {
    let mut choices = Choices(ChaCha20Rng::seed_from_u64(seed));
    let width = choices.large(1000);
    let shape = Shape {
        width,
        locals: 1 + choices.count(20_000) as u32,
    };
    let wide = vec![ValType::I64; width];
    let (mut types, mut functions, mut code) = (
        TypeSection::new(),
        FunctionSection::new(),
        CodeSection::new(),
    );
    types.ty().function([], []);
    types.ty().function(wide.clone(), []);
    types.ty().function([], wide.clone());
    types.ty().function(wide.clone(), wide.clone());
    let copies = choices.count(100);
    for _ in 0..choices.count(300) {
        types.ty().function(wide.clone(), [ValType::I32]);
    }
    for ty in FIRST {
        functions.function(ty);
        code.function(&simple(ty));
    }
    let mut length = 0;
    for copy in 0..copies {
        let (function, bytes) = match copy % 2 {
            0 => body(&mut choices, &shape),
            _ => {
                // Of another number of locals, but the same types.
                let other = Shape {
                    width,
                    locals: 1 + choices.count(20_000) as u32,
                };
                body(&mut choices, &other)
            }
        };
        length += bytes;
        if length > 4 << 20 && copy > 0 {
            break;
        }
        functions.function(NONE);
        code.function(&function);
    }
    for _ in 0..choices.count(20_000) {
        functions.function(NONE);
        code.function(&simple(NONE));
    }
    let mut globals = GlobalSection::new();
    for _ in 0..choices.count(100_000) {
        let ty = GlobalType {
            val_type: ValType::I64,
            mutable: true,
            shared: false,
        };
        globals.global(ty, &ConstExpr::i64_const(1));
    }
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: None,
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut tables = TableSection::new();
    let minimum = choices.large(1_000_000) as u64;
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum,
        maximum: None,
        shared: false,
    });
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    exports.export("_start", ExportKind::Func, 0);
    let mut elements = ElementSection::new();
    let names = vec![1; choices.count(minimum)];
    elements.active(
        Some(0),
        &ConstExpr::i32_const(0),
        Elements::Functions(names.into()),
    );
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&tables)
        .section(&memories);
    module
        .section(&globals)
        .section(&exports)
        .section(&elements)
        .section(&code);
    module.finish()
}

/// A pool whose compilers have half their memory, and that many threads.
fn pool(directory: &std::path::Path, threads: u32) -> Pool {
    let script = format!(r#"ulimit -d {HALF}; RAYON_NUM_THREADS={threads} exec "$0""#);
    Pool::new(PoolConfig {
        command: (
            "/bin/sh".into(),
            vec![
                "-c".into(),
                script.into(),
                env!("CARGO_BIN_EXE_rings-worker").into(),
            ],
        ),
        workers: 1,
        cache: Some(directory.into()),
        wall_limit: NEVER,
        input_limit: NEVER,
        compile_limit: NEVER,
    })
}

/// Processor time of the processes that this one has started and that have ended.
fn spent() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The name, in parentheses, may have spaces. After it the 14th and 15th are times of children.
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let times = rest.split_whitespace().skip(13).take(2);
    let ticks: u64 = times.map(|time| time.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}

/// Compiles a module; gives the machine code's file, and how much processor time it took.
async fn compiled(module: &[u8], threads: u32) -> Result<(Vec<u8>, Duration), String> {
    let directory = tempfile::tempdir().unwrap();
    let pool = pool(directory.path(), threads);
    let (source, before) = (Bytes::copy_from_slice(module), spent());
    let ran = pool
        .run(&task(module), source, input(b""), &mut Vec::new())
        .await;
    pool.shutdown().await;
    let taken = spent() - before;
    if taken > LIMIT {
        return Err(format!("{taken:.0?} of processor time"));
    }
    match ran {
        Ok(outcome) if outcome.result.is_ok() => {}
        Ok(outcome) => return Err(format!("{outcome:?}")),
        Err(error) => return Err(error.to_string()),
    }
    let mut files = std::fs::read_dir(directory.path()).unwrap();
    let file = files.next().ok_or("nothing was kept")?.unwrap().path();
    Ok((std::fs::read(file).unwrap(), taken))
}

/// Compiles a module with each number of threads: all alike.
async fn all_alike(name: &str, module: &[u8]) -> Result<Duration, String> {
    let mut first: Option<Vec<u8>> = None;
    let mut longest = Duration::ZERO;
    for threads in THREADS {
        let (code, taken) = compiled(module, threads)
            .await
            .map_err(|error| format!("{name} with {threads} threads: {error}"))?;
        longest = longest.max(taken);
        match &first {
            Some(first) if *first != code => {
                return Err(format!("{name}: other code with {threads} threads"))
            }
            _ => first = Some(code),
        }
    }
    Ok(longest)
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().unwrap())
}

#[tokio::test]
async fn what_the_profile_lets_in_is_compiled_with_any_number_of_threads_in_half_the_memory() {
    let (from, seeds) = (
        number("RINGS_SEARCH_FROM", 0),
        number("RINGS_SEARCH", SEEDS),
    );
    let (mut refused, mut failures) = (BTreeMap::<&str, u64>::new(), Vec::new());
    let mut slowest = (Duration::ZERO, 0);
    for seed in from..from + seeds {
        let module = module(seed);
        match check_module(&module) {
            Err(ProfileError::TooLarge { what, .. }) => *refused.entry(what).or_default() += 1,
            Err(error) => panic!("seed {seed}: {error}"),
            Ok(()) => match all_alike(&format!("seed {seed}"), &module).await {
                Ok(taken) => slowest = slowest.max((taken, seed)),
                Err(error) => failures.push(error),
            },
        }
        if seeds > SEEDS {
            println!(
                "{seed}: {} bytes, {} failures, slowest {slowest:?}, refused {refused:?}",
                module.len(),
                failures.len()
            );
        }
    }
    println!("refused {refused:?}, slowest {slowest:?}");
    assert!(failures.is_empty(), "{failures:#?}");
    // A generator that makes nothing but what is refused would show nothing.
    assert!(
        refused.values().sum::<u64>() * 10 <= seeds * 9,
        "{refused:?}"
    );
}

/// Modules that a search has found, which no member could compile in its memory or its time, and what they are refused for.
const FOUND: &[(u64, &str)] = &[(
    1012,
    "values that blocks of one function take and give, times its blocks",
)];

/// A value that is passed on through that many blocks.
fn passed_on(blocks: usize) -> Vec<u8> {
    let pass = "(block (param i32) (result i32) (br_if 0 (local.get 0)))".repeat(blocks);
    command("", &format!("(local i32) (i32.const 0) {pass} drop"))
}

#[tokio::test]
async fn what_is_just_within_the_bound_of_labels_is_compiled() {
    let most = (1..MAX_JOINS as usize / 2)
        .rev()
        .step_by(50)
        .map(passed_on)
        .find(|module| check_module(module).is_ok());
    let module = most.unwrap();
    all_alike("passed on", &module).await.unwrap();
}

/// So many `if`s in each other, each of which passes a value on and changes it, so that each `else` computes all of them again.
fn computed_again(depth: usize) -> Vec<u8> {
    let then = "(if (param f64) (result f64) (local.get 0) (then (local.get 1) f64.add ";
    let other = ") (else (local.get 1) f64.mul))";
    let body = format!(
        "(param i32 f64) (result f64) (local.get 1) {}{}",
        then.repeat(depth),
        other.repeat(depth)
    );
    command("", &body)
}

#[tokio::test]
async fn what_is_just_within_the_bound_of_what_is_computed_again_is_compiled() {
    let most = (1..900).rev().map(computed_again);
    let mut most = most.skip_while(|module| check_module(module).is_err());
    let module = most.next().unwrap();
    all_alike("computed again", &module).await.unwrap();
}

#[test]
fn values_that_are_computed_again_too_often_are_refused_by_name() {
    // A compiler died of the last one.
    for depth in [600, 900] {
        match check_module(&computed_again(depth)) {
            Err(ProfileError::TooLarge { what, .. }) => {
                assert_eq!(
                    what,
                    "units of effort to compute values of one function again"
                );
            }
            other => panic!("{depth}: {other:?}"),
        }
    }
}

#[test]
fn modules_that_a_search_has_found_are_refused_by_name() {
    for (seed, wanted) in FOUND {
        match check_module(&module(*seed)) {
            Err(ProfileError::TooLarge { what, .. }) => assert_eq!(what, *wanted, "seed {seed}"),
            other => panic!("seed {seed}: {other:?}"),
        }
    }
}

/// A command with a function of that body in it.
fn command(types: &str, body: &str) -> Vec<u8> {
    wat::parse_str(format!(
        r#"(module {types} (memory (export "memory") 2) (func (export "_start")) (func {body}))"#
    ))
    .unwrap()
}

#[test]
fn modules_that_killed_compilers_are_refused_by_name() {
    let wide = "i32 ".repeat(1000);
    let zeros = "(i32.const 0)".repeat(1000);
    let passes =
        format!("(type $t (func (param {wide}) (result {wide}))) (func $f (type $t) unreachable)");
    let calls = format!(
        "{zeros} {} {}",
        "(call $f)".repeat(850),
        "drop ".repeat(1000)
    );
    let locals = 4000;
    let load: String = (0..locals)
        .map(|local| {
            format!(
                "(local.set {local} (i32.load offset={} (i32.const 0)))",
                4 * local
            )
        })
        .collect();
    let sum: String = (0..locals)
        .map(|local| format!("(local.get {local}) i32.add "))
        .collect();
    let joins = format!(
        "(local {}) {load} {} (i32.const 0) {sum} drop",
        "i32 ".repeat(locals),
        "(if (i32.load (i32.const 0)) (then (local.set 0 (i32.const 1))))".repeat(10_000)
    );
    let labels = "0 ".repeat(65_000);
    let table = format!(
        "(block (result {wide}) {zeros} (br_table {labels} (i32.const 0))) {}",
        "drop ".repeat(1000)
    );
    let globals = "(global i32 (i32.const 0))".repeat(1_000_000);
    let types = "(type (func))".repeat(1_000_000);
    for (name, module, wanted) in [
        (
            "calls",
            command(&passes, &calls),
            "values that calls, blocks and jumps of one function move",
        ),
        (
            "joins",
            command("", &joins),
            "locals times blocks and branches in one function",
        ),
        (
            "labels",
            command("", &table.repeat(2)),
            "values that calls, blocks and jumps of one function move",
        ),
        (
            "passed on",
            // Each value is small, each block is short: the lists of all of them are not.
            passed_on(14_000),
            "values that blocks of one function take and give, times its blocks",
        ),
        ("globals", command(&globals, ""), "globals"),
        ("types", command(&types, ""), "types"),
    ] {
        match check_module(&module) {
            Err(ProfileError::TooLarge { what, .. }) => assert_eq!(what, wanted, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}
