//! The person at the terminal: what is shown to them, and what they type.

use super::{
    event::{ChatEvent, ChatView},
    typed::Typed,
};
use tokio::sync::mpsc;

/// A view, and what is typed beside it.
pub(super) struct Live {
    view: Box<dyn ChatView>,
    pub(super) typed: mpsc::Receiver<Typed>,
}

impl Live {
    pub(super) fn new(view: Box<dyn ChatView>, typed: mpsc::Receiver<Typed>) -> Self {
        Self { view, typed }
    }

    /// Shows something.
    pub(super) fn show(&mut self, event: &ChatEvent) {
        self.view.show(event);
    }

    /// A word to the reader.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.view.show(&ChatEvent::Note { text: text.into() });
    }

    /// Ends the view.
    pub(super) fn close(&mut self) {
        self.view.close();
    }
}
