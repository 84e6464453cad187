//! Arguments, and an environment that is always empty.

use super::{
    call::Arguments,
    errno::{Answer, Errno},
    memory::Guest,
};
use crate::costs::ITEM_FUEL;
use std::sync::Arc;

/// `args_sizes_get(count: *mut u32, bytes: *mut u32)`
pub(super) fn args_sizes_get(guest: &mut Guest<'_>, args: &Arguments) -> Answer {
    let (count, bytes) = (guest.host().args.len(), guest.host().args_bytes);
    let count = u32::try_from(count).map_err(|_| Errno::INVAL)?;
    let bytes = u32::try_from(bytes).map_err(|_| Errno::INVAL)?;
    guest.write_u32(args.u32(0), count)?;
    guest.write_u32(args.u32(1), bytes)
}

/// `args_get(pointers: *mut *mut u8, buffer: *mut u8)`: all or nothing.
///
/// Everything is paid for and both ranges are checked before a byte is copied.
pub(super) fn args_get(guest: &mut Guest<'_>, args: &Arguments) -> Answer {
    let strings = Arc::clone(&guest.host().args);
    let bytes = guest.host().args_bytes;
    guest.charge((strings.len() as u64).saturating_mul(ITEM_FUEL))?;
    guest.charge_bytes(bytes)?;
    let length = u32::try_from(strings.len().saturating_mul(4)).map_err(|_| Errno::FAULT)?;
    let pointers = guest.range(args.u32(0), length)?;
    let length = u32::try_from(bytes).map_err(|_| Errno::FAULT)?;
    let mut at = guest.range(args.u32(1), length)?.start;
    let (memory, _) = guest.split();
    for (pointer, text) in pointers.step_by(4).zip(strings.iter()) {
        // The ranges are within memory, so that each address fits in 32 bits, and each slice is there.
        memory[pointer..pointer + 4].copy_from_slice(&(at as u32).to_le_bytes());
        memory[at..at + text.len()].copy_from_slice(text);
        at += text.len();
    }
    Ok(())
}

/// `environ_sizes_get(count: *mut u32, bytes: *mut u32)`: none, and none.
pub(super) fn environ_sizes_get(guest: &mut Guest<'_>, args: &Arguments) -> Answer {
    guest.write_u32(args.u32(0), 0)?;
    guest.write_u32(args.u32(1), 0)
}

/// `environ_get(pointers: *mut *mut u8, buffer: *mut u8)`: nothing to write.
pub(super) fn environ_get(_: &mut Guest<'_>, _: &Arguments) -> Answer {
    Ok(())
}
