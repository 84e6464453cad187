//! `poll_oneoff` never waits: streams are always ready, and a clock is moved to the first deadline.
//!
//! So a program that sleeps costs no time and sees exactly the time that it slept for. What a real system would answer
//! by chance (which of several events came first) is fixed here.

use super::{
    call::Arguments,
    clock::check_clock,
    errno::{Answer, Errno, Halt},
    fd::check_open,
    memory::{element, Guest},
};

/// Length of a subscription, in bytes.
const SUBSCRIPTION: u32 = 48;
/// Length of an event, in bytes.
const EVENT: u32 = 32;
/// Subscription to a clock.
const CLOCK: u8 = 0;
/// Subscription to a descriptor that can be read.
const READ: u8 = 1;
/// Subscription to a descriptor that can be written.
const WRITE: u8 = 2;
/// The timeout is a moment, not a duration.
const ABSOLUTE: u16 = 1;

/// One subscription, answered.
struct Polled {
    userdata: [u8; 8],
    kind: u8,
    errno: u16,
    /// Clock at which it is ready, in nanoseconds.
    due: u64,
}

/// `poll_oneoff(subscriptions, events, count: u32, written: *mut u32)`
pub(super) fn poll_oneoff(guest: &mut Guest<'_>, args: &Arguments) -> Answer {
    let (subscriptions, events, count) = (args.u32(0), args.u32(1), args.u32(2));
    if count == 0 {
        return Err(Errno::INVAL.into());
    }
    guest.range(args.u32(3), 4)?;
    guest.charge_bytes(count as usize * (SUBSCRIPTION + EVENT) as usize)?;
    let start = guest.host().now_for_sleep();
    let mut until = u64::MAX;
    for index in 0..count {
        until = until.min(polled(guest, subscriptions, index, start)?.due);
    }
    guest.host().sleep_until(until);
    let mut written = 0;
    for index in 0..count {
        let polled = polled(guest, subscriptions, index, start)?;
        if polled.due <= until {
            write_event(guest, element(events, written, EVENT)?, &polled)?;
            written += 1;
        }
    }
    guest.write_u32(args.u32(3), written)
}

/// Reads one subscription, and says when it is ready if the clock shows `now`.
fn polled(guest: &mut Guest<'_>, subscriptions: u32, index: u32, now: u64) -> Result<Polled, Halt> {
    let address = element(subscriptions, index, SUBSCRIPTION)?;
    guest.range(address, SUBSCRIPTION)?;
    let userdata = guest.read(address)?;
    let [kind] = guest.read(element(address, 8, 1)?)?;
    let content = element(address, 16, 1)?;
    let ready = match kind {
        CLOCK => clock_due(guest, content, now),
        READ | WRITE => stream_due(guest, content, now),
        _ => Err(Errno::INVAL.into()),
    };
    let (errno, due) = match ready {
        Ok(due) => (0, due),
        Err(Halt::Errno(errno)) => (errno.number(), now),
        Err(stop) => return Err(stop),
    };
    Ok(Polled {
        userdata,
        kind,
        errno,
        due,
    })
}

/// `{clock: u32, timeout: u64, precision: u64, flags: u16}`
fn clock_due(guest: &mut Guest<'_>, content: u32, now: u64) -> Result<u64, Halt> {
    check_clock(u32::from_le_bytes(guest.read(content)?))?;
    let timeout = u64::from_le_bytes(guest.read(element(content, 8, 1)?)?);
    let flags = u16::from_le_bytes(guest.read(element(content, 24, 1)?)?);
    Ok(match flags & ABSOLUTE {
        0 => now.saturating_add(timeout),
        _ => timeout.max(now),
    })
}

/// `{fd: u32}`: an open stream is ready at once, in its own direction.
fn stream_due(guest: &mut Guest<'_>, content: u32, now: u64) -> Result<u64, Halt> {
    let fd = u32::from_le_bytes(guest.read(content)?);
    check_open(guest, fd)?;
    Ok(now)
}

/// `{userdata: u64, error: u16, kind: u8, bytes: u64, flags: u16}`, where one byte stands for "some".
fn write_event(guest: &mut Guest<'_>, address: u32, polled: &Polled) -> Answer {
    let mut event = [0; EVENT as usize];
    event[..8].copy_from_slice(&polled.userdata);
    event[8..10].copy_from_slice(&polled.errno.to_le_bytes());
    event[10] = polled.kind;
    event[16] = u8::from(polled.kind != CLOCK);
    guest.write(address, &event)
}
