//! What a program pays: fuel for what it does, and bytes of stack for the calls that it has open.
//!
//! Fuel follows time. The cost of each instruction and of each call of the host is chosen so that a unit takes at most
//! [`UNIT_NANOSECONDS`], whatever the program does, on the slowest machine that is supported. So fuel bounds time, and the
//! limit of fuel and the limit of time can be made to fit ([`most_fuel`]). `benches/costs.rs` measures every kind of
//! instruction and call in its worst form: loads that miss all caches, numbers that take the processor's slow path.
//!
//! One thing no fuel pays for: the kernel clears each page of memory when a program touches it for the first time. A
//! program can do that once for each page that it may have, so its limit of memory bounds that time ([`TOUCH_SECONDS`]).

use std::time::Duration;

/// Most nanoseconds that a unit of fuel takes.
pub const UNIT_NANOSECONDS: u64 = 20;
/// Most seconds that a run takes besides, for each GiB of its memory: to touch all of it for the first time.
pub const TOUCH_SECONDS: u64 = 4;
/// A machine may take this many times longer than [`UNIT_NANOSECONDS`] a unit before it stops a run that is within its
/// fuel.
pub const TIME_MARGIN: u32 = 4;

/// Fuel for each call of a host function.
pub const CALL_FUEL: u64 = 100;
/// Fuel for each byte that a host function reads or writes for the program.
pub const BYTE_FUEL: u64 = 1;
/// Fuel for each of the things that a host function goes through: an argument, a buffer. Each may lie on a page of its own,
/// so that neither it nor what it points to is in any cache.
pub const ITEM_FUEL: u64 = 40;
/// Fuel for each block of the inputs: it is fetched, hashed and stored before the program starts. For 256 KiB that takes a member 1.1 to
/// 1.3 ms, and for as much of a larger block up to 2.1 ms.
pub const BLOCK_FUEL: u64 = 100_000;

/// Fuel for compiling a module of that effort, in units of about a nanosecond. Each run pays it before its first instruction, whether or
/// not a member has the module compiled already: what others have asked for must not decide whether a program has enough.
pub fn compile_fuel(effort: u64) -> u64 {
    effort.div_ceil(UNIT_NANOSECONDS)
}

/// Fuel for a load: one that misses all caches, and lies on two pages of a large memory, takes as long as thousands of
/// instructions.
pub(crate) const LOAD_FUEL: u8 = 36;
/// Fuel for a store. Nothing waits for it, but it goes through the same caches.
pub(crate) const STORE_FUEL: u8 = 8;
/// Fuel for arithmetic of floating point: numbers that are nearly 0 take the processor's slow path.
pub(crate) const FLOAT_FUEL: u8 = 4;
/// Fuel for divisions and roots.
pub(crate) const DIVISION_FUEL: u8 = 8;
/// Fuel for a direct call: the code of the function may be in no cache.
pub(crate) const DIRECT_CALL_FUEL: u8 = 16;
/// Fuel for an indirect call: the table, the function and its code may all miss the caches.
pub(crate) const INDIRECT_CALL_FUEL: u8 = 24;
/// Fuel for a jump to one of many places, which the processor guesses wrong.
pub(crate) const JUMP_FUEL: u8 = 4;
/// Fuel for an instruction that the engine carries out in a call of its own.
pub(crate) const ENGINE_CALL_FUEL: u8 = 16;
/// Fuel for `memory.grow` and `table.grow`: they are system calls.
pub(crate) const GROW_FUEL: u8 = 200;
/// Fuel for each page of 64 KiB that is asked of `memory.grow`: the kernel has to clear it.
pub(crate) const GROW_PAGE_FUEL: u8 = 255;

/// What every frame costs, in bytes of stack: the return address, saved registers, alignment.
pub(crate) const FRAME_COST: u32 = 256;
/// What each parameter, each local and each place on the deepest stack of operands costs, in bytes: a vector's size.
pub(crate) const VALUE_COST: u32 = 16;
/// What each operator of a function costs, in bytes: the compiler may keep what it gives for later use, in the frame.
pub(crate) const OPERATOR_COST: u32 = 1;
/// A function that calls no other is not counted if it costs at most this much: only one of them is open at a time.
pub(crate) const LEAF_COST: u32 = 4096;

/// The most fuel that fits a limit of time: with [`TIME_MARGIN`] to spare, even a program whose every unit takes
/// [`UNIT_NANOSECONDS`] ends by its fuel. A member declines what asks for more.
pub fn most_fuel(wall_limit: Duration) -> u64 {
    let units = wall_limit.as_nanos() / u128::from(TIME_MARGIN) / u128::from(UNIT_NANOSECONDS);
    u64::try_from(units).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuel_fits_the_time_by_the_margin() {
        let limit = Duration::from_secs(1800);
        assert_eq!(most_fuel(limit), 22_500_000_000);
        let worst = Duration::from_nanos(most_fuel(limit) * UNIT_NANOSECONDS);
        assert!(worst * TIME_MARGIN <= limit);
        assert_eq!(most_fuel(Duration::MAX), u64::MAX);
        // The whole of a 32-bit memory, touched once.
        let touch = Duration::from_secs(4 * TOUCH_SECONDS);
        assert!(worst + touch * TIME_MARGIN <= limit);
    }
}
