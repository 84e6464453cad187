//! The second engine: wasmi, an interpreter, with the same profile, host functions and limits.
//!
//! It gives a second opinion on a sample of runs (`opinion.rs`). It takes the module with the same stack counter in it,
//! and the host functions are the same code (`wasi/second.rs` only joins them to this engine). Its fuel is counted
//! differently, so fuel is not compared. Everything else has to agree.
//!
//! Two engines with nothing in common but the specification do not have the same bug. So a difference shows that one of
//! them is wrong, before a wrong result is signed.

use crate::{
    bounds::{MAX_STACK, PAGE},
    check::inspect,
    costs::FRAME_COST,
    fault::Fault,
    outcome::{Outcome, Reason},
    reserved::{LEFT, START},
    run::{ended, granted_stack, outcome},
    stack,
    stdio::Stdio,
    task::Task,
    trap::{
        BAD_CONVERSION, DIVISION_BY_ZERO, INTEGER_OVERFLOW, MEMORY_BOUNDS, NULL_CALL, STACK_TRAP,
        TABLE_BOUNDS, TYPE_MISMATCH, UNREACHABLE,
    },
    wasi::{second_linker, Host, SecondHeld, Stop},
};
use rings_protocol::Digest;
use sha2::{Digest as _, Sha256};
use wasmi::{errors::ErrorKind, Config, Engine, Module, Store, TrapCode, Val};

/// Deepest chain of calls: each that is counted costs a frame, and one more may not be counted.
const MAX_DEPTH: usize = MAX_STACK as usize / FRAME_COST as usize + 2;
/// Largest stack of values, in bytes. Values cost at least what they take here.
const MAX_VALUES: usize = 4 * MAX_STACK as usize;

/// Runs a module on the second engine. `task.limits.fuel` bounds it in this engine's own units.
///
/// # Errors
/// A [`Fault`] of this machine. A failure of the program is in the outcome.
pub(crate) fn run(wasm: &[u8], task: &Task, stdio: Box<dyn Stdio>) -> Result<Outcome, Fault> {
    if Digest(Sha256::digest(wasm).into()) != task.module {
        return Err(Fault::ModuleHash);
    }
    let effort = match inspect(wasm) {
        Ok(needs) => needs.effort,
        Err(error) => return Ok(Outcome::outside_profile(&error.to_string())),
    };
    let engine = Engine::new(&config());
    let metered = stack::metered_for_second(wasm, effort).map_err(compile_fault)?;
    let module = Module::new(&engine, &metered).map_err(compile_fault)?;
    if least_memory(&module) > task.limits.memory {
        return Ok(Outcome::refused_at_start());
    }
    let held = SecondHeld::new(Host::new(task, stdio));
    let mut store = Store::new(&engine, held);
    store.limiter(|held| &mut held.host.limiter);
    // Fetching blocks and compiling are paid for on the first engine.
    store.set_fuel(task.limits.fuel).map_err(compile_fault)?;
    let reason = match start(&engine, &module, task.limits.stack, &mut store) {
        Ok(()) => None,
        Err(error) => classify(&error, store.data(), is_stack_used(&store))?,
    };
    let left = store.get_fuel().map_err(compile_fault)?;
    outcome(store.into_data().host, task, left, reason)
}

/// The profile in this engine's terms. What is not named here is off in this engine or refused by the check.
fn config() -> Config {
    let mut config = Config::default();
    config
        .consume_fuel(true)
        .floats(true)
        .wasm_mutable_global(true)
        .wasm_saturating_float_to_int(true)
        .wasm_sign_extension(true)
        .wasm_reference_types(true)
        .wasm_multi_value(true)
        .wasm_bulk_memory(true)
        .wasm_simd(true)
        .wasm_extended_const(true)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_multi_memory(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .ignore_custom_sections(true)
        .set_max_stack_height(MAX_VALUES)
        .set_max_recursion_depth(MAX_DEPTH);
    config
}

fn least_memory(module: &Module) -> u64 {
    module
        .get_export("memory")
        .and_then(|export| export.memory().map(|memory| memory.minimum()))
        .map_or(0, |pages| pages.saturating_mul(PAGE))
}

/// Instantiates, grants the stack, and calls the module's own start function, then `_start`: the same steps in the same
/// order as in the first engine.
fn start(
    engine: &Engine,
    module: &Module,
    stack: u64,
    store: &mut Store<SecondHeld>,
) -> Result<(), wasmi::Error> {
    let linker = second_linker(engine)?;
    let instance = linker.instantiate_and_start(&mut *store, module)?;
    let left = instance.get_global(&*store, LEFT);
    let left = left.ok_or_else(|| wasmi::Error::new("the program's calls are not counted"))?;
    left.set(&mut *store, Val::I32(granted_stack(stack)))
        .map_err(|error| wasmi::Error::new(error.to_string()))?;
    store.data_mut().stack_left = Some(left);
    if let Ok(first) = instance.get_typed_func::<(), ()>(&*store, START) {
        first.call(&mut *store, ())?;
    }
    let start = instance.get_typed_func::<(), ()>(&*store, "_start")?;
    start.call(store, ())
}

/// Whether the program ended because its last call had no stack left.
fn is_stack_used(store: &Store<SecondHeld>) -> bool {
    let left = store.data().stack_left;
    left.is_some_and(|left| left.get(store).i32().is_some_and(|left| left < 0))
}

fn classify(
    error: &wasmi::Error,
    held: &SecondHeld,
    stack_used: bool,
) -> Result<Option<Reason>, Fault> {
    let host = &held.host;
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return ended(stop);
    }
    // It translates a function when it is first called.
    if let ErrorKind::Translation(_) | ErrorKind::ImplementationLimits(_) | ErrorKind::Ir(_) =
        error.kind()
    {
        return Err(compile_fault(error));
    }
    let trap = match (error.as_trap_code(), error.kind()) {
        (Some(TrapCode::OutOfFuel), _) => return Ok(Some(Reason::Fuel)),
        (Some(TrapCode::UnreachableCodeReached), _) if stack_used => Some(STACK_TRAP),
        (Some(TrapCode::UnreachableCodeReached), _) if host.limiter.refused => {
            return Ok(Some(Reason::Memory));
        }
        (Some(trap), _) => trap_name(trap),
        (
            None,
            ErrorKind::Instantiation(wasmi::errors::InstantiationError::ElementSegmentDoesNotFit {
                ..
            }),
        ) => Some(TABLE_BOUNDS),
        _ => None,
    };
    trap.map(|trap| Some(Reason::Trap { trap }))
        .ok_or_else(|| Fault::Memory(error.to_string()))
}

/// The name of a trap in a failure record; `None` for traps that are errors of this machine.
fn trap_name(trap: TrapCode) -> Option<&'static str> {
    Some(match trap {
        TrapCode::UnreachableCodeReached => UNREACHABLE,
        TrapCode::MemoryOutOfBounds => MEMORY_BOUNDS,
        TrapCode::TableOutOfBounds => TABLE_BOUNDS,
        TrapCode::IndirectCallToNull => NULL_CALL,
        TrapCode::BadSignature => TYPE_MISMATCH,
        TrapCode::IntegerOverflow => INTEGER_OVERFLOW,
        TrapCode::IntegerDivisionByZero => DIVISION_BY_ZERO,
        TrapCode::BadConversionToInteger => BAD_CONVERSION,
        _ => return None,
    })
}

fn compile_fault(error: impl std::fmt::Display) -> Fault {
    Fault::Compile(format!("the second engine: {error}"))
}

#[cfg(test)]
#[path = "second_tests.rs"]
mod tests;
