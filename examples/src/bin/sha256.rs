//! Prints the sha2-256 of its input in hexadecimal digits, like `sha256sum` without the name.

use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// Read at a time, in bytes.
const CHUNK: usize = 64 * 1024;

fn main() -> io::Result<()> {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; CHUNK]);
    let mut input = io::stdin().lock();
    loop {
        match input.read(&mut buffer)? {
            0 => break,
            length => hash.update(&buffer[..length]),
        }
    }
    for byte in hash.finalize() {
        print!("{byte:02x}");
    }
    println!();
    Ok(())
}
