//! What the host knows about one run.
//!
//! A [`Host`] has everything behind the host functions: arguments, the clock that only sleeping moves, the random
//! stream, the open descriptors, the limits, and the buffers of input and output. Host functions change it through
//! `memory.rs`; at the end the outcome is read from it. Nothing in it comes from this machine: all follows from the
//! task and the input.

use super::stop::Stop;
use crate::{
    limits::Limiter,
    outcome::Notes,
    stdio::{Channel, Stdio},
    task::Task,
};
use bytes::Bytes;
use rand_chacha::{rand_core::SeedableRng, ChaCha20Rng};
use rings_protocol::operation::STDERR_TAIL;
use std::sync::Arc;

/// Output is passed on in pieces of this many bytes.
pub(super) const OUTPUT_CHUNK: usize = 256 * 1024;
/// Nanoseconds in a second.
const NANOSECONDS: u64 = 1_000_000_000;

/// Everything behind the host functions of one run.
pub(crate) struct Host {
    /// Name and arguments, each ended by a zero byte. Shared, so that a call can read them while it writes.
    pub(super) args: Arc<[Vec<u8>]>,
    /// Bytes of all of them together.
    pub(super) args_bytes: usize,
    /// Nanoseconds since 1970 on every clock: the operation's time, and what the program has slept.
    now: u64,
    /// Whether the operation sets a time.
    is_clock_set: bool,
    /// Whether the program has read a clock.
    clock_read: bool,
    pub(super) random: ChaCha20Rng,
    /// Which of the descriptors are open: standard input, output and error, the state and the next state.
    pub(super) open: [bool; 5],
    /// Decides about growth.
    pub(crate) limiter: Limiter,
    /// Bytes written to standard output and to the next state.
    pub(crate) written: u64,
    /// Most bytes that it may write there.
    most_output: u64,
    stdio: Box<dyn Stdio>,
    /// By channel.
    inputs: [Incoming; 2],
    /// By channel: what has not been passed on yet.
    outputs: [Vec<u8>; 2],
    stderr: Vec<u8>,
}

/// A stream that the program reads.
#[derive(Default)]
struct Incoming {
    bytes: Bytes,
    ended: bool,
}

impl Host {
    /// As it is at the start of a run.
    pub(crate) fn new(task: &Task, stdio: Box<dyn Stdio>) -> Self {
        let args: Arc<[Vec<u8>]> = std::iter::once(&task.program)
            .chain(&task.args)
            .map(|text| [text.as_bytes(), &[0]].concat())
            .collect();
        Self {
            args_bytes: args.iter().map(Vec::len).sum(),
            args,
            now: task.time.saturating_mul(NANOSECONDS),
            is_clock_set: task.time != 0,
            clock_read: false,
            random: ChaCha20Rng::from_seed(task.seed),
            open: [true, true, true, task.state, task.state],
            limiter: Limiter::new(task.limits.memory),
            written: 0,
            most_output: task.limits.output,
            stdio,
            inputs: Default::default(),
            outputs: Default::default(),
            stderr: Vec::new(),
        }
    }

    /// What every clock shows, in nanoseconds since 1970.
    pub(super) fn now(&mut self) -> u64 {
        self.clock_read = true;
        self.now
    }

    /// What the clock shows, for a call that only sleeps. It does not count as reading the clock, because the program does
    /// not see it.
    pub(super) fn now_for_sleep(&self) -> u64 {
        self.now
    }

    /// Moves every clock forward.
    pub(super) fn sleep_until(&mut self, moment: u64) {
        self.now = self.now.max(moment);
    }

    /// What a person should know about the run.
    pub(crate) fn notes(&self) -> Notes {
        Notes {
            unset_clock: self.clock_read && !self.is_clock_set,
            outside_profile: None,
        }
    }

    /// The end of standard error.
    pub(crate) fn into_stderr(self) -> Vec<u8> {
        self.stderr
    }

    /// Makes sure that there is input, unless it has ended; gives the number of bytes at hand.
    pub(super) fn fill(&mut self, channel: Channel) -> Result<usize, Stop> {
        let input = &mut self.inputs[channel as usize];
        while input.bytes.is_empty() && !input.ended {
            match self.stdio.read(channel).map_err(Stop::Fault)? {
                Some(bytes) => input.bytes = bytes,
                None => input.ended = true,
            }
        }
        Ok(input.bytes.len())
    }

    /// Moves input that is at hand into `target`, which must not be longer than what [`Self::fill`] gave.
    pub(super) fn take(&mut self, channel: Channel, target: &mut [u8]) {
        let input = &mut self.inputs[channel as usize].bytes;
        let length = target.len().min(input.len());
        let piece = input.split_to(length);
        target[..length].copy_from_slice(&piece);
    }

    /// Takes output, passing on whole chunks. If a write is beyond the limit, nothing of it is taken.
    pub(super) fn write_output(&mut self, channel: Channel, mut bytes: &[u8]) -> Result<(), Stop> {
        let written = self.written.saturating_add(bytes.len() as u64);
        if written > self.most_output {
            return Err(Stop::Output);
        }
        self.written = written;
        while !bytes.is_empty() {
            let output = &mut self.outputs[channel as usize];
            let room = OUTPUT_CHUNK - output.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            output.extend_from_slice(now);
            bytes = later;
            if output.len() == OUTPUT_CHUNK {
                self.pass_on(channel)?;
            }
        }
        Ok(())
    }

    /// Passes on what output there is.
    pub(crate) fn flush(&mut self) -> Result<(), Stop> {
        self.pass_on(Channel::Standard)?;
        self.pass_on(Channel::State)
    }

    /// Gives to the caller what has been collected of a channel.
    fn pass_on(&mut self, channel: Channel) -> Result<(), Stop> {
        let output = &mut self.outputs[channel as usize];
        if output.is_empty() {
            return Ok(());
        }
        self.stdio.write(channel, output).map_err(Stop::Fault)?;
        output.clear();
        Ok(())
    }

    /// Takes standard error, of which only the end is kept.
    pub(super) fn write_error(&mut self, bytes: &[u8]) {
        let kept = &bytes[bytes.len().saturating_sub(STDERR_TAIL)..];
        let excess = (self.stderr.len() + kept.len()).saturating_sub(STDERR_TAIL);
        self.stderr.drain(..excess.min(self.stderr.len()));
        self.stderr.extend_from_slice(kept);
    }
}
