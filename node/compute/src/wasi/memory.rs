//! The calling program: its memory, with every pointer checked, and its fuel.
//!
//! A [`Guest`] is the program in the middle of a call, behind the trait [`Engine`] that both engines have. Host
//! functions reach memory only through it. So a pointer that leads out of memory is `EFAULT`, and never an error of
//! this process, and what moves bytes is paid for before it moves them.

use super::{
    errno::{Answer, Errno, Halt},
    host::Host,
    stop::Stop,
};
use crate::costs::BYTE_FUEL;
use std::ops::Range;

/// What an engine lets the host do in the middle of a program's call.
pub(super) trait Engine {
    /// The program's memory and the host, at the same time.
    fn split(&mut self) -> (&mut [u8], &mut Host);
    /// Fuel that is left.
    fn fuel(&mut self) -> Result<u64, Stop>;
    /// Sets the fuel that is left.
    fn set_fuel(&mut self, fuel: u64) -> Result<(), Stop>;
}

/// The program in the middle of a call.
pub(super) struct Guest<'a> {
    engine: &'a mut dyn Engine,
}

impl<'a> Guest<'a> {
    /// The program that an engine is running.
    pub(super) fn new(engine: &'a mut dyn Engine) -> Self {
        Self { engine }
    }

    /// The host.
    pub(super) fn host(&mut self) -> &mut Host {
        self.engine.split().1
    }

    /// Linear memory and the host, at the same time.
    pub(super) fn split(&mut self) -> (&mut [u8], &mut Host) {
        self.engine.split()
    }

    /// Takes `fuel` units. If less is left, takes the rest and ends the run.
    pub(super) fn charge(&mut self, fuel: u64) -> Answer {
        let rest = self.engine.fuel()?.checked_sub(fuel);
        self.engine.set_fuel(rest.unwrap_or(0))?;
        rest.map(|_| ()).ok_or_else(|| Stop::Fuel.into())
    }

    /// Takes fuel for bytes about to be moved.
    pub(super) fn charge_bytes(&mut self, bytes: usize) -> Answer {
        self.charge((bytes as u64).saturating_mul(BYTE_FUEL))
    }

    /// `length` bytes at `pointer`, as a range that is within memory.
    pub(super) fn range(&mut self, pointer: u32, length: u32) -> Result<Range<usize>, Halt> {
        let (start, end) = (u64::from(pointer), u64::from(pointer) + u64::from(length));
        if end > self.split().0.len() as u64 {
            return Err(Errno::FAULT.into());
        }
        Ok(start as usize..end as usize)
    }

    /// Copies bytes into memory.
    pub(super) fn write(&mut self, pointer: u32, bytes: &[u8]) -> Answer {
        let length = u32::try_from(bytes.len()).map_err(|_| Errno::INVAL)?;
        let range = self.range(pointer, length)?;
        self.split().0[range].copy_from_slice(bytes);
        Ok(())
    }

    /// Writes a little-endian 32-bit number.
    pub(super) fn write_u32(&mut self, pointer: u32, value: u32) -> Answer {
        self.write(pointer, &value.to_le_bytes())
    }

    /// Writes a little-endian 64-bit number.
    pub(super) fn write_u64(&mut self, pointer: u32, value: u64) -> Answer {
        self.write(pointer, &value.to_le_bytes())
    }

    /// Reads `N` bytes.
    pub(super) fn read<const N: usize>(&mut self, pointer: u32) -> Result<[u8; N], Halt> {
        let range = self.range(pointer, N as u32)?;
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.split().0[range]);
        Ok(bytes)
    }

    /// The `index`-th of the pairs of pointer and length that begin at `vectors`.
    pub(super) fn vector(&mut self, vectors: u32, index: u32) -> Result<Range<usize>, Halt> {
        let pointer = element(vectors, index, 8)?;
        let [a, b, c, d, e, f, g, h] = self.read(pointer)?;
        self.range(
            u32::from_le_bytes([a, b, c, d]),
            u32::from_le_bytes([e, f, g, h]),
        )
    }
}

/// Address of an array's element.
pub(super) fn element(base: u32, index: u32, size: u32) -> Result<u32, Halt> {
    index
        .checked_mul(size)
        .and_then(|offset| base.checked_add(offset))
        .ok_or_else(|| Errno::FAULT.into())
}
