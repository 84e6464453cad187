//! One ring at a time on this machine, because tests of rings use all of its cores and measure times.

use super::tools::target;
use std::{
    cell::RefCell,
    fs::File,
    rc::{Rc, Weak},
};

/// Held while a test uses the machine for itself. It goes with the last of a thread's copies.
#[derive(Debug, Clone)]
pub struct Serial(#[expect(dead_code, reason = "the open file holds the lock")] Rc<File>);

thread_local! {
    static HELD: RefCell<Weak<File>> = const { RefCell::new(Weak::new()) };
}

/// Waits until no other test, of this or another process, holds the machine. A thread that holds it gets it again.
pub fn serial() -> Serial {
    HELD.with_borrow_mut(|held| {
        if let Some(file) = held.upgrade() {
            return Serial(file);
        }
        let file = File::create(target().join("rings-tests.lock")).unwrap();
        file.lock().unwrap();
        let file = Rc::new(file);
        *held = Rc::downgrade(&file);
        Serial(file)
    })
}
