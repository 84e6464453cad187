//! What the parts that share a [`Chain`] tell each other about it. None of it asks the endpoint anything.

use super::Chain;
use tokio::sync::watch;

impl Chain {
    /// Changes when a transaction that was sent through this connection is in a block.
    pub(crate) fn mined(&self) -> watch::Receiver<()> {
        self.0.mined.subscribe()
    }

    /// To be called when a transaction that was sent through this connection is in a block.
    pub(crate) fn has_mined(&self) {
        self.0.mined.send_replace(());
    }

    /// To be called when others know something of this chain that no block has told here: an endpoint that pushes its heads
    /// may have left one out, and is asked for its head unless it pushes one soon; one that is polled is polled now. Many
    /// hints cost no more than one.
    pub fn hint(&self) {
        self.0.hints.send_replace(());
    }

    /// Changes with each [`hint`](Self::hint).
    pub(crate) fn hints(&self) -> watch::Receiver<()> {
        self.0.hints.subscribe()
    }

    /// The height of the newest block up to which the watcher of this connection has read events; 0 before the first. It changes
    /// at once, while a page without events is told later. Waiting for it asks the endpoint nothing.
    pub fn read_blocks(&self) -> watch::Receiver<u64> {
        self.0.read.subscribe()
    }

    /// To be called when a watcher has read events up to this block.
    pub(crate) fn has_read(&self, block: u64) {
        let is_new = |read: &mut u64| std::mem::replace(read, block) != block;
        self.0.read.send_if_modified(is_new);
    }
}
