//! Compiled modules, kept ready: in memory, and on disk.
//!
//! [`Programs`] is an engine with the modules that it has compiled. [`Programs::get`] looks for a module in memory,
//! then in the cache on disk (`cache.rs`), and only then asks for its bytes, checks them, and compiles. A [`Program`]
//! needs only to be instantiated for a run. [`precompile`] makes the machine code that a compiler process sends to the
//! cache. Compiling uses only as many threads as fit into memory together with the module's most demanding functions.

use crate::{
    bounds::PAGE,
    cache::DiskCache,
    check::inspect,
    costs::compile_fuel,
    effort::least_effort,
    engine,
    fault::Fault,
    outcome::Outcome,
    profile::profile,
    profile_error::ProfileError,
    reserved::EFFORT,
    sizes::Demand,
    stack,
    wasi::{self, Held},
};
use rings_protocol::Digest;
use sha2::{Digest as _, Sha256};
use std::{collections::VecDeque, path::Path, sync::Arc};
use wasmtime::{Engine, Instance, InstancePre, Linker, Module, Store};

/// Most modules that are kept ready.
const MAX_WARM: usize = 64;
/// Most bytes of machine code and data that they may have together.
const MAX_WARM_BYTES: usize = 256 << 20;

/// Why a module is not compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// It is outside the profile.
    Profile(ProfileError),
    /// Compiling it costs so much fuel, more than there is.
    Unpaid(u64),
}

impl Unfit {
    /// The outcome of a run with that much fuel.
    pub(crate) fn outcome(&self, fuel: u64) -> Outcome {
        match self {
            Self::Profile(error) => Outcome::outside_profile(&error.to_string()),
            Self::Unpaid(_) => Outcome::out_of_fuel_at_start(fuel),
        }
    }
}

/// A module that only needs to be instantiated.
pub(crate) struct Program {
    instance: InstancePre<Held>,
    compile_fuel: u64,
    least_memory: u64,
    size: usize,
}

impl Program {
    fn new(module: &Module, linker: &Linker<Held>) -> Result<Self, Fault> {
        let least_memory = module
            .get_export("memory")
            .and_then(|export| export.memory().map(wasmtime::MemoryType::minimum))
            .map_or(0, |pages| pages.saturating_mul(PAGE));
        let effort = module
            .exports()
            .find_map(|export| export.name().strip_prefix(EFFORT)?.parse().ok())
            .ok_or_else(|| Fault::Compile("its effort is not known".into()))?;
        Ok(Self {
            instance: linker.instantiate_pre(module).map_err(compile_fault)?,
            compile_fuel: compile_fuel(effort),
            least_memory,
            size: image_size(module),
        })
    }

    /// What each run pays for compiling it.
    pub(crate) fn compile_fuel(&self) -> u64 {
        self.compile_fuel
    }

    /// Bytes of linear memory that it has before its first instruction.
    pub(crate) fn least_memory(&self) -> u64 {
        self.least_memory
    }

    /// The engine that it is compiled for.
    pub(crate) fn engine(&self) -> &Engine {
        self.instance.module().engine()
    }

    /// A fresh instance; runs the module's start function, if it has one.
    pub(crate) fn instantiate(&self, store: &mut Store<Held>) -> wasmtime::Result<Instance> {
        self.instance.instantiate(store)
    }
}

/// Bytes of the compiled image.
fn image_size(module: &Module) -> usize {
    let range = module.image_range();
    (range.end as usize).saturating_sub(range.start as usize)
}

/// The engine with all that it has compiled.
pub(crate) struct Programs {
    engine: Engine,
    linker: Linker<Held>,
    disk: Option<DiskCache>,
    /// Oldest use first.
    warm: VecDeque<(Digest, Arc<Program>)>,
}

/// A program, or why there is none.
pub(crate) type Loaded = Result<Arc<Program>, Unfit>;

impl Programs {
    /// An engine of the profile, with a cache on disk if it is given a directory.
    ///
    /// # Errors
    /// When the engine does not run on this machine.
    pub(crate) fn new(cache: Option<&Path>) -> Result<Self, Fault> {
        let config = engine::config().map_err(compile_fault)?;
        let engine = Engine::new(&config).map_err(compile_fault)?;
        let linker = wasi::linker(&engine).map_err(compile_fault)?;
        Ok(Self {
            engine,
            linker,
            disk: cache.map(|directory| DiskCache::new(directory, &profile())),
            warm: VecDeque::new(),
        })
    }

