//! One run of one program, start to end, wherever it takes its input from.

use crate::{
    limits::HostMemory,
    profile::MAX_STACK,
    program::Program,
    stack,
    wasi::{Held, State, Stop},
    Failure, Outcome, Reason, Task,
};
use bytes::Bytes;
use wasmtime::{Store, Trap, Val};

/// One of the two streams that a program has in each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// Standard input and standard output.
    Standard = 0,
    /// The state, and the next state.
    State = 1,
}

/// Where a program's input comes from and its output goes. Waiting is allowed.
pub(crate) trait Stdio: Send + 'static {
    /// The next piece of input, `None` at its end.
    fn read(&mut self, channel: Channel) -> Result<Option<Bytes>, Fault>;
    /// Passes output on.
    fn write(&mut self, channel: Channel, bytes: &[u8]) -> Result<(), Fault>;
}

/// Why this machine could not complete a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// The other side cannot supply what was asked of it, and knows why.
    #[error("the run was abandoned")]
    Abandoned,
    /// The other side is gone.
    #[error("the other end is closed: {0}")]
    Closed(String),
    /// Not enough memory on this machine.
    #[error("{0}")]
    Memory(String),
    /// The engine could not prepare the module.
    #[error("{0}")]
    Compile(String),
    /// The module's bytes have another hash.
    #[error("the module has another hash")]
    ModuleHash,
    /// Something that cannot happen did.
    #[error("{0}")]
    Internal(String),
}

/// The trap of a recursion without end.
pub(crate) const STACK_TRAP: &str = "stack-overflow";
/// The trap of a program that writes more than its operation allows.
pub const OUTPUT_TRAP: &str = "output-limit";

/// The traps that the profile's instructions can cause, and what they are called in a failure record.
const TRAPS: &[(Trap, &str)] = &[
    (Trap::UnreachableCodeReached, "unreachable"),
    (Trap::MemoryOutOfBounds, "memory-out-of-bounds"),
    (Trap::TableOutOfBounds, "table-out-of-bounds"),
    (Trap::IndirectCallToNull, "indirect-call-to-null"),
    (Trap::BadSignature, "indirect-call-type-mismatch"),
    (Trap::IntegerOverflow, "integer-overflow"),
    (Trap::IntegerDivisionByZero, "integer-division-by-zero"),
    (Trap::BadConversionToInteger, "bad-conversion-to-integer"),
];

/// The name that [`TRAPS`] has for a trap, given any copy of it.
pub(crate) fn trap_name(name: &str) -> Option<&'static str> {
    TRAPS
        .iter()
        .map(|(_, known)| *known)
        .chain([OUTPUT_TRAP, STACK_TRAP])
        .find(|known| *known == name)
}

/// Runs a program.
///
/// # Errors
/// A [`Fault`] of this machine. A failure of the program is in the outcome.
pub(crate) fn run(program: &Program, task: &Task, stdio: Box<dyn Stdio>) -> Result<Outcome, Fault> {
    if program.least_memory() > task.limits.memory {
        return Ok(refused_at_start());
    }
    let held = Held::new(State::new(task, stdio));
    let mut store = Store::new(program.engine(), held);
    store.limiter(|held| &mut held.state.limiter);
    store.set_fuel(task.limits.fuel).map_err(internal)?;
    let reason = match start(program, task.limits.stack, &mut store) {
        Ok(()) => None,
        Err(error) => {
            let used = is_stack_used(&mut store);
            classify(&error, &store.data().state, used)?
        }
    };
    let left = store.get_fuel().map_err(internal)?;
    outcome(store.into_data().state, task, left, reason)
}

fn start(program: &Program, stack: u64, store: &mut Store<Held>) -> wasmtime::Result<()> {
    let instance = program.instantiate(&mut *store)?;
    let left = instance.get_global(&mut *store, stack::LEFT);
    let left = left.ok_or_else(|| wasmtime::format_err!("the program's calls are not counted"))?;
    left.set(&mut *store, Val::I32(granted_stack(stack)))?;
    store.data_mut().stack_left = Some(left);
    if let Ok(first) = instance.get_typed_func::<(), ()>(&mut *store, stack::START) {
        first.call(&mut *store, ())?;
    }
    let start = instance.get_typed_func::<(), ()>(&mut *store, "_start")?;
    start.call(store, ())
}

/// What the counter begins with.
pub(crate) fn granted_stack(stack: u64) -> i32 {
    i32::try_from(stack.min(MAX_STACK)).unwrap_or(i32::MAX)
}

/// Whether the program's last call was one too many.
fn is_stack_used(store: &mut Store<Held>) -> bool {
    let left = store.data().stack_left;
    left.is_some_and(|left| left.get(store).i32().is_some_and(|left| left < 0))
}

/// What a run that has ended comes to, on either engine.
pub(crate) fn outcome(
    mut state: State,
    task: &Task,
    left: u64,
    reason: Option<Reason>,
) -> Result<Outcome, Fault> {
    if reason.is_none() {
        state.flush().map_err(stopped)?;
    }
    let left = match reason {
        Some(Reason::Fuel) => 0,
        _ => left,
    };
    Ok(Outcome {
        fuel: task.limits.fuel.saturating_sub(left),
        memory: state.limiter.high_water,
        output: state.written,
        result: match reason {
            None => Ok(()),
            Some(reason) => Err(Failure::new(reason, state.into_stderr())),
        },
    })
}

/// A program whose initial memory is more than it may have fails before its first instruction.
pub(crate) fn refused_at_start() -> Outcome {
    Outcome {
        result: Err(Failure::new(Reason::Memory, Vec::new())),
        fuel: 0,
        memory: 0,
        output: 0,
    }
}

/// Tells the end of a program (`None`: it succeeded) from a fault of this machine.
fn classify(
    error: &wasmtime::Error,
    state: &State,
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
        Some(trap) => trapped(*trap, state).map(Some),
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

fn trapped(trap: Trap, state: &State) -> Result<Reason, Fault> {
    match trap {
        Trap::OutOfFuel => Ok(Reason::Fuel),
        Trap::StackOverflow => Err(Fault::Internal(
            "the machine's stack ended before the program's".into(),
        )),
        Trap::UnreachableCodeReached if state.limiter.refused => Ok(Reason::Memory),
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
