//! Copies its input to its output, holding no more than a chunk of it.

use std::io::{self, Read, Write};

/// Copied at a time, in bytes.
const CHUNK: usize = 64 * 1024;

fn main() -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    loop {
        match input.read(&mut buffer)? {
            0 => return output.flush(),
            length => output.write_all(&buffer[..length])?,
        }
    }
}
