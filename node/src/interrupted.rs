//! Spinners that a signal interrupts: the line in which one stands is cleared before the program ends.
//!
//! A command that has something to stop waits for signals itself ([`Signals`](super::signals::Signals)), and its spinners are
//! cleared as they are dropped. Any other command ends at once, as if it knew nothing of the signal: also for its caller, who sees
//! a program that the signal has ended. A thread of its own does so, because the command may be waiting for a key press.

use indicatif::{ProgressBar, WeakProgressBar};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
    low_level::emulate_default_handler,
};
use std::{
    sync::{
        atomic::{AtomicBool, Ordering},
        Mutex, Once, PoisonError,
    },
    thread,
};

/// The spinners that are shown. Those that are gone are removed when another one comes.
static SHOWN: Mutex<Vec<WeakProgressBar>> = Mutex::new(Vec::new());
/// Whether the command waits for signals itself.
static HANDLED: AtomicBool = AtomicBool::new(false);
static WATCHING: Once = Once::new();

/// The command waits for signals itself from now on.
pub fn handled() {
    HANDLED.store(true, Ordering::Relaxed);
}

/// Clears a spinner when a signal ends the program.
pub fn clear_in_the_end(bar: &ProgressBar) {
    WATCHING.call_once(watch);
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    shown.retain(|bar| bar.upgrade().is_some());
    shown.push(bar.downgrade());
}

fn watch() {
    // Without it a spinner stays in its line, which harms nothing.
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else {
        return;
    };
    thread::spawn(move || {
        for signal in signals.forever() {
            if HANDLED.load(Ordering::Relaxed) {
                continue;
            }
            clear();
            // It does not come back, unless the system has no such signal.
            drop(emulate_default_handler(signal));
        }
    });
}

fn clear() {
    let shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    for bar in shown.iter().filter_map(WeakProgressBar::upgrade) {
        bar.finish_and_clear();
    }
}
