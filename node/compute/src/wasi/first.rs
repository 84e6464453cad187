//! The host functions as wasmtime calls them. Only what differs from the other engine is here: the linker, and access
//! to memory and fuel.

use super::{
    call::{call, Arguments},
    functions::functions,
    host::Host,
    memory,
    signatures::WASI_MODULE,
    stop::Stop,
};
use crate::fault::Fault;
use wasmtime::{Caller, Engine, FuncType, Global, Linker, Memory, Val, ValType};

/// What a store of wasmtime holds: the host, and the program's memory once it was looked up.
pub(crate) struct Held {
    /// What the host knows about the run.
    pub host: Host,
    /// The counter of the program's stack.
    pub stack_left: Option<Global>,
    memory: Option<Memory>,
}

impl Held {
    /// For a run that has not begun.
    pub(crate) fn new(host: Host) -> Self {
        Self {
            host,
            stack_left: None,
            memory: None,
        }
    }
}

/// A linker with every function of WASI preview 1.
///
/// # Errors
/// When the engine refuses a definition, which would be a defect of the table.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Held>> {
    let mut linker = Linker::new(engine);
    for (signature, function) in functions() {
        let (params, results) = signature.translated(ValType::I32, ValType::I64);
        let ty = FuncType::new(engine, params, results);
        linker.func_new(WASI_MODULE, signature.name, ty, move |caller, args, out| {
            let args = Arguments::new(args.iter().map(Val::i32));
            let mut calling = Calling::new(caller)?;
            let errno = call(function, &mut calling, &args)?;
            if let Some(out) = out.first_mut() {
                *out = Val::I32(errno);
            }
            Ok(())
        })?;
    }
    Ok(linker)
}

/// A program that is calling.
struct Calling<'a> {
    caller: Caller<'a, Held>,
    memory: Memory,
}

impl<'a> Calling<'a> {
    fn new(mut caller: Caller<'a, Held>) -> Result<Self, Stop> {
        let memory = match caller.data().memory {
            Some(memory) => memory,
            None => caller
                .get_export("memory")
                .and_then(wasmtime::Extern::into_memory)
                .ok_or_else(no_memory)?,
        };
        caller.data_mut().memory = Some(memory);
        Ok(Self { caller, memory })
    }
}

impl memory::Engine for Calling<'_> {
    fn split(&mut self) -> (&mut [u8], &mut Host) {
        let (bytes, held) = self.memory.data_and_store_mut(&mut self.caller);
        (bytes, &mut held.host)
    }

    fn fuel(&mut self) -> Result<u64, Stop> {
        self.caller.get_fuel().map_err(internal)
    }

    fn set_fuel(&mut self, fuel: u64) -> Result<(), Stop> {
        self.caller.set_fuel(fuel).map_err(internal)
    }
}

/// The fault of a run whose module exports no memory. The check of modules refuses such a module, so this is a defect.
pub(super) fn no_memory() -> Stop {
    internal("the module exports no memory")
}

/// An error of the engine that cannot happen.
pub(super) fn internal(error: impl std::fmt::Display) -> Stop {
    Stop::Fault(Fault::Internal(format!("{error:#}")))
}
