//! A conversation as lines: for pipes, scripts, and terminals without a screen.

use super::event::{ChatEvent, ChatLine, ChatView};
use crate::{out::Out, when::time_of_day};

/// Writes a line for each event, or a line of JSON.
pub(super) struct Lines {
    out: Out,
    json: bool,
}

impl Lines {
    pub(super) fn new(out: Out, json: bool) -> Self {
        Self { out, json }
    }
}

impl ChatView for Lines {
    fn show(&mut self, event: &ChatEvent) {
        let text = match event {
            ChatEvent::Draft(_) => return,
            event if self.json => {
                // A reader that has gone is noticed when its end of the input closes.
                drop(self.out.json(event));
                return;
            }
            ChatEvent::Message(line) => format!("{} {}: {}", clock(line), line.name, line.text),
            ChatEvent::State { mine: false, .. } | ChatEvent::People { asked: false, .. } => return,
            ChatEvent::State { seq, state, .. } => {
                format!("      your messages up to {seq}: {state}")
            }
            ChatEvent::People { people, .. } => {
                let shown = people.iter().map(ToString::to_string);
                shown.collect::<Vec<_>>().join("\n")
            }
            ChatEvent::Note { text } => {
                self.out.warn(text);
                return;
            }
        };
        for line in text.lines() {
            drop(self.out.line(line));
        }
    }

    fn close(&mut self) {}
}

/// When a line was said, for people.
pub(super) fn clock(line: &ChatLine) -> String {
    line.time.map_or_else(|| "--:--".to_owned(), time_of_day)
}
