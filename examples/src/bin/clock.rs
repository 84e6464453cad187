//! Prints the time and eight random bytes: in a ring, those of the block that made the gate ready.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    time::{SystemTime, UNIX_EPOCH},
};

fn main() {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    // The standard library has no other door to the system's random bytes.
    let random = RandomState::new().hash_one(0u8);
    println!("{seconds} {random:016x}");
}
