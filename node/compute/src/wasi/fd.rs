//! The open descriptors: streams of bytes without a position, and not a terminal. 0, 1 and 2 are the standard ones;
//! with a state, 3 reads it and 4 writes the next.
//!
//! What WASI asks about a descriptor has a fixed answer: type 0 (unknown), the rights of its direction, a `filestat` of
//! zeros, and `SPIPE` for every seek. A read fills all buffers unless the input ends, and a write takes everything. So
//! a program never sees how this machine cuts the streams into pieces.

use super::{
    call::Arguments,
    errno::{Answer, Errno, Halt},
    memory::Guest,
};
use crate::{costs::ITEM_FUEL, stdio::Channel};
use std::ops::Range;

/// Length of a `filestat`, in bytes.
const FILESTAT: usize = 64;
/// Right to read.
const RIGHT_READ: u64 = 1 << 1;
/// Right to write.
const RIGHT_WRITE: u64 = 1 << 6;
/// Right to ask for the `filestat`.
const RIGHT_FILESTAT: u64 = 1 << 21;
/// Right to wait in `poll_oneoff`.
const RIGHT_POLL: u64 = 1 << 27;

/// Refuses descriptors that are not open; gives the number.
pub(super) fn check_open(guest: &mut Guest<'_>, fd: u32) -> Result<usize, Halt> {
    match guest.host().open.get(fd as usize) {
        Some(true) => Ok(fd as usize),
        _ => Err(Errno::BADF.into()),
    }
}

/// What a descriptor reads, if it is one to read from.
fn reads(fd: usize) -> Option<Channel> {
    match fd {
        0 => Some(Channel::Standard),
        3 => Some(Channel::State),
        _ => None,
    }
}

/// `fd_close(fd: u32)`
pub(super) fn fd_close(guest: &mut Guest<'_>, args: &Arguments) -> Answer {
    let fd = check_open(guest, args.u32(0))?;
    guest.host().open[fd] = false;
    Ok(())
}

/// `fd_fdstat_get(fd: u32, stat: *mut fdstat)`: type 0 (unknown), as a pipe has it.
pub(super) fn fd_fdstat_get(guest: &mut Guest<'_>, args: &Arguments) -> Answer {
    let direction = match reads(check_open(guest, args.u32(0))?) {
        Some(_) => RIGHT_READ,
        None => RIGHT_WRITE,
    };
    let rights = direction | RIGHT_FILESTAT | RIGHT_POLL;
    let mut stat = [0; 24];
    stat[8..16].copy_from_slice(&rights.to_le_bytes());
    guest.write(args.u32(1), &stat)
}

/// `fd_filestat_get(fd: u32, stat: *mut filestat)`: all zero, one link.
pub(super) fn fd_filestat_get(guest: &mut Guest<'_>, args: &Arguments) -> Answer {
    check_open(guest, args.u32(0))?;
    let mut stat = [0; FILESTAT];
    stat[24] = 1;
    guest.write(args.u32(1), &stat)
}

/// `fd_prestat_get(fd, …)`, `fd_prestat_dir_name(fd, …)`: there are no directories.
pub(super) fn fd_prestat_get(_: &mut Guest<'_>, _: &Arguments) -> Answer {
    Err(Errno::BADF.into())
}

/// `fd_seek(fd, …)`, `fd_tell(fd, …)`: streams have no position.
pub(super) fn fd_seek(guest: &mut Guest<'_>, args: &Arguments) -> Answer {
    check_open(guest, args.u32(0))?;
    Err(Errno::SPIPE.into())
}

/// `fd_read(fd: u32, vectors: *const iovec, count: u32, read: *mut u32)`
///
/// Fills all buffers unless the input ends: a program must not see into which pieces the input was cut.
pub(super) fn fd_read(guest: &mut Guest<'_>, args: &Arguments) -> Answer {
    let fd = check_open(guest, args.u32(0))?;
    let channel = reads(fd).ok_or(Errno::BADF)?;
    let (vectors, count) = transfer(guest, args)?;
    let mut total = 0;
    for index in 0..count {
        let range = guest.vector(vectors, index)?;
        let wanted = range.len();
        let read = read_into(guest, channel, range)?;
        total += read;
        if read < wanted {
            break;
        }
    }
    guest.write_u32(args.u32(3), total as u32)
}

/// `fd_write(fd: u32, vectors: *const ciovec, count: u32, written: *mut u32)`: always all of it.
pub(super) fn fd_write(guest: &mut Guest<'_>, args: &Arguments) -> Answer {
    let fd = check_open(guest, args.u32(0))?;
    if reads(fd).is_some() {
        return Err(Errno::BADF.into());
    }
    let (vectors, count) = transfer(guest, args)?;
    let mut total = 0;
    for index in 0..count {
        let range = guest.vector(vectors, index)?;
        total += range.len();
        guest.charge_bytes(range.len())?;
        let (memory, host) = guest.split();
        match fd {
            1 => host.write_output(Channel::Standard, &memory[range])?,
            4 => host.write_output(Channel::State, &memory[range])?,
            _ => host.write_error(&memory[range]),
        }
    }
    guest.write_u32(args.u32(3), total as u32)
}

/// The vectors of a transfer, all checked first, so that a transfer that fails moves nothing.
fn transfer(guest: &mut Guest<'_>, args: &Arguments) -> Result<(u32, u32), Halt> {
    let (vectors, count) = (args.u32(1), args.u32(2));
    guest.range(args.u32(3), 4)?;
    guest.charge(u64::from(count).saturating_mul(ITEM_FUEL))?;
    let mut total = 0u32;
    for index in 0..count {
        let length = guest.vector(vectors, index)?.len() as u32;
        total = total.checked_add(length).ok_or(Errno::INVAL)?;
    }
    Ok((vectors, count))
}

/// Fills one buffer as far as the input goes.
fn read_into(guest: &mut Guest<'_>, channel: Channel, range: Range<usize>) -> Result<usize, Halt> {
    let mut at = range.start;
    while at < range.end {
        let length = guest.host().fill(channel)?.min(range.end - at);
        if length == 0 {
            break;
        }
        guest.charge_bytes(length)?;
        let (memory, host) = guest.split();
        host.take(channel, &mut memory[at..at + length]);
        at += length;
    }
    Ok(at - range.start)
}
