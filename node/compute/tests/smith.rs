//! Random modules of wasm-smith, each run by two members' workers and by the second engine: all must say the same.
//!
//! The seeds are 0, 1, 2, …: 400 of them, or as many as `RINGS_SMITH` says. The modules may use all of the profile and some of
//! WASI; a program that comes to its end writes its whole memory, so that every bit is compared.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic as the tests do.

mod common;

use arbitrary::Unstructured;
use bytes::Bytes;
use common::{input, pool, task};
use futures::{stream, StreamExt};
use rand_chacha::{
    rand_core::{RngCore, SeedableRng},
    ChaCha20Rng,
};
use rings_compute::{check_module, HashedOutput, Opinion, Pool, Reason, Task, Witnessed};
use std::{collections::BTreeMap, time::Instant};
use wasm_encoder_of_tests::{
    reencode::{utils, Error, Reencode},
    BlockType, CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    ImportSection, MemArg, MemArgTarget, Module, SectionId, TypeSection, ValType,
};
use wasmparser_of_tests as wasmparser;

/// Modules of a usual test run.
const SEEDS: u64 = 400;
/// Random bytes that a module is made of.
const ENTROPY: usize = 4096;
/// Loops and calls that a module may make before it traps.
const STEPS: u32 = 2_000;

