//! What others may ask of the core.

use super::Core;
use rings_protocol::{
    member::{Phase, Timings},
    Address,
};
use tokio::sync::oneshot;

/// How far this member is with a gate.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// What the mind says of it, while it is open.
    pub phase: Option<Phase>,
    /// When what happened, in milliseconds of this process's clock.
    pub timings: Timings,
}

impl Core {
    pub(super) fn on_inspect(&self, gate: Address, reply: oneshot::Sender<Progress>) {
        let progress = match self.parts.member.phase(gate) {
            Some((phase, timings)) => Progress {
                phase: Some(phase.clone()),
                timings,
            },
            None => Progress {
                phase: None,
                timings: self.finished(gate),
            },
        };
        if reply.send(progress).is_err() {
            tracing::debug!("who asked has gone");
        }
    }

    fn finished(&self, gate: Address) -> Timings {
        let found = self
            .finished
            .iter()
            .rev()
            .find(|(finished, _)| *finished == gate);
        found.map(|(_, timings)| *timings).unwrap_or_default()
    }
}
