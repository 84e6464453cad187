//! A flag that is raised when something ends, however it ends.

use std::sync::atomic::{AtomicBool, Ordering};

/// Raises a flag when it is dropped, so also when a check before that panics. A thread that works until the flag is raised
/// then ends, and the panic is seen.
#[derive(Debug)]
pub struct RaiseOnDrop<'a>(pub &'a AtomicBool);

impl Drop for RaiseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
