//! The signals that ask a command to end.

use super::{
    exit::{Context, ExitError, ExitStatus},
    interrupted,
};
use tokio::signal::unix::{signal, Signal, SignalKind};

/// Ctrl-C, a request to end, and the end of the terminal.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Listens for these signals, which from now on do not end the process by themselves.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new() -> Result<Self, ExitError> {
        let on = |kind| signal(kind).context(ExitStatus::Internal, "cannot listen for signals");
        let signals = Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hangup: on(SignalKind::hangup())?,
        };
        // After that, so that no signal in between is heard by nobody.
        interrupted::handled();
        Ok(signals)
    }

    /// Waits for the next of them.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
