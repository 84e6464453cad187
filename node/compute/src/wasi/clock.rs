//! Every clock says the time of the block that made the gate ready. Only the program's own sleeping moves
//! it, by exactly what was slept, so that a program that waits for a moment gets there.

use super::{memory::Guest, Answer, Arguments, Errno, Halt};

/// Realtime, monotonic, and the processor times of process and thread.
pub(super) const CLOCKS: u32 = 4;
/// What every clock resolves, in nanoseconds: block times are whole seconds.
const RESOLUTION: u64 = 1_000_000_000;

/// Refuses clocks that do not exist.
pub(super) fn check_clock(clock: u32) -> Result<(), Halt> {
    match clock < CLOCKS {
        true => Ok(()),
        false => Err(Errno::INVAL.into()),
    }
}

/// `clock_res_get(clock: u32, resolution: *mut u64)`
pub(super) fn clock_res_get(guest: &mut Guest<'_>, args: &Arguments) -> Answer {
    check_clock(args.u32(0))?;
    guest.write_u64(args.u32(1), RESOLUTION)
}

/// `clock_time_get(clock: u32, precision: u64, time: *mut u64)`
pub(super) fn clock_time_get(guest: &mut Guest<'_>, args: &Arguments) -> Answer {
    check_clock(args.u32(0))?;
    let now = guest.state().now;
    guest.write_u64(args.u32(2), now)
}
