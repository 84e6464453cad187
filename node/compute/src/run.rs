//! One run of one program on the first engine, from start to end.
//!
//! [`run`] takes a compiled [`Program`](crate::program::Program), a task and the streams. It charges for compiling and for the blocks
//! of the inputs, sets fuel, memory and the stack's counter, calls the module's start function and `_start`, and turns the
//! way in which that ended into an [`Outcome`](crate::Outcome) or a [`Fault`](crate::fault::Fault): `classify` tells
//! the two apart. A failure of the program is a result; an error of the machine is not.

use crate::{
    bounds::MAX_STACK,
    fault::Fault,
    limits::HostMemory,
    outcome::{Failure, Outcome, Reason},
    program::Program,
    reserved::{LEFT, START},
    stdio::Stdio,
    task::Task,
    trap::{
        BAD_CONVERSION, DIVISION_BY_ZERO, INTEGER_OVERFLOW, MEMORY_BOUNDS, NULL_CALL, OUTPUT_TRAP,
        STACK_TRAP, TABLE_BOUNDS, TYPE_MISMATCH, UNREACHABLE,
    },
    wasi::{Held, Host, Stop},
};
use wasmtime::{Store, Trap, Val};

/// The traps that the profile's instructions can cause, and their names in a failure record.
const TRAPS: &[(Trap, &str)] = &[
    (Trap::UnreachableCodeReached, UNREACHABLE),
    (Trap::MemoryOutOfBounds, MEMORY_BOUNDS),
    (Trap::TableOutOfBounds, TABLE_BOUNDS),
    (Trap::IndirectCallToNull, NULL_CALL),
    (Trap::BadSignature, TYPE_MISMATCH),
    (Trap::IntegerOverflow, INTEGER_OVERFLOW),
    (Trap::IntegerDivisionByZero, DIVISION_BY_ZERO),
    (Trap::BadConversionToInteger, BAD_CONVERSION),
];

/// Runs a program.
///
/// # Errors
/// A [`Fault`] of this machine. A failure of the program is in the outcome.
pub(crate) fn run(program: &Program, task: &Task, stdio: Box<dyn Stdio>) -> Result<Outcome, Fault> {
    if program.least_memory() > task.limits.memory {
        return Ok(Outcome::refused_at_start());
    }
    let before = program.compile_fuel().saturating_add(task.block_fuel());
    let Some(fuel) = task.limits.fuel.checked_sub(before) else {
        return Ok(Outcome::out_of_fuel_at_start(task.limits.fuel));
    };
    let held = Held::new(Host::new(task, stdio));
    let mut store = Store::new(program.engine(), held);
    store.limiter(|held| &mut held.host.limiter);
    store.set_fuel(fuel).map_err(internal)?;
    let reason = match start(program, task.limits.stack, &mut store) {
        Ok(()) => None,
        Err(error) => {
            let used = is_stack_used(&mut store);
            classify(&error, &store.data().host, used)?
        }
    };
    let left = store.get_fuel().map_err(internal)?;
    outcome(store.into_data().host, task, left, reason)
}

fn start(program: &Program, stack: u64, store: &mut Store<Held>) -> wasmtime::Result<()> {
    let instance = program.instantiate(&mut *store)?;
    let left = instance.get_global(&mut *store, LEFT);
    let left = left.ok_or_else(|| wasmtime::format_err!("the program's calls are not counted"))?;
    left.set(&mut *store, Val::I32(granted_stack(stack)))?;
    store.data_mut().stack_left = Some(left);
    if let Ok(first) = instance.get_typed_func::<(), ()>(&mut *store, START) {
        first.call(&mut *store, ())?;
    }
    let start = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
    start.call(store, ())
}

/// The first value of the counter.
pub(crate) fn granted_stack(stack: u64) -> i32 {
    i32::try_from(stack.min(MAX_STACK)).unwrap_or(i32::MAX)
}

/// Whether the program ended because its last call had no stack left.
fn is_stack_used(store: &mut Store<Held>) -> bool {
    let left = store.data().stack_left;
    left.is_some_and(|left| left.get(store).i32().is_some_and(|left| left < 0))
}

/// The outcome of a run that has ended, on either engine.
pub(crate) fn outcome(
    mut host: Host,
    task: &Task,
    left: u64,
    reason: Option<Reason>,
) -> Result<Outcome, Fault> {
    if reason.is_none() {
        host.flush().map_err(stopped)?;
    }
    let left = match reason {
        Some(Reason::Fuel) => 0,
        _ => left,
    };
    Ok(Outcome {
        fuel: task.limits.fuel.saturating_sub(left),
        memory: host.limiter.high_water,
        output: host.written,
        notes: host.notes(),
        result: match reason {
            None => Ok(()),
            Some(reason) => Err(Failure::new(reason, host.into_stderr())),
        },
    })
}

/// How the program ended (`None`: it succeeded), or the error of this machine.
fn classify(
    error: &wasmtime::Error,
    host: &Host,
    stack_used: bool,
) -> Result<Option<Reason>, Fault> {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return ended(stop);
    }
    if let Some(HostMemory { what }) = error.downcast_ref() {
        return Err(Fault::Memory(what.clone()));
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::UnreachableCodeReached) if stack_used => {
            Ok(Some(Reason::Trap { trap: STACK_TRAP }))
        }
        Some(trap) => trapped(*trap, host).map(Some),
        None => Err(Fault::Memory(format!("{error:#}"))),
    }
}

/// How the host has ended the run.
pub(crate) fn ended(stop: &Stop) -> Result<Option<Reason>, Fault> {
    match stop {
        Stop::Exit(0) => Ok(None),
        Stop::Exit(code) => Ok(Some(Reason::Exit { code: *code })),
        Stop::Fuel => Ok(Some(Reason::Fuel)),
        Stop::Output => Ok(Some(Reason::Trap { trap: OUTPUT_TRAP })),
        Stop::Fault(fault) => Err(fault.clone()),
    }
}

fn trapped(trap: Trap, host: &Host) -> Result<Reason, Fault> {
    match trap {
        Trap::OutOfFuel => Ok(Reason::Fuel),
        Trap::StackOverflow => Err(Fault::Internal(
            "the machine's stack ended before the program's".into(),
        )),
        Trap::UnreachableCodeReached if host.limiter.refused => Ok(Reason::Memory),
        _ => TRAPS
            .iter()
            .find(|(known, _)| *known == trap)
            .map(|(_, trap)| Reason::Trap { trap })
            .ok_or_else(|| Fault::Internal(format!("unexpected trap: {trap}"))),
    }
}

fn stopped(stop: Stop) -> Fault {
    match stop {
        Stop::Fault(fault) => fault,
        stop => Fault::Internal(format!("{stop} outside the program")),
    }
}

fn internal(error: wasmtime::Error) -> Fault {
    Fault::Internal(format!("{error:#}"))
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
