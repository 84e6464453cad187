//! Every clock shows the time that the operation sets (0, that is 1970, when it sets none; the clocks that measure
//! differences show a nanosecond then). Only the program's own sleeping moves it, by exactly what was slept, so that a
//! program that waits for a moment gets there.

use super::{
    call::Arguments,
    errno::{Answer, Errno, Halt},
    memory::Guest,
};

/// Realtime, monotonic, and the processor times of process and thread.
pub(super) const CLOCKS: u32 = 4;
/// The clock that shows a date. The others measure differences.
const REALTIME: u32 = 0;
/// What every clock resolves, in nanoseconds: an operation's time is in whole seconds.
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
    let clock = args.u32(0);
    check_clock(clock)?;
    let now = guest.host().now();
    // Go's runtime ends at once when a clock that only measures differences stands at 0, as it would without a time.
    let shown = if clock == REALTIME { now } else { now.max(1) };
    guest.write_u64(args.u32(2), shown)
}
