//! Messages that other parts of this member want in its log, such as what became of an avatar's action.
//!
//! They wait with everything else that is to be written. Whoever sent them is told when they are on disk, so that it can
//! answer somebody else then.

use super::{input::Saying, Core};
use rings_protocol::message::Message;
use std::collections::VecDeque;

impl Core {
    pub(super) fn on_say(&mut self, saying: Saying) {
        let messages = saying.messages.iter().cloned();
        self.ring.waiting.messages.extend(messages);
        self.said.push_back(saying);
    }

    /// These messages are on disk.
    pub(super) fn tell_written(&mut self, written: &[Message]) {
        tell(&mut self.said, written);
    }
}

/// Tells the callers whose messages are all written.
fn tell(said: &mut VecDeque<Saying>, written: &[Message]) {
    for saying in said.iter_mut() {
        saying.messages.retain(|message| !written.contains(message));
    }
    let all = said.drain(..);
    let (done, waiting): (Vec<_>, Vec<_>) = all.partition(|saying| saying.messages.is_empty());
    said.extend(waiting);
    for saying in done {
        if saying.done.send(()).is_err() {
            tracing::debug!("the caller did not wait until its message was written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    fn message(text: &str) -> Message {
        Message {
            domain: "chat".into(),
            payload: text.as_bytes().to_vec().into(),
            status: "new".into(),
            kind: "Line".into(),
        }
    }

    #[test]
    fn who_waits_is_told_when_all_its_messages_are_written() {
        let (done, mut one) = oneshot::channel();
        let messages = vec![message("a"), message("b")];
        let mut said: VecDeque<_> = [Saying { messages, done }].into();
        let (done, mut other) = oneshot::channel();
        said.push_back(Saying {
            messages: vec![message("c")],
            done,
        });
        tell(&mut said, &[message("x"), message("a")]);
        assert!(one.try_recv().is_err() && other.try_recv().is_err());
        tell(&mut said, &[message("c")]);
        assert!(one.try_recv().is_err() && other.try_recv().is_ok());
        tell(&mut said, &[message("b")]);
        assert!(one.try_recv().is_ok() && said.is_empty());
    }
}