    /// The program of that hash, if `fuel` pays for compiling it; `fetch` is asked for the module's bytes only if nothing is cached.
    pub(crate) fn get(
        &mut self,
        module: Digest,
        fuel: u64,
        fetch: impl FnOnce() -> Result<Vec<u8>, Fault>,
    ) -> Result<Loaded, Fault> {
        let program = match self.recall(module) {
            Some(program) => program,
            None => {
                let compiled = match self.load(module) {
                    Some(compiled) => compiled,
                    None => match self.compile(module, &fetch()?, fuel)? {
                        Ok(compiled) => compiled,
                        Err(unfit) => return Ok(Err(unfit)),
                    },
                };
                let program = Arc::new(Program::new(&compiled, &self.linker)?);
                self.keep(module, Arc::clone(&program));
                program
            }
        };
        // The same answer as before compiling.
        Ok(match program.compile_fuel() {
            cost if cost > fuel => Err(Unfit::Unpaid(cost)),
            _ => Ok(program),
        })
    }

    fn recall(&mut self, module: Digest) -> Option<Arc<Program>> {
        let at = self.warm.iter().position(|(key, _)| *key == module)?;
        let entry = self.warm.remove(at)?;
        let program = Arc::clone(&entry.1);
        self.warm.push_back(entry);
        Some(program)
    }

    fn load(&self, module: Digest) -> Option<Module> {
        self.disk.as_ref()?.load(&self.engine, module)
    }

    /// A module's machine code, as the cache keeps it, if `fuel` pays for compiling it.
    pub(crate) fn precompile(
        &self,
        wasm: &[u8],
        fuel: u64,
    ) -> Result<Result<Vec<u8>, Unfit>, Fault> {
        // Looking at a module costs something, too.
        let least = compile_fuel(least_effort(wasm.len()));
        if least > fuel {
            return Ok(Err(Unfit::Unpaid(least)));
        }
        let needs = match inspect(wasm) {
            Ok(needs) => needs,
            Err(error) => return Ok(Err(Unfit::Profile(error))),
        };
        let cost = compile_fuel(needs.effort);
        if cost > fuel {
            return Ok(Err(Unfit::Unpaid(cost)));
        }
        precompile(&self.engine, &metered(wasm, needs.effort)?, needs.demand).map(Ok)
    }

    fn compile(
        &self,
        expected: Digest,
        wasm: &[u8],
        fuel: u64,
    ) -> Result<Result<Module, Unfit>, Fault> {
        if Digest(Sha256::digest(wasm).into()) != expected {
            return Err(Fault::ModuleHash);
        }
        let compiled = match self.precompile(wasm, fuel)? {
            Ok(compiled) => compiled,
            Err(unfit) => return Ok(Err(unfit)),
        };
        #[allow(unsafe_code)] // Loading machine code is always unsafe; see below.
        // SAFETY: the bytes come from this engine's compiler, a moment ago.
        let module = unsafe { Module::deserialize(&self.engine, compiled) };
        module.map(Ok).map_err(compile_fault)
    }

    fn keep(&mut self, module: Digest, program: Arc<Program>) {
        self.warm.push_back((module, program));
        while self.warm.len() > MAX_WARM || self.warm_bytes() > MAX_WARM_BYTES {
            self.warm.pop_front();
        }
    }

    fn warm_bytes(&self) -> usize {
        self.warm.iter().map(|(_, program)| program.size).sum()
    }
}

/// Memory that all functions together may take that are compiled at the same time, in bytes.
const COMPILER_MEMORY: u64 = 512 << 20;

/// Compiles with so many threads that functions as demanding as the module's most demanding one fit into memory together.
/// The machine code is the same with any number.
fn precompile(engine: &Engine, wasm: &[u8], demand: Demand) -> Result<Vec<u8>, Fault> {
    let all = rayon::current_num_threads();
    let fit = COMPILER_MEMORY / demand.bytes().max(1);
    let threads = usize::try_from(fit).map_or(all, |fit| fit.clamp(1, all));
    if threads == all {
        return engine.precompile_module(wasm).map_err(compile_fault);
    }
    let few = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let few = few.map_err(|error| Fault::Memory(format!("no threads: {error}")))?;
    few.install(|| engine.precompile_module(wasm))
        .map_err(compile_fault)
}

fn metered(wasm: &[u8], effort: u64) -> Result<Vec<u8>, Fault> {
    stack::metered(wasm, effort).map_err(|error| Fault::Compile(error.to_string()))
}

fn compile_fault(error: wasmtime::Error) -> Fault {
    Fault::Compile(format!("{error:#}"))
}
