//! Exit, yielding, and random bytes. The random bytes come from a generator that the task seeds, so they are the same
//! for every member.

use super::{call::Arguments, errno::Answer, memory::Guest, stop::Stop};
use rand_chacha::rand_core::RngCore;

/// `proc_exit(status: u32)`: ends the run.
pub(super) fn proc_exit(_: &mut Guest<'_>, args: &Arguments) -> Answer {
    Err(Stop::Exit(args.u32(0)).into())
}

/// `sched_yield()`: does nothing, because there is only one thread.
pub(super) fn sched_yield(_: &mut Guest<'_>, _: &Arguments) -> Answer {
    Ok(())
}

/// `random_get(buffer: *mut u8, length: u32)`: the next bytes of the ChaCha20 stream of the task's seed.
pub(super) fn random_get(guest: &mut Guest<'_>, args: &Arguments) -> Answer {
    let range = guest.range(args.u32(0), args.u32(1))?;
    guest.charge_bytes(range.len())?;
    let (memory, host) = guest.split();
    host.random.fill_bytes(&mut memory[range]);
    Ok(())
}
