//! Answers to the HTTP side: how far this member is with a gate.

use super::{input::Progress, Core};
use rings_protocol::{member::Timings, Address};
use tokio::sync::oneshot;

impl Core {
    pub(super) fn on_inspect(&self, gate: Address, reply: oneshot::Sender<Progress>) {
        let notes = self.notes(gate);
        let progress = match self.parts.member.phase(gate) {
            Some((phase, timings)) => Progress {
                phase: Some(phase.clone()),
                without: self.parts.member.without(gate).map(str::to_owned),
                timings,
                notes,
            },
            None => Progress {
                phase: None,
                without: None,
                timings: self.finished(gate),
                notes,
            },
        };
        if reply.send(progress).is_err() {
            tracing::debug!("the caller that asked about a gate is gone");
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

    fn notes(&self, gate: Address) -> Vec<String> {
        let found = self.notes.iter().rev().find(|(noted, _)| *noted == gate);
        found.map(|(_, notes)| notes.clone()).unwrap_or_default()
    }
}