fn config(references: bool) -> wasm_smith::Config {
    let imports = r#"(module
        (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "args_get" (func (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_rename" (func (param i32 i32 i32 i32 i32 i32) (result i32))))"#;
    let exports = r#"(module (func (export "body")) (memory (export "memory") 1 16))"#;
    wasm_smith::Config {
        available_imports: Some(wat::parse_str(imports).unwrap()),
        exports: Some(wat::parse_str(exports).unwrap()),
        exceptions_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        relaxed_simd_enabled: false,
        reference_types_enabled: references,
        wide_arithmetic_enabled: false,
        compact_imports_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        // Beside the exported one.
        max_memories: 0,
        max_tables: 2,
        max_table_elements: 1_000,
        max_instructions: 400,
        ..wasm_smith::Config::default()
    }
}

/// Adds a `_start` that calls `body` and then writes the whole memory.
#[derive(Default)]
struct Witness {
    types: u32,
    imported: u32,
    defined: u32,
    body: u32,
}

impl Witness {
    fn import(&self, imports: &mut ImportSection) {
        let ty = EntityType::Function(self.types);
        imports.import("wasi_snapshot_preview1", "fd_write", ty);
    }

    fn start(&self) -> Function {
        let store = |offset| MemArg {
            offset,
            align: 2,
            target: MemArgTarget::Memory(0),
            ordering: None,
        };
        let mut function = Function::new([]);
        let mut code = function.instructions();
        code.call(self.body);
        code.memory_size(0).if_(BlockType::Empty);
        code.i32_const(0).i32_const(0).i32_store(store(0));
        code.i32_const(0).memory_size(0).i32_const(16).i32_shl();
        code.i32_store(store(4));
        for argument in [1, 0, 1, 8] {
            code.i32_const(argument);
        }
        code.call(0).drop().end().end();
        function
    }
}

type Encoded = Result<(), Error<std::convert::Infallible>>;

impl Reencode for Witness {
    type Error = std::convert::Infallible;

    /// Function 0 is the import that is added.
    fn function_index(&mut self, function: u32) -> Result<u32, Error<Self::Error>> {
        Ok(function + 1)
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Encoded {
        self.types = section.count();
        utils::parse_type_section(self, types, section)?;
        types.ty().function([ValType::I32; 4], [ValType::I32]);
        types.ty().function([], []);
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Encoded {
        self.imported = section.count();
        self.import(imports);
        utils::parse_import_section(self, imports, section)
    }

    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        after: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Encoded {
        if after == Some(SectionId::Type) && before != Some(SectionId::Import) {
            let mut imports = ImportSection::new();
            self.import(&mut imports);
            module.section(&imports);
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Encoded {
        self.defined = section.count();
        utils::parse_function_section(self, functions, section)?;
        functions.function(self.types + 1);
        Ok(())
    }

    fn parse_export(
        &mut self,
        exports: &mut ExportSection,
        export: wasmparser::Export<'_>,
    ) -> Encoded {
        if export.name != "body" {
            return utils::parse_export(self, exports, export);
        }
        self.body = export.index + 1;
        let start = 1 + self.imported + self.defined;
        exports.export("_start", ExportKind::Func, start);
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Encoded {
        utils::parse_code_section(self, code, section)?;
        code.function(&self.start());
        Ok(())
    }
}

/// The module of a seed: the same on every machine, and within the profile.
fn module(seed: u64) -> Vec<u8> {
    // Of the references to functions and to the host, which wasm-smith only knows together, the profile has the former:
    // seeds that make use of the latter do without both.
    let with = generated(seed, true);
    match check_module(&with) {
        Ok(()) => with,
        Err(_) => generated(seed, false),
    }
}

fn generated(seed: u64, references: bool) -> Vec<u8> {
    let mut entropy = vec![0; ENTROPY];
    ChaCha20Rng::seed_from_u64(seed).fill_bytes(&mut entropy);
    let mut entropy = Unstructured::new(&entropy);
    let mut smith = wasm_smith::Module::new(config(references), &mut entropy).unwrap();
    smith.ensure_termination(STEPS).unwrap();
    let (mut witness, mut module) = (Witness::default(), Module::new());
    let parser = wasmparser::Parser::new(0);
    witness
        .parse_core_module(&mut module, parser, &smith.to_bytes())
        .unwrap();
    module.finish()
}

async fn witnessed(pool: &Pool, task: &Task, module: &[u8]) -> Witnessed {
    let mut kept = Vec::new();
    let mut output = HashedOutput::new(&mut kept);
    let source = Bytes::copy_from_slice(module);
    let outcome = pool
        .run(task, source, input(b"some input"), &mut output)
        .await
        .unwrap();
    output.witness(outcome)
}

/// What became of a seed: how it ended, and whether the second engine said anything.
async fn all_agree(members: &[Pool; 2], seed: u64) -> (String, bool) {
    let module = module(seed);
    assert_eq!(check_module(&module), Ok(()), "seed {seed}");
    let mut task = task(&module);
    task.limits.fuel = 100_000_000;
    task.limits.memory = 1 << 20;
    let first = witnessed(&members[0], &task, &module).await;
    assert_eq!(
        witnessed(&members[1], &task, &module).await,
        first,
        "seed {seed}"
    );
    let opinion = members[1]
        .second_opinion(&task, Bytes::from(module), input(b"some input"), &first)
        .await
        .unwrap();
    if let Opinion::Differs { .. } = opinion {
        panic!("seed {seed}: {opinion}");
    }
    let ended = match &first.outcome.result {
        Ok(()) => "success".to_owned(),
        Err(failure) => match failure.reason {
            Reason::Exit { .. } => "exit".to_owned(),
            reason => reason.to_string(),
        },
    };
    (ended, opinion == Opinion::Agrees)
}

#[tokio::test]
async fn members_and_the_second_engine_agree_on_random_modules() {
    let seeds = std::env::var("RINGS_SMITH").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    let members = [pool(1), pool(1)];
    let started = Instant::now();
    let mut ended = BTreeMap::<String, u64>::new();
    let mut agreed = 0;
    let mut results = stream::iter(0..seeds)
        .map(|seed| all_agree(&members, seed))
        .buffer_unordered(2);
    while let Some((end, compared)) = results.next().await {
        *ended.entry(end).or_default() += 1;
        agreed += u64::from(compared);
    }
    drop(results);
    println!(
        "{seeds} modules in {:?}: the second engine agrees on {agreed}; {ended:?}",
        started.elapsed()
    );
    // A test that compares nothing would pass too: most must be comparable, and many must come to their end.
    assert!(agreed * 10 >= seeds * 9, "{agreed} of {seeds}");
    assert!(ended["success"] * 5 >= seeds, "{ended:?}");
    for member in members {
        member.shutdown().await;
    }
}
