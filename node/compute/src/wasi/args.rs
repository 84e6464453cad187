//! Arguments, and an environment that is always empty.

use super::{
    memory::{element, Guest},
    Answer, Arguments, Errno,
};

/// `args_sizes_get(count: *mut u32, bytes: *mut u32)`
pub(super) fn args_sizes_get(guest: &mut Guest<'_>, args: &Arguments) -> Answer {
    let strings = &guest.state().args;
    let count = u32::try_from(strings.len()).map_err(|_| Errno::INVAL)?;
    let bytes: usize = strings.iter().map(|text| text.len() + 1).sum();
    let bytes = u32::try_from(bytes).map_err(|_| Errno::INVAL)?;
    guest.write_u32(args.u32(0), count)?;
    guest.write_u32(args.u32(1), bytes)
}

/// `args_get(pointers: *mut *mut u8, buffer: *mut u8)`
pub(super) fn args_get(guest: &mut Guest<'_>, args: &Arguments) -> Answer {
    let (pointers, mut buffer) = (args.u32(0), args.u32(1));
    let strings = guest.state().args.clone();
    for (index, text) in (0u32..).zip(&strings) {
        let mut bytes = text.clone().into_bytes();
        bytes.push(0);
        guest.charge_bytes(bytes.len())?;
        guest.write_u32(element(pointers, index, 4)?, buffer)?;
        guest.write(buffer, &bytes)?;
        buffer = element(buffer, bytes.len() as u32, 1)?;
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
